//! The one error type: what went wrong, and whether money may have moved.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde_json::value::RawValue;

/// The most bytes of an answer that an error keeps.
#[cfg(feature = "client")]
const BODY_CAP: usize = 4 * 1024;

type Source = Box<dyn StdError + Send + Sync>;

/// What went wrong, with everything that is known of it.
///
/// Look at [`kind`](Error::kind) to tell errors apart, and at [`outcome`](Error::outcome) before
/// repeating a call that moves money:
///
/// ```
/// use kazawallet::{Error, ErrorKind, Outcome};
///
/// fn what_now(error: &Error) -> &'static str {
///     match error.outcome() {
///         Some(Outcome::NotSent | Outcome::Rejected) => "no money moved",
///         Some(Outcome::Unknown) => "look in the wallet before paying again",
///         None => "a webhook was refused",
///     }
/// }
///
/// let error = "10,50".parse::<kazawallet::Amount>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Validation);
/// assert_eq!(error.field(), Some("amount"));
/// assert_eq!(what_now(&error), "no money moved");
/// ```
///
/// Neither `Display` nor `Debug` shows a key, a secret or a person's data. The provider's own
/// message is shown, shortened, with every value that was sent masked in it; the answer's
/// [`body`](Error::body) and [`details`](Error::details) are kept as they came and never shown.
pub struct Error(Box<Parts>);

pub(crate) struct Parts {
    kind: ErrorKind,
    message: String,
    outcome: Option<Outcome>,
    status: Option<u16>,
    key: Option<String>,
    details: Option<Box<RawValue>>,
    retry_after: Option<Duration>,
    request_id: Option<String>,
    body: Option<String>,
    field: Option<String>,
    expected: Option<String>,
    actual: Option<String>,
    source: Option<Source>,
}

/// The class of an [`Error`]. [`code`](ErrorKind::code) is its stable text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A client or a webhook that cannot be built from what it was given; or a call that is awaited
    /// outside a tokio runtime.
    Configuration,
    /// An argument that was refused before anything was sent; [`Error::field`] names it.
    Validation,
    /// No answer came: the connection failed. Never for a payout that may have left.
    Connection,
    /// No answer came in time. Never for a payout that may have left.
    Timeout,
    /// A withdrawal or a deposit was sent and no conclusive answer came: a time-out, a broken
    /// connection, a 5xx, 408 or 3xx, an answer that is unreadable, over-long or contradicts itself.
    /// Money may have moved: look in the wallet before doing it again.
    OutcomeUnknown,
    /// The provider said no, in a way that has no class of its own. A 408 is one whose outcome is
    /// unknown.
    Api,
    /// 401: the key or the secret is wrong.
    Authentication,
    /// 403: the key may not do this.
    PermissionDenied,
    /// 404, or the key `USER_NOT_FOUND`: no Kazawallet account has that email.
    NotFound,
    /// 429: too many calls; [`Error::retry_after`] says how long to wait, where the provider did.
    RateLimit,
    /// The key `USER_IS_BLOCK_DU_TO_CHANGING_THE_IP`: the account was blocked because calls came
    /// from a new address. The provider's support must allow the server's address.
    AccountBlocked,
    /// 5xx: the provider failed, and may have acted first.
    Server,
    /// An answer that cannot be read, that contradicts itself or that redirects, to a call that moves
    /// no money.
    UnexpectedResponse,
    /// A webhook body that cannot be read; [`Error::field`] names the field, where it is one.
    WebhookPayload,
    /// A webhook whose signature does not hold. It proves nothing: change no order because of it.
    SignatureVerification,
    /// A genuine webhook that does not fit the order it was held against.
    OrderMismatch,
    /// The ledger's database cannot be reached, was lost, or was locked for too long.
    LedgerUnavailable,
    /// The ledger's disk is full.
    LedgerFull,
    /// The ledger's database, or the folder it is in, cannot be written.
    LedgerReadOnly,
    /// The ledger's database was made by a newer version of this software.
    LedgerVersion,
    /// The ledger's database is damaged, or is not one.
    LedgerDamaged,
    /// What was asked of the ledger does not fit what it has recorded.
    LedgerState,
    /// The ledger has no such order, payment or payout.
    LedgerNotFound,
}

impl ErrorKind {
    /// The stable lower-case code, the same in every language.
    pub fn code(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Validation => "validation",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Api => "api",
            Self::Authentication => "authentication",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::RateLimit => "rate_limit",
            Self::AccountBlocked => "account_blocked",
            Self::Server => "server",
            Self::UnexpectedResponse => "unexpected_response",
            Self::WebhookPayload => "webhook_payload",
            Self::SignatureVerification => "signature_verification",
            Self::OrderMismatch => "order_mismatch",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::LedgerFull => "ledger_full",
            Self::LedgerReadOnly => "ledger_read_only",
            Self::LedgerVersion => "ledger_version",
            Self::LedgerDamaged => "ledger_damaged",
            Self::LedgerState => "ledger_state",
            Self::LedgerNotFound => "ledger_not_found",
        }
    }
}

/// Whether a call that failed may have moved money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nothing left this machine. Calling again is safe.
    NotSent,
    /// The provider answered no. Nothing happened.
    Rejected,
    /// Bytes may have left and no conclusive answer was read. It may have happened.
    Unknown,
}

impl Outcome {
    /// `not_sent`, `rejected` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Error {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable lower-case code of the class, such as `outcome_unknown`.
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// Whether money may have moved. `None` for the webhook side, which sends nothing.
    pub fn outcome(&self) -> Option<Outcome> {
        self.0.outcome
    }

