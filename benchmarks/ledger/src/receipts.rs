//! A receipt, beside the same durable insert without the ledger.

use std::time::Instant;

use kazawallet_ledger::{Decision, Ledger};

use crate::Result;
use crate::database::{Database, Databases, Kind, connect};
use crate::deliveries::{delivery, put_orders, webhook};
use crate::measured::{Times, micros, ratio};

/// Short ones, so that a disk that is slow for a while is slow for both.
const ROUNDS: u32 = 300;
const IN_A_ROUND: u32 = 5;
/// The first rounds warm up.
const WARM_UP: u32 = 20;
const GOAL: f64 = 1.3;

const TABLE: &str = "CREATE TABLE bare (order_id TEXT NOT NULL PRIMARY KEY, body ";
const INSERT: &str = "INSERT INTO bare VALUES ($1, $2)";

/// A table with a primary key and the same bytes.
enum Bare {
    Sqlite(rusqlite::Connection),
    Postgres(Box<tokio_postgres::Client>, tokio_postgres::Statement),
}

impl Bare {
    async fn new(database: &Database) -> Result<Self> {
        Ok(match database {
            Database::Sqlite(file) => {
                let connection = rusqlite::Connection::open(file)?;
                connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
                connection.execute_batch(&format!("{TABLE} BLOB NOT NULL)"))?;
                Self::Sqlite(connection)
            }
            Database::Postgres(url) => {
                let client = connect(url).await?;
                client.batch_execute("SET synchronous_commit = on").await?;
                client.batch_execute(&format!("{TABLE} BYTEA NOT NULL)")).await?;
                let insert = client.prepare(INSERT).await?;
                Self::Postgres(Box::new(client), insert)
            }
        })
    }

    async fn insert(&mut self, order_id: &str, body: &[u8]) -> Result<()> {
        match self {
            Self::Sqlite(connection) => {
                connection.prepare_cached(INSERT)?.execute((order_id, body))?;
            }
            Self::Postgres(client, insert) => {
                client.execute(insert, &[&order_id, &body]).await?;
            }
        }
        Ok(())
    }
}

pub(crate) async fn compare(databases: &Databases<'_>) -> Result<()> {
    println!("\nA receipt, one after the other, beside the same durable insert without the ledger");
    for kind in Kind::BOTH {
        let table = databases.new_one(kind).await?;
        let mut bare = Bare::new(&table).await?;
        table.settle_down().await?;
        let database = databases.new_one(kind).await?;
        let webhook = webhook()?;
        let ledger = Ledger::open(database.url()).webhook(webhook.clone()).no_spool().await?;
        put_orders(&database, ROUNDS * IN_A_ROUND).await?;

        let (mut receipts, mut inserts) = (Times::default(), Times::default());
        let mut number = 0;
        for round in 0..ROUNDS {
            let mut these = Vec::new();
            for _ in 0..IN_A_ROUND {
                number += 1;
                these.push((format!("link-{number}"), delivery(&webhook, number)?));
            }
            for (order_id, body) in &these {
                let begun = Instant::now();
                bare.insert(order_id, body).await?;
                if round >= WARM_UP {
                    inserts.add(begun.elapsed());
                }
            }
            for (_, body) in &these {
                let begun = Instant::now();
                let receipt = ledger.receive(body).await?;
                if round >= WARM_UP {
                    receipts.add(begun.elapsed());
                }
                if receipt.decision != Decision::Paid {
                    return Err("a delivery did not pay its order".into());
                }
            }
        }
        ledger.close().await;
        let ratio = ratio(&receipts, &inserts);
        let verdict = if ratio <= GOAL { "within" } else { "ABOVE" };
        println!(
            "  {:<11} receipt {:>8}, bare insert {:>8}, ratio {ratio:.2} ({verdict} the goal of \
             {GOAL}; 95 of 100 within {} and {})",
            kind.name(),
            micros(receipts.median()),
            micros(inserts.median()),
            micros(receipts.share(95)),
            micros(inserts.share(95)),
        );
    }
    Ok(())
}
