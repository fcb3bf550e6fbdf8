//! What a call costs with a thousand stored events and with a million.

use std::time::{Duration, Instant};

use kazawallet_benchmark_figures::{Clock, Figure, Results, Rounds};
use kazawallet_ledger::{Decision, Ledger};

use crate::Result;
use crate::database::{Database, Databases, Kind};
use crate::deliveries::{delivery, put_orders, webhook};

const FEW: u32 = 1_000;
const MANY: u32 = 1_000_000;
const QUICK_MANY: u32 = 10_000;
const ROUNDS: u32 = 20;
const QUICK_ROUNDS: u32 = 2;
const IN_A_ROUND: u32 = 10;
/// What `pending` fetches each time, and holds: so there must be enough that waits.
const FETCHED: u32 = 1;
const LISTED: u32 = 20;
/// The most times what a call takes with a thousand events that it may take with a million.
const GOAL: f64 = 1.5;

/// A call, with few events and with many.
#[derive(Default)]
struct Call {
    few: Rounds,
    many: Rounds,
}

struct Stored {
    ledger: Ledger,
    /// The last order that was paid.
    number: u32,
}

pub(crate) async fn compare(
    databases: &Databases<'_>,
    quick: bool,
    results: &mut Results,
) -> Result<()> {
    let (many_events, rounds) = if quick { (QUICK_MANY, QUICK_ROUNDS) } else { (MANY, ROUNDS) };
    println!("\nWith {FEW} and with {many_events} stored events");
    for kind in Kind::BOTH {
        let begun = Instant::now();
        let mut few = stored(&databases.new_one(kind).await?, FEW).await?;
        let mut many = stored(&databases.new_one(kind).await?, many_events).await?;
        println!("  {} (filled in {} s)", kind.name(), begun.elapsed().as_secs());
        let (mut receive, mut pending, mut overdue) =
            (Call::default(), Call::default(), Call::default());
        for round in 0..=rounds {
            if round == 1 {
                // The first round warms up.
                for call in [&mut receive, &mut pending, &mut overdue] {
                    *call = Call::default();
                }
            }
            measure(&mut few, [&mut receive.few, &mut pending.few, &mut overdue.few]).await?;
            measure(&mut many, [&mut receive.many, &mut pending.many, &mut overdue.many]).await?;
        }
        few.ledger.close().await;
        many.ledger.close().await;
        for (name, call) in [("receive", receive), ("pending", pending), ("overdue", overdue)] {
            let title = format!("{}: {name}, in a ledger with {many_events} events", kind.name());
            let key = format!("ledger.{}.million.{name}", kind.key());
            let figure = Figure::new(key, title, "µs", call.many);
            let figure = figure.over(format!("one with {FEW}"), call.few).goal(GOAL);
            println!("    {figure}");
            results.add(figure);
        }
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

async fn measure(stored: &mut Stored, [receive, pending, overdue]: [&mut Rounds; 3]) -> Result<()> {
    let webhook = webhook()?;
    let mut bodies = Vec::new();
    for _ in 0..IN_A_ROUND {
        stored.number += 1;
        bodies.push(delivery(&webhook, stored.number)?);
    }
    let clock = Clock::start();
    for body in bodies {
        if stored.ledger.receive(body).await?.decision != Decision::Paid {
            return Err("a delivery did not pay its order".into());
        }
    }
    clock.stop(receive, IN_A_ROUND, 1e6);
    let clock = Clock::start();
    for _ in 0..IN_A_ROUND {
        if stored.ledger.pending(FETCHED).await?.len() != 1 {
            return Err("nothing was pending".into());
        }
    }
    clock.stop(pending, IN_A_ROUND, 1e6);
    let clock = Clock::start();
    for _ in 0..IN_A_ROUND {
        let orders = stored.ledger.overdue(Duration::from_secs(3600), LISTED).await?;
        if orders.len() != 20 {
            return Err("too few orders are overdue".into());
        }
    }
    clock.stop(overdue, IN_A_ROUND, 1e6);
    Ok(())
}
