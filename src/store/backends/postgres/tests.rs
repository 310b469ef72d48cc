//! On a real server, each test in a schema of its own.

mod build;
mod open;
mod plans;
mod search;

use super::Postgres;
use super::server::Schema;
use crate::store::tests::Fixture;
