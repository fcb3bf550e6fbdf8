//! What Python has imported already: nobody can hold what was never imported.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// Looks up `sys.modules`, once: at the interpreter's end nothing can be imported any more.
pub(crate) fn remember_modules(py: Python<'_>) -> PyResult<&Py<PyDict>> {
    MODULES.get_or_try_init(py, || {
        Ok(py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind())
    })
}

/// The module of this name, where it was imported.
pub(crate) fn imported<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let module = remember_modules(py)?.bind(py).get_item(name)?;
    Ok(module.filter(|module| !module.is_none()))
}
