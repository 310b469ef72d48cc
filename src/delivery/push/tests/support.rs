//! The scripted receiver of the other suites.
#![allow(unreachable_pub, dead_code, reason = "it is shared with other programs")]

#[path = "../../../../tests/support/authority.rs"]
pub mod authority;
#[path = "../../../../tests/support/receiver.rs"]
pub mod receiver;
#[path = "../../../../tests/support/reply.rs"]
pub mod reply;
#[path = "../../../../tests/support/wait.rs"]
pub mod wait;
