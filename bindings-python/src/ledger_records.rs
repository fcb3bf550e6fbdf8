//! What the ledger tells, as Python's classes: frozen, comparable, and silent about people.

use std::collections::BTreeMap;
use std::time::SystemTime;

use kazawallet_ledger as ledger;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::results::{decimal, record_class};
use crate::webhook::PaymentEvent;

/// An amount of the ledger: a `decimal.Decimal`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Exact(kazawallet::Amount);

impl<'py> IntoPyObject<'py> for Exact {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        decimal(py, self.0.as_str())
    }
}

impl<'py> IntoPyObject<'py> for &Exact {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        decimal(py, self.0.as_str())
    }
}

impl FromPyObject<'_, '_> for Exact {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let text: String = value.call_method1("__format__", ("f",))?.extract()?;
        let amount = kazawallet::Amount::from_delivery(&text);
        Ok(Self(amount.map_err(|_| PyValueError::new_err("this is no amount"))?))
    }
}

/// How many there are of each: a `dict`, in the order in which things happen.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Counts(Vec<(String, u64)>);

impl<'py> IntoPyObject<'py> for Counts {
    type Target = PyDict;
    type Output = Bound<'py, PyDict>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        (&self).into_pyobject(py)
    }
}

impl<'py> IntoPyObject<'py> for &Counts {
    type Target = PyDict;
    type Output = Bound<'py, PyDict>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let counts = PyDict::new(py);
        for (name, count) in &self.0 {
            counts.set_item(name, count)?;
        }
        Ok(counts)
    }
}

impl FromPyObject<'_, '_> for Counts {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let counts = value.cast::<PyDict>()?;
        let counts: PyResult<_> =
            counts.iter().map(|(name, count)| Ok((name.extract()?, count.extract()?))).collect();
        Ok(Self(counts?))
    }
}

record_class! {
    /// The link of an order, to send the customer to.
    OrderLink shows (id, state) {
        /// Where to send the customer.
        url: String,
        /// The link's id, which is very likely the webhook's `order_id`; `None` if the provider's answer
        /// had none.
        id: Option<String>,
        /// The order's ref.
        r#ref: String,
        /// The order's state: `open`, or `paid` where the customer has paid already.
        state: String,
    }
}

record_class! {
    /// An order: what it must cost, and what became of it.
    OrderRecord shows (amount, currency, state, link_id, paid_by) {
        /// The merchant's reference.
        r#ref: String,
        /// What it costs, as it was given.
        amount: Exact,
        /// The currency's code, in capitals.
        currency: String,
        /// How far it has come: `creating` (it has no link yet), `open` (it has one, and no webhook told
        /// of its end), `timed_out` (the next `create_payment_link` makes another link), `paid`.
        state: String,
        /// Its link's address, where it has one.
        url: Option<String>,
        /// Its link's id, where it is known.
        link_id: Option<String>,
        /// The order id of the payment that settled it.
        paid_by: Option<String>,
        /// When it was first asked for, in UTC.
        created_at: SystemTime,
        /// When its link was made, in UTC.
        link_at: Option<SystemTime>,
        /// When it was paid, as far as the ledger knows, in UTC.
        paid_at: Option<SystemTime>,
    }
}

record_class! {
    /// A payment as the ledger knows it: the first genuine delivery of an order id, and what was made of
    /// it.
    Payment shows (order_id, amount, currency, decision, problem, link_ids, processing, tries) {
        /// The payment's identity. Signed.
        order_id: String,
        /// The ref of the order that it settled; else the one that the delivery says, **not signed**.
        r#ref: Option<String>,
        /// The amount. Signed.
        amount: Exact,
        /// The currency that the delivery says. Where the decision is `paid`, it is the order's.
        currency: Option<String>,
        /// The status that the delivery says, `fulfilled` or `timed_out`. **Not signed**: go by the
        /// decision.
        status: String,
        /// What was made of it: `paid`, `timed_out`, or what waits for a person: `mismatch`, `no_order`,
        /// `overpaid`; `dismissed` where one said that it pays for nothing.
        decision: String,
        /// Whether it paid its order. Otherwise what is handed to a handler is a link that timed out.
        is_paid: bool,
        /// The field that does not fit, where the decision is `mismatch`.
        problem: Option<String>,
        /// Whether the ids of links were proven when it was decided: `unproven`, `proven`, or `ignored`, since a
        /// person had switched their check off; see `Ledger.set_link_id_check`. `None` if a former version decided
        /// it.
        link_ids: Option<String>,
        /// The ref of the order whose link the signed id is, if the problem is `ref` and it is another order's
        /// than the delivery says.
        link_ref: Option<String>,
        /// When the delivery came, in UTC.
        received_at: SystemTime,
        /// Where it stands on its way to the handler: `waiting`, `done`, or `parked` after too many
        /// failures; `None` where it is not for the handler.
        processing: Option<String>,
        /// How often it was handed to a handler, this time included.
        tries: u32,
        /// How the handler failed the last time. May hold personal data.
        last_error: Option<String>,
        /// The delivery's bytes, as they came; `None` once they were erased with `forget`.
        body: Option<Vec<u8>>,
    }
}

