//! What the ledger's tests stand on: databases, a shop, its deliveries, and what child processes
//! are told to do. The tests themselves are in `tests/`.

mod delivery;
mod job;
pub mod postgres;
mod shop;

pub use delivery::Delivery;
pub use job::{Job, Order};
pub use shop::Shop;
