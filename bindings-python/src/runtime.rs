//! The tokio runtime, one a process, and who drives it.
//!
//! A blocking call drives it on its own thread: no other thread has to be woken, and a process that
//! makes only such calls has none, so that it can fork freely. From the first awaited call on (or
//! the first blocking call that was interrupted) a thread drives it for good.
//!
//! A runtime does not survive a fork: its threads are gone, and its connections are the parent's.
//! The child leaves it untouched, since even dropping it would speak on them, and makes its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::event_loops::EventLoops;

/// How long a signal, such as Ctrl-C, may wait to be looked at.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// It is only ever taken by a thread that is attached to the interpreter, and not held across
/// anything that detaches: so it is free whenever a thread forks.
static CURRENT: Mutex<Option<&'static ProcessRuntime>> = Mutex::new(None);

/// What this process has of tokio.
pub(crate) struct ProcessRuntime {
    process: u32,
    tokio: Runtime,
    has_driver: AtomicBool,
    event_loops: EventLoops,
}

impl ProcessRuntime {
    /// This process's runtime, made where there is none.
    pub(crate) fn get() -> PyResult<&'static Self> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if let Some(runtime) = current.filter(|runtime| runtime.process == process) {
            return Ok(runtime);
        }
        let tokio = Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
        let runtime: &'static Self = Box::leak(Box::new(Self {
            process,
            tokio,
            has_driver: AtomicBool::new(false),
            event_loops: EventLoops::default(),
        }));
        *current = Some(runtime);
        Ok(runtime)
    }

    /// This process's runtime, where there is one.
    pub(crate) fn existing() -> Option<&'static Self> {
        let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        current.filter(|runtime| runtime.process == std::process::id())
    }

    pub(crate) fn event_loops(&self) -> &EventLoops {
        &self.event_loops
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.tokio.handle()
    }

    /// Runs a future to its end on this thread, the GIL released. What a signal handler raises ends
    /// the waiting; what the future had begun on tasks of its own goes on.
    pub(crate) fn wait<T: Send>(
        &'static self,
        py: Python<'_>,
        mut future: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> PyResult<T> {
        if Handle::try_current().is_ok() {
            return Err(PyRuntimeError::new_err(
                "a blocking call cannot be made from kazawallet's own thread",
            ));
        }
        py.detach(|| self.tokio.block_on(self.notice_what_happened()));
        loop {
            let within = async { timeout(SIGNAL_INTERVAL, &mut future).await };
            if let Ok(done) = py.detach(|| self.tokio.block_on(within)) {
                return Ok(done);
            }
            if let Err(raised) = py.check_signals() {
                let _inside = self.tokio.enter();
                drop(future);
                self.drive()?;
                return Err(raised);
            }
        }
    }

    async fn notice_what_happened(&self) {
        if self.has_driver.load(Ordering::SeqCst) {
            // It is the driver that reads the events.
            let _ = self.handle().spawn(notice_what_happened()).await;
        } else {
            notice_what_happened().await;
        }
    }

    /// Drives the runtime on a thread of its own from here on.
    pub(crate) fn drive(&'static self) -> PyResult<()> {
        if self.has_driver.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let drive = || self.tokio.block_on(std::future::pending::<()>());
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
            let _inside = self.tokio.enter();
            drop(connections);
        }
        if Handle::try_current().is_err() {
            py.detach(|| self.tokio.block_on(notice_what_happened()));
        }
    }
}

/// Lets the runtime see what happened before a call uses a connection that the server has closed:
/// the first time round it reads the events, the second time it acts on them.
pub(crate) async fn notice_what_happened() {
    yield_now().await;
    yield_now().await;
}

fn cannot_start(error: std::io::Error) -> PyErr {
    PyRuntimeError::new_err(format!("kazawallet's runtime cannot be started: {error}"))
}
