//! A PostgreSQL for tests in other languages, and for those of many processes.
//!
//! By itself it says `<port> <folder>`, then does what the lines of its input say, `stop` (as in a
//! crash), `start` or `create` (an empty database), and answers each with `done`, or with the database's
//! URL. The server goes when the input ends.
//!
//! With arguments it runs them as a command whose tests share the server, and ends as that does.

// A helper of the tests: whatever it cannot do must fail the test that started it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::process::{Command, ExitCode};

use kazawallet_ledger_tests::postgres::{Postgres, SHARED_PORT, Stop};

fn main() -> ExitCode {
    let server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
    let mut arguments = std::env::args_os().skip(1);
    if let Some(program) = arguments.next() {
        let mut command = Command::new(program);
        command.args(arguments).env(SHARED_PORT, server.port().to_string());
        let ended = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        return if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    obey(&server);
    ExitCode::SUCCESS
}

fn obey(server: &Postgres) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("{} {}", server.port(), server.folder().display());
    for command in std::io::stdin().lines() {
        match command.unwrap().as_str() {
            "stop" => server.stop(Stop::Immediate).unwrap(),
            "start" => server.start_again().unwrap(),
            "create" => {
                println!("{}", runtime.block_on(server.new_database()).unwrap());
                continue;
            }
            other => panic!("{other:?} is no command"),
        }
        println!("done");
    }
}
