//! Deliveries a second, with more and more writers at once.

use std::process::Stdio;
use std::time::Instant;

use kazawallet_ledger::{Decision, Ledger};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::Result;
use crate::database::{Database, Databases, Kind};
use crate::deliveries::{delivery, put_orders, webhook};

const DELIVERIES: u32 = 1_600;
const WRITERS: [u32; 4] = [1, 2, 4, 8];
/// How often each is measured, in turns. The median counts.
const ROUNDS: usize = 3;

pub(crate) async fn compare(databases: &Databases<'_>) -> Result<()> {
    println!("\nDeliveries a second, each on the disk when it is answered");
    println!("  {:<32}{:>8}{:>8}{:>8}{:>8}", "writers", 1, 2, 4, 8);
    for kind in Kind::BOTH {
        let (mut tasks, mut processes) = (Row::default(), Row::default());
        for _ in 0..ROUNDS {
            for (writers, (tasks, processes)) in
                WRITERS.into_iter().zip(tasks.iter_mut().zip(&mut processes))
            {
                tasks.push(with_tasks(&fresh(databases, kind).await?, writers).await?);
                processes.push(with_processes(&fresh(databases, kind).await?, writers).await?);
            }
        }
        print_row(&format!("{}, tasks of one process", kind.name()), tasks);
        print_row(&format!("{}, processes", kind.name()), processes);
    }
    Ok(())
}

/// What was measured, for each number of writers.
type Row = [Vec<f64>; WRITERS.len()];

fn print_row(name: &str, row: Row) {
    let medians = row.map(|mut figures| {
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    });
    let medians: String = medians.map(|figure| format!("{figure:>8.0}")).concat();
    println!("  {name:<32}{medians}");
}

/// A ledger with orders to be paid.
async fn fresh(databases: &Databases<'_>, kind: Kind) -> Result<Database> {
    let database = databases.new_one(kind).await?;
    open(&database.url()).await?.close().await;
    put_orders(&database, DELIVERIES).await?;
    Ok(database)
}

async fn open(url: &str) -> Result<Ledger> {
    Ok(Ledger::open(url).webhook(webhook()?).no_spool().await?)
}

async fn with_tasks(database: &Database, writers: u32) -> Result<f64> {
    let ledger = open(&database.url()).await?;
    let each = DELIVERIES / writers;
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
    Ok(f64::from(DELIVERIES) / took.as_secs_f64())
}

async fn with_processes(database: &Database, writers: u32) -> Result<f64> {
    let each = DELIVERIES / writers;
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
    Ok(f64::from(DELIVERIES) / took.as_secs_f64())
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
