//! What the ledger tells, as JavaScript is told it. Times are milliseconds since 1970.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{SystemTime, UNIX_EPOCH};

use napi_derive::napi;

use crate::errors::camel_case;
use crate::ledger::Ledger;
use crate::reports::Report;
use crate::route::Reception;
use crate::webhook::packed;

/// What a call of the ledger came to: one of these.
#[derive(Default)]
#[napi(object, object_from_js = false)]
pub struct LedgerAnswer {
    /// A ledger that was opened.
    pub opened: Option<Ledger>,
    /// An order's link.
    pub link: Option<OrderLink>,
    /// Orders; none or one where one was asked for.
    pub orders: Option<Vec<OrderRecord>>,
    /// What was done with deliveries.
    pub receipts: Option<Vec<Receipt>>,
    /// Payments; none or one where one was asked for.
    pub payments: Option<Vec<Payment>>,
    /// Deliveries that contradict.
    pub conflicts: Option<Vec<Conflict>>,
    /// Payouts; none or one where one was asked for.
    pub payouts: Option<Vec<Payout>>,
    /// What people decided.
    pub decisions: Option<Vec<PersonDecision>>,
    /// How many there are of everything.
    pub summary: Option<Summary>,
    /// How many it was done to.
    pub count: Option<f64>,
    /// What a delivery is answered.
    pub reception: Option<Reception>,
    /// What a person should hear of a handler's end.
    pub report: Option<Report>,
    /// Whether the handler of a worker that was stopped has ended.
    pub stopped: Option<bool>,
}

/// The link of an order.
#[napi(object, object_from_js = false)]
pub struct OrderLink {
    /// Where to send the customer.
    pub url: String,
    /// The link's id.
    pub id: Option<String>,
    /// The order's ref.
    #[napi(js_name = "ref")]
    pub reference: String,
    /// The order's state.
    pub state: String,
}

/// An order.
#[napi(object, object_from_js = false)]
pub struct OrderRecord {
    /// The merchant's reference.
    #[napi(js_name = "ref")]
    pub reference: String,
    /// What it costs.
    pub amount: String,
    /// The currency's code.
    pub currency: String,
    /// How far it has come.
    pub state: String,
    /// Its link's address.
    pub url: Option<String>,
    /// Its link's id.
    pub link_id: Option<String>,
    /// The order id of the payment that settled it.
    pub paid_by: Option<String>,
    /// When it was first asked for.
    pub created_at: f64,
    /// When its link was made.
    pub link_at: Option<f64>,
    /// When it was paid.
    pub paid_at: Option<f64>,
}

/// What was done with a delivery.
#[napi(object, object_from_js = false)]
pub struct Receipt {
    /// The event, packed.
    pub event: String,
    /// What was made of it.
    pub decision: String,
    /// Whether it was received before.
    pub duplicate: bool,
    /// The field that does not fit.
    pub problem: Option<String>,
    /// Whether the ids of links were proven when it was decided.
    pub link_ids: Option<String>,
    /// The ref of the order whose link the signed id is, where it is another's.
    pub link_ref: Option<String>,
    /// Whether a person is to look at it.
    pub waits_for_person: bool,
}

/// A payment.
#[napi(object, object_from_js = false)]
pub struct Payment {
    /// The payment's identity.
    pub order_id: String,
    /// The ref of its order, or the one that the delivery says.
    #[napi(js_name = "ref")]
    pub reference: Option<String>,
    /// The amount.
    pub amount: String,
    /// The currency.
    pub currency: Option<String>,
    /// The status that the delivery says.
    pub status: String,
    /// What was made of it.
    pub decision: String,
    /// Whether it paid its order.
    pub is_paid: bool,
    /// The field that does not fit.
    pub problem: Option<String>,
    /// Whether the ids of links were proven when it was decided.
    pub link_ids: Option<String>,
    /// The ref of the order whose link the signed id is, where it is another's.
    pub link_ref: Option<String>,
    /// When the delivery came.
    pub received_at: f64,
    /// Where it stands on its way to the handler.
    pub processing: Option<String>,
    /// How often it was handed to a handler.
    pub tries: u32,
    /// How the handler failed the last time.
    pub last_error: Option<String>,
    /// The delivery's body.
    pub body: Option<String>,
}

