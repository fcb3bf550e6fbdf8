//! Runs what stands in `tests/` and belongs to no language: `tests/README.md` says what it is.
//!
//! The scenarios are read and carried out here; `tests/tests/` holds the tests themselves, and
//! `src/bin/` the programs that they start. This crate exists so that `kazawallet` need not depend
//! on the simulator, which depends on it.

mod run;
mod scenario;

pub use run::run;
pub use scenario::{Call, ClientOptions, Expect, PaymentMethodArguments, RequestSeen, Scenario};
