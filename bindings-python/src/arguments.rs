//! Python's values as the core takes them. What has the wrong type is a `TypeError` that shows what
//! to write; everything else is for the core to judge.

use std::str::FromStr;
use std::time::Duration;

use kazawallet::Amount;
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

use crate::errors;
use crate::imported::imported;

/// More decimal places, or zeros, than any amount has. `Decimal("1E+999999")` is a million of them.
const MOST_DIGITS: i64 = 100;

/// A call's argument that is text.
pub(crate) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    read_text(name, value, |problem| errors::refused(value.py(), name, problem))
}

/// An option of a client or a webhook that is text.
pub(crate) fn option_text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let refused = |problem: &str| format!("`{name}` was refused: {problem}");
    read_text(name, value, |problem| errors::misconfigured(value.py(), &refused(problem)))
}

fn read_text(
    name: &str,
    value: &Bound<'_, PyAny>,
    refused: impl FnOnce(&str) -> PyErr,
) -> PyResult<String> {
    let Ok(value) = value.cast::<PyString>() else {
        return Err(wrong_type(name, "str", value));
    };
    value.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyUnicodeEncodeError>(value.py()) {
            refused("it holds half a character (a lone surrogate)")
        } else {
            error
        }
    })
}

pub(crate) fn optional_text(
    name: &str,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<String>> {
    value.map(|value| text(name, value)).transpose()
}

/// Exact money.
pub(crate) fn exact_amount(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Amount> {
    let text = amount_text(name, value)?;
    Amount::from_str(&text).map_err(|error| errors::to_python(value.py(), error))
}

/// An amount as a delivery has it, which may be zero.
pub(crate) fn delivered_amount(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Amount> {
    let text = amount_text(name, value)?;
    Amount::from_delivery(&text).map_err(|error| errors::to_python(value.py(), error))
}

/// The text of an amount, which the core has yet to judge.
pub(crate) fn amount_text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_string_lossy().into_owned());
    }
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_amount(name, value, "10.50"));
    }
    if value.is_instance_of::<PyInt>() {
        return integer_text(value);
    }
    if value.is_instance_of::<PyFloat>() {
        let float = value.py().get_type::<PyFloat>();
        let exact: String = float.call_method1("__repr__", (value,))?.extract()?;
        let sound = exact.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        return Err(wrong_amount(name, value, if sound { &exact } else { "10.50" }));
    }
    if let Some(decimal) = decimal_class(value)? {
        return decimal_text(&decimal, value);
    }
    Err(wrong_amount(name, value, "10.50"))
}

// What follows asks the builtin classes themselves: a class derived from one may write its values
// in a way of its own, and what was written would be sent.

fn integer_text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let (true, Ok(small)) = (value.is_exact_instance_of::<PyInt>(), value.extract::<i64>()) {
        return Ok(small.to_string());
    }
    // Python refuses to write very long integers. So does the core to take them, whatever they say.
    let int = value.py().get_type::<PyInt>();
    let bits: i64 = int.call_method1("bit_length", (value,))?.extract()?;
    if bits > 4 * MOST_DIGITS {
        return Ok("1".repeat(MOST_DIGITS.unsigned_abs() as usize));
    }
    int.call_method1("__format__", (value, "d"))?.extract()
}

/// `Decimal("1E+3")` is `1000`; one that is not finite, or far too long, stays as Python writes it.
fn decimal_text(decimal: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let finite: bool = decimal.call_method1("is_finite", (value,))?.extract()?;
    if finite {
        let parts = decimal.call_method1("as_tuple", (value,))?;
        let exponent: i64 = parts.getattr("exponent")?.extract()?;
        if (-MOST_DIGITS..=MOST_DIGITS).contains(&exponent) {
            return decimal.call_method1("__format__", (value, "f"))?.extract();
        }
    }
    decimal.call_method1("__str__", (value,))?.extract()
}

/// The class `Decimal`, where the value is one. Nobody can have one where `decimal` was not
/// imported.
fn decimal_class<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(module) = imported(value.py(), "decimal")? else { return Ok(None) };
    let class = module.getattr("Decimal")?;
    Ok(value.is_instance(&class)?.then_some(class))
}

/// Seconds. What is not longer than zero is zero, which the core refuses.
pub(crate) fn seconds(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    let number = value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>();
    if !number || value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "a number of seconds", value));
    }
    // An integer that is too large for a float is as good as for ever, or as never.
    let too_large = if value.lt(0)? { f64::NEG_INFINITY } else { f64::INFINITY };
    let seconds: f64 = value.extract().unwrap_or(too_large);
    if seconds > 0.0 {
        return Ok(Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)));
    }
    Ok(Some(Duration::ZERO))
}

/// A whole number; `None` for a negative one.
pub(crate) fn count(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
    if !value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "an int", value));
    }
    let negative = value.lt(0)?;
    Ok((!negative).then(|| value.extract().unwrap_or(u32::MAX)))
}

/// A call's argument that says yes or no.
pub(crate) fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match value.cast::<PyBool>() {
        Ok(flag) => Ok(flag.is_true()),
        Err(_) => Err(wrong_type(name, "a bool", value)),
    }
}

pub(crate) fn wrong_type(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("`{name}` must be {expected}, not {}", type_name(value)))
}

fn wrong_amount(name: &str, value: &Bound<'_, PyAny>, text: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "`{name}` must be exact: text such as \"{text}\", an int or Decimal(\"{text}\"), not {}",
        type_name(value)
    ))
}

pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    match value.get_type().name() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => "something else".to_owned(),
    }
}
