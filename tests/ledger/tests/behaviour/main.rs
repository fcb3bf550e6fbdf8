//! What the ledger does, seen from its public face, on both databases.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../support/mod.rs"]
mod support;

mod durability;
mod failures;
mod forgetting;
mod link_ids;
mod migrations;
mod orders;
mod overview;
mod payouts;
mod processing;
mod quarantine;
mod receiving;
mod spool;
mod voice;

use support::{Database, TestShop};

/// What a query counts in the ledger's database, as somebody else sees it.
async fn count(shop: &TestShop, sql: &str) -> i64 {
    match shop.database {
        Database::Sqlite => {
            let other = rusqlite::Connection::open(shop.file()).unwrap();
            other.query_row(sql, [], |row| row.get(0)).unwrap()
        }
        Database::Postgres => {
            let connected = tokio_postgres::connect(&shop.shop.ledger, tokio_postgres::NoTls).await;
            let (client, connection) = connected.unwrap();
            tokio::spawn(connection);
            client.query_one(sql, &[]).await.unwrap().get(0)
        }
    }
}