    /// The HTTP status of the answer, or the error's own status where one came inside a 2xx.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The provider's own key, such as `USER_NOT_FOUND`.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// What was wrong, what was expected, what to do.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The `details` of the provider's error, as JSON text. May hold personal data.
    pub fn details(&self) -> Option<&RawValue> {
        self.0.details.as_deref()
    }

    /// How long the provider asked to wait before the next call.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The request's id, where the answer carried one in `x-request-id`, `x-correlation-id` or
    /// `cf-ray`. Give it to the provider's support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The first 4 KiB of the answer, as it came. May hold personal data.
    pub fn body(&self) -> Option<&str> {
        self.0.body.as_deref()
    }

    /// The argument or the webhook field that is at fault.
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// What the order says, for an [`OrderMismatch`](ErrorKind::OrderMismatch).
    pub fn expected(&self) -> Option<&str> {
        self.0.expected.as_deref()
    }

    /// What the delivery says, for an [`OrderMismatch`](ErrorKind::OrderMismatch); `None` where
    /// it says nothing.
    pub fn actual(&self) -> Option<&str> {
        self.0.actual.as_deref()
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: message.into(),
            outcome: None,
            status: None,
            key: None,
            details: None,
            retry_after: None,
            request_id: None,
            body: None,
            field: None,
            expected: None,
            actual: None,
            source: None,
        }))
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, message).with_outcome(Outcome::NotSent)
    }

    pub(crate) fn validation(field: &str, reason: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Validation, format!("`{field}` was refused: {reason}"))
            .with_outcome(Outcome::NotSent)
            .with_field(field)
    }

    #[cfg(feature = "client")]
    pub(crate) fn missing(field: &str, why: &str) -> Self {
        Self::new(ErrorKind::Validation, format!("`{field}` is missing: {why}"))
            .with_outcome(Outcome::NotSent)
            .with_field(field)
    }

    pub(crate) fn payload(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::WebhookPayload, message)
    }

    pub(crate) fn mismatch(field: &str, expected: &str, actual: Option<&str>) -> Self {
        let said = match actual {
            None => "is missing".to_owned(),
            Some(actual) if field == "amount" => format!("is {actual}, the order's is {expected}"),
            // A ref or an order id may be a person's data, and what is not signed may be anything.
            Some(_) => "is not the order's (see the error's expected and actual)".to_owned(),
        };
        let mut error = Self::new(
            ErrorKind::OrderMismatch,
            format!(
                "the delivery does not fit the order: its `{field}` {said}. Do not fulfil the \
                 order; keep the delivery and look into it"
            ),
        )
        .with_field(field);
        error.0.expected = Some(expected.to_owned());
        error.0.actual = actual.map(str::to_owned);
        error
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = Some(outcome);
        self
    }

    pub(crate) fn with_field(mut self, field: &str) -> Self {
        self.0.field = Some(field.to_owned());
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }
}

/// For the ledger, whose errors are these too.
#[doc(hidden)]
impl Error {
    /// An error of the ledger's own, or one that it recorded of an earlier call.
    pub fn of_ledger(kind: ErrorKind, outcome: Outcome, message: impl Into<String>) -> Self {
        Self::new(kind, message).with_outcome(outcome)
    }

    /// An argument that the ledger refused.
    pub fn refused_by_ledger(field: &str, reason: impl fmt::Display) -> Self {
        Self::validation(field, reason)
    }

    /// A URL or an option that no ledger can be opened with.
    pub fn no_ledger(message: impl Into<String>) -> Self {
        Self::configuration(message)
    }

    /// What the provider had answered, of an error that was recorded.
    pub fn with_recorded_answer(mut self, status: Option<u16>, key: Option<String>) -> Self {
        self.0.status = status;
        self.0.key = key;
        self
    }

    /// What it came from.
    pub fn caused_by(self, source: impl Into<Source>) -> Self {
        self.with_source(source)
    }
}

#[cfg(feature = "client")]
impl Error {
    /// The same failure, of a call that moves money and that may have left.
    pub(crate) fn into_outcome_unknown(mut self) -> Self {
        self.0.message = format!(
            "the request was sent and no conclusive answer came: money may have moved. Look in \
             the wallet before you do it again. What happened: {}",
            self.0.message
        );
        self.0.kind = ErrorKind::OutcomeUnknown;
        self.with_outcome(Outcome::Unknown)
    }

    /// The same failure, which did nothing itself, after a try that may have been carried out.
    pub(crate) fn after_an_earlier_try(mut self) -> Self {
        self.0.message =
            format!("an earlier try may have been carried out; of the last: {}", self.0.message);
        self.with_outcome(Outcome::Unknown)
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_key(mut self, key: Option<String>) -> Self {
        self.0.key = key;
        self
    }

    pub(crate) fn with_details(mut self, details: Option<Box<RawValue>>) -> Self {
        self.0.details = details;
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    pub(crate) fn with_request_id(mut self, request_id: Option<&str>) -> Self {
        self.0.request_id = request_id.map(str::to_owned);
        self
    }

    pub(crate) fn with_body(mut self, body: &[u8]) -> Self {
        // What is not UTF-8 is replaced, which lengthens it: the cap is on what is kept.
        let start = body.get(..BODY_CAP).unwrap_or(body);
        let mut kept = String::from_utf8_lossy(start).into_owned();
        let end = (0..=BODY_CAP).rev().find(|end| kept.is_char_boundary(*end));
        kept.truncate(end.unwrap_or_default());
        self.0.body = Some(kept);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { kind, message, outcome, status, key, retry_after, request_id, field, .. } =
            &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("message", message)
            .field("outcome", outcome)
            .field("status", status)
            .field("key", key)
            .field("retry_after", retry_after)
            .field("request_id", request_id)
            .field("field", field)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
