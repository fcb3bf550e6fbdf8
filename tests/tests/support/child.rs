//! Calls made in a child process, for what can only be tried there: environment variables are the
//! whole process's, and setting one while threads run is unsafe.
//!
//! The child is the test's own program, told to run [`CHILD_TEST`] alone.

use std::env;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::merchant::{self, everything_shown};

/// The test that a file with child processes must have, and which calls [`run_errand`].
pub const CHILD_TEST: &str = "runs_an_errand_where_a_parent_test_asks_for_it";
const ERRAND: &str = "KAZAWALLET_TESTS_ERRAND";
const REPORT: &str = "report of the errand: ";

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

/// One call to make, with a client to make it with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Errand {
    pub base_url: String,
    pub payout: bool,
    pub proxy: Option<String>,
    pub root_certificates: Option<String>,
    pub max_retries: u32,
    pub connect_timeout_ms: Option<u64>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Whether there was a client at all.
    pub built: bool,
    /// The error's code; none where the call went well.
    pub code: Option<String>,
    pub outcome: Option<String>,
    /// All that was shown of the client, of the error and in the log.
    pub shown: String,
}

/// Makes the call in a child process with these environment variables.
pub async fn send(errand: &Errand, environment: &[(&str, &str)]) -> Report {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([CHILD_TEST, "--exact", "--nocapture", "--test-threads=1"]);
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.env(ERRAND, serde_json::to_string(errand).unwrap());
    command.envs(environment.iter().copied());
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let report = printed.lines().find_map(|line| line.split_once(REPORT));
    let Some((_, report)) = report else {
        panic!("no report: {printed}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    serde_json::from_str(report).unwrap()
}

/// Does what the parent asks for. Without a parent there is nothing to do.
pub fn run_errand() {
    let Ok(errand) = env::var(ERRAND) else { return };
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut report = runtime.block_on(make_call(&serde_json::from_str(&errand).unwrap()));
    report.shown.push_str(&LOG.0.lock().unwrap());
    // On a line of its own, whatever the test harness has written before.
    println!("\n{REPORT}{}", serde_json::to_string(&report).unwrap());
}

async fn make_call(errand: &Errand) -> Report {
    let mut builder = merchant::builder(&errand.base_url)
        .max_retries(errand.max_retries)
        .timeout(Duration::from_secs(30));
    if let Some(proxy) = &errand.proxy {
        builder = builder.proxy(proxy);
    }
    if let Some(pem) = &errand.root_certificates {
        builder = builder.root_certificates(pem);
    }
    if let Some(timeout) = errand.connect_timeout_ms {
        builder = builder.connect_timeout(Duration::from_millis(timeout));
    }
    let mut shown = format!("{builder:?}\n{builder:#?}\n");
    let (built, result) = match builder.build() {
        Err(error) => (false, Err(error)),
        Ok(client) => {
            shown.push_str(&format!("{client:?}\n{client:#?}\n"));
            let result = if errand.payout {
                client.withdrawals().create(merchant::withdrawal()).await.map(drop)
            } else {
                client.wallets().list().await.map(drop)
            };
            (true, result)
        }
    };
    let error = result.err();
    if let Some(error) = &error {
        shown.push_str(&everything_shown(error));
    }
    Report {
        built,
        code: error.as_ref().map(|error| error.code().to_owned()),
        outcome: error.and_then(|error| error.outcome()).map(|outcome| outcome.to_string()),
        shown,
    }
}

/// Keeps what the libraries below log, down to the finest level.
struct Log(Mutex<String>);

static LOG: Log = Log(Mutex::new(String::new()));

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}
