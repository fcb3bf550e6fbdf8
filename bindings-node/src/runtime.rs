//! The tokio runtime of the process. All of its JavaScript threads share it, and it outlives each of
//! them: what a worker had begun must go on when the worker ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use napi::{Error, Result};
use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime, started where it was not.
pub(crate) fn handle() -> Result<&'static Handle> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    let mut one_thread = Builder::new_multi_thread();
    one_thread.worker_threads(1).thread_name("kazawallet").enable_all();
    // Where the system has no thread left, tokio panics.
    let started = catch_unwind(AssertUnwindSafe(|| one_thread.build()))
        .map_err(|_| cannot_start("the system is out of threads or of file descriptors"))?
        .map_err(cannot_start)?;
    if let Err(superfluous) = RUNTIME.set(started) {
        superfluous.shutdown_background(); // Another thread was faster.
    }
    RUNTIME.get().map(Runtime::handle).ok_or_else(|| cannot_start("it is gone"))
}

fn cannot_start(problem: impl std::fmt::Display) -> Error {
    Error::from_reason(format!("kazawallet's runtime cannot be started: {problem}"))
}
