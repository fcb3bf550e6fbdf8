//! What the ledger costs, beside the same durable insert without it; how it does with many writers;
//! and with a million events.
//!
//! `cargo run --release --package kazawallet-ledger-benchmarks`, then `receipts`, `writers` or
//! `million` for one part alone, `--json FILE` for the figures in a file, `--quick` for a few rounds
//! with fewer events. Files are made in the system's temporary folder: it must be on a
//! real disk (`TMPDIR` names another).

#![allow(clippy::print_stdout, reason = "figures are what it is for")]

mod database;
mod deliveries;
mod million;
mod receipts;
mod writers;

use std::error::Error;

use kazawallet_benchmark_figures::{Options, Results};
use kazawallet_ledger_tests::postgres::Postgres;

use crate::database::Databases;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    // On a task, as a web server does it: the main thread would have to be woken each time.
    tokio::spawn(run()).await?
}

async fn run() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let others: Vec<&str> = options.others.iter().map(String::as_str).collect();
    let (receipts, writers, million) = match others.as_slice() {
        ["write", ledger, first, count] => {
            return writers::write(ledger, first.parse()?, count.parse()?).await;
        }
        [] => (true, true, true),
        [part] => (*part == "receipts", *part == "writers", *part == "million"),
        _ => (false, false, false),
    };
    if !(receipts || writers || million) {
        return Err(format!(
            "{others:?} is not understood: give receipts, writers or million, or nothing for all \
             of them; besides --json FILE and --quick"
        )
        .into());
    }
    let folder = tempfile::tempdir()?;
    let server = tokio::task::spawn_blocking(Postgres::start).await??;
    let databases = Databases::new(folder.path(), &server);
    let mut results = Results::new();
    results.version("kazawallet-ledger (crate)", env!("CARGO_PKG_VERSION"));
    results.version("SQLite", rusqlite::version());
    results.version("PostgreSQL", databases.postgres_version().await?);
    if receipts {
        receipts::compare(&databases, options.quick, &mut results).await?;
    }
    if writers {
        writers::compare(&databases, options.quick, &mut results).await?;
    }
    if million {
        million::compare(&databases, options.quick, &mut results).await?;
    }
    if let Some(file) = &options.json {
        results.write(file)?;
    }
    Ok(())
}
