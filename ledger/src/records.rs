//! What the ledger tells: orders, payments, payouts, decisions.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use kazawallet::{Amount, PaymentEvent};

/// A set of fixed texts, as an enum.
macro_rules! texts {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable lower-case text, the same in every language and in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one with this text.
            pub fn from_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

texts! {
    /// How far an order has come.
    OrderState {
        /// Its terms are recorded; its link is being made, or was not made yet.
        Creating = "creating",
        /// It has a link, and no webhook told of its end.
        Open = "open",
        /// Its link timed out. The next call of `create_payment_link` makes another.
        TimedOut = "timed_out",
        /// One payment settled it.
        Paid = "paid",
    }
}

texts! {
    /// What the ledger made of a delivery.
    Decision {
        /// It fits its order and paid it.
        Paid = "paid",
        /// It tells that a link timed out.
        TimedOut = "timed_out",
        /// Genuine, but it does not fit its order: [`Payment::problem`] names the field. A person
        /// decides.
        Mismatch = "mismatch",
        /// Genuine, but no order has its ref. It waits for the order, or for a person.
        NoOrder = "no_order",
        /// It fits an order that another payment has paid already. A person decides.
        Overpaid = "overpaid",
        /// A person said that it pays for nothing.
        Dismissed = "dismissed",
        /// Its order id is known, and it says something else than the first delivery did. It is
        /// kept, and changes nothing.
        Conflict = "conflict",
        /// The database could not be reached: its bytes are in the spool, and are decided later.
        Spooled = "spooled",
    }
}

impl Decision {
    pub(crate) const fn waits_for_person(self) -> bool {
        match self {
            Self::Mismatch | Self::NoOrder | Self::Overpaid | Self::Conflict => true,
            Self::Paid | Self::TimedOut | Self::Dismissed | Self::Spooled => false,
        }
    }
}

texts! {
    /// Whether a delivery must carry the id of a link that is known.
    ///
    /// That the id which the provider answers when a link is made is the one that its webhook carries is
    /// likely, and documented nowhere. So the ledger learns it. A delivery with another order's link id
    /// is a `mismatch` of the `ref` from the start; one with an id that is no known link's is held
    /// against its order's terms alone until the ids are proven.
    LinkIds {
        /// No payment has carried the id of its own order's link yet.
        Unproven = "unproven",
        /// A payment came whose id is a link of its own order, and whose amount and currency fit. From
        /// then on a delivery with an unknown id is a `mismatch` of the `order_id`. The proof counts for
        /// the scheme, host and port that made the link: a simulator's for the simulator.
        Proven = "proven",
        /// A person has switched the check off, with
        /// [`set_link_id_check`](crate::Ledger::set_link_id_check).
        Ignored = "ignored",
    }
}

texts! {
    /// Where a payment stands on its way to the merchant's handler.
    Processing {
        /// It is to be handed to the handler, now or at a later time.
        Waiting = "waiting",
        /// The handler has dealt with it.
        Done = "done",
        /// The handler failed too often: [`Payment::last_error`] says how.
        Parked = "parked",
    }
}

texts! {
    /// How far a payout has come.
    PayoutState {
        /// It is certain that nothing has left: asking again sends it.
        NotSent = "not_sent",
        /// A process is sending it, until [`Payout::deadline`] at the latest.
        Sending = "sending",
        /// The provider accepted it, or a person saw that it was paid. Final.
        Paid = "paid",
        /// The provider refused it. Final.
        Rejected = "rejected",
        /// It may have been paid. A person looks in the wallet and says so with `resolve`.
        Unknown = "unknown",
        /// A person saw that it was not paid. Final.
        NotPaid = "not_paid",
    }
}

texts! {
    /// What a person says of a payout whose outcome is unknown.
    Resolution {
        /// The wallet shows it.
        Paid = "paid",
        /// The wallet does not show it.
        NotPaid = "not_paid",
    }
}

texts! {
    /// What a person says of a payment that the ledger could not decide.
    Settlement {
        /// It pays an order.
        Paid = "paid",
        /// It pays for nothing; the money was given back, or the matter was settled elsewhere.
        Dismissed = "dismissed",
    }
}

/// The link of an order, to send the customer to.
#[derive(Clone)]
#[non_exhaustive]
pub struct OrderLink {
    /// Where to send the customer.
    pub url: String,
    /// The link's id, which is very likely the webhook's `order_id`, see [`LinkIds`]; `None` if the
    /// provider's answer had none.
    pub id: Option<String>,
    /// The order's ref.
    pub reference: String,
    /// The order's state: `Open`, or `Paid` where the customer has paid already.
    pub state: OrderState,
}

/// An order: what it must cost, and what became of it.
#[derive(Clone)]
#[non_exhaustive]
pub struct OrderRecord {
    /// The merchant's reference.
    pub reference: String,
    /// What it costs, as it was given.
    pub amount: Amount,
    /// The currency's code, in capitals.
    pub currency: String,
    /// How far it has come.
    pub state: OrderState,
    /// Its link's address, where it has one.
    pub url: Option<String>,
    /// Its link's id, where it is known.
    pub link_id: Option<String>,
    /// The order id of the payment that settled it.
    pub paid_by: Option<String>,
    /// When it was first asked for.
    pub created_at: SystemTime,
    /// When its link was made.
    pub link_at: Option<SystemTime>,
    /// When it was paid, as far as the ledger knows.
    pub paid_at: Option<SystemTime>,
}

/// What [`Ledger::receive`](crate::Ledger::receive) did with a delivery. Where there is one, the
/// delivery would survive a power cut.
#[derive(Clone)]
#[non_exhaustive]
pub struct Receipt {
    /// The verified event. **Its status, currency and ref are not signed**: go by the decision.
    pub event: PaymentEvent,
    /// What the ledger made of it.
    pub decision: Decision,
    /// Whether the same delivery was received before. Then nothing was changed.
    pub duplicate: bool,
    /// The field that does not fit, for [`Decision::Mismatch`] and [`Decision::Conflict`].
    pub problem: Option<String>,
    /// Whether the ids of links were proven when it was decided; `None` of one that is in the spool, or
    /// that a former version decided.
    pub link_ids: Option<LinkIds>,
    /// The ref of the order whose link the signed id is, if the problem is `ref` and it is another
    /// order's than the delivery says.
    pub link_ref: Option<String>,
}

impl Receipt {
    /// Whether a person is to look at it: the ledger could not decide it alone, or it contradicts
    /// what was decided.
    pub const fn waits_for_person(&self) -> bool {
        self.decision.waits_for_person()
    }
}

/// A payment as the ledger knows it: the first genuine delivery of an order id, and what was made
/// of it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Payment {
    /// The payment's identity. Signed.
    pub order_id: String,
    /// The ref of the order that it settled; else the one that the delivery says, **not signed**.
    pub reference: Option<String>,
    /// The amount. Signed.
    pub amount: Amount,
    /// The currency that the delivery says. Where the decision is `Paid`, it is the order's.
    pub currency: Option<String>,
    /// The status that the delivery says, `fulfilled` or `timed_out`. **Not signed**: go by the
    /// decision.
    pub status: String,
    /// What was made of it.
    pub decision: Decision,
    /// The field that does not fit, for [`Decision::Mismatch`].
    pub problem: Option<String>,
    /// Whether the ids of links were proven when it was decided; `None` if a former version decided it.
    pub link_ids: Option<LinkIds>,
    /// The ref of the order whose link the signed id is, if the problem is `ref` and it is another
    /// order's than the delivery says.
    pub link_ref: Option<String>,
    /// When the delivery came.
    pub received_at: SystemTime,
    /// Where it stands on its way to the handler; `None` where it is not for the handler.
    pub processing: Option<Processing>,
    /// How often it was handed to a handler, this time included.
    pub tries: u32,
    /// How the handler failed the last time.
    pub last_error: Option<String>,
    /// The delivery's bytes, as they came; `None` once they were erased with `forget`.
    pub body: Option<Vec<u8>>,
}

