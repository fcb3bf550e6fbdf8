//! What the ledger costs, beside the same durable insert without it; how it does with many writers;
//! and with a million events.
//!
//! `cargo run --release --package kazawallet-ledger-benchmarks`, then `receipts`, `writers` or
//! `million` for one part alone. Files are made in the system's temporary folder: it must be on a
//! real disk (`TMPDIR` names another).

#![allow(clippy::print_stdout, reason = "figures are what it is for")]

mod database;
mod deliveries;
mod measured;
mod million;
mod receipts;
mod writers;

use std::error::Error;

use kazawallet_ledger_tests::postgres::Postgres;

use crate::database::Databases;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    // On a task, as a web server does it: the main thread would have to be woken each time.
    tokio::spawn(run()).await?
}

async fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (receipts, writers, million) = match arguments.as_slice() {
        ["write", ledger, first, count] => {
            return writers::write(ledger, first.parse()?, count.parse()?).await;
        }
        [] => (true, true, true),
        [part] => (*part == "receipts", *part == "writers", *part == "million"),
        _ => (false, false, false),
    };
    if !(receipts || writers || million) {
        return Err("give receipts, writers or million, or nothing for all of them".into());
    }
    let folder = tempfile::tempdir()?;
    let server = tokio::task::spawn_blocking(Postgres::start).await??;
    let databases = Databases::new(folder.path(), &server);
    if receipts {
        receipts::compare(&databases).await?;
    }
    if writers {
        writers::compare(&databases).await?;
    }
    if million {
        million::compare(&databases).await?;
    }
    Ok(())
}
