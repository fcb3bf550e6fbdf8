//! How far a call has come, for logs and metrics.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

/// How far a call has come: what a log line or a metric says of it. No key and no person's data is in
/// it. [`Call::watch`](crate::Call::watch) gives one.
///
/// ```no_run
/// # async fn example(client: kazawallet::Client) {
/// let call = client.wallets().list();
/// let watch = call.watch();
/// let _ = call.await;
/// println!("{}: {:?} after {:?}", watch.endpoint(), watch.outcome(), watch.duration());
/// # }
/// ```
#[derive(Clone)]
pub struct CallWatch(Arc<Watched>);

struct Watched {
    endpoint: Cow<'static, str>,
    start: OnceLock<Instant>,
    attempts: AtomicU32,
    status: AtomicU16,
    end: OnceLock<(Duration, &'static str)>,
}

impl CallWatch {
    pub(crate) fn new(endpoint: Cow<'static, str>) -> Self {
        Self(Arc::new(Watched {
            endpoint,
            start: OnceLock::new(),
            attempts: AtomicU32::new(0),
            status: AtomicU16::new(0),
            end: OnceLock::new(),
        }))
    }

    /// The endpoint's path; of a raw request its first segment. Empty where the arguments were
    /// refused.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// How many tries were begun; 0 where the call was refused before anything was sent.
    pub fn attempts(&self) -> u32 {
        self.0.attempts.load(Ordering::Relaxed)
    }

    /// The HTTP status of the last answer; `None` where none came.
    pub fn status(&self) -> Option<u16> {
        Some(self.0.status.load(Ordering::Relaxed)).filter(|status| *status != 0)
    }

    /// How long the call took, or has taken so far.
    pub fn duration(&self) -> Duration {
        let so_far = || self.0.start.get().map(Instant::elapsed).unwrap_or_default();
        self.0.end.get().map_or_else(so_far, |(duration, _)| *duration)
    }

    /// `ok`, `not_sent`, `rejected` or `unknown`; `None` while it runs, or where it was dropped
    /// before its end.
    pub fn outcome(&self) -> Option<&'static str> {
        self.0.end.get().map(|(_, outcome)| *outcome)
    }

    pub(crate) fn begins(&self, at: Instant) {
        let _ = self.0.start.set(at);
    }

    pub(crate) fn tries(&self, attempt: u32) {
        self.0.attempts.store(attempt, Ordering::Relaxed);
    }

    pub(crate) fn is_answered(&self, status: u16) {
        self.0.status.store(status, Ordering::Relaxed);
    }

    pub(crate) fn ends(&self, after: Duration, outcome: &'static str) {
        let _ = self.0.end.set((after, outcome));
    }
}

impl fmt::Debug for CallWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallWatch")
            .field("endpoint", &self.endpoint())
            .field("attempts", &self.attempts())
            .field("status", &self.status())
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}
