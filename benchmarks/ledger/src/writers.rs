//! Deliveries a second, with more and more writers at once.

use std::process::Stdio;
use std::time::{Duration, Instant};

use kazawallet_benchmark_figures::{Figure, Results, Rounds};
use kazawallet_ledger::{Decision, Ledger};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::Result;
use crate::database::{Database, Databases, Kind};
use crate::deliveries::{delivery, put_orders, webhook};

const DELIVERIES: u32 = 1_600;
const QUICK_DELIVERIES: u32 = 80;
const WRITERS: [u32; 4] = [1, 2, 4, 8];
/// How often each is measured, in turns.
const ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 1;

/// What was measured, for each number of writers.
type Row = [Rounds; WRITERS.len()];

pub(crate) async fn compare(
    databases: &Databases<'_>,
    quick: bool,
    results: &mut Results,
) -> Result<()> {
    println!("\nDeliveries a second, each on the disk when it is answered");
    println!("  {:<32}{:>8}{:>8}{:>8}{:>8}", "writers", 1, 2, 4, 8);
    let (rounds, deliveries) =
        if quick { (QUICK_ROUNDS, QUICK_DELIVERIES) } else { (ROUNDS, DELIVERIES) };
    for kind in Kind::BOTH {
        let (mut tasks, mut processes) = (Row::default(), Row::default());
        for _ in 0..rounds {
            for (writers, (tasks, processes)) in
                WRITERS.into_iter().zip(tasks.iter_mut().zip(&mut processes))
            {
                let each = deliveries / writers;
                let a_delivery = |took: Duration| took.as_secs_f64() * 1e6 / f64::from(deliveries);
                let database = fresh(databases, kind, deliveries).await?;
                tasks.add(a_delivery(with_tasks(&database, writers, each).await?));
                let database = fresh(databases, kind, deliveries).await?;
                processes.add(a_delivery(with_processes(&database, writers, each).await?));
            }
        }
        tell(kind, "tasks", "tasks of one process", tasks, results);
        tell(kind, "processes", "processes", processes, results);
    }
    Ok(())
}

/// Shows a row, and keeps its figures: each beside that of one writer, for how the cost grows.
fn tell(kind: Kind, writers_are: &str, shown: &str, row: Row, results: &mut Results) {
    let a_second = |rounds: &Rounds| format!("{:>8.0}", 1e6 / rounds.wall().median);
    let figures: String = row.iter().map(a_second).collect();
    println!("  {:<32}{figures}", format!("{}, {shown}", kind.name()));
    let [alone, ..] = row.clone();
    for (writers, rounds) in WRITERS.into_iter().zip(row) {
        let key = format!("ledger.{}.writers.{writers}.{writers_are}", kind.key());
        let title = format!("{}: a delivery, {writers} of {shown} at once", kind.name());
        let figure = Figure::new(key, title, "µs", rounds);
        results.add(if writers == 1 { figure } else { figure.beside("one writer", alone.clone()) });
    }
}

/// A ledger with orders to be paid.
async fn fresh(databases: &Databases<'_>, kind: Kind, orders: u32) -> Result<Database> {
    let database = databases.new_one(kind).await?;
    open(&database.url()).await?.close().await;
    put_orders(&database, orders).await?;
    Ok(database)
}

async fn open(url: &str) -> Result<Ledger> {
    Ok(Ledger::open(url).webhook(webhook()?).no_spool().await?)
}

async fn with_tasks(database: &Database, writers: u32, each: u32) -> Result<Duration> {
    let ledger = open(&database.url()).await?;
    let shares = (0..writers).map(|writer| bodies(writer * each + 1, each));
    let shares = shares.collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    let mut at_work = JoinSet::new();
    for share in shares {
        let ledger = ledger.clone();
        at_work.spawn(async move { receive_all(&ledger, share).await });
    }
    while let Some(done) = at_work.join_next().await {
        done??;
    }
    let took = begun.elapsed();
    ledger.close().await;
    Ok(took)
}

async fn with_processes(database: &Database, writers: u32, each: u32) -> Result<Duration> {
    let mut children = Vec::new();
    for writer in 0..writers {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["write", &database.url()])
            .args([writer * each + 1, each].map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(commands), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a writer has no pipes".into());
        };
        let mut said = BufReader::new(said).lines();
        if said.next_line().await?.as_deref() != Some("ready") {
            return Err("a writer is not ready".into());
        }
        children.push((child, commands, said));
    }
    let begun = Instant::now();
    for (_, commands, _) in &mut children {
        commands.write_all(b"go\n").await?;
    }
    for (_, _, said) in &mut children {
        if said.next_line().await?.as_deref() != Some("done") {
            return Err("a writer did not come to its end".into());
        }
    }
    let took = begun.elapsed();
    for (mut child, ..) in children {
        child.wait().await?;
    }
    Ok(took)
}

/// What a process does that writes.
pub(crate) async fn write(url: &str, first: u32, count: u32) -> Result<()> {
    let ledger = open(url).await?;
    let bodies = bodies(first, count)?;
    println!("ready");
    BufReader::new(tokio::io::stdin()).lines().next_line().await?;
    receive_all(&ledger, bodies).await?;
    println!("done");
    ledger.close().await;
    Ok(())
}

fn bodies(first: u32, count: u32) -> Result<Vec<Vec<u8>>> {
    let webhook = webhook()?;
    (first..first + count).map(|number| delivery(&webhook, number)).collect()
}

async fn receive_all(ledger: &Ledger, bodies: Vec<Vec<u8>>) -> Result<()> {
    for body in bodies {
        if ledger.receive(body).await?.decision != Decision::Paid {
            return Err("a delivery did not pay its order".into());
        }
    }
    Ok(())
}
