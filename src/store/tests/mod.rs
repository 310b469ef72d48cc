//! What every native backend must do, as one set of cases over each of them.

mod commits;
pub(crate) mod fixture;
mod in_order;
mod leases;
mod letters;
mod log;
mod members;
mod model;
mod orders;
pub(crate) mod records;
mod resolutions;
mod searches;

pub(crate) use fixture::{Fixture, group, key, user};

/// Runs each case against each backend within this process.
macro_rules! on_every_embedded_backend {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $case() { super::$case($crate::store::tests::Fixture::new("memory")).await; })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $case() { super::$case($crate::store::tests::Fixture::new("sqlite")).await; })*
        }
    };
}
pub(crate) use on_every_embedded_backend;

/// Runs each case against each backend.
macro_rules! on_every_backend {
    ($($case:ident),* $(,)?) => {
        $crate::store::tests::on_every_embedded_backend!($($case),*);
        #[cfg(feature = "servers")]
        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                let (fixture, schema) = $crate::store::tests::Fixture::on_a_server().await;
                super::$case(fixture).await;
                schema.drop().await;
            })*
        }
    };
}
pub(crate) use on_every_backend;
