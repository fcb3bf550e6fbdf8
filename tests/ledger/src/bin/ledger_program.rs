//! The ledger's terminal program, as the packages in other languages run it.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // On a task, as the Node package does: so its future must be `Send`.
    let program = kazawallet_ledger::program::run(std::env::args_os().collect());
    tokio::spawn(program).await.map_or(ExitCode::FAILURE, ExitCode::from)
}
