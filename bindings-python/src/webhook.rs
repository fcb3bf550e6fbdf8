//! What came in, verified.

use kazawallet::Order;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyString};

use crate::arguments::{
    delivered_amount, exact_amount, option_text, optional_text, text, type_name,
};
use crate::errors;
use crate::results::decimal;

/// Verifies the webhook deliveries of one merchant, and signs for tests.
///
/// Build it once and share it between threads: the work that depends on the key and the secret alone
/// is done when it is built.
///
/// Args:
///     api_key: The merchant's API key.
///     api_secret: The merchant's API secret.
///
/// Raises:
///     ConfigurationError: one of them is blank, holds a control character or an invisible one, or
///         begins or ends with white space.
///
/// The signature covers the **amount** and the **order id** (documented). It does not cover the status,
/// the currency or the ref, and it has no timestamp: whoever holds one genuine delivery can change
/// those three and send it again. So hold every event against your own order with
/// `PaymentEvent.match_order`, and let an order id settle one order once.
///
/// >>> from kazawallet import Webhook
/// >>> webhook = Webhook("81A107141716", "888B6B8877F8")
/// >>> body = (
/// ...     b'{"order_id":"pl_8f2a61c1","amount":"10.50","status":"fulfilled","currency":"USD",'
/// ...     b'"ref":"order-42","secret":"ld0+KSK+nepc7Ua31LKYnGD982/+f5ULWmTN7LJ6QFMNK1OwtdbD9EAUhU1'
/// ...     b'+XArNWC6/V/lUOSmPFLo4AaqyKg=="}'
/// ... )  # Exactly as it came over the network, before any parser touched it.
/// >>> event = webhook.verify(body)
/// >>> event.match_order(amount="10.50", currency="USD", ref="order-42").is_fulfilled
/// True
#[pyclass(frozen, module = "kazawallet")]
pub(crate) struct Webhook {
    pub(crate) core: kazawallet::Webhook,
}

#[pymethods]
impl Webhook {
    #[new]
    fn new(
        py: Python<'_>,
        api_key: &Bound<'_, PyAny>,
        api_secret: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let (key, secret) =
            (option_text("api_key", api_key)?, option_text("api_secret", api_secret)?);
        let core = kazawallet::Webhook::new(key, secret);
        Ok(Self { core: core.map_err(|error| errors::to_python(py, error))? })
    }

    /// A webhook that accepts what was signed with an earlier key and secret, too, while keys are
    /// being rotated. Never after a leak: whoever has the old secret can sign.
    ///
    /// Raises:
    ///     ConfigurationError: as for `Webhook` itself.
    fn with_previous(
        &self,
        py: Python<'_>,
        api_key: &Bound<'_, PyAny>,
        api_secret: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let (key, secret) =
            (option_text("api_key", api_key)?, option_text("api_secret", api_secret)?);
        let core = self.core.clone().with_previous(key, secret);
        Ok(Self { core: core.map_err(|error| errors::to_python(py, error))? })
    }

    /// Reads a delivery's body, JSON or form-encoded, and checks its signature. There is no other
    /// way to a `PaymentEvent`.
    ///
    /// Args:
    ///     body: The raw body, before any parser. In Django `request.body`; in Flask
    ///         `request.get_data()`; in FastAPI and Starlette `await request.body()`.
    ///
    /// Raises:
    ///     WebhookPayloadError: the body cannot be read: larger than 64 KiB, not UTF-8, neither a JSON
    ///         object nor form fields, a repeated key, a field that is missing or malformed.
    ///     SignatureVerificationError: no key that this webhook knows signed it. It proves nothing:
    ///         change no order because of it.
    ///     TypeError: the body is something that was already parsed.
    fn verify(&self, body: &Bound<'_, PyAny>) -> PyResult<PaymentEvent> {
        match with_raw_body(body, |bytes| self.core.verify(bytes))? {
            Ok(core) => Ok(PaymentEvent { core }),
            Err(error) => Err(errors::to_python(body.py(), error)),
        }
    }

    /// The `secret` field that the provider would send for an amount and an order id, for tests:
    /// base64 of HMAC-SHA512, keyed with the API secret, over the SHA-256 of
    /// `amount:::order_id:::key` (documented). The amount may be zero, as that of a link that timed out.
    ///
    /// Raises:
    ///     ValidationError: the amount is no plain number.
    ///     TypeError: the amount is a `float` or a `bool`.
    #[pyo3(signature = (*, amount, order_id))]
    fn sign(&self, amount: &Bound<'_, PyAny>, order_id: &Bound<'_, PyAny>) -> PyResult<String> {
        Ok(self.core.sign(&delivered_amount("amount", amount)?, &text("order_id", order_id)?))
    }

    fn __repr__(&self) -> &'static str {
        "<kazawallet.Webhook>"
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, memo: &Bound<'_, PyAny>) -> Py<Self> {
        let _ = memo;
        slf
    }
}

/// Looks at a delivery's body, whatever it is held in.
pub(crate) fn with_raw_body<T>(
    body: &Bound<'_, PyAny>,
    look: impl FnOnce(&[u8]) -> T,
) -> PyResult<T> {
    if let Ok(bytes) = body.cast::<PyBytes>() {
        Ok(look(bytes.as_bytes()))
    } else if let Ok(text) = body.cast::<PyString>() {
        match text.to_str() {
            Ok(text) => Ok(look(text.as_bytes())),
            // Half a character: no UTF-8 either way, for the core to say so.
            Err(_) => Ok(look(half_a_character(text)?.as_bytes())),
        }
    } else if let Ok(bytes) = body.cast::<PyByteArray>() {
        Ok(look(&bytes.to_vec()))
    } else if body.is_instance_of::<PyMemoryView>() {
        Ok(look(body.call_method0("tobytes")?.cast::<PyBytes>()?.as_bytes()))
    } else {
        Err(parsed_already(body))
    }
}

