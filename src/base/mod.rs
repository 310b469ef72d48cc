//! F0: what every floor may use: clock, identifiers, limits, secrets, which cryptography, tasks that last. No protocol, no I/O but the clock and the
//! random source.

pub mod clock;
pub mod crypto;
#[cfg(test)]
pub(crate) mod heard;
pub mod id;
pub mod limits;
pub mod secret;
pub(crate) mod task;
