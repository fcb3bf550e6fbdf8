//! The Rust client beside reqwest alone: the same payment link over loopback, with few and many calls
//! in flight; the start of a process up to its first answer; the memory that a client takes.
//!
//! `cargo run --release --package kazawallet-benchmarks`, with `--json FILE` for the figures in a
//! file, and with `--quick` for a few rounds. The simulator, and each program that is started for a
//! measurement, is this program once more, in a process of its own.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are what it is for")]

mod calls;
mod client;
mod program;
mod server;

use std::error::Error;
use std::process::ExitCode;

use kazawallet_benchmark_figures::{Figure, Options, Results};
use tokio::runtime::Runtime;

use crate::server::ServerProcess;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark of the Rust client could not measure: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let others: Vec<&str> = options.others.iter().map(String::as_str).collect();
    match others.as_slice() {
        [] => compare(&options),
        // What it starts itself.
        ["simulator"] => server::simulator(),
        ["replaying-server", merchant] => server::replaying_server(&merchant.parse()?),
        ["first-answer", client, merchant] => program::first_answer(client, &merchant.parse()?),
        ["memory", client, merchant, calls] => {
            program::memory(client, &merchant.parse()?, calls.parse()?)
        }
        _ => Err(format!("{others:?} is not understood: it takes --json FILE and --quick").into()),
    }
}

fn compare(options: &Options) -> Result<()> {
    allow_more_open_files()?;
    let mut results = Results::new();
    results.version("kazawallet (crate)", env!("CARGO_PKG_VERSION"));
    results.version("reqwest", client::reqwest_version()?);
    println!("The Rust client beside reqwest alone, written by hand");
    let simulator = ServerProcess::start(&["simulator"])?;
    let replaying = ServerProcess::start(&["replaying-server", &simulator.merchant.to_string()])?;
    let mut tell = |figure: Figure| {
        println!("  {figure}");
        results.add(figure);
    };
    let runtime = Runtime::new()?;
    for at_once in calls::LEVELS {
        // With many calls in flight the simulator would be what is measured: it reads, checks and
        // keeps each request.
        let (server, name) = if at_once <= 8 {
            (&simulator, "the simulator")
        } else {
            (&replaying, "a server that replays the simulator's answer")
        };
        tell(runtime.block_on(calls::compare(&server.merchant, name, at_once, options.quick))?);
    }
    tell(program::compare_first_answers(&simulator.merchant, options.quick)?);
    for figure in program::compare_memory(&simulator.merchant, options.quick)? {
        tell(figure);
    }
    if let Some(file) = &options.json {
        results.write(file)?;
    }
    Ok(())
}

/// Two clients with 256 connections each are more than macOS allows a process at first. The servers
/// inherit it.
fn allow_more_open_files() -> Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        const ENOUGH: u64 = 4096;
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current.is_some_and(|current| current < ENOUGH) {
            let current = Some(maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH)));
            setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
        }
    }
    Ok(())
}
