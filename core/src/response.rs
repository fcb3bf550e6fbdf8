//! An answer of the provider, and what it says: yes, no, or nothing that can be relied on.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Outcome};
use crate::mask::Mask;

/// Headers in which a service or the proxy before it puts the request's id.
const REQUEST_ID_HEADERS: [&str; 3] = ["x-request-id", "x-correlation-id", "cf-ray"];
const KEY_USER_NOT_FOUND: &str = "USER_NOT_FOUND";
/// Spelt so by the provider (seen).
const KEY_ACCOUNT_BLOCKED: &str = "USER_IS_BLOCK_DU_TO_CHANGING_THE_IP";

/// The provider's whole answer, as it came.
///
/// Every result keeps it as `raw`, since the provider's answers are half documented: what this
/// crate does not read is still there. Its `Debug` does not show the body, which may hold personal
/// data.
#[derive(Clone)]
pub struct Response {
    status: u16,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    body: Bytes,
}

impl Response {
    pub(crate) fn new(status: u16, headers: &HeaderMap, body: Bytes) -> Self {
        let request_id = REQUEST_ID_HEADERS
            .iter()
            .find_map(|name| headers.get(*name)?.to_str().ok())
            .map(|id| id.chars().take(128).collect());
        let retry_after =
            headers.get(RETRY_AFTER).and_then(|value| read_retry_after(value.to_str().ok()?));
        Self { status, request_id, retry_after, body }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The request's id, where the answer carried one.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The body's bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON, read into a type of yours. Read money into a `String` or a
    /// [`RawValue`], not into a float.
    ///
    /// # Errors
    /// Where the body is not JSON, or is not of that type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The body as a JSON object, its values still text.
    pub(crate) fn object(&self) -> Option<Object<'_>> {
        serde_json::from_slice(&self.body).ok().map(Object)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .field("body_length", &self.body.len())
            .finish()
    }
}

/// Seconds, or an HTTP date.
fn read_retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is as good as never.
        return Some(Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// A JSON object whose values are kept as the text they have on the wire, so that no number
/// passes through a float.
pub(crate) struct Object<'a>(HashMap<String, &'a RawValue>);

impl<'a> Object<'a> {
    /// A value that is there and not null.
    pub(crate) fn value(&self, key: &str) -> Option<&'a RawValue> {
        self.0.get(key).copied().filter(|value| value.get() != "null")
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.value(key).and_then(text).filter(|text| !text.is_empty())
    }

    /// A string that is not empty, or a number as its text.
    pub(crate) fn text_or_number(&self, key: &str) -> Option<String> {
        let value = self.value(key)?;
        match value.get().as_bytes().first()? {
            b'0'..=b'9' | b'-' => Some(value.get().to_owned()),
            _ => self.text(key),
        }
    }

    pub(crate) fn object(&self, key: &str) -> Option<Self> {
        self.value(key).and_then(object)
    }

    /// A list of objects; `None` where it is no list, or holds anything else.
    pub(crate) fn objects(&self, key: &str) -> Option<Vec<Self>> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.value(key)?.get()).ok()?;
        items.into_iter().map(object).collect()
    }

    /// The `success` flag, where it is a flag.
    pub(crate) fn success(&self) -> Option<bool> {
        match self.value("success")?.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Whether it says in any of the known ways that something was done.
    fn says_yes(&self) -> bool {
        let approved = |object: &Self| {
            object.text("status").is_some_and(|status| status.eq_ignore_ascii_case("approved"))
        };
        let payment = self.object("createdPayment");
        self.success() == Some(true)
            || approved(self)
            || payment.is_some_and(|payment| {
                approved(&payment) || payment.text_or_number("transaction_id").is_some()
            })
    }

    /// What an answer about money must say to be a success: a `success` of true or, where it says
    /// nothing of success, one of the other known ways. A word that is not known proves nothing.
    pub(crate) fn check_success(&self) -> Result<(), &'static str> {
        match self.value("success").map(RawValue::get) {
            Some("true") => Ok(()),
            Some(_) => Err("its `success` is neither true nor false"),
            None if self.says_yes() => Ok(()),
            None => Err("it says nothing of success"),
        }
    }

    fn status(&self) -> Option<u16> {
        let status = self.value("status")?.get().parse().ok()?;
        (100..600).contains(&status).then_some(status)
    }

    /// The `error`, unless it is one of the ways to say that there is none.
    fn error(&self) -> Option<&'a RawValue> {
        self.value("error").filter(|error| !matches!(error.get(), "false" | "\"\"" | "{}" | "[]"))
    }
}

fn object(value: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(value.get()).ok().map(Object)
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A try that failed, and why, as far as the retry rule tells failures apart.
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) error: Error,
}

/// The columns of the retry rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It never left this machine.
    NotSent,
    /// 429.
    RateLimited,
    /// 502, 503 or 504.
    Unavailable,
    /// It was sent, and the connection broke before the answer was read.
    Broke,
    /// It was sent, and what came back decides nothing; or nothing came back in time.
    Inconclusive,
    /// A conclusive no.
    Rejected,
}