impl Payment {
    /// Whether it paid its order. Otherwise what is handed to a handler is a link that timed out.
    pub fn is_paid(&self) -> bool {
        self.decision == Decision::Paid
    }
}

/// A later delivery that contradicts the first one of its order id.
#[derive(Clone)]
#[non_exhaustive]
pub struct Conflict {
    /// The payment's identity. Signed.
    pub order_id: String,
    /// The field in which it differs.
    pub problem: String,
    /// The ref that it says. Not signed.
    pub reference: Option<String>,
    /// The amount that it says. Signed.
    pub amount: Amount,
    /// The currency that it says. Not signed.
    pub currency: Option<String>,
    /// The status that it says. Not signed.
    pub status: String,
    /// When it came.
    pub received_at: SystemTime,
}

/// A payout as the ledger knows it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Payout {
    /// The merchant's reference: the payout's identity.
    pub reference: String,
    /// How far it has come.
    pub state: PayoutState,
    /// The amount, as it was given.
    pub amount: Amount,
    /// The currency's code, in capitals.
    pub currency: String,
    /// The id of the payment method.
    pub payment_method: String,
    /// The provider's status, such as `approved`.
    pub status: Option<String>,
    /// The provider's message, or what its error said.
    pub message: Option<String>,
    /// The recipient's data and the note, for the person who looks in the wallet: JSON text. `None`
    /// once erased with `forget`.
    pub details: Option<String>,
    /// When it was first asked for.
    pub created_at: SystemTime,
    /// Until when it may have left, of the last time that it was sent.
    pub deadline: Option<SystemTime>,
    /// When its state became what it is.
    pub changed_at: SystemTime,
}