record_class! {
    /// A later delivery that contradicts the first one of its order id. It changed nothing.
    Conflict shows (order_id, problem, amount, currency, status) {
        /// The payment's identity. Signed.
        order_id: String,
        /// The field in which it differs.
        problem: String,
        /// The ref that it says. **Not signed.**
        r#ref: Option<String>,
        /// The amount that it says. Signed.
        amount: Exact,
        /// The currency that it says. **Not signed.**
        currency: Option<String>,
        /// The status that it says. **Not signed.**
        status: String,
        /// When it came, in UTC.
        received_at: SystemTime,
    }
}

record_class! {
    /// A payout as the ledger knows it.
    Payout shows (state, amount, currency, payment_method, status) {
        /// The merchant's reference: the payout's identity.
        reference: String,
        /// How far it has come: `not_sent` (asking again sends it), `sending`, `unknown` (a person looks in
        /// the wallet, and says so with `resolve`); final are `paid`, `rejected` and `not_paid`.
        state: String,
        /// The amount, as it was given.
        amount: Exact,
        /// The currency's code, in capitals.
        currency: String,
        /// The id of the payment method.
        payment_method: String,
        /// The provider's status, such as `approved`.
        status: Option<String>,
        /// The provider's message, or what its error said. May hold personal data.
        message: Option<String>,
        /// The recipient's data and the note, for the person who looks in the wallet: JSON text. `None` once
        /// erased with `forget`.
        details: Option<String>,
        /// When it was first asked for, in UTC.
        created_at: SystemTime,
        /// Until when it may have left, of the last time that it was sent, in UTC.
        deadline: Option<SystemTime>,
        /// When its state became what it is, in UTC.
        changed_at: SystemTime,
    }
}

record_class! {
    /// What a person decided. It is kept for ever.
    PersonDecision shows (at, action, decision) {
        /// When, in UTC.
        at: SystemTime,
        /// Who.
        by: String,
        /// `resolve`, `settle`, `retry` or `link_ids`.
        action: String,
        /// The payout's reference, or the payment's order id; empty for `link_ids`.
        subject: String,
        /// What: `paid`, `not_paid`, `dismissed`, `waiting` for a retry, `ignored` or `checked` for the ids of
        /// links.
        decision: String,
        /// The ref of the order that a payment was said to pay.
        r#ref: Option<String>,
        /// Their note; `None` where there was none, or once it was erased with `forget`.
        note: Option<String>,
    }
}

record_class! {
    /// How many there are of everything.
    Summary shows (orders, payments, processing, payouts, conflicts, quarantined, spooled, link_ids) {
        /// Orders by their state.
        orders: Counts,
        /// Payments by their decision.
        payments: Counts,
        /// Payments for the handler, by how far they are.
        processing: Counts,
        /// Payouts by their state.
        payouts: Counts,
        /// Deliveries that contradict the first one of their order id.
        conflicts: u64,
        /// Deliveries in quarantine: their signature did not hold.
        quarantined: u64,
        /// Deliveries in this machine's spool, which the database does not know yet.
        spooled: u64,
        /// Whether the ids of links are proven, for the provider or simulator that the ledger's client calls;
        /// without a client for the one that made the latest link: `unproven`, `proven`, or `ignored`, since a
        /// person has switched their check off. See `Ledger.set_link_id_check`.
        link_ids: String,
    }
}

/// What `receive` did with a delivery. Where there is one, the delivery would survive a power cut.
///
/// It holds a verified event, and so cannot be constructed or pickled.
#[pyclass(frozen, module = "kazawallet")]
pub(crate) struct Receipt {
    /// The verified event. **Its status, currency and ref are not signed**: go by the decision.
    #[pyo3(get)]
    event: Py<PaymentEvent>,
    /// What the ledger made of it: `paid`, `timed_out`, or what waits for a person: `mismatch`, `no_order`,
    /// `overpaid`; `dismissed` where one said so already; `conflict` where it contradicts the first
    /// delivery of its order id; `spooled` where the database could not be reached.
    #[pyo3(get)]
    decision: String,
    /// Whether the same delivery was received before. Then nothing was changed.
    #[pyo3(get)]
    duplicate: bool,
    /// The field that does not fit, where the decision is `mismatch` or `conflict`.
    #[pyo3(get)]
    problem: Option<String>,
    /// Whether the ids of links were proven when it was decided: `unproven`, `proven`, or `ignored`, since a
    /// person had switched their check off; see `Ledger.set_link_id_check`. `None` of one that is in the
    /// spool, or that a former version decided.
    #[pyo3(get)]
    link_ids: Option<String>,
    /// The ref of the order whose link the signed id is, if the problem is `ref` and it is another order's
    /// than the delivery says.
    #[pyo3(get)]
    link_ref: Option<String>,
    /// Whether a person is to look at it: the ledger could not decide it alone (`mismatch`, `no_order`,
    /// `overpaid`), or it contradicts what was decided (`conflict`).
    #[pyo3(get)]
    waits_for_person: bool,
}