/// Bytes that hold what UTF-8 does not allow.
fn half_a_character<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(text.call_method1("encode", ("utf-8", "surrogatepass"))?.cast_into()?)
}

fn parsed_already(body: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!(
        "`body` must be the raw bytes of the request, before any parser, not {}: in Django \
         `request.body`, in Flask `request.get_data()`, in FastAPI and Starlette `await \
         request.body()`, in aiohttp `await request.read()`",
        type_name(body)
    ))
}

/// What the provider says of one payment, its signature verified.
///
/// It comes from `Webhook.verify` alone: it cannot be constructed, subclassed or unpickled, and a copy
/// is the event itself. Store `body`, and verify again where it is read.
#[pyclass(frozen, module = "kazawallet")]
pub(crate) struct PaymentEvent {
    pub(crate) core: kazawallet::PaymentEvent,
}

#[pymethods]
impl PaymentEvent {
    /// The payment link's id: the payment's identity, which must settle one order once. Signed.
    #[getter]
    fn order_id(&self) -> &str {
        self.core.order_id()
    }

    /// The amount paid, with the digits that the delivery has. Signed. May be zero for a link that
    /// timed out.
    #[getter]
    fn amount<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        decimal(py, self.core.amount().as_str())
    }

    /// `fulfilled`, `timed_out`, or any other text, which means not paid. **Not signed.**
    #[getter]
    fn status(&self) -> &str {
        self.core.status().as_str()
    }

    /// The currency's code. **Not signed.** `None` where the delivery has none.
    #[getter]
    fn currency(&self) -> Option<&str> {
        self.core.currency()
    }

    /// The `ref` that the link was made with. **Not signed.** `None` where the delivery has none.
    #[getter]
    fn r#ref(&self) -> Option<&str> {
        self.core.reference()
    }

    /// Whether the status says that the link was paid. **Not signed**: call `match_order` first.
    #[getter]
    fn is_fulfilled(&self) -> bool {
        self.core.is_fulfilled()
    }

    /// Fields that this version does not know, read from JSON, a number with a fraction as a
    /// `Decimal`; a value that Python's reader cannot read is its JSON text. **Not signed.**
    #[getter]
    fn extra<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        static READ: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let extra = PyDict::new(py);
        if !self.core.extra().is_empty() {
            let read = READ.import(py, "kazawallet._json_text", "read")?;
            for (name, value) in self.core.extra() {
                extra.set_item(name, read.call1((value.get(),))?)?;
            }
        }
        Ok(extra)
    }

    /// The delivery's bytes, exactly as they came.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.core.body())
    }

    /// Holds the event against your order, and returns it where it fits.
    ///
    /// Amounts are compared as exact numbers (`10.5` is `10.50`; not for a link that timed out), the
    /// currency without regard to case, the ref exactly, and the order id where you give it.
    ///
    /// What no signature can tell you: that this order id was not used before. Record it, and let it
    /// settle one order once. Otherwise a captured delivery with an edited ref pays for a second order
    /// of the same price.
    ///
    /// Args:
    ///     amount: What the order costs.
    ///     currency: The currency's code, as the link was made with.
    ///     ref: The ref that the link was made with.
    ///     order_id: The link's id, where it is known: `PaymentLink.id`.
    ///
    /// Raises:
    ///     OrderMismatchError: with `field`, `expected` and `actual`, for the first of `order_id`,
    ///         `ref`, `currency`, `amount` that does not fit. A currency or ref that the delivery lacks
    ///         does not fit.
    ///     ValidationError: the order's amount is no plain number.
    ///     TypeError: the order's amount is a `float` or a `bool`.
    #[pyo3(signature = (*, amount, currency, r#ref, order_id = None))]
    fn match_order(
        slf: Bound<'_, Self>,
        amount: &Bound<'_, PyAny>,
        currency: &Bound<'_, PyAny>,
        r#ref: &Bound<'_, PyAny>,
        order_id: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<Self>> {
        let (currency, reference) = (text("currency", currency)?, text("ref", r#ref)?);
        let order_id = optional_text("order_id", order_id)?;
        let order = Order {
            amount: exact_amount("amount", amount)?,
            currency: &currency,
            reference: &reference,
            order_id: order_id.as_deref(),
        };
        match slf.get().core.match_order(&order) {
            Ok(_) => Ok(slf.unbind()),
            Err(error) => Err(errors::to_python(slf.py(), error)),
        }
    }

    /// What was stored or sent elsewhere could be forged there: store `body`, and verify it again.
    fn __reduce_ex__(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = protocol;
        Err(PyTypeError::new_err(
            "a PaymentEvent cannot be pickled: store its `body`, and verify that again where it is \
             read",
        ))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let order_id = self.core.order_id().into_pyobject(py)?.repr()?;
        let status = self.core.status().as_str().into_pyobject(py)?.repr()?;
        Ok(format!(
            "PaymentEvent(order_id={}, amount={}, status={})",
            order_id.to_string_lossy(),
            self.core.amount(),
            status.to_string_lossy()
        ))
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, memo: &Bound<'_, PyAny>) -> Py<Self> {
        let _ = memo;
        slf
    }
}
