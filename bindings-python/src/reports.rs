//! What a person should hear, from Rust to Python's `logging`.
//!
//! What a route tells by itself is logged on the caller's own thread. What a ledger tells waits in a queue for
//! one thread of this process, so that nothing of Rust ever waits for the interpreter.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use kazawallet::{CallWatch, Report, ReportLevel};
use kazawallet_ledger::Listener;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::calls::CallLog;

/// How long the end of a ledger, or of the interpreter, waits for what is still to be logged.
const LONGEST_FLUSH: Duration = Duration::from_secs(2);

/// Logs a report, on the logger `kazawallet`. A log that fails takes nothing away.
pub(crate) fn log(py: Python<'_>, report: &Report) {
    static LOG: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Report { level, code, text, payment, .. } = report;
    let level = match level {
        ReportLevel::Info => 20,
        ReportLevel::Warning => 30,
        ReportLevel::Error => 40,
    };
    let logged = LOG
        .import(py, "kazawallet._reports", "log")
        .and_then(|log| log.call1((level, *code, text, payment.as_deref())));
    if let Err(error) = logged {
        error.write_unraisable(py, None);
    }
}

enum Telling {
    Report(Report),
    Call(CallWatch),
}

impl Telling {
    fn log(self, py: Python<'_>) {
        match self {
            Self::Report(report) => log(py, &report),
            Self::Call(watch) => {
                if let Err(error) = CallLog::of(watch).write(py) {
                    error.write_unraisable(py, None);
                }
            }
        }
    }
}

/// What the ledgers of one process tell.
#[derive(Clone, Default)]
pub(crate) struct Reports(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Telling>,
    /// Whether there is a thread that logs.
    started: bool,
    /// Whether it is logging.
    logging: bool,
    /// Whether the interpreter ends: from then on nothing may attach to it.
    ends: bool,
}

impl Listener for Reports {
    fn told(&self, report: Report) {
        self.push(Telling::Report(report));
    }

    fn called(&self, call: &CallWatch) {
        self.push(Telling::Call(call.clone()));
    }
}

impl Reports {
    /// Waits until what was told so far is logged, but not for long.
    pub(crate) fn flush(&self, py: Python<'_>) {
        py.detach(|| self.wait_until_logged());
    }

    /// The interpreter ends: what is told from here on reaches nobody.
    pub(crate) fn stop(&self, py: Python<'_>) {
        py.detach(|| {
            self.wait_until_logged();
            let mut state = self.lock();
            state.ends = true;
            state.waiting.clear();
            drop(state);
            self.0.changed.notify_all();
            self.wait_until_logged();
        });
    }

    fn push(&self, telling: Telling) {
        let mut state = self.lock();
        if state.ends {
            return;
        }
        state.waiting.push(telling);
        if !state.started {
            let queue = self.clone();
            let thread = thread::Builder::new().name("kazawallet-log".to_owned());
            // Without a thread the next one that is told tries again.
            state.started = thread.spawn(move || queue.log_all()).is_ok();
        }
        drop(state);
        self.0.changed.notify_all();
    }

    fn log_all(&self) {
        loop {
            let nothing = |state: &mut State| state.waiting.is_empty() && !state.ends;
            let waited = self.0.changed.wait_while(self.lock(), nothing);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            if state.ends {
                return;
            }
            state.logging = true;
            let all = mem::take(&mut state.waiting);
            drop(state);
            Python::try_attach(|py| {
                for telling in all {
                    telling.log(py);
                }
            });
            self.lock().logging = false;
            self.0.changed.notify_all();
        }
    }

    fn wait_until_logged(&self) {
        let unlogged = |state: &mut State| state.logging || !state.waiting.is_empty();
        drop(self.0.changed.wait_timeout_while(self.lock(), LONGEST_FLUSH, unlogged));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
