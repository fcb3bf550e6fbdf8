//! A PostgreSQL for tests in other languages. It says `<port> <folder>`, then does what the lines of
//! its input say, `stop` (as in a crash), `start` or `create` (an empty database), and answers each
//! with `done`, or with the database's URL. The server goes when the input ends.

// A helper of the tests: whatever it cannot do must fail the test that started it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use kazawallet_ledger_tests::postgres::{Postgres, Stop};

fn main() {
    let server = Postgres::start().unwrap_or_else(|error| panic!("{error}"));
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
