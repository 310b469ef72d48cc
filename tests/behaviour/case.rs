//! A case: its name, what it needs of a backend, and what it does.

use crate::gateway::{self, Gateway, Mode};
use carillon::store::Capabilities;
use libtest_mimic::Trial;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Runtime;

/// What a case does.
pub type Run = fn(Arc<Gateway>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    name: &'static str,
    mode: Mode,
    needs: Option<fn(Capabilities) -> bool>,
    run: Run,
}

impl Case {
    /// A case that every backend must pass.
    pub fn new(name: &'static str, mode: Mode, run: Run) -> Self {
        Self { name, mode, needs: None, run }
    }

    /// The case is for backends that can do this.
    pub fn needs(self, needs: fn(Capabilities) -> bool) -> Self {
        Self { needs: Some(needs), ..self }
    }

    /// Whether a backend is to pass it.
    pub fn fits(&self, capabilities: Capabilities) -> bool {
        self.needs.is_none_or(|needs| needs(capabilities))
    }

    /// The case on a backend.
    pub fn on(self, backend: &'static str) -> Trial {
        Trial::test(format!("{backend}::{}", self.name), move || {
            let gateway = gateway::of(backend, self.mode, self.name);
            runtime().block_on((self.run)(Arc::new(gateway)));
            Ok(())
        })
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

/// The cases of a family: `cases!(patch, Notice: add, remove needs member_rows)`.
#[macro_export]
macro_rules! cases {
    ($family:ident, $mode:ident: $($name:ident $(needs $capability:ident)?),* $(,)?) => {
        /// The cases of this family.
        pub fn cases() -> Vec<$crate::case::Case> {
            vec![$(
                $crate::case::Case::new(
                    concat!(stringify!($family), "::", stringify!($name)),
                    $crate::gateway::Mode::$mode,
                    |gateway| Box::pin(async move { $name(&gateway).await }),
                )
                $(.needs(|capabilities| capabilities.$capability))?
            ),*]
        }
    };
}
