//! The lines of the table.

pub(crate) mod delivery;
mod delivery_fair;
mod delivery_poll;
mod delivery_push;
pub(crate) mod import;
mod import_bulk;
pub(crate) mod lists;
pub(crate) mod many;
pub(crate) mod members;
pub(crate) mod postgres;
mod postgres_lag;
mod postgres_raw;
pub(crate) mod reads;
pub(crate) mod start;
pub(crate) mod writes;
