//! From tokio to asyncio: finished calls wait in one queue a loop, and one callback on the loop's
//! own thread resolves all that are in it. The loop is woken only when its queue was empty.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use tokio::runtime::Handle;
use tokio::task::yield_now;

use crate::calls::Finished;

/// The event loops of one process that calls were made from.
#[derive(Default)]
pub(crate) struct EventLoops {
    known: Mutex<Vec<(Py<PyWeakrefReference>, Arc<Queue>)>>,
    /// Whether the interpreter ends.
    ends: AtomicBool,
    /// Held while a loop is woken. Only a thread that is detached from the interpreter may wait
    /// for it, since who holds it may wait for the interpreter.
    waking: Mutex<()>,
}

/// What one loop has to resolve.
#[derive(Default)]
struct Queue(Mutex<Vec<(Py<PyAny>, Option<Finished>)>>);

/// A call that somebody awaits: a future on their loop. Dropped unfinished, it was stopped.
pub(crate) struct AwaitedCall {
    event_loops: &'static EventLoops,
    tokio: &'static Handle,
    pending: Option<Pending>,
}

struct Pending {
    future: Py<PyAny>,
    event_loop: Py<PyAny>,
    queue: Arc<Queue>,
}

impl EventLoops {
    fn queue_of(&self, event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Queue>> {
        let py = event_loop.py();
        let alive = |reference: &Py<PyWeakrefReference>| reference.bind(py).upgrade();
        let mut known = lock(&self.known);
        let this = known.iter().find(|(reference, _)| {
            alive(reference).is_some_and(|event_loop_known| event_loop_known.is(event_loop))
        });
        if let Some((_, queue)) = this {
            return Ok(queue.clone());
        }
        known.retain(|(reference, _)| alive(reference).is_some());
        let queue = Arc::new(Queue::default());
        known.push((PyWeakrefReference::new(event_loop)?.unbind(), queue.clone()));
        Ok(queue)
    }

    /// Waits until no loop is being woken, and lets none be woken from here on.
    pub(crate) fn stop_waking(&self, py: Python<'_>) {
        self.ends.store(true, Ordering::SeqCst);
        py.detach(|| drop(lock(&self.waking)));
    }

    fn wake(&self, event_loop: Py<PyAny>, queue: Arc<Queue>) {
        let _waking = lock(&self.waking);
        if self.ends.load(Ordering::SeqCst) {
            // Nobody waits any more, and nothing of Python may be touched.
            mem::forget(event_loop);
            return;
        }
        Python::try_attach(|py| {
            let woken = Py::new(py, ResolveFinished { queue: queue.clone() }).and_then(|resolve| {
                event_loop.call_method1(py, intern!(py, "call_soon_threadsafe"), (resolve,))
            });
            if woken.is_err() {
                // The loop is closed: nobody waits any more.
                drop(mem::take(&mut *lock(&queue.0)));
            }
            drop(event_loop);
        });
    }
}

impl AwaitedCall {
    /// A future on the running loop.
    pub(crate) fn new(
        py: Python<'_>,
        event_loops: &'static EventLoops,
        tokio: &'static Handle,
    ) -> PyResult<Self> {
        static GET_RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let event_loop = GET_RUNNING_LOOP.import(py, "asyncio", "get_running_loop")?.call0()?;
        if event_loops.ends.load(Ordering::SeqCst) && is_main_thread(py)? {
            // A daemon thread is about to be stopped, and waits for that without a word.
            return Err(PyRuntimeError::new_err(
                "no call can be awaited any more: the interpreter is shutting down",
            ));
        }
        let future = event_loop.call_method0(intern!(py, "create_future"))?.unbind();
        let queue = event_loops.queue_of(&event_loop)?;
        let pending = Pending { future, event_loop: event_loop.unbind(), queue };
        Ok(Self { event_loops, tokio, pending: Some(pending) })
    }

    pub(crate) fn future(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.pending.as_ref().map(|pending| pending.future.clone_ref(py))
    }

    pub(crate) fn finish(mut self, finished: Finished) {
        self.resolve(Some(finished));
    }

    fn resolve(&mut self, finished: Option<Finished>) {
        let Some(Pending { future, event_loop, queue }) = self.pending.take() else { return };
        let was_empty = {
            let mut waiting = lock(&queue.0);
            waiting.push((future, finished));
            waiting.len() == 1
        };
        if was_empty {
            let event_loops = self.event_loops;
            self.tokio.spawn(async move {
                // Others that are just as ready come along.
                yield_now().await;
                event_loops.wake(event_loop, queue);
            });
        }
    }
}

impl Drop for AwaitedCall {
    fn drop(&mut self) {
        self.resolve(None);
    }
}

/// The callback that the loop calls on its own thread.
#[pyclass(frozen, module = "kazawallet._kazawallet")]
struct ResolveFinished {
    queue: Arc<Queue>,
}

#[pymethods]
impl ResolveFinished {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let finished = mem::take(&mut *lock(&self.queue.0));
        let mut all = Ok(());
        for (future, finished) in finished {
            // What one goes wrong with must not keep the others waiting.
            all = resolve(py, &future, finished).and(all);
        }
        all
    }
}

fn resolve(py: Python<'_>, future: &Py<PyAny>, finished: Option<Finished>) -> PyResult<()> {
    let cancelled = future.call_method0(py, intern!(py, "done"))?.is_truthy(py)?;
    let result = match finished {
        Some(finished) => finished.into_python(py),
        None => Err(PyRuntimeError::new_err("the call was stopped before its end")),
    };
    if cancelled {
        return Ok(());
    }
    match result {
        Ok(value) => future.call_method1(py, intern!(py, "set_result"), (value,))?,
        Err(error) => future.call_method1(py, intern!(py, "set_exception"), (error,))?,
    };
    Ok(())
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?;
    Ok(threading.call_method0(intern!(py, "current_thread"))?.is(&main))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
