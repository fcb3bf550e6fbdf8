//! One worker's payments: the one that its handler has, and its end.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kazawallet::Error;
use kazawallet_ledger::{Claims, End, Ledger, Listener};
use pyo3::prelude::*;
use tokio::sync::OnceCell;

use crate::arguments::seconds;
use crate::ledger::{LedgerCall, OwnLedger, inside};
use crate::process::Process;

type Settings = Box<dyn Fn(&Ledger) -> Claims + Send + Sync>;

/// Hands one payment after the other to a handler. Dropped, what it holds is given back.
#[pyclass(frozen, module = "kazawallet._kazawallet")]
pub(crate) struct Handover {
    process: Process,
    of_worker: Arc<OfWorker>,
}

struct OfWorker {
    own: Arc<OwnLedger>,
    settings: Settings,
    /// Once the ledger is open.
    begun: OnceCell<kazawallet_ledger::Handover>,
    stopped: AtomicBool,
}

impl Handover {
    pub(crate) fn new(own: Arc<OwnLedger>, settings: Settings) -> Self {
        let (begun, stopped) = (OnceCell::new(), AtomicBool::new(false));
        let of_worker = Arc::new(OfWorker { own, settings, begun, stopped });
        Self { process: Process::current(), of_worker }
    }

    fn end(&self, end: HandlersEnd) -> LedgerCall {
        let of_worker = self.of_worker.clone();
        LedgerCall::new(async move {
            let Some(begun) = of_worker.begun.get() else { return Ok(()) };
            let report = match &end {
                HandlersEnd::Done => begun.end(End::Done).await,
                HandlersEnd::Failed { kind, message } => {
                    begun.end(End::Failed { kind, message }).await
                }
                HandlersEnd::BrokenOff => begun.end(End::BrokenOff).await,
            };
            // Not where the answer is taken: a task that was cancelled takes none.
            if let Some(report) = report {
                of_worker.own.reports().told(report);
            }
            Ok(())
        })
    }
}

enum HandlersEnd {
    Done,
    Failed { kind: String, message: String },
    BrokenOff,
}

impl OfWorker {
    async fn begun(&self) -> Result<&kazawallet_ledger::Handover, Error> {
        let begin = || async {
            let ledger = self.own.ledger().await?;
            Ok(kazawallet_ledger::Handover::new((self.settings)(&ledger)))
        };
        let begun = self.begun.get_or_try_init(begin).await?;
        if self.stopped.load(Ordering::SeqCst) {
            begun.stop();
        }
        Ok(begun)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Some(begun) = self.begun.get() {
            begun.stop();
        }
    }
}

#[pymethods]
impl Handover {
    /// Waits for the next payment that is due, and holds it until its end; `None` once the worker was
    /// stopped, or the ledger closed.
    #[allow(clippy::should_implement_trait, reason = "it is a method for Python")]
    fn next(&self) -> LedgerCall {
        let of_worker = self.of_worker.clone();
        LedgerCall::new(async move { Ok(of_worker.begun().await?.next().await) })
    }

    /// The handler has dealt with it.
    fn done(&self) -> LedgerCall {
        self.end(HandlersEnd::Done)
    }

    /// The handler failed, with an error of this kind.
    fn failed(&self, kind: String, message: String) -> LedgerCall {
        self.end(HandlersEnd::Failed { kind, message })
    }

    /// The handler was broken off: a failed try.
    fn broken_off(&self) -> LedgerCall {
        self.end(HandlersEnd::BrokenOff)
    }

    /// Takes no further payment.
    fn stop(&self) {
        if self.process.is_current() {
            self.of_worker.stop();
        }
    }

    /// Stops, and waits for the handler that runs, at most for so many seconds. Gives whether it ended.
    fn stopped(&self, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<LedgerCall> {
        let timeout = seconds("timeout", timeout)?;
        self.stop();
        let of_worker = self.of_worker.clone();
        let is_ours = self.process.is_current();
        Ok(LedgerCall::new(async move {
            match of_worker.begun.get().filter(|_| is_ours) {
                Some(begun) => Ok(begun.stopped(timeout).await),
                None => Ok(true),
            }
        }))
    }

    /// The worker ends; a problem is why it does although nobody stopped it.
    fn leave(&self, problem: Option<&str>) {
        if self.process.is_current() {
            self.of_worker.stopped.store(true, Ordering::SeqCst);
            if let Some(begun) = self.of_worker.begun.get() {
                inside(|| begun.leave(problem));
            }
        }
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if self.process.is_current() {
            self.leave(None);
        } else {
            mem::forget(self.of_worker.clone()); // What it holds is the parent's.
        }
    }
}
