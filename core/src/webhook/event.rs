//! A verified delivery, and holding it against the order it should pay.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

use super::payload::Payload;
use crate::amount::Amount;
use crate::error::Error;

/// A webhook delivery whose signature held. Only [`Webhook::verify`](crate::Webhook::verify)
/// makes one.
///
/// **The signature covers [`amount`](Self::amount) and [`order_id`](Self::order_id) alone.**
/// [`status`](Self::status), [`currency`](Self::currency), [`reference`](Self::reference) and
/// [`extra`](Self::extra) are what the delivery says, and whoever holds a genuine delivery can
/// change them: call [`match_order`](Self::match_order) before you believe it.
#[derive(Clone)]
pub struct PaymentEvent {
    order_id: String,
    amount: Amount,
    status: Status,
    currency: Option<String>,
    reference: Option<String>,
    extra: BTreeMap<String, Box<RawValue>>,
    body: Box<[u8]>,
}

impl PaymentEvent {
    pub(super) fn from_verified(payload: Payload<'_>, body: &[u8]) -> Self {
        Self {
            order_id: payload.order_id.into_owned(),
            amount: payload.amount,
            status: Status::read(payload.status),
            currency: payload.currency.map(Cow::into_owned),
            reference: payload.reference.map(Cow::into_owned),
            extra: payload.extra,
            body: body.into(),
        }
    }

    /// The payment link's id: the payment's identity, which must settle one order once. Signed.
    /// Some deliveries carry it as `id` (seen).
    pub fn order_id(&self) -> &str {
        &self.order_id
    }

    /// The amount paid, as the delivery has it. Signed. May be zero for a link that timed out.
    pub fn amount(&self) -> &Amount {
        &self.amount
    }

    /// Whether the link was paid. **Not signed.**
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// The currency's code. **Not signed.** `None` where the delivery has none.
    pub fn currency(&self) -> Option<&str> {
        self.currency.as_deref()
    }

    /// The `ref` that the link was made with. **Not signed.** `None` where the delivery has none.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Whether the status says that the link was paid. **Not signed**: call
    /// [`match_order`](Self::match_order) first.
    pub fn is_fulfilled(&self) -> bool {
        self.status == Status::Fulfilled
    }

    /// Fields that this version does not know, each as its JSON text on the wire. **Not signed.**
    pub fn extra(&self) -> &BTreeMap<String, Box<RawValue>> {
        &self.extra
    }

    /// The delivery's bytes, exactly as they came.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Holds the event against your order, and returns it where it fits.
    ///
    /// Amounts are compared as exact numbers (`10.5` is `10.50`; not for a link that timed out),
    /// the currency without regard to case, the ref exactly, and the order id where you give it.
    ///
    /// What no signature can tell you: that this order id was not used before. It is the
    /// payment's identity: record it, and let it settle one order once. Otherwise a captured
    /// delivery with an edited ref pays for a second order of the same price.
    ///
    /// ```
    /// use kazawallet::{Order, Webhook};
    ///
    /// let webhook = Webhook::new("key", "secret")?;
    /// let secret = webhook.sign(&"10".parse()?, "pl_1");
    /// let body = format!(
    ///     r#"{{"order_id": "pl_1", "amount": "10", "status": "fulfilled", "currency": "SYP",
    ///         "ref": "order-42", "secret": "{secret}"}}"#
    /// );
    /// let order = Order {
    ///     amount: "10.00".parse()?,
    ///     currency: "USD",
    ///     reference: "order-42",
    ///     order_id: Some("pl_1"),
    /// };
    /// // Genuine, and still not this order's payment: the currency is not signed.
    /// let mismatch = webhook.verify(body)?.match_order(&order).unwrap_err();
    /// assert_eq!(mismatch.field(), Some("currency"));
    /// assert_eq!(mismatch.expected(), Some("USD"));
    /// # Ok::<(), kazawallet::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`OrderMismatch`](crate::ErrorKind::OrderMismatch), with
    /// [`field`](Error::field), [`expected`](Error::expected) and [`actual`](Error::actual), for
    /// the first of `order_id`, `ref`, `currency`, `amount` that does not fit. A currency or ref
    /// that the delivery lacks does not fit.
    pub fn match_order(&self, order: &Order<'_>) -> Result<&Self, Error> {
        let hold = |field, expected: &str, actual: Option<&str>, fits: bool| {
            if fits { Ok(()) } else { Err(Error::mismatch(field, expected, actual)) }
        };
        if let Some(order_id) = order.order_id {
            hold("order_id", order_id, Some(&self.order_id), order_id == self.order_id)?;
        }
        let reference = self.reference();
        hold("ref", order.reference, reference, reference == Some(order.reference))?;
        let currency = self.currency();
        let same_currency = currency.is_some_and(|code| code.eq_ignore_ascii_case(order.currency));
        hold("currency", order.currency, currency, same_currency)?;
        let same_amount = self.status == Status::TimedOut || self.amount == order.amount;
        hold("amount", order.amount.as_str(), Some(self.amount.as_str()), same_amount)?;
        Ok(self)
    }
}

impl fmt::Debug for PaymentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentEvent")
            .field("order_id", &self.order_id)
            .field("amount", &self.amount)
            .field("status", &self.status)
            .field("currency", &self.currency)
            .finish_non_exhaustive()
    }
}

/// What your own records say that a payment must be, for [`PaymentEvent::match_order`].
#[derive(Clone, PartialEq, Eq)]
pub struct Order<'a> {
    /// What the order costs.
    pub amount: Amount,
    /// The currency's code, as the link was made with.
    pub currency: &'a str,
    /// The ref that the link was made with.
    pub reference: &'a str,
    /// The link's id, where it is known: [`PaymentLink::id`](crate::PaymentLink#structfield.id).
    pub order_id: Option<&'a str>,
}

impl fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .field("order_id", &self.order_id)
            .finish_non_exhaustive()
    }
}

/// What a delivery says of its link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// `fulfilled`: the customer paid (documented).
    Fulfilled,
    /// `timed_out`: the link was not paid in time (documented).
    TimedOut,
    /// Any other text, kept as it came. Treat it as not paid.
    Other(String),
}

impl Status {
    fn read(text: Cow<'_, str>) -> Self {
        match &*text {
            "fulfilled" => Self::Fulfilled,
            "timed_out" => Self::TimedOut,
            _ => Self::Other(text.into_owned()),
        }
    }

    /// The status as the wire has it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Fulfilled => "fulfilled",
            Self::TimedOut => "timed_out",
            Self::Other(text) => text,
        }
    }
}

impl From<String> for Status {
    fn from(text: String) -> Self {
        Self::read(Cow::Owned(text))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
