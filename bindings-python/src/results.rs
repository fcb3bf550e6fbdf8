//! What the calls return: frozen, comparable, and silent about people.

use pyo3::IntoPyObjectExt;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyIterator, PyTuple};

use crate::ledger_records::{
    Conflict, OrderLink, OrderRecord, Payment, Payout, PersonDecision, Summary,
};

/// `Decimal(text)`.
pub(crate) fn decimal<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    static DECIMAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    DECIMAL.import(py, "decimal", "Decimal")?.call1((text,))
}

/// Makes what a call of the ledger returns.
pub(crate) type OfLedger = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What a call can return.
pub(crate) enum Answer {
    PaymentLink(PaymentLink),
    Withdrawal(Withdrawal),
    WalletList(WalletList),
    Deposit(Deposit),
    Response(Response),
    /// What a call of the ledger answers with.
    OfLedger(OfLedger),
}

impl Answer {
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(match self {
            Self::PaymentLink(link) => Py::new(py, link)?.into_any(),
            Self::Withdrawal(withdrawal) => Py::new(py, withdrawal)?.into_any(),
            Self::WalletList(list) => Py::new(py, list)?.into_any(),
            Self::Deposit(deposit) => Py::new(py, deposit)?.into_any(),
            Self::Response(response) => Py::new(py, response)?.into_any(),
            Self::OfLedger(make) => make(py)?,
        })
    }
}

