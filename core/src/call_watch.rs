//! How far a call has come, for logs and metrics.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::departure::{Departure, LastMoment};
use crate::error::{Error, ErrorKind, Outcome};

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
    moves_money: bool,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Of the try that runs, or else of the one that is next.
    departure: Departure,
    /// What a payout runs on, once it has begun.
    task: Option<AbortHandle>,
    abandoned: bool,
    last_moment: Option<LastMoment>,
}

impl CallWatch {
    pub(crate) fn new(endpoint: Cow<'static, str>, moves_money: bool) -> Self {
        Self(Arc::new(Watched {
            endpoint,
            start: OnceLock::new(),
            attempts: AtomicU32::new(0),
            status: AtomicU16::new(0),
            end: OnceLock::new(),
            moves_money,
            progress: Mutex::default(),
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

    /// What to say of a call whose future was dropped, or ended, for the packages in other languages: its
    /// outcome; where there is none yet, `unknown` for what moves money, since that goes on, else
    /// `cancelled`.
    #[doc(hidden)]
    pub fn outcome_when_dropped(&self) -> &'static str {
        let without = if self.0.moves_money { Outcome::Unknown.as_str() } else { "cancelled" };
        self.outcome().unwrap_or(without)
    }

    /// Gives the call up, for a caller who no longer waits for it and will drop its future.
    ///
    /// Where nothing of it has left this machine, nothing ever will.
    ///
    /// # Errors
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown), for a call that moves money and that may have
    /// left: it runs to its end, and this is what the caller must be told.
    pub fn abandon(&self) -> Result<(), Error> {
        let mut progress = self.progress();
        if progress.departure.happened() && self.0.moves_money {
            let said = "the caller stopped waiting for the answer";
            return Err(Error::new(ErrorKind::Connection, said).into_outcome_unknown());
        }
        progress.abandoned = true;
        if let Some(task) = progress.task.take() {
            task.abort();
        }
        Ok(())
    }

    /// Tells on which task a payout runs.
    pub(crate) fn runs_on(&self, task: AbortHandle) {
        let mut progress = self.progress();
        if progress.abandoned {
            task.abort();
        } else {
            progress.task = Some(task);
        }
    }

    /// Nothing may leave from then on.
    pub(crate) fn leaves_before(&self, last_moment: LastMoment) {
        self.progress().last_moment = Some(last_moment);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.progress().abandoned
    }

    /// What the next try is observed by; `None` where the call was given up.
    pub(crate) fn next_departure(&self) -> Option<Departure> {
        let mut progress = self.progress();
        if progress.abandoned {
            return None;
        }
        progress.departure = Departure::before(progress.last_moment);
        Some(progress.departure.clone())
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
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
