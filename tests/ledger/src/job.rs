//! What a child process is told to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An order of which the link is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The merchant's reference.
    pub reference: String,
    /// The link's id.
    pub link_id: String,
}

/// What a child does until it is finished or killed. Every order costs [`Job::PRICE`], every payout
/// is one of [`Job::PAYOUT`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Job {
    /// Asks for links, in this order: `link <ref> <id>`.
    Links(Vec<String>),
    /// Receives the deliveries that say that these orders are paid:
    /// `received <order id> <decision> <first|again>`.
    Receive(Vec<Order>),
    /// Handles payments until told to stop: `handled <order id>`. The effect of handling one is a
    /// file in this folder, called by its order id.
    Process(PathBuf),
    /// Pays out, in this order: `payout <reference> <state>`.
    PayOut(Vec<String>),
    /// Opens the ledger, and does no more.
    Open,
}

impl Job {
    /// What an order costs, in USD.
    pub const PRICE: &'static str = "10.50";
    /// What is paid out, in USD.
    pub const PAYOUT: &'static str = "1";
}
