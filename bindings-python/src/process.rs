//! Which process this is. What a parent made must not be used, nor even dropped, in its child.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

use crate::runtime::ProcessRuntime;

/// How often this process's line was forked, as far as Python tells.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// A process. Its id alone could be the parent's, in a namespace of its own; and what runs early in a
/// child does so before Python tells of the fork.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    id: u32,
    forks: u64,
}

impl Process {
    pub(crate) fn current() -> Self {
        Self { id: std::process::id(), forks: FORKS.load(Ordering::Relaxed) }
    }

    pub(crate) fn is_current(self) -> bool {
        self == Self::current()
    }
}

/// Has Python tell of forks, where there are any.
pub(crate) fn notice_forks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let os = module.py().import("os")?;
    if os.hasattr("register_at_fork")? {
        let hooks = pyo3::types::PyDict::new(module.py());
        hooks.set_item("before", wrap_pyfunction!(will_fork, module)?)?;
        hooks.set_item("after_in_parent", wrap_pyfunction!(has_forked, module)?)?;
        hooks.set_item("after_in_child", wrap_pyfunction!(forked, module)?)?;
        os.call_method("register_at_fork", (), Some(&hooks))?;
    }
    Ok(())
}

#[pyfunction]
fn will_fork(py: Python<'_>) {
    if let Some(runtime) = ProcessRuntime::existing() {
        runtime.ledgers().before_fork(py);
    }
}

#[pyfunction]
fn has_forked(py: Python<'_>) {
    if let Some(runtime) = ProcessRuntime::existing() {
        runtime.ledgers().after_fork_in_parent(py);
    }
}

#[pyfunction]
fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
