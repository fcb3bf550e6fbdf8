//! Calls made in a child process, for what can only be tried there: environment variables are the
//! whole process's, and setting one while threads run is unsafe.
//!
//! The child is the program `make_one_call`.

use std::process::{Command, Stdio};

pub use super::errand::{Errand, Report};

/// What this machine's own settings must not decide.
const NOT_INHERITED: [&str; 15] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUEST_METHOD",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "KAZAWALLET_API_KEY",
    "KAZAWALLET_API_SECRET",
    "KAZAWALLET_MERCHANT_EMAIL",
    "KAZAWALLET_BASE_URL",
];

/// Makes the call in a child process with these environment variables.
pub async fn send(errand: &Errand, environment: &[(&str, &str)]) -> Report {
    let mut command = Command::new(env!("CARGO_BIN_EXE_make_one_call"));
    command.arg(serde_json::to_string(errand).unwrap());
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
