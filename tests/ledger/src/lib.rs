//! What the ledger's tests stand on: databases, a shop, its deliveries, and what child processes
//! are told to do. The tests themselves are in `tests/`:
//!
//! - `behaviour/`: what the ledger does, on SQLite and on PostgreSQL;
//! - `model.rs`: random steps, held against a simple model after each;
//! - `crashes.rs`: processes that are killed, and a PostgreSQL that crashes under load;
//! - `eight_processes.rs`: eight processes at once on one database;
//! - `upgrades/`: what former versions left, in the hands of the present one.
//!
//! `make soak` runs `model`, `crashes` and `eight_processes` at length. `LEDGER_MODEL_CASES` and
//! `LEDGER_CRASH_KILLS` say for how long, and `LEDGER_TEST_SEED` repeats what a failed run printed.

mod delivery;
mod job;
pub mod postgres;
mod shop;

pub use delivery::Delivery;
pub use job::{Job, Order};
pub use shop::Shop;