/// Tells an answer that may be a success from one that is none. Only the latter needs a mask.
pub(crate) fn judge<'a>(
    response: &Response,
    mask: impl FnOnce() -> Mask<'a>,
) -> Result<(), Failure> {
    let object = response.object();
    let error_value = object.as_ref().and_then(Object::error);
    let success = object.as_ref().and_then(Object::success);
    let answered_well = (200..300).contains(&response.status);

    let says_no = error_value.is_some() || success == Some(false);
    if object.as_ref().is_some_and(Object::says_yes)
        && (says_no || (400..500).contains(&response.status))
        && response.status < 500
    {
        return Err(unreadable(response, "it says that it succeeded and that it did not"));
    }
    if answered_well && !says_no {
        return Ok(());
    }

    let mask = mask();
    let error = error_value.and_then(self::object);
    let own_status = error.as_ref().and_then(Object::status);
    let status =
        if answered_well { own_status.unwrap_or(response.status) } else { response.status };
    let details = error.as_ref().and_then(|error| error.value("details"));
    let key = details
        .and_then(self::object)
        .and_then(|details| details.text("key"))
        .or_else(|| error.as_ref()?.text("key"));
    let message = error
        .and_then(|error| error.text("message"))
        .or_else(|| error_value.and_then(text))
        .or_else(|| object?.text("message"))
        .map(|message| mask.shorten(&message));

    let (kind, cause) = classify(status, key.as_deref());
    // A known key is the provider's own word, whatever part of it was sent, too.
    let known = |key: &str| [KEY_USER_NOT_FOUND, KEY_ACCOUNT_BLOCKED].contains(&key);
    let key = key.map(|key| if known(&key) { key } else { mask.shorten(&key) });
    let outcome = if matches!(cause, Cause::Rejected | Cause::RateLimited) {
        Outcome::Rejected
    } else {
        Outcome::Unknown
    };
    let mut said = describe(status, kind, key.as_deref());
    if let Some(message) = message {
        said = format!("{said}. The provider says: {message}");
    }
    let error = about(response, kind, said)
        .with_outcome(outcome)
        .with_status(status)
        .with_key(key)
        .with_details(details.map(ToOwned::to_owned))
        .with_retry_after(response.retry_after);
    Err(Failure { cause, error })
}

/// An answer that decides nothing.
pub(crate) fn unreadable(response: &Response, problem: &str) -> Failure {
    let error = about(
        response,
        ErrorKind::UnexpectedResponse,
        format!(
            "the answer (HTTP {}) cannot be relied on: {problem}. See the error's body for what \
             came",
            response.status
        ),
    );
    Failure { cause: Cause::Inconclusive, error: error.with_outcome(Outcome::Unknown) }
}

fn about(response: &Response, kind: ErrorKind, message: String) -> Error {
    Error::new(kind, message)
        .with_status(response.status)
        .with_request_id(response.request_id())
        .with_body(&response.body)
}

/// A known key decides before the status.
fn classify(status: u16, key: Option<&str>) -> (ErrorKind, Cause) {
    match (key, status) {
        (Some(KEY_USER_NOT_FOUND), _) => (ErrorKind::NotFound, Cause::Rejected),
        (Some(KEY_ACCOUNT_BLOCKED), _) => (ErrorKind::AccountBlocked, Cause::Rejected),
        (_, 401) => (ErrorKind::Authentication, Cause::Rejected),
        (_, 403) => (ErrorKind::PermissionDenied, Cause::Rejected),
        (_, 404) => (ErrorKind::NotFound, Cause::Rejected),
        (_, 429) => (ErrorKind::RateLimit, Cause::RateLimited),
        (_, 502..=504) => (ErrorKind::Server, Cause::Unavailable),
        (_, 500..) => (ErrorKind::Server, Cause::Inconclusive),
        (_, 408) => (ErrorKind::Api, Cause::Inconclusive),
        (_, ..=199 | 300..=399) => (ErrorKind::UnexpectedResponse, Cause::Inconclusive),
        _ => (ErrorKind::Api, Cause::Rejected),
    }
}

fn describe(status: u16, kind: ErrorKind, key: Option<&str>) -> String {
    let known_as = match key {
        Some(key) => format!("HTTP {status}, {key}"),
        None => format!("HTTP {status}"),
    };
    let what = match (kind, key) {
        (ErrorKind::NotFound, Some(KEY_USER_NOT_FOUND)) => {
            "no Kazawallet account has this email: check the merchant email"
        }
        (ErrorKind::AccountBlocked, _) => {
            "the account was blocked because calls came from a new address: ask the provider's \
             support to allow this server's address"
        }
        (ErrorKind::Authentication, _) => {
            "the provider did not accept the credentials: check the API key and the API secret"
        }
        (ErrorKind::PermissionDenied, _) => "the provider does not allow this to this API key",
        (ErrorKind::NotFound, _) => {
            "there is nothing at this address, or by this id: check the base URL and the path"
        }
        (ErrorKind::RateLimit, _) => "too many calls: wait before the next one",
        (ErrorKind::Server, _) => "the provider failed, and may have acted first",
        (ErrorKind::UnexpectedResponse, _) if status < 200 => "the answer is not a final one",
        (ErrorKind::UnexpectedResponse, _) => {
            "the answer is a redirect, which is never followed: check the base URL"
        }
        (_, _) if status == 408 => "the provider did not get the request in time, or says so",
        _ => "the provider refused the request",
    };
    format!("{what} ({known_as})")
}

/// Whether an answer with this status, even one that says no, tells nothing of a payout.
pub(crate) fn proves_nothing_of_a_payout(status: Option<u16>) -> bool {
    matches!(status, Some(408 | ..=199 | 300..=399 | 500..))
}
