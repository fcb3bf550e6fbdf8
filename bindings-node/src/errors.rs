//! The core's errors as data, from which JavaScript makes its own.

use std::error::Error as StdError;
use std::io;

use kazawallet::{Error, ErrorKind, Outcome};
use napi_derive::napi;

/// An error of the core.
#[derive(Default)]
#[napi(object, object_from_js = false)]
pub struct CoreError {
    /// The stable code of its class.
    pub code: String,
    /// What was wrong, what was expected, what to do.
    pub message: String,
    /// `not_sent`, `rejected` or `unknown`.
    pub outcome: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The provider's own key.
    pub key: Option<String>,
    /// The provider's details, as JSON text.
    pub details: Option<String>,
    /// Milliseconds.
    pub retry_after: Option<f64>,
    /// The request's id.
    pub request_id: Option<String>,
    /// The answer's beginning.
    pub body: Option<String>,
    /// The argument, or the webhook's field.
    pub field: Option<String>,
    /// What the order says.
    pub expected: Option<String>,
    /// What the delivery says.
    pub actual: Option<String>,
    /// What the system said.
    pub cause: Option<SystemError>,
}

/// What the system said.
#[napi(object, object_from_js = false)]
pub struct SystemError {
    /// In words.
    pub message: String,
    /// Its name in Node.js, such as `ECONNREFUSED`, where it is one of those that have the same name
    /// on every system.
    pub code: Option<String>,
    /// The system's number, where Node.js knows it by that.
    pub errno: Option<i32>,
}

impl From<Error> for CoreError {
    fn from(error: Error) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        // The core's names are in snake case. Those of the provider's own fields stay as they are.
        let ours = matches!(
            error.kind(),
            ErrorKind::Configuration
                | ErrorKind::Validation
                | ErrorKind::Connection
                | ErrorKind::OrderMismatch
        );
        Self {
            code: error.code().to_owned(),
            message: if ours { named(error.message()) } else { error.message().to_owned() },
            outcome: error.outcome().map(|outcome| outcome.as_str().to_owned()),
            status: error.status(),
            key: text(error.key()),
            details: text(error.details().map(|details| details.get())),
            retry_after: error.retry_after().map(|pause| pause.as_secs_f64() * 1000.0),
            request_id: text(error.request_id()),
            body: text(error.body()),
            field: error
                .field()
                .map(|field| if ours { camel_case(field) } else { field.to_owned() }),
            expected: text(error.expected()),
            actual: text(error.actual()),
            cause: error.source().map(system_error),
        }
    }
}

impl CoreError {
    /// A call that panicked. A payout is not among them: the core tells of its task.
    pub(crate) fn stopped() -> Self {
        let message = "the call stopped before it came to its end: the system may be out of threads or of \
                       memory, or this is a bug of kazawallet";
        Self {
            code: ErrorKind::Connection.code().to_owned(),
            message: message.to_owned(),
            outcome: Some(Outcome::Unknown.as_str().to_owned()),
            ..Self::default()
        }
    }

    /// An argument that only this side can judge, refused as the core refuses the others.
    pub(crate) fn refused(field: &str, problem: impl std::fmt::Display) -> Self {
        Self {
            code: ErrorKind::Validation.code().to_owned(),
            message: format!("`{field}` was refused: {problem}"),
            outcome: Some(Outcome::NotSent.as_str().to_owned()),
            field: Some(field.to_owned()),
            ..Self::default()
        }
    }
}

/// A message whose names, which stand in backticks, are JavaScript's.
fn named(message: &str) -> String {
    let name = |(index, part): (usize, &str)| {
        let is_name = index % 2 == 1 && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_name { camel_case(part) } else { part.to_owned() }
    };
    message.split('`').enumerate().map(name).collect::<Vec<_>>().join("`")
}

pub(crate) fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name + letters.as_str()
    })
}

fn system_error(source: &(dyn StdError + 'static)) -> SystemError {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(source);
    while let Some(error) = next {
        let text = error.to_string();
        if let Some(said) = error.downcast_ref::<io::Error>()
            && let Some(number) = said.raw_os_error()
        {
            // Windows has numbers of its own, of which Node.js knows none.
            let errno = Some(number).filter(|number| cfg!(unix) && *number > 0);
            return SystemError { message: text, code: code(said.kind()), errno };
        }
        if said.last() != Some(&text) {
            said.push(text);
        }
        next = error.source();
    }
    SystemError { message: said.join(": "), code: None, errno: None }
}

fn code(kind: io::ErrorKind) -> Option<String> {
    let code = match kind {
        io::ErrorKind::ConnectionRefused => "ECONNREFUSED",
        io::ErrorKind::ConnectionReset => "ECONNRESET",
        io::ErrorKind::ConnectionAborted => "ECONNABORTED",
        io::ErrorKind::TimedOut => "ETIMEDOUT",
        io::ErrorKind::HostUnreachable => "EHOSTUNREACH",
        io::ErrorKind::NetworkUnreachable => "ENETUNREACH",
        io::ErrorKind::BrokenPipe => "EPIPE",
        _ => return None,
    };
    Some(code.to_owned())
}
