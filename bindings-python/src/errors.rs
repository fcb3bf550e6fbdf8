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
    let cause = error.source().map(|source| cause(py, source));
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

type Parts<'a> = (&'a str, &'a str, Bound<'a, PyDict>, Option<&'a str>, Option<Py<PyAny>>);

fn build(py: Python<'_>, parts: Parts<'_>) -> PyResult<PyErr> {
    static FROM_CORE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let from_core = FROM_CORE.import(py, "kazawallet._errors", "from_core")?;
    Ok(PyErr::from_value(from_core.call1(parts)?))
}

/// What the system said, as a builtin exception: an `OSError` with its number, where it has one.
fn cause(py: Python<'_>, source: &(dyn StdError + 'static)) -> Py<PyAny> {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(source);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && let Some(code) = io.raw_os_error()
        {
            return PyOSError::new_err((code, io.to_string())).into_value(py).into_any();
        }
        let text = error.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
        next = error.source();
    }
    PyException::new_err(said.join(": ")).into_value(py).into_any()
}
