//! What a webhook's route answers, the same in every framework and language.

use super::payload::MAX_BODY;
use crate::error::ErrorKind;

/// The status and the JSON body with which a route answers a webhook delivery.
///
/// The bodies are short, and the same whatever was wrong in detail: an attacker learns nothing.
/// The provider calls once, whatever the answer (documented); the status is for people who read logs.
///
/// ```
/// use kazawallet::{ErrorKind, WebhookAnswer};
///
/// assert_eq!(WebhookAnswer::RECEIVED.status, 200);
/// let answer = WebhookAnswer::to_error(ErrorKind::SignatureVerification);
/// assert_eq!((answer.status, answer.body), (401, r#"{"error":"signature_verification"}"#));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as `application/json`.
    pub body: &'static str,
}

impl WebhookAnswer {
    /// 200: the delivery is stored, or was dealt with.
    pub const RECEIVED: Self = Self { status: 200, body: r#"{"received":true}"# };
    /// 405: it is no `POST`. Answer with the header `Allow: POST`.
    pub const METHOD_NOT_ALLOWED: Self =
        Self { status: 405, body: r#"{"error":"method_not_allowed"}"# };
    /// 413: the body is larger than [`LONGEST_BODY`](Self::LONGEST_BODY).
    pub const BODY_TOO_LARGE: Self = Self { status: 413, body: r#"{"error":"body_too_large"}"# };
    /// 500: it could not be stored, or the handler failed.
    pub const NOT_PROCESSED: Self = Self { status: 500, body: r#"{"error":"not_processed"}"# };

    /// How many bytes a delivery may have: 64 KiB.
    pub const LONGEST_BODY: usize = MAX_BODY;

    /// The answer to an error of [`Webhook::verify`](super::Webhook::verify) or of a ledger: 400 where
    /// the body cannot be read, 401 where its signature does not hold, else
    /// [`NOT_PROCESSED`](Self::NOT_PROCESSED).
    pub fn to_error(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::WebhookPayload => {
                Self { status: 400, body: r#"{"error":"webhook_payload"}"# }
            }
            ErrorKind::SignatureVerification => {
                Self { status: 401, body: r#"{"error":"signature_verification"}"# }
            }
            _ => Self::NOT_PROCESSED,
        }
    }
}
