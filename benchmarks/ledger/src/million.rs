//! What a call costs with a thousand stored events and with a million.

use std::time::{Duration, Instant};

use kazawallet_ledger::{Decision, Ledger};

use crate::Result;
use crate::database::{Database, Databases, Kind};
use crate::deliveries::{delivery, put_orders, webhook};
use crate::measured::{Times, micros, ratio};

const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;
const ROUNDS: u32 = 20;
const IN_A_ROUND: u32 = 10;
/// What `pending` fetches each time, and holds: so there must be enough that waits.
const FETCHED: u32 = 1;
const LISTED: u32 = 20;

/// A call, with few events and with many.
#[derive(Default)]
struct Call {
    few: Times,
    many: Times,
}

struct Stored {
    ledger: Ledger,
    /// The last order that was paid.
    number: u32,
}

pub(crate) async fn compare(databases: &Databases<'_>) -> Result<()> {
    println!("\nWith 1,000 and with 1,000,000 stored events");
    for kind in Kind::BOTH {
        let begun = Instant::now();
        let mut few = stored(&databases.new_one(kind).await?, FEW).await?;
        let mut many = stored(&databases.new_one(kind).await?, MANY).await?;
        let filled = begun.elapsed().as_secs();
        let (mut receive, mut pending, mut overdue) =
            (Call::default(), Call::default(), Call::default());
        for round in 0..=ROUNDS {
            // The first round warms up.
            let counts = round > 0;
            measure(&mut few, counts, [&mut receive.few, &mut pending.few, &mut overdue.few])
                .await?;
            measure(&mut many, counts, [&mut receive.many, &mut pending.many, &mut overdue.many])
                .await?;
        }
        println!("  {} (filled in {filled} s)", kind.name());
        for (name, call) in [("receive", &receive), ("pending", &pending), ("overdue", &overdue)] {
            println!(
                "    {name}  {:>8} with 1,000, {:>8} with 1,000,000, ratio {:.2}",
                micros(call.few.median()),
                micros(call.many.median()),
                ratio(&call.many, &call.few),
            );
        }
        few.ledger.close().await;
        many.ledger.close().await;
    }
    Ok(())
}

/// A ledger with so many events. A fifth of them wait for the handler, and a tenth as many orders as
/// there are events are overdue.
async fn stored(database: &Database, count: u32) -> Result<Stored> {
    let ledger = Ledger::open(database.url()).webhook(webhook()?).no_spool().await?;
    let (events, open) = (database.numbers(count), database.numbers(count / 10));
    // Days and times that differ, as they do.
    let time = "'2020-0' || (1 + i % 9) || '-' || (10 + i / 9 % 19) || 'T' || (10 + i / 171 % 14) || \
                ':' || (10 + i / 2394 % 50) || ':30.000Z'";
    let body = String::from_utf8(delivery(&webhook()?, 0)?)?;
    let as_bytes = match database {
        Database::Sqlite(_) => format!("CAST('{body}' AS BLOB)"),
        Database::Postgres(_) => format!("convert_to('{body}', 'UTF8')"),
    };
    let fill = format!(
        "BEGIN;
        INSERT INTO kazawallet_orders (ref, amount, amount_value, currency, state, link_url, link_id,
            link_at, paid_by, paid_at, created_at)
        SELECT 'old-order-' || i, '10.50', '10.5', 'USD', 'paid', 'https://pay.example/old-' || i,
            'old-' || i, {time}, 'old-' || i, {time}, {time} FROM {events};
        INSERT INTO kazawallet_orders (ref, amount, amount_value, currency, state, link_url, link_id,
            link_at, created_at)
        SELECT 'lost-order-' || i, '10.50', '10.5', 'USD', 'open', 'https://pay.example/lost-' || i,
            'lost-' || i, {time}, {time} FROM {open};
        INSERT INTO kazawallet_payments (order_id, ref, amount, amount_value, currency, status,
            decision, settles, received_at, receipt, processing, due_at, tries, body)
        SELECT 'old-' || i, 'old-order-' || i, '10.50', '10.5', 'USD', 'fulfilled', 'paid',
            'old-order-' || i, {time}, 'receipt-' || i,
            CASE WHEN i % 5 = 0 THEN 'waiting' ELSE 'done' END,
            CASE WHEN i % 5 = 0 THEN {time} END, 1, {as_bytes} FROM {events};
        COMMIT"
    );
    database.execute(&fill).await?;
    put_orders(database, (ROUNDS + 1) * IN_A_ROUND).await?;
    Ok(Stored { ledger, number: 0 })
}

async fn measure(stored: &mut Stored, counts: bool, times: [&mut Times; 3]) -> Result<()> {
    let [receive, pending, overdue] = times;
    let webhook = webhook()?;
    for _ in 0..IN_A_ROUND {
        stored.number += 1;
        let body = delivery(&webhook, stored.number)?;
        let begun = Instant::now();
        let receipt = stored.ledger.receive(body).await?;
        add(receive, counts, begun.elapsed());
        if receipt.decision != Decision::Paid {
            return Err("a delivery did not pay its order".into());
        }
    }
    for _ in 0..IN_A_ROUND {
        let begun = Instant::now();
        let payments = stored.ledger.pending(FETCHED).await?;
        add(pending, counts, begun.elapsed());
        if payments.len() != 1 {
            return Err("nothing was pending".into());
        }
    }
    for _ in 0..IN_A_ROUND {
        let begun = Instant::now();
        let orders = stored.ledger.overdue(Duration::from_secs(3600), LISTED).await?;
        add(overdue, counts, begun.elapsed());
        if orders.len() != 20 {
            return Err("too few orders are overdue".into());
        }
    }
    Ok(())
}

fn add(times: &mut Times, counts: bool, time: Duration) {
    if counts {
        times.add(time);
    }
}
