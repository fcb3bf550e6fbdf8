//! The tokio runtimes of a process, and who drives them.
//!
//! A blocking call drives the one for blocking calls on its own thread: no other thread has to be
//! woken, and a process that makes only such calls has none, so that it can fork freely. Awaited
//! calls have a runtime with a thread of its own, which the first of them starts.
//!
//! A runtime does not survive a fork: its threads are gone, and its connections are the parent's.
//! The child leaves it untouched, since even dropping it would speak on them, and makes its own.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::event_loops::EventLoops;
use crate::ledger::Ledgers;
use crate::process::Process;
use crate::reports::Reports;

/// How long a signal, such as Ctrl-C, may wait to be looked at.
pub(crate) const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// It is only ever taken by a thread that is attached to the interpreter, and not held across
/// anything that detaches: so it is free whenever a thread forks.
static CURRENT: Mutex<Option<&'static ProcessRuntime>> = Mutex::new(None);

/// What this process has of tokio.
pub(crate) struct ProcessRuntime {
    process: Process,
    blocking: Runtime,
    /// Whether a thread drives `blocking` for good, since a call on it was interrupted.
    has_driver: AtomicBool,
    awaited: OnceLock<Runtime>,
    event_loops: EventLoops,
    ledgers: Ledgers,
    reports: Reports,
}

impl ProcessRuntime {
    /// This process's, made where there is none.
    pub(crate) fn get() -> PyResult<&'static Self> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = current.filter(|runtime| runtime.process.is_current()) {
            return Ok(runtime);
        }
        let runtime: &'static Self = Box::leak(Box::new(Self {
            process: Process::current(),
            blocking: Builder::new_current_thread().enable_all().build().map_err(cannot_start)?,
            has_driver: AtomicBool::new(false),
            awaited: OnceLock::new(),
            event_loops: EventLoops::default(),
            ledgers: Ledgers::default(),
            reports: Reports::default(),
        }));
        *current = Some(runtime);
        Ok(runtime)
    }

    /// This process's, where there is one.
    pub(crate) fn existing() -> Option<&'static Self> {
        let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        current.filter(|runtime| runtime.process.is_current())
    }

    pub(crate) fn event_loops(&self) -> &EventLoops {
        &self.event_loops
    }

    pub(crate) fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    /// The runtime for awaited calls, started where it was not.
    pub(crate) fn awaited(&self) -> PyResult<&Handle> {
        if let Some(runtime) = self.awaited.get() {
            return Ok(runtime.handle());
        }
        let mut one_thread = Builder::new_multi_thread();
        one_thread.worker_threads(1).thread_name("kazawallet").enable_all();
        let started = one_thread.build().map_err(cannot_start)?;
        if let Err(superfluous) = self.awaited.set(started) {
            superfluous.shutdown_background(); // Another thread was faster.
        }
        self.awaited.get().map(Runtime::handle).ok_or_else(|| cannot_start("it is gone"))
    }

    /// Runs a future to its end on this thread, the GIL released. What a signal handler raises ends
    /// the waiting; what the future had begun on tasks of its own goes on.
    pub(crate) fn wait<T: Send>(
        &'static self,
        py: Python<'_>,
        mut future: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> PyResult<T> {
        refuse_own_thread()?;
        let mut noticed = false;
        loop {
            let some_time = async {
                let rest = async {
                    if !noticed {
                        self.notice_closed_connections().await;
                        noticed = true;
                    }
                    (&mut future).await
                };
                timeout(SIGNAL_INTERVAL, rest).await
            };
            if let Ok(done) = py.detach(|| self.blocking.block_on(some_time)) {
                return Ok(done);
            }
            let signals = py.check_signals();
            if !self.process.is_current() {
                mem::forget(future);
                signals?;
                return Err(forked_during_a_call());
            }
            if let Err(raised) = signals {
                let _inside = self.blocking.enter();
                drop(future);
                self.drive_for_good()?;
                return Err(raised);
            }
        }
    }

    /// Runs a future on the thread for awaited calls, and waits for its end with the GIL released. What a
    /// signal handler raises ends the waiting alone.
    pub(crate) fn wait_for_task<T: Send + 'static>(
        &'static self,
        py: Python<'_>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> PyResult<T> {
        refuse_own_thread()?;
        let (done, mut result) = mpsc::channel();
        self.awaited()?.spawn(async move { done.send(future.await) });
        loop {
            let received;
            (received, result) = py.detach(move || (result.recv_timeout(SIGNAL_INTERVAL), result));
            match received {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Timeout) => {
                    let signals = py.check_signals();
                    if !self.process.is_current() {
                        mem::forget(result);
                        signals?;
                        return Err(forked_during_a_call());
                    }
                    signals?;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PyRuntimeError::new_err("the call came to no end"));
                }
            }
        }
    }

    async fn notice_closed_connections(&self) {
        if self.has_driver.load(Ordering::SeqCst) {
            // It is the driver that reads the events.
            let _ = self.blocking.spawn(notice_closed_connections()).await;
        } else {
            notice_closed_connections().await;
        }
    }

    /// Drives the runtime for blocking calls on a thread of its own from here on.
    fn drive_for_good(&'static self) -> PyResult<()> {
        if self.has_driver.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let drive = || self.blocking.block_on(std::future::pending::<()>());
        match thread::Builder::new().name("kazawallet".to_owned()).spawn(drive) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.has_driver.store(false, Ordering::SeqCst);
                Err(cannot_start(error))
            }
        }
    }

    /// Drops what may own connections, and lets them be closed.
    pub(crate) fn close<T: Send>(&self, py: Python<'_>, connections: T) {
        {
            let _inside = self.blocking.enter();
            drop(connections);
        }
        if Handle::try_current().is_err() {
            py.detach(|| self.blocking.block_on(self.notice_closed_connections()));
        }
    }
}

/// Lets the runtime see which connections were closed, on either side, before a call uses one: the
/// first time round it reads the events, the second time it acts on them.
pub(crate) async fn notice_closed_connections() {
    yield_now().await;
    yield_now().await;
}

fn refuse_own_thread() -> PyResult<()> {
    match Handle::try_current() {
        Ok(_) => Err(PyRuntimeError::new_err(
            "a blocking call cannot be made from kazawallet's own thread",
        )),
        Err(_) => Ok(()),
    }
}

fn forked_during_a_call() -> PyErr {
    PyRuntimeError::new_err(
        "a signal handler forked during a call: the call goes on in the parent alone",
    )
}

fn cannot_start(problem: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(format!("kazawallet's runtime cannot be started: {problem}"))
}
