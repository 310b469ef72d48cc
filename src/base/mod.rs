//! F0: what every floor may use: clock, identifiers, limits, secrets. No protocol, no I/O but the clock and the random source.

pub mod clock;
pub mod id;
pub mod limits;
pub mod secret;
