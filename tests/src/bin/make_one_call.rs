//! Makes one call, as its only argument describes it in JSON, and prints a line of JSON that says
//! what came of it. `tests/tests/support/child.rs` starts it.

// A helper of the tests: whatever it cannot do must fail the test that started it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../tests/support/errand.rs"]
mod errand;
#[path = "../../tests/support/library_log.rs"]
mod library_log;
#[path = "../../tests/support/merchant.rs"]
#[allow(dead_code)]
mod merchant;

use std::time::Duration;

use errand::{Errand, Report};

fn main() {
    let errand: Errand = serde_json::from_str(&std::env::args().nth(1).unwrap()).unwrap();
    library_log::keep();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut report = runtime.block_on(make_call(&errand));
    report.shown.push_str(&library_log::kept());
    println!("{}", serde_json::to_string(&report).unwrap());
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
        shown.push_str(&merchant::everything_shown(error));
    }
    Report {
        built,
        code: error.as_ref().map(|error| error.code().to_owned()),
        outcome: error.and_then(|error| error.outcome()).map(|outcome| outcome.to_string()),
        shown,
    }
}
