//! The program `kazawallet-simulator`: the simulator from a terminal.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ExitCode::from(kazawallet_simulator::program::run(std::env::args_os().collect()).await)
}
