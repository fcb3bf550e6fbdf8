//! The core's errors as the exceptions that `kazawallet._errors` defines.

use std::error::Error as StdError;

use kazawallet::Error;
use pyo3::exceptions::{PyException, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// The exception for an error of the core.
pub(crate) fn to_python(py: Python<'_>, error: Error) -> PyErr {
    exception(py, &error).unwrap_or_else(|failed| failed)
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let attributes = PyDict::new(py);
    if let Some(outcome) = error.outcome() {
        attributes.set_item(intern!(py, "outcome"), outcome.as_str())?;
    }
    if let Some(status) = error.status() {
        attributes.set_item(intern!(py, "status"), status)?;
    }
    if let Some(seconds) = error.retry_after() {
        attributes.set_item(intern!(py, "retry_after"), seconds.as_secs_f64())?;
    }
    for (name, text) in [
        (intern!(py, "key"), error.key()),
        (intern!(py, "request_id"), error.request_id()),
        (intern!(py, "body"), error.body()),
        (intern!(py, "field"), error.field()),
        (intern!(py, "expected"), error.expected()),
        (intern!(py, "actual"), error.actual()),
    ] {
        if let Some(text) = text {
            attributes.set_item(name, text)?;
        }
    }
    let details = error.details().map(|details| details.get());
    let cause = error.source().map(|source| cause(py, source)).transpose()?;
    build(py, (error.code(), error.message(), attributes, details, cause))
}

/// An argument that Python alone can hold, refused as the core refuses the others.
pub(crate) fn refused(py: Python<'_>, field: &str, problem: &str) -> PyErr {
    let exception = || {
        let attributes = PyDict::new(py);
        attributes.set_item(intern!(py, "field"), field)?;
        let message = format!("`{field}` was refused: {problem}");
        build(py, ("validation", &message, attributes, None, None))
    };
    exception().unwrap_or_else(|failed: PyErr| failed)
}

/// A client's option that Python alone can hold, refused as the core refuses the others.
pub(crate) fn misconfigured(py: Python<'_>, message: &str) -> PyErr {
    build(py, ("configuration", message, PyDict::new(py), None, None))
        .unwrap_or_else(|failed| failed)
}

type Parts<'a> = (&'a str, &'a str, Bound<'a, PyDict>, Option<&'a str>, Option<Bound<'a, PyAny>>);

fn build(py: Python<'_>, parts: Parts<'_>) -> PyResult<PyErr> {
    Ok(PyErr::from_value(remember_exceptions(py)?.call1(parts)?))
}

/// Looks up the exceptions, once: at the interpreter's end nothing can be imported any more.
pub(crate) fn remember_exceptions(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static FROM_CORE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FROM_CORE.import(py, "kazawallet._errors", "from_core")
}

/// What the system said, as a builtin exception: an `OSError` with its number, where it has one.
fn cause<'py>(py: Python<'py>, source: &(dyn StdError + 'static)) -> PyResult<Bound<'py, PyAny>> {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(source);
    while let Some(error) = next {
        let number = error.downcast_ref::<std::io::Error>().and_then(|io| io.raw_os_error());
        if let Some(number) = number {
            return py.get_type::<PyOSError>().call1((number, error.to_string()));
        }
        let text = error.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
        next = error.source();
    }
    py.get_type::<PyException>().call1((said.join(": "),))
}