/// A later delivery that contradicts the first one.
#[napi(object, object_from_js = false)]
pub struct Conflict {
    /// The payment's identity.
    pub order_id: String,
    /// The field in which it differs.
    pub problem: String,
    /// The ref that it says.
    #[napi(js_name = "ref")]
    pub reference: Option<String>,
    /// The amount that it says.
    pub amount: String,
    /// The currency that it says.
    pub currency: Option<String>,
    /// The status that it says.
    pub status: String,
    /// When it came.
    pub received_at: f64,
}

/// A payout.
#[napi(object, object_from_js = false)]
pub struct Payout {
    /// The merchant's reference.
    pub reference: String,
    /// How far it has come.
    pub state: String,
    /// The amount.
    pub amount: String,
    /// The currency's code.
    pub currency: String,
    /// The id of the payment method.
    pub payment_method: String,
    /// The provider's status.
    pub status: Option<String>,
    /// The provider's message.
    pub message: Option<String>,
    /// The recipient's data and the note, as JSON text.
    pub details: Option<String>,
    /// When it was first asked for.
    pub created_at: f64,
    /// Until when it may have left.
    pub deadline: Option<f64>,
    /// When its state became what it is.
    pub changed_at: f64,
}

/// What a person decided.
#[napi(object, object_from_js = false)]
pub struct PersonDecision {
    /// When.
    pub at: f64,
    /// Who.
    pub by: String,
    /// What kind of decision it was.
    pub action: String,
    /// The payout's reference, or the payment's order id; empty for the ids of links.
    pub subject: String,
    /// What.
    pub decision: String,
    /// The ref of the order that a payment was said to pay.
    #[napi(js_name = "ref")]
    pub reference: Option<String>,
    /// Their note.
    pub note: Option<String>,
}

/// How many there are of everything.
#[napi(object, object_from_js = false)]
pub struct Summary {
    /// Orders by their state.
    pub orders: Vec<Count>,
    /// Payments by their decision.
    pub payments: Vec<Count>,
    /// Payments for the handler, by how far they are.
    pub processing: Vec<Count>,
    /// Payouts by their state.
    pub payouts: Vec<Count>,
    /// Deliveries that contradict.
    pub conflicts: f64,
    /// Deliveries in quarantine.
    pub quarantined: f64,
    /// Deliveries in the spool.
    pub spooled: f64,
    /// Whether the ids of links are proven.
    pub link_ids: String,
}

/// How many there are in a state.
#[napi(object, object_from_js = false)]
pub struct Count {
    /// The state.
    pub of: String,
    /// How many.
    pub number: f64,
}

