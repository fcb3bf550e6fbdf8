//! What came in, verified. An event goes over as one string: that is faster than an object.

use std::str::FromStr;

use kazawallet::{Amount, Order, PaymentEvent, WebhookAnswer};
use napi::JsString;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::errors::CoreError;

/// Seven bits a character.
const LENGTH_CHARACTERS: usize = 3;
/// All bits set: there is no such field. No body is as long.
const NO_FIELD: usize = (1 << (7 * LENGTH_CHARACTERS)) - 1;

/// A webhook of the core. As an external it is found quicker than a class's instance.
pub(crate) type Webhook = External<kazawallet::Webhook>;

/// A webhook for a key and a secret.
#[napi(catch_unwind)]
pub fn new_webhook(api_key: String, api_secret: String) -> Either<Webhook, CoreError> {
    made(kazawallet::Webhook::new(api_key, api_secret))
}

/// The same webhook, which accepts an earlier key and secret, too.
#[napi(catch_unwind)]
pub fn with_previous(
    webhook: &Webhook,
    api_key: String,
    api_secret: String,
) -> Either<Webhook, CoreError> {
    made(kazawallet::Webhook::clone(webhook).with_previous(api_key, api_secret))
}

fn made(
    core: std::result::Result<kazawallet::Webhook, kazawallet::Error>,
) -> Either<Webhook, CoreError> {
    match core {
        Ok(core) => Either::A(External::new(core)),
        Err(error) => Either::B(error.into()),
    }
}

/// The event of a genuine delivery, packed.
#[napi(catch_unwind)]
pub fn verify<'env>(
    env: &'env Env,
    webhook: &Webhook,
    body: &[u8],
) -> Result<Either<JsString<'env>, CoreError>> {
    // One look at it: what another thread may change is not to be another body after the check.
    let body = body.to_vec();
    verified(env, webhook, &body)
}

/// The event of a genuine delivery, packed.
#[napi(catch_unwind)]
pub fn verify_text<'env>(
    env: &'env Env,
    webhook: &Webhook,
    body: String,
) -> Result<Either<JsString<'env>, CoreError>> {
    verified(env, webhook, body.as_bytes())
}

fn verified<'env>(
    env: &'env Env,
    webhook: &Webhook,
    body: &[u8],
) -> Result<Either<JsString<'env>, CoreError>> {
    match webhook.verify(body) {
        Ok(event) => packed_string(env, &event).map(Either::A),
        Err(error) => Ok(Either::B(error.into())),
    }
}

/// An event, packed.
pub(crate) fn packed_string<'env>(env: &'env Env, event: &PaymentEvent) -> Result<JsString<'env>> {
    let packed = packed(event);
    // ASCII is Latin-1, too, which need not be decoded.
    if packed.is_ascii() {
        env.create_string_latin1(packed.as_bytes())
    } else {
        env.create_string(packed)
    }
}

/// What the order does not have of the event; `null` where it fits. Only what verifies is an event,
/// so the body is verified again.
#[napi(catch_unwind)]
pub fn match_order(
    webhook: &Webhook,
    body: String,
    amount: String,
    currency: String,
    reference: String,
    order_id: Option<String>,
) -> Option<CoreError> {
    let held = || {
        let order = Order {
            amount: Amount::from_str(&amount)?,
            currency: &currency,
            reference: &reference,
            order_id: order_id.as_deref(),
        };
        webhook.verify(&body)?.match_order(&order).map(drop)
    };
    held().err().map(CoreError::from)
}

/// The fields that the core does not know: names, and values as JSON text.
#[napi(ts_return_type = "[name: string, json: string][]")]
pub fn extra_fields(webhook: &Webhook, body: String) -> Result<Vec<Vec<String>>> {
    let event = webhook.verify(body).map_err(|error| Error::from_reason(error.message()))?;
    let extra = event.extra().iter();
    Ok(extra.map(|(name, value)| vec![name.clone(), value.get().to_owned()]).collect())
}

/// The signature of an amount and an order id.
#[napi(catch_unwind)]
pub fn sign(webhook: &Webhook, amount: String, order_id: String) -> Either<String, CoreError> {
    match Amount::from_delivery(&amount) {
        Ok(amount) => Either::A(webhook.sign(&amount, &order_id)),
        Err(error) => Either::B(error.into()),
    }
}

/// `1` or `0` for fulfilled, the length of each field, the fields, the body.
pub(crate) fn packed(event: &PaymentEvent) -> String {
    let fields = [
        Some(event.order_id()),
        Some(event.amount().as_str()),
        Some(event.status().as_str()),
        event.currency(),
        event.reference(),
    ];
    // What was verified is UTF-8.
    let body = str::from_utf8(event.body()).unwrap_or_default();
    let total: usize = fields.iter().flatten().map(|field| field.len()).sum();
    let header = 1 + LENGTH_CHARACTERS * fields.len();
    let mut packed = String::with_capacity(header + total + body.len());
    packed.push(if event.is_fulfilled() { '1' } else { '0' });
    for field in fields {
        let length = field.map_or(NO_FIELD, characters);
        for place in (0..LENGTH_CHARACTERS).rev() {
            let bits = u8::try_from((length >> (7 * place)) & 0x7f).unwrap_or_default();
            packed.push(char::from(bits));
        }
    }
    packed.extend(fields.into_iter().flatten());
    packed.push_str(body);
    packed
}

/// How long JavaScript finds a text.
fn characters(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// How many bytes a delivery may have.
#[napi(catch_unwind)]
pub fn longest_webhook_body() -> u32 {
    u32::try_from(WebhookAnswer::LONGEST_BODY).unwrap_or(u32::MAX)
}
