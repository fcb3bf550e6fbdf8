//! A receipt, beside the same durable insert without the ledger.

use kazawallet_benchmark_figures::{Clock, Figure, Results, Rounds};
use kazawallet_ledger::{Decision, Ledger};

use crate::Result;
use crate::database::{Database, Databases, Kind, connect};
use crate::deliveries::{delivery, put_orders, webhook};

/// Short ones, so that a disk that is slow for a while is slow for both.
const ROUNDS: u32 = 300;
const QUICK_ROUNDS: u32 = 3;
const IN_A_ROUND: u32 = 5;
/// The first rounds warm up.
const WARM_UP: u32 = 20;
/// The most times the bare insert that a receipt may take.
const GOAL: f64 = 1.3;

/// What is written without the ledger.
#[derive(Clone, Copy)]
enum Written {
    /// The bytes, into a table with a primary key alone.
    Bytes,
    /// The rows that a receipt writes, into the ledger's own tables: the payment, and its order.
    SameRows,
}

const BYTES: &str = "INSERT INTO bare VALUES ($1, $2)";

macro_rules! payment {
    () => {
        "INSERT INTO kazawallet_payments (order_id, ref, amount, amount_value, currency, status, \
         decision, settles, received_at, receipt, processing, due_at, tries, body) \
         VALUES ($1, $3, '10.50', '10.5', 'USD', 'fulfilled', 'paid', $3, $4, $1, 'waiting', $4, 0, $2)"
    };
}
macro_rules! order {
    () => {
        "UPDATE kazawallet_orders SET state = 'paid', paid_by = $1, paid_at = $2 WHERE ref = $3"
    };
}
/// One message to and fro, as the ledger's.
const BOTH: &str = concat!(
    "WITH stored AS (",
    payment!(),
    ") UPDATE kazawallet_orders SET state = 'paid', paid_by = $1, paid_at = $4 WHERE ref = $3"
);

/// A connection of one's own.
enum Bare {
    Sqlite(rusqlite::Connection),
    Postgres(Box<tokio_postgres::Client>, tokio_postgres::Statement),
}

impl Bare {
    async fn new(database: &Database, written: Written) -> Result<Self> {
        let table = |bytes| {
            format!("CREATE TABLE bare (order_id TEXT NOT NULL PRIMARY KEY, body {bytes} NOT NULL)")
        };
        Ok(match database {
            Database::Sqlite(file) => {
                let connection = rusqlite::Connection::open(file)?;
                connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
                if let Written::Bytes = written {
                    connection.execute_batch(&table("BLOB"))?;
                }
                Self::Sqlite(connection)
            }
            Database::Postgres(url) => {
                let client = connect(url).await?;
                client.batch_execute("SET synchronous_commit = on").await?;
                let insert = match written {
                    Written::Bytes => {
                        client.batch_execute(&table("BYTEA")).await?;
                        client.prepare(BYTES).await?
                    }
                    Written::SameRows => client.prepare(BOTH).await?,
                };
                Self::Postgres(Box::new(client), insert)
            }
        })
    }

    async fn write(&mut self, written: Written, number: u32, body: &[u8]) -> Result<()> {
        let (order_id, reference) = (format!("link-{number}"), format!("order-{number}"));
        let at = "2026-05-01T09:30:00.250Z";
        match (self, written) {
            (Self::Sqlite(connection), Written::Bytes) => {
                connection.prepare_cached(BYTES)?.execute((order_id, body))?;
            }
            (Self::Sqlite(connection), Written::SameRows) => {
                connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
                connection
                    .prepare_cached(payment!())?
                    .execute((&order_id, body, &reference, at))?;
                connection.prepare_cached(order!())?.execute((&order_id, at, &reference))?;
                connection.prepare_cached("COMMIT")?.execute([])?;
            }
            (Self::Postgres(client, insert), Written::Bytes) => {
                client.execute(insert, &[&order_id, &body]).await?;
            }
            (Self::Postgres(client, insert), Written::SameRows) => {
                client.execute(insert, &[&order_id, &body, &reference, &at]).await?;
            }
        }
        Ok(())
    }
}

/// A database with the ledger's tables, and orders to pay.
async fn with_orders(
    databases: &Databases<'_>,
    kind: Kind,
    orders: u32,
) -> Result<(Database, Ledger)> {
    let database = databases.new_one(kind).await?;
    let ledger = Ledger::open(database.url()).webhook(webhook()?).no_spool().await?;
    put_orders(&database, orders).await?;
    Ok((database, ledger))
}

pub(crate) async fn compare(
    databases: &Databases<'_>,
    quick: bool,
    results: &mut Results,
) -> Result<()> {
    println!("\nA receipt, one after the other, beside the same durable insert without the ledger");
    let rounds = WARM_UP + if quick { QUICK_ROUNDS } else { ROUNDS };
    for kind in Kind::BOTH {
        let orders = rounds * IN_A_ROUND;
        let table = databases.new_one(kind).await?;
        let mut bytes = Bare::new(&table, Written::Bytes).await?;
        table.settle_down().await?;
        let (tables, unused) = with_orders(databases, kind, orders).await?;
        unused.close().await;
        let mut rows = Bare::new(&tables, Written::SameRows).await?;
        let (_, ledger) = with_orders(databases, kind, orders).await?;
        let webhook = webhook()?;

        let mut receipts = Rounds::new();
        let mut same_rows = Rounds::new();
        let mut same_bytes = Rounds::new();
        let mut number = 0;
        for round in 0..rounds {
            let mut these = Vec::new();
            for _ in 0..IN_A_ROUND {
                number += 1;
                these.push((number, delivery(&webhook, number)?));
            }
            if round == WARM_UP {
                for rounds in [&mut receipts, &mut same_rows, &mut same_bytes] {
                    *rounds = Rounds::new();
                }
            }
            let clock = Clock::start();
            for (number, body) in &these {
                bytes.write(Written::Bytes, *number, body).await?;
            }
            clock.stop(&mut same_bytes, IN_A_ROUND, 1e6);
            let clock = Clock::start();
            for (number, body) in &these {
                rows.write(Written::SameRows, *number, body).await?;
            }
            clock.stop(&mut same_rows, IN_A_ROUND, 1e6);
            let clock = Clock::start();
            for (_, body) in &these {
                if ledger.receive(body).await?.decision != Decision::Paid {
                    return Err("a delivery did not pay its order".into());
                }
            }
            clock.stop(&mut receipts, IN_A_ROUND, 1e6);
        }
        ledger.close().await;
        let figure = |beside: &str, of: &str, bare: Rounds| {
            let name = format!("ledger.{}.receipt.{beside}", kind.key());
            let title = format!("{}: a receipt", kind.name());
            Figure::new(name, title, "µs", receipts.clone()).over(of, bare)
        };
        let of_bytes = "the bare insert of its bytes, into a table with one key";
        let of_rows = "the same rows in one durable transaction";
        for figure in [
            figure("bare_insert", of_bytes, same_bytes).goal(GOAL),
            figure("same_rows", of_rows, same_rows),
        ] {
            println!("  {figure}");
            results.add(figure);
        }
    }
    Ok(())
}
