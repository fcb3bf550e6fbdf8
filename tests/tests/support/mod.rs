//! What the tests of the connection share: servers on loopback that write down what they see,
//! certificates, child processes, and a look at traces.

#![allow(dead_code)]

pub mod certificates;
pub mod child;
pub mod errand;
pub mod http;
pub mod library_log;
pub mod merchant;
pub mod server;
pub mod traces;

use std::time::Duration;

/// Nothing that is waited for takes this long, unless it never comes.
pub const FAR_TOO_LONG: Duration = Duration::from_secs(60);

/// Waits for an event, and fails instead of waiting for ever.
pub async fn in_time<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(FAR_TOO_LONG, event).await.expect("it never came")
}
