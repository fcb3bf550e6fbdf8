//! From tokio to asyncio: finished calls wait in one queue a loop, and one callback on the loop's
//! own thread resolves all that are in it. The loop is woken only when its queue was empty.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::{MutexExt, PyOnceLock};
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use tokio::runtime::Handle;
use tokio::task::yield_now;

use crate::calls::{Answered, CallLog};

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

/// What one loop has to resolve. Nothing of Python is made or dropped while it is locked: that may run
/// anything, which may wait for the lock.
#[derive(Default)]
struct Queue(Mutex<Vec<Ended>>);

/// A call that has ended: with an answer, or because it was stopped.
struct Ended {
    future: Py<PyAny>,
    answer: Option<Answered>,
    panicked: bool,
    log: Option<CallLog>,
}

/// A call that somebody awaits: a future on their loop. Dropped unanswered, it was stopped.
pub(crate) struct AwaitedCall {
    event_loops: &'static EventLoops,
    tokio: &'static Handle,
    pending: Option<Pending>,
}

struct Pending {
    future: Py<PyAny>,
    event_loop: Py<PyAny>,
    queue: Arc<Queue>,
    log: Option<CallLog>,
}

impl EventLoops {
    fn queue_of(&self, event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Queue>> {
        let py = event_loop.py();
        let this = PyWeakrefReference::new(event_loop)?;
        let mut others = Vec::new();
        let mut gone = Vec::new();
        // Other threads go on while this one waits for the lock.
        let mut known = self.known.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        known.retain(|(reference, queue)| match reference.bind(py).upgrade() {
            Some(other) => {
                if other.is(event_loop) {
                    found = Some(queue.clone());
                }
                others.push(other);
                true
            }
            None => {
                gone.push((reference.clone_ref(py), queue.clone()));
                false
            }
        });
        let queue = found.unwrap_or_else(|| {
            let queue = Arc::new(Queue::default());
            known.push((this.clone().unbind(), queue.clone()));
            queue
        });
        drop(known);
        // What these held last may run anything as it goes, so they go without the lock.
        drop((others, gone));
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
            let resolve = ResolveEnded { queue, was_called: AtomicBool::new(false) };
            // Where the loop is closed, the callback is dropped uncalled.
            let _ = Py::new(py, resolve).and_then(|resolve| {
                event_loop.call_method1(py, intern!(py, "call_soon_threadsafe"), (resolve,))
            });
            drop(event_loop);
        });
    }
}

impl Queue {
    fn take(&self) -> Vec<Ended> {
        mem::take(&mut *lock(&self.0))
    }
}

impl AwaitedCall {
    /// A future on the running loop.
    pub(crate) fn new(
        py: Python<'_>,
        event_loops: &'static EventLoops,
        tokio: &'static Handle,
        log: Option<CallLog>,
    ) -> PyResult<Self> {
        static GET_RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let event_loop = GET_RUNNING_LOOP.import(py, "asyncio", "get_running_loop")?.call0()?;
        if event_loops.ends.load(Ordering::SeqCst) && is_main_thread(py)? {
            // A daemon thread is about to be stopped, and waits for that without a word.
            return Err(PyRuntimeError::new_err(
                "no call can be awaited any more: the interpreter is shutting down",
            ));
        }
        let queue = event_loops.queue_of(&event_loop)?;
        let future = event_loop.call_method0(intern!(py, "create_future"))?.unbind();
        let pending = Pending { future, event_loop: event_loop.unbind(), queue, log };
        Ok(Self { event_loops, tokio, pending: Some(pending) })
    }

    pub(crate) fn future(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.pending.as_ref().map(|pending| pending.future.clone_ref(py))
    }

    pub(crate) fn answer(mut self, answer: Answered) {
        self.end(Some(answer));
    }

    fn end(&mut self, answer: Option<Answered>) {
        let Some(Pending { future, event_loop, queue, log }) = self.pending.take() else { return };
        let was_empty = {
            let mut waiting = lock(&queue.0);
            waiting.push(Ended { future, answer, panicked: thread::panicking(), log });
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
        self.end(None);
    }
}

/// The callback that the loop calls on its own thread.
#[pyclass(frozen, module = "kazawallet._kazawallet")]
struct ResolveEnded {
    queue: Arc<Queue>,
    was_called: AtomicBool,
}

#[pymethods]
impl ResolveEnded {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.was_called.store(true, Ordering::Relaxed);
        let mut all = Ok(());
        for ended in self.queue.take() {
            // What one goes wrong with must not keep the others waiting.
            all = ended.resolve(py).and(all);
        }
        all
    }
}

impl Drop for ResolveEnded {
    /// The loop was closed first: nobody waits any more, but there is still something to log.
    fn drop(&mut self) {
        if !*self.was_called.get_mut() {
            Python::try_attach(|py| {
                for ended in self.queue.take() {
                    if let Err(error) = ended.write_log(py) {
                        error.write_unraisable(py, None);
                    }
                }
            });
        }
    }
}

impl Ended {
    fn resolve(self, py: Python<'_>) -> PyResult<()> {
        // What a signal handler raises meanwhile must not take the answer away.
        let logged = self.write_log(py);
        self.settle(py).and(logged)
    }

    fn write_log(&self, py: Python<'_>) -> PyResult<()> {
        self.log.as_ref().map_or(Ok(()), |log| log.write(py))
    }

    fn settle(self, py: Python<'_>) -> PyResult<()> {
        let future = self.future.bind(py);
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(()); // It was cancelled.
        }
        let result = match self.answer {
            Some(answer) => answer.into_python(py),
            None if self.panicked => Err(PyRuntimeError::new_err("the call came to no end")),
            None => return future.call_method0(intern!(py, "cancel")).map(drop),
        };
        match result {
            Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
            Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
        };
        Ok(())
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?;
    Ok(threading.call_method0(intern!(py, "current_thread"))?.is(&main))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
