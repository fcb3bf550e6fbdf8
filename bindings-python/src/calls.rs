//! A call that is ready to be made: waited for, or awaited.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kazawallet::{CallWatch, Error};
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tokio::task::AbortHandle;

use crate::errors;
use crate::event_loops::AwaitedCall;
use crate::imported::imported;
use crate::results::Answer;
use crate::runtime::{ProcessRuntime, notice_closed_connections};

type Running = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

/// A call that is ready to be made, once.
#[pyclass(frozen, generic, module = "kazawallet._kazawallet")]
pub(crate) struct Call {
    ready: Mutex<Option<Running>>,
    log: CallLog,
    started: OnceLock<AbortHandle>,
}

impl Call {
    pub(crate) fn new<T>(call: kazawallet::Call<T>) -> Self
    where
        T: Into<Answer> + Send + 'static,
    {
        let log = CallLog { watch: call.watch(), written: Arc::default() };
        let running: Running = Box::pin(async move { call.into_future().await.map(Into::into) });
        Self { ready: Mutex::new(Some(running)), log, started: OnceLock::new() }
    }

    fn take(&self) -> PyResult<Running> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready.ok_or_else(|| PyRuntimeError::new_err("the call was already made"))
    }
}

#[pymethods]
impl Call {
    /// Makes the call, and waits for its answer.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let running = self.take()?;
        match ProcessRuntime::get()?.wait(py, running) {
            Ok(answer) => Finished { answer, log: self.log.clone() }.into_python(py),
            Err(interrupted) => {
                self.log.write(py)?;
                Err(interrupted)
            }
        }
    }

    /// Makes the call, and gives a future on the running event loop.
    fn start(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let runtime = ProcessRuntime::get()?;
        let tokio = runtime.awaited()?;
        let awaited = AwaitedCall::new(py, runtime.event_loops(), tokio)?;
        let future = awaited.future(py);
        let running = self.take()?;
        let log = self.log.clone();
        let task = tokio.spawn(async move {
            notice_closed_connections().await;
            let answer = running.await;
            awaited.finish(Finished { answer, log });
        });
        let _ = self.started.set(task.abort_handle());
        future.ok_or_else(|| PyRuntimeError::new_err("the call was already made"))
    }

    /// Nobody awaits it any more. The core knows what must go on.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        if self.log.watch.outcome().is_some() {
            return Ok(()); // Its end is logged where its answer is taken.
        }
        if let Some(started) = self.started.get() {
            started.abort();
        }
        self.log.write(py)
    }
}

/// A call that has come to its end.
pub(crate) struct Finished {
    answer: Result<Answer, Error>,
    log: CallLog,
}

impl Finished {
    /// The result, or the exception. This is where it is logged, too.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.log.write(py)?;
        match self.answer {
            Ok(answer) => answer.into_python(py),
            Err(error) => Err(errors::to_python(py, error)),
        }
    }
}

/// The one record of a call.
#[derive(Clone)]
struct CallLog {
    watch: CallWatch,
    written: Arc<AtomicBool>,
}

impl CallLog {
    /// Writes it, where `logging` was imported: nobody listens before.
    fn write(&self, py: Python<'_>) -> PyResult<()> {
        static RECORD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let watch = &self.watch;
        if watch.attempts() == 0 || imported(py, "logging")?.is_none() {
            return Ok(());
        }
        if self.written.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let logged = RECORD.import(py, "kazawallet._call_log", "record").and_then(|record| {
            record.call1((
                watch.endpoint(),
                watch.status(),
                watch.duration().as_secs_f64(),
                watch.attempts(),
                watch.outcome().unwrap_or("cancelled"),
            ))
        });
        match logged {
            // A log that fails must not take the answer away; what a signal handler raises may.
            Err(error) if error.is_instance_of::<PyException>(py) => {
                error.write_unraisable(py, None);
                Ok(())
            }
            logged => logged.map(drop),
        }
    }
}