#[pymethods]
impl Receipt {
    /// What was stored or sent elsewhere could be forged there: the ledger has it, under its order id.
    fn __reduce_ex__(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = protocol;
        Err(PyTypeError::new_err(
            "a Receipt cannot be pickled, since it holds an event: give on the `order_id`, and ask \
             the ledger for its `payment`",
        ))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shown = |text: &str| -> PyResult<String> {
            Ok(text.into_pyobject(py)?.repr()?.to_string_lossy().into_owned())
        };
        let optional = |text: Option<&str>| text.map_or_else(|| Ok("None".to_owned()), shown);
        Ok(format!(
            "Receipt(order_id={}, decision={}, duplicate={}, problem={}, link_ids={})",
            shown(self.event.get().core.order_id())?,
            shown(&self.decision)?,
            if self.duplicate { "True" } else { "False" },
            optional(self.problem.as_deref())?,
            optional(self.link_ids.as_deref())?,
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

/// What the ledger's crate answers, as Python has it.
pub(crate) trait Told: Send + 'static {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

impl Told for () {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }
}

impl Told for bool {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.into_pyobject(py)?.to_owned().into_any().unbind())
    }
}

impl Told for u64 {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.into_pyobject(py)?.into_any().unbind())
    }
}

impl<T: Told> Told for Option<T> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.map_or_else(|| Ok(py.None()), |value| value.into_python(py))
    }
}

impl<T: Told> Told for Vec<T> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let list = PyList::empty(py);
        for each in self {
            list.append(each.into_python(py)?)?;
        }
        Ok(list.into_any().unbind())
    }
}

impl Told for ledger::Receipt {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let receipt = Receipt {
            waits_for_person: self.waits_for_person(),
            event: Py::new(py, PaymentEvent { core: self.event })?,
            decision: self.decision.to_string(),
            duplicate: self.duplicate,
            problem: self.problem,
            link_ids: self.link_ids.map(|link_ids| link_ids.to_string()),
            link_ref: self.link_ref,
        };
        Ok(Py::new(py, receipt)?.into_any())
    }
}

/// A record of the crate, field by field.
macro_rules! told {
    ($name:ident, $record:ident => { $($field:ident: $value:expr,)* }) => {
        impl Told for ledger::$name {
            fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                let $record = self;
                Ok(Py::new(py, $name { $($field: $value,)* })?.into_any())
            }
        }
    };
}

told!(OrderLink, link => {
    url: link.url,
    id: link.id,
    r#ref: link.reference,
    state: link.state.to_string(),
});

told!(OrderRecord, order => {
    r#ref: order.reference,
    amount: Exact(order.amount),
    currency: order.currency,
    state: order.state.to_string(),
    url: order.url,
    link_id: order.link_id,
    paid_by: order.paid_by,
    created_at: order.created_at,
    link_at: order.link_at,
    paid_at: order.paid_at,
});

impl From<ledger::Payment> for Payment {
    fn from(payment: ledger::Payment) -> Self {
        Self {
            is_paid: payment.is_paid(),
            order_id: payment.order_id,
            r#ref: payment.reference,
            amount: Exact(payment.amount),
            currency: payment.currency,
            status: payment.status,
            decision: payment.decision.to_string(),
            problem: payment.problem,
            link_ids: payment.link_ids.map(|link_ids| link_ids.to_string()),
            link_ref: payment.link_ref,
            received_at: payment.received_at,
            processing: payment.processing.map(|processing| processing.to_string()),
            tries: payment.tries,
            last_error: payment.last_error,
            body: payment.body,
        }
    }
}

impl Told for ledger::Payment {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, Payment::from(self))?.into_any())
    }
}

told!(Conflict, conflict => {
    order_id: conflict.order_id,
    problem: conflict.problem,
    r#ref: conflict.reference,
    amount: Exact(conflict.amount),
    currency: conflict.currency,
    status: conflict.status,
    received_at: conflict.received_at,
});

told!(Payout, payout => {
    reference: payout.reference,
    state: payout.state.to_string(),
    amount: Exact(payout.amount),
    currency: payout.currency,
    payment_method: payout.payment_method,
    status: payout.status,
    message: payout.message,
    details: payout.details,
    created_at: payout.created_at,
    deadline: payout.deadline,
    changed_at: payout.changed_at,
});

told!(PersonDecision, decision => {
    at: decision.at,
    by: decision.by,
    action: decision.action,
    subject: decision.subject,
    decision: decision.decision,
    r#ref: decision.reference,
    note: decision.note,
});

impl<T: ToString> From<BTreeMap<T, u64>> for Counts {
    fn from(counts: BTreeMap<T, u64>) -> Self {
        Self(counts.into_iter().map(|(text, count)| (text.to_string(), count)).collect())
    }
}

told!(Summary, summary => {
    orders: summary.orders.into(),
    payments: summary.payments.into(),
    processing: summary.processing.into(),
    payouts: summary.payouts.into(),
    conflicts: summary.conflicts,
    quarantined: summary.quarantined,
    spooled: summary.spooled,
    link_ids: summary.link_ids.to_string(),
});