/// What a person decided, kept for ever.
#[derive(Clone)]
#[non_exhaustive]
pub struct PersonDecision {
    /// When.
    pub at: SystemTime,
    /// Who.
    pub by: String,
    /// `resolve`, `settle`, `retry` or `link_ids`.
    pub action: String,
    /// The payout's reference, or the payment's order id; empty for `link_ids`.
    pub subject: String,
    /// What: `paid`, `not_paid`, `dismissed`, `waiting` for a retry, `ignored` or `checked` for the ids of
    /// links.
    pub decision: String,
    /// The ref of the order that a payment was said to pay.
    pub reference: Option<String>,
    /// Their note; `None` where there was none, or once it was erased with `forget`.
    pub note: Option<String>,
}

/// How many there are of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Orders by their state.
    pub orders: BTreeMap<OrderState, u64>,
    /// Payments by their decision.
    pub payments: BTreeMap<Decision, u64>,
    /// Payments for the handler, by how far they are.
    pub processing: BTreeMap<Processing, u64>,
    /// Payouts by their state.
    pub payouts: BTreeMap<PayoutState, u64>,
    /// Deliveries that contradict the first one of their order id.
    pub conflicts: u64,
    /// Deliveries in quarantine: their signature did not hold.
    pub quarantined: u64,
    /// Deliveries in this machine's spool, which the database does not know yet.
    pub spooled: u64,
    /// Whether the ids of links are proven, for the provider or simulator that the ledger's client
    /// calls; without a client for the one that made the latest link.
    pub link_ids: LinkIds,
}

impl fmt::Debug for OrderLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What follows the path may be a person's data, and so may a ref.
        let shown = self.url.split(['?', '#']).next().unwrap_or_default();
        f.debug_struct("OrderLink")
            .field("url", &shown)
            .field("id", &self.id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OrderRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderRecord")
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .field("state", &self.state)
            .field("link_id", &self.link_id)
            .field("paid_by", &self.paid_by)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("order_id", &self.event.order_id())
            .field("decision", &self.decision)
            .field("duplicate", &self.duplicate)
            .field("problem", &self.problem)
            .field("link_ids", &self.link_ids)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payment")
            .field("order_id", &self.order_id)
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .field("decision", &self.decision)
            .field("problem", &self.problem)
            .field("processing", &self.processing)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflict")
            .field("order_id", &self.order_id)
            .field("problem", &self.problem)
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Payout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payout")
            .field("state", &self.state)
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .field("payment_method", &self.payment_method)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PersonDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonDecision")
            .field("at", &self.at)
            .field("action", &self.action)
            .field("decision", &self.decision)
            .finish_non_exhaustive()
    }
}
