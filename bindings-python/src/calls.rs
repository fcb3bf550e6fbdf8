//! A call that is ready to be made: waited for, or awaited.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};

use kazawallet::{CallWatch, Error};
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::intern;
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
        let log = CallLog::of(call.watch());
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
        let ended = ProcessRuntime::get()?.wait(py, running);
        self.log.write(py)?;
        Answered(ended?).into_python(py)
    }

    /// Makes the call, and gives a future on the running event loop.
    fn start(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let runtime = ProcessRuntime::get()?;
        let tokio = runtime.awaited()?;
        let log = self.log.in_this_context(py)?;
        let running = self.take()?;
        let awaited = AwaitedCall::new(py, runtime.event_loops(), tokio, Some(log))?;
        let future = awaited.future(py);
        let task = tokio.spawn(async move {
            notice_closed_connections().await;
            let answer = running.await;
            awaited.answer(Answered(answer));
        });
        let _ = self.started.set(task.abort_handle());
        future.ok_or_else(|| PyRuntimeError::new_err("the call was already made"))
    }

    /// Nobody awaits it any more. The core knows what must go on.
    fn cancel(&self) {
        if let Some(started) = self.started.get() {
            started.abort();
        }
    }
}

/// What a call has come to.
pub(crate) struct Answered(pub(crate) Result<Answer, Error>);

impl Answered {
    /// The result, or the exception.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.0 {
            Ok(answer) => answer.into_python(py),
            Err(error) => Err(errors::to_python(py, error)),
        }
    }
}

/// The one record of a call, written where the call is over.
pub(crate) struct CallLog {
    watch: CallWatch,
    /// Whose context variables a log shows: a copy of the caller's, where the caller is gone on.
    context: Option<Py<PyAny>>,
}

impl CallLog {
    /// Of a call that nobody of Python made.
    pub(crate) fn of(watch: CallWatch) -> Self {
        Self { watch, context: None }
    }

    fn in_this_context(&self, py: Python<'_>) -> PyResult<Self> {
        static COPY_CONTEXT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let context = match imported(py, "logging")? {
            Some(_) => Some(COPY_CONTEXT.import(py, "contextvars", "copy_context")?.call0()?),
            None => None,
        };
        Ok(Self { watch: self.watch.clone(), context: context.map(Bound::unbind) })
    }

    /// Writes it, where `logging` was imported: nobody listens before.
    pub(crate) fn write(&self, py: Python<'_>) -> PyResult<()> {
        static RECORD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let watch = &self.watch;
        if watch.attempts() == 0 || imported(py, "logging")?.is_none() {
            return Ok(());
        }
        let logged = RECORD.import(py, "kazawallet._call_log", "record").and_then(|record| {
            let (endpoint, status) = (watch.endpoint(), watch.status());
            let (duration, attempts) = (watch.duration().as_secs_f64(), watch.attempts());
            let outcome = watch.outcome_when_dropped();
            match &self.context {
                Some(context) => context.bind(py).call_method1(
                    intern!(py, "run"),
                    (record, endpoint, status, duration, attempts, outcome),
                ),
                None => record.call1((endpoint, status, duration, attempts, outcome)),
            }
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
