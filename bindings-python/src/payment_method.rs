//! How a payout reaches its recipient.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyString};

use crate::arguments::{text, type_name, wrong_type};

/// How a payout reaches its recipient, with the fields that the method wants.
///
/// The provider warns that repeated rejections can cost a merchant its account (documented), so what
/// is surely wrong is refused with a `ValidationError` before anything is sent: a blank field; for
/// `sy_cash` a phone that is not a Syrian mobile number; for Haram a phone without 7 to 15 digits, or
/// an amount in SYP on the wrong side of 3,000,000 (exactly 3,000,000 fits both). These are the
/// documentation's own lines. Should one no longer fit, `custom` is the way past it.
#[pyclass(frozen, eq, hash, module = "kazawallet")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PaymentMethod {
    pub(crate) core: kazawallet::PaymentMethod,
}

#[pymethods]
impl PaymentMethod {
    /// Haram, up to 3,000,000 SYP: method 37 (documented). The recipient's full name, phone and
    /// governorate.
    #[staticmethod]
    #[pyo3(signature = (*, name, phone, governorate))]
    fn haram_under_3m(
        name: &Bound<'_, PyAny>,
        phone: &Bound<'_, PyAny>,
        governorate: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let core = kazawallet::PaymentMethod::haram_under_3m(
            text("name", name)?,
            text("phone", phone)?,
            text("governorate", governorate)?,
        );
        Ok(Self { core })
    }

    /// Haram, from 3,000,000 SYP on: method 35 (documented). The recipient's full name, phone and
    /// governorate.
    #[staticmethod]
    #[pyo3(signature = (*, name, phone, governorate))]
    fn haram_over_3m(
        name: &Bound<'_, PyAny>,
        phone: &Bound<'_, PyAny>,
        governorate: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let core = kazawallet::PaymentMethod::haram_over_3m(
            text("name", name)?,
            text("phone", phone)?,
            text("governorate", governorate)?,
        );
        Ok(Self { core })
    }

    /// SY Cash: method 38 (documented). The recipient's phone, a Syrian mobile number: `09…`, `+9639…` or
    /// `009639…`, with or without spaces and dashes. The ten digits of the local form are sent.
    #[staticmethod]
    #[pyo3(signature = (*, phone))]
    fn sy_cash(phone: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { core: kazawallet::PaymentMethod::sy_cash(text("phone", phone)?) })
    }

    /// Any other method, by its id, with its fields (a dict of names and values) in the order given.
    /// Nothing but a blank id is refused.
    #[staticmethod]
    #[pyo3(signature = (*, id, fields))]
    fn custom(id: &Bound<'_, PyAny>, fields: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(mapping) = fields.cast::<PyMapping>() else {
            return Err(wrong_type("fields", "a dict of field names and their values", fields));
        };
        let mut pairs = Vec::new();
        for pair in mapping.items()? {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
            for part in [&key, &value] {
                if !part.is_instance_of::<PyString>() {
                    return Err(PyTypeError::new_err(format!(
                        "`fields` must hold str alone, not {}",
                        type_name(part)
                    )));
                }
            }
            pairs.push((text("fields", &key)?, text("fields", &value)?));
        }
        Ok(Self { core: kazawallet::PaymentMethod::custom(text("id", id)?, pairs) })
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let id = self.core.id().into_pyobject(py)?.repr()?;
        Ok(format!("PaymentMethod(id={})", id.to_string_lossy()))
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, memo: &Bound<'_, PyAny>) -> Py<Self> {
        let _ = memo;
        slf
    }
}