/// A class whose fields are the core's. What is after `shows` is in its `repr`: nobody's data.
macro_rules! record_class {
    (
        $(#[$doc:meta])*
        $name:ident shows ($($shown:ident),*) {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[pyclass(frozen, eq, hash, module = "kazawallet")]
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub(crate) struct $name {
            $($(#[$field_doc])* #[pyo3(get)] pub(crate) $field: $type,)*
        }

        #[pymethods]
        impl $name {
            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let shown = [$(format!(
                    concat!(stringify!($shown), "={}"),
                    (&self.$shown).into_pyobject(py)?.repr()?.to_string_lossy(),
                )),*];
                Ok(format!(concat!(stringify!($name), "({})"), shown.join(", ")))
            }

            fn __copy__(slf: Py<Self>) -> Py<Self> {
                slf
            }

            fn __deepcopy__(slf: Py<Self>, memo: &Bound<'_, PyAny>) -> Py<Self> {
                let _ = memo;
                slf
            }

            fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                let fields = [$(self.$field.clone().into_bound_py_any(py)?),*];
                let fields = pyo3::types::PyTuple::new(py, fields)?;
                $crate::results::pickled(py, stringify!($name), fields)
            }
        }

        impl $name {
            pub(crate) fn restored(fields: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<Self> {
                let mut fields = fields.iter();
                let restored = Self { $($field: $crate::results::field(fields.next())?,)* };
                $crate::results::no_more_fields(fields.next())?;
                Ok(restored)
            }
        }
    };
}
pub(crate) use record_class;

/// A record that a call of the core answers with, field by field.
macro_rules! result_class {
    (
        $(#[$doc:meta])*
        $name:ident shows ($($shown:ident),*) {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        record_class! {
            $(#[$doc])*
            $name shows ($($shown),*) { $($(#[$field_doc])* $field: $type,)* }
        }

        impl From<kazawallet::$name> for Answer {
            fn from(result: kazawallet::$name) -> Self {
                let kazawallet::$name { $($field,)* .. } = result;
                Self::$name($name { $($field: $field.into(),)* })
            }
        }
    };
}

result_class! {
    /// A link through which a customer pays.
    PaymentLink shows (id) {
        /// Where to send the customer.
        url: String,
        /// The link's id: the answer's `order_id`, else its `id`; `None` if it has neither. That the webhook
        /// brings the same id as `order_id` is likely, and not documented.
        id: Option<String>,
        /// The whole answer.
        raw: Response,
    }
}

result_class! {
    /// A withdrawal that the provider answered without an error. Look at the status.
    Withdrawal shows (status) {
        /// `approved` (documented). Other values are possible; `None` where the answer has none.
        status: Option<String>,
        /// The provider's message.
        message: Option<String>,
        /// The whole answer.
        raw: Response,
    }
}

result_class! {
    /// A deposit that the provider answered without an error. Look at the status.
    Deposit shows (status, transaction_id) {
        /// `pending` (reference). Other values are possible; `None` where the answer has none.
        status: Option<String>,
        /// The deposit's id, such as `de-…`.
        transaction_id: Option<String>,
        /// The provider's message.
        message: Option<String>,
        /// The note, as the provider keeps it.
        note: Option<String>,
        /// The whole answer.
        raw: Response,
    }
}

/// What pickle writes of a result: how it is restored.
pub(crate) fn pickled<'py>(
    py: Python<'py>,
    class: &str,
    fields: Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let restored = py.import("kazawallet._kazawallet")?.getattr("_restored")?;
    Ok((restored, (class, fields)).into_pyobject(py)?.into_any())
}

/// The next field of what was pickled.
pub(crate) fn field<'py, T: FromPyObjectOwned<'py>>(
    field: Option<Bound<'py, PyAny>>,
) -> PyResult<T> {
    let field = field.ok_or_else(|| PyValueError::new_err("it lacks a field"))?;
    field.extract().map_err(Into::into)
}

pub(crate) fn no_more_fields(field: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    field.map_or(Ok(()), |_| Err(PyValueError::new_err("it has a field too many")))
}

/// Makes a result that was pickled.
#[pyfunction]
pub(crate) fn _restored<'py>(
    py: Python<'py>,
    kind: &str,
    fields: &Bound<'py, PyTuple>,
) -> PyResult<Py<PyAny>> {
    Ok(match kind {
        "PaymentLink" => Py::new(py, PaymentLink::restored(fields)?)?.into_any(),
        "Withdrawal" => Py::new(py, Withdrawal::restored(fields)?)?.into_any(),
        "Deposit" => Py::new(py, Deposit::restored(fields)?)?.into_any(),
        "Response" => Py::new(py, Response::restored(fields)?)?.into_any(),
        "Wallet" => Py::new(py, Wallet::restored(fields)?)?.into_any(),
        "WalletList" => Py::new(py, WalletList::restored(fields)?)?.into_any(),
        "OrderLink" => Py::new(py, OrderLink::restored(fields)?)?.into_any(),
        "OrderRecord" => Py::new(py, OrderRecord::restored(fields)?)?.into_any(),
        "Payment" => Py::new(py, Payment::restored(fields)?)?.into_any(),
        "Conflict" => Py::new(py, Conflict::restored(fields)?)?.into_any(),
        "Payout" => Py::new(py, Payout::restored(fields)?)?.into_any(),
        "PersonDecision" => Py::new(py, PersonDecision::restored(fields)?)?.into_any(),
        "Summary" => Py::new(py, Summary::restored(fields)?)?.into_any(),
        _ => return Err(PyValueError::new_err(format!("no result is called {kind}"))),
    })
}

/// The merchant's wallets. It can be looped over, and has a length.
#[pyclass(frozen, eq, hash, module = "kazawallet")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct WalletList {
    wallets: Vec<Wallet>,
    /// The whole answer.
    #[pyo3(get)]
    raw: Response,
}

#[pymethods]
impl WalletList {
    /// One a currency, in the provider's order.
    #[getter]
    fn wallets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.wallets.iter().cloned())
    }

    fn __len__(&self) -> usize {
        self.wallets.len()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.wallets(index.py())?.as_any().get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.wallets(py)?.try_iter()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let wallets: PyResult<Vec<String>> =
            self.wallets.iter().map(|wallet| wallet.__repr__(py)).collect();
        Ok(format!("WalletList([{}])", wallets?.join(", ")))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let fields = (self.wallets(py)?, self.raw.clone()).into_pyobject(py)?;
        pickled(py, "WalletList", fields)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, memo: &Bound<'_, PyAny>) -> Py<Self> {
        let _ = memo;
        slf
    }
}

impl WalletList {
    fn restored(fields: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let (wallets, raw): (Vec<PyRef<'_, Wallet>>, Response) = fields.extract()?;
        let wallets = wallets.iter().map(|wallet| Wallet::clone(wallet)).collect();
        Ok(Self { wallets, raw })
    }
}

impl From<kazawallet::WalletList> for Answer {
    fn from(list: kazawallet::WalletList) -> Self {
        let wallet = |wallet: kazawallet::Wallet| Wallet {
            currency: wallet.currency,
            amount: wallet.amount,
        };
        Self::WalletList(WalletList {
            wallets: list.wallets.into_iter().map(wallet).collect(),
            raw: list.raw.into(),
        })
    }
}

/// The balance in one currency.
#[pyclass(frozen, eq, hash, module = "kazawallet")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Wallet {
    /// The currency's code.
    #[pyo3(get)]
    currency: String,
    amount: kazawallet::Amount,
}

#[pymethods]
impl Wallet {
    /// What is in it, exactly as the provider says. May be zero, or negative.
    #[getter]
    fn amount<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        decimal(py, self.amount.as_str())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let currency = (&self.currency).into_pyobject(py)?.repr()?;
        let amount = self.amount(py)?.repr()?;
        Ok(format!(
            "Wallet(currency={}, amount={})",
            currency.to_string_lossy(),
            amount.to_string_lossy()
        ))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let fields = (&self.currency, self.amount.as_str()).into_pyobject(py)?;
        pickled(py, "Wallet", fields)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, memo: &Bound<'_, PyAny>) -> Py<Self> {
        let _ = memo;
        slf
    }
}

impl Wallet {
    fn restored(fields: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let (currency, amount): (String, String) = fields.extract()?;
        let amount = kazawallet::Amount::from_balance(&amount);
        let amount = amount.ok_or_else(|| PyValueError::new_err("this is no balance"))?;
        Ok(Self { currency, amount })
    }
}

/// The provider's whole answer, as it came.
///
/// Every result keeps it as `raw`, since the provider's answers are half documented: what this
/// package does not read is still there. Its `repr` does not show the body, which may hold personal
/// data.
#[pyclass(frozen, eq, hash, from_py_object, module = "kazawallet")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Response {
    /// The HTTP status.
    #[pyo3(get)]
    status: u16,
    /// The request's id, where the answer carried one.
    #[pyo3(get)]
    request_id: Option<String>,
    content: Vec<u8>,
}

#[pymethods]
impl Response {
    /// The body's bytes.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.content)
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[getter]
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }

    /// The body, read from JSON; a number with a fraction becomes a `decimal.Decimal`.
    ///
    /// Raises:
    ///     ValueError: the body is not JSON.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        LOADS.import(py, "kazawallet._json_text", "loads")?.call1((self.body(py),))
    }

    fn __repr__(&self) -> String {
        format!("Response(status={}, {} bytes)", self.status, self.content.len())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let fields = (self.status, &self.request_id, self.body(py)).into_pyobject(py)?;
        pickled(py, "Response", fields)
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, memo: &Bound<'_, PyAny>) -> Py<Self> {
        let _ = memo;
        slf
    }
}

impl Response {
    fn restored(fields: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let (status, request_id, content) = fields.extract()?;
        Ok(Self { status, request_id, content })
    }
}

impl From<kazawallet::Response> for Response {
    fn from(response: kazawallet::Response) -> Self {
        Self {
            status: response.status(),
            request_id: response.request_id().map(str::to_owned),
            content: response.body().to_vec(),
        }
    }
}

impl From<kazawallet::Response> for Answer {
    fn from(response: kazawallet::Response) -> Self {
        Self::Response(response.into())
    }
}