impl From<()> for LedgerAnswer {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<u64> for LedgerAnswer {
    fn from(number: u64) -> Self {
        Self { count: Some(number as f64), ..Self::default() }
    }
}

impl From<kazawallet_ledger::OrderLink> for LedgerAnswer {
    fn from(link: kazawallet_ledger::OrderLink) -> Self {
        let link = OrderLink {
            url: link.url,
            id: link.id,
            reference: link.reference,
            state: link.state.to_string(),
        };
        Self { link: Some(link), ..Self::default() }
    }
}

impl From<kazawallet_ledger::Summary> for LedgerAnswer {
    fn from(summary: kazawallet_ledger::Summary) -> Self {
        let summary = Summary {
            orders: counts(summary.orders),
            payments: counts(summary.payments),
            processing: counts(summary.processing),
            payouts: counts(summary.payouts),
            conflicts: summary.conflicts as f64,
            quarantined: summary.quarantined as f64,
            spooled: summary.spooled as f64,
            link_ids: summary.link_ids.to_string(),
        };
        Self { summary: Some(summary), ..Self::default() }
    }
}

fn counts(counted: BTreeMap<impl Display, u64>) -> Vec<Count> {
    let count =
        |(of, number): (_, u64)| Count { of: ToString::to_string(&of), number: number as f64 };
    counted.into_iter().map(count).collect()
}

/// A kind of record: a list of them, one, or none or one.
macro_rules! answered {
    ($($field:ident: $record:ident,)*) => { $(
        impl From<Vec<kazawallet_ledger::$record>> for LedgerAnswer {
            fn from(records: Vec<kazawallet_ledger::$record>) -> Self {
                let records = records.into_iter().map($record::from).collect();
                Self { $field: Some(records), ..Self::default() }
            }
        }

        impl From<Option<kazawallet_ledger::$record>> for LedgerAnswer {
            fn from(record: Option<kazawallet_ledger::$record>) -> Self {
                Vec::from_iter(record).into()
            }
        }

        impl From<kazawallet_ledger::$record> for LedgerAnswer {
            fn from(record: kazawallet_ledger::$record) -> Self {
                vec![record].into()
            }
        }
    )* };
}

answered! {
    orders: OrderRecord,
    receipts: Receipt,
    payments: Payment,
    conflicts: Conflict,
    payouts: Payout,
    decisions: PersonDecision,
}

impl From<kazawallet_ledger::OrderRecord> for OrderRecord {
    fn from(order: kazawallet_ledger::OrderRecord) -> Self {
        Self {
            reference: order.reference,
            amount: order.amount.as_str().to_owned(),
            currency: order.currency,
            state: order.state.to_string(),
            url: order.url,
            link_id: order.link_id,
            paid_by: order.paid_by,
            created_at: since_1970(order.created_at),
            link_at: order.link_at.map(since_1970),
            paid_at: order.paid_at.map(since_1970),
        }
    }
}

impl From<kazawallet_ledger::Receipt> for Receipt {
    fn from(receipt: kazawallet_ledger::Receipt) -> Self {
        Self {
            event: packed(&receipt.event),
            waits_for_person: receipt.waits_for_person(),
            decision: receipt.decision.to_string(),
            duplicate: receipt.duplicate,
            problem: receipt.problem.as_deref().map(camel_case),
            link_ids: receipt.link_ids.map(|link_ids| link_ids.to_string()),
            link_ref: receipt.link_ref,
        }
    }
}

impl From<kazawallet_ledger::Payment> for Payment {
    fn from(payment: kazawallet_ledger::Payment) -> Self {
        Self {
            is_paid: payment.is_paid(),
            order_id: payment.order_id,
            reference: payment.reference,
            amount: payment.amount.as_str().to_owned(),
            currency: payment.currency,
            status: payment.status,
            decision: payment.decision.to_string(),
            problem: payment.problem.as_deref().map(camel_case),
            link_ids: payment.link_ids.map(|link_ids| link_ids.to_string()),
            link_ref: payment.link_ref,
            received_at: since_1970(payment.received_at),
            processing: payment.processing.map(|processing| processing.to_string()),
            tries: payment.tries,
            last_error: payment.last_error,
            // What was verified is UTF-8.
            body: payment.body.map(|body| String::from_utf8_lossy(&body).into_owned()),
        }
    }
}

impl From<kazawallet_ledger::Conflict> for Conflict {
    fn from(conflict: kazawallet_ledger::Conflict) -> Self {
        Self {
            order_id: conflict.order_id,
            problem: camel_case(&conflict.problem),
            reference: conflict.reference,
            amount: conflict.amount.as_str().to_owned(),
            currency: conflict.currency,
            status: conflict.status,
            received_at: since_1970(conflict.received_at),
        }
    }
}

impl From<kazawallet_ledger::Payout> for Payout {
    fn from(payout: kazawallet_ledger::Payout) -> Self {
        Self {
            reference: payout.reference,
            state: payout.state.to_string(),
            amount: payout.amount.as_str().to_owned(),
            currency: payout.currency,
            payment_method: payout.payment_method,
            status: payout.status,
            message: payout.message,
            details: payout.details,
            created_at: since_1970(payout.created_at),
            deadline: payout.deadline.map(since_1970),
            changed_at: since_1970(payout.changed_at),
        }
    }
}

impl From<kazawallet_ledger::PersonDecision> for PersonDecision {
    fn from(decision: kazawallet_ledger::PersonDecision) -> Self {
        Self {
            at: since_1970(decision.at),
            by: decision.by,
            action: decision.action,
            subject: decision.subject,
            decision: decision.decision,
            reference: decision.reference,
            note: decision.note,
        }
    }
}

fn since_1970(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as f64,
        Err(before) => -(before.duration().as_millis() as f64),
    }
}
