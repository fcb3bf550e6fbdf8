//! Receiving the one webhook that tells of a payment.

mod answer;
mod event;
mod payload;
mod route;
mod signature;

use std::borrow::Cow;
use std::fmt;

pub use answer::WebhookAnswer;
pub use event::{Order, PaymentEvent, Status};
pub use route::{Arrived, Reception, WebhookRoute};

use crate::amount::Amount;
use crate::credentials::{ApiKey, ApiSecret};
use crate::error::{Error, ErrorKind};
use payload::Payload;
use signature::Signer;

/// Verifies the webhook deliveries of one merchant, and signs for tests.
///
/// Build it once and share it: the work that depends on the key and the secret alone is done
/// when it is built.
///
/// ```
/// use kazawallet::{Order, Webhook};
///
/// let webhook = Webhook::new("81A107141716", "888B6B8877F8")?;
/// // The body exactly as it came over the network, before any parser touched it.
/// let body = br#"{"order_id":"pl_8f2a61c1","amount":"10.50","status":"fulfilled",
///     "currency":"USD","ref":"order-42",
///     "secret":"ld0+KSK+nepc7Ua31LKYnGD982/+f5ULWmTN7LJ6QFMNK1OwtdbD9EAUhU1+XArNWC6/V/lUOSmPFLo4AaqyKg=="}"#;
/// let event = webhook.verify(body)?;
/// event.match_order(&Order {
///     amount: "10.50".parse()?,
///     currency: "USD",
///     reference: "order-42",
///     order_id: None,
/// })?;
/// assert!(event.is_fulfilled());
/// # Ok::<(), kazawallet::Error>(())
/// ```
///
/// # What the signature proves
/// It covers the **amount** and the **order id** (documented). It does not cover the status, the
/// currency or the ref, and it has no timestamp: whoever holds one genuine delivery can change
/// those three and send it again. So hold every event against your own order with
/// [`PaymentEvent::match_order`], and let an order id settle one order once.
#[derive(Clone)]
pub struct Webhook {
    current: Signer,
    previous: Vec<Signer>,
}

impl Webhook {
    /// A webhook for one merchant's key and secret.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) where either is blank, holds a control character
    /// or an invisible one, or begins or ends with white space.
    pub fn new(key: impl Into<ApiKey>, secret: impl Into<ApiSecret>) -> Result<Self, Error> {
        Ok(Self { current: Signer::new(key.into(), secret.into())?, previous: Vec::new() })
    }

    /// Accepts what was signed with an earlier key and secret, too, while keys are being rotated.
    /// Never after a leak: whoever has the old secret can sign.
    ///
    /// # Errors
    /// As [`Webhook::new`].
    pub fn with_previous(
        mut self,
        key: impl Into<ApiKey>,
        secret: impl Into<ApiSecret>,
    ) -> Result<Self, Error> {
        self.previous.push(Signer::new(key.into(), secret.into())?);
        Ok(self)
    }

    /// Reads a delivery's body, JSON, form-encoded or multipart/form-data, and checks its signature.
    /// There is no other way to a [`PaymentEvent`].
    ///
    /// The signature is computed over the amount's literal text and compared in constant time. If it
    /// does not hold, it is computed over each exactly equal form with up to eight decimals, since the
    /// provider signs the text that the link was made with (its own code), and then with each previous
    /// key. If the delivery has both an `order_id` and an `id`, and they differ, the one that the
    /// signature covers is the event's, and the other one is in [`extra`](PaymentEvent::extra).
    ///
    /// # Errors
    /// - [`WebhookPayload`](ErrorKind::WebhookPayload): the body is larger than 64 KiB or not
    ///   UTF-8, is neither a JSON object nor form fields, repeats a key, lacks `order_id` (or
    ///   `id`), `secret`, `amount` or `status`, or has a field of the wrong form.
    /// - [`SignatureVerification`](ErrorKind::SignatureVerification): no key that this webhook
    ///   knows signed it. It proves nothing: change no order because of it.
    pub fn verify(&self, body: impl AsRef<[u8]>) -> Result<PaymentEvent, Error> {
        let body = body.as_ref();
        let payload = Payload::read(body)?;
        if self.is_genuine(&payload, &payload.order_id) {
            return Ok(PaymentEvent::from_verified(payload, body));
        }
        if payload.other.as_ref().is_some_and(|other| self.is_genuine(&payload, &other.id)) {
            return Ok(PaymentEvent::from_verified(payload.with_other_id(), body));
        }
        Err(Error::new(
            ErrorKind::SignatureVerification,
            "the delivery's signature does not hold: it was not signed with this API key and \
             secret, or was changed on the way. Answer 401 and change no order because of it; if \
             your own deliveries fail, compare the key and the secret with your Kazawallet profile",
        ))
    }

    /// The `secret` field that the provider would send for an amount and an order id, for tests:
    /// base64 of HMAC-SHA512, keyed with the API secret, over the SHA-256 of
    /// `amount:::order_id:::key` (documented). For the zero of a link that timed out, see
    /// [`Amount::from_delivery`].
    ///
    /// ```
    /// let webhook = kazawallet::Webhook::new("81A107141716", "888B6B8877F8")?;
    /// let secret = webhook.sign(&"10".parse()?, "pl_8f2a61c0");
    /// assert!(secret.starts_with("rtM5C/TeF+dlaVp2"));
    /// # Ok::<(), kazawallet::Error>(())
    /// ```
    pub fn sign(&self, amount: &Amount, order_id: &str) -> String {
        self.current.sign(amount.as_str(), order_id)
    }

    /// The order id and the ref that a body names, whoever sent it: for the ledger, which keeps what
    /// it refuses.
    #[doc(hidden)]
    pub fn unverified_names(body: &[u8]) -> Option<(String, Option<String>)> {
        let payload = Payload::read(body).ok()?;
        Some((payload.order_id.into_owned(), payload.reference.map(Cow::into_owned)))
    }

    fn is_genuine(&self, payload: &Payload<'_>, order_id: &str) -> bool {
        let holds = |signer: &Signer| {
            let over = |amount: &str| signer.matches(amount, order_id, &payload.secret);
            over(payload.amount.as_str()) || payload.amount.equal_forms().any(|form| over(&form))
        };
        holds(&self.current) || self.previous.iter().any(holds)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("previous", &self.previous.len()).finish_non_exhaustive()
    }
}
