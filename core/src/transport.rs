//! One request in, one response out: time limits, the retry rule, what an error says.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use percent_encoding::percent_decode_str;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use tokio::runtime;
use tokio::time::Instant;
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, Span, field};

use crate::backoff::backoff;
use crate::call_watch::CallWatch;
use crate::departure::{Departure, LastMoment, ObservedBody};
use crate::error::{Error, ErrorKind, Outcome};
use crate::mask::Mask;
use crate::response::{self, Cause, Failure, Response};
use crate::session::Session;

const MAX_RESPONSE: usize = 1024 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// A connection that is there takes a request up at once.
const TO_TAKE_UP: Duration = Duration::from_secs(1);
/// Longer than anybody waits, and short enough to add to a clock.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The rows of the retry rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Reads: nothing can happen twice.
    Read,
    /// A payment link: a second one that nobody saw harms nobody.
    Link,
    /// Moves money.
    Payout,
}

impl Policy {
    fn retries(self, cause: Cause) -> bool {
        match (self, cause) {
            (_, Cause::Rejected) => false,
            (_, Cause::NotSent | Cause::RateLimited) => true,
            (Self::Read, _) => true,
            (Self::Link, Cause::Unavailable | Cause::Broke) => true,
            (Self::Link, Cause::Inconclusive) => false,
            (Self::Payout, _) => false,
        }
    }
}

/// Which credentials an endpoint wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Key,
    KeyAndSecret,
    KeySecretAndEmail,
    /// All that the client has.
    Whatever,
}

/// A request that is ready to be sent.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// From the base URL on, with its query.
    pub(crate) path: Cow<'static, str>,
    /// What a trace calls it: never a person's data.
    pub(crate) endpoint: Cow<'static, str>,
    pub(crate) policy: Policy,
    pub(crate) credentials: Credentials,
    pub(crate) json: Option<Bytes>,
}

/// Reads a success; the problem where it cannot be read.
pub(crate) type Reader<T> = fn(&Response, &Url) -> Result<T, &'static str>;

/// A call that is ready to be made: `.await` it.
///
/// Nothing is sent before it is awaited. Dropping it while it runs drops the request, except for a
/// withdrawal or a deposit, which runs to its end on a task of its own.
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<T> {
    session: Arc<Session>,
    request: Result<Request, Error>,
    read: Reader<T>,
    timeout: Option<Duration>,
    watch: CallWatch,
}

impl<T> Call<T> {
    pub(crate) fn new(
        session: &Arc<Session>,
        request: Result<Request, Error>,
        read: Reader<T>,
    ) -> Self {
        let watch = match &request {
            Ok(request) => {
                CallWatch::new(request.endpoint.clone(), request.policy == Policy::Payout)
            }
            Err(_) => CallWatch::new(Cow::default(), false),
        };
        Self { session: session.clone(), request, read, timeout: None, watch }
    }

    /// The time for this call, all tries included, in place of the client's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The last moment at which anything of this call may leave this machine. It is looked at
    /// immediately before the first byte of each try is written; a try that comes later is not
    /// sent. For what remembers across processes that a payout may be on its way.
    pub fn not_after(self, last_moment: SystemTime) -> Self {
        self.watch.leaves_before(LastMoment::at(last_moment));
        self
    }

    /// What the call would send, where its arguments hold. When they do not, awaiting it gives the
    /// error, and nothing is sent.
    #[doc(hidden)]
    pub fn json(&self) -> Option<&[u8]> {
        self.request.as_ref().ok()?.json.as_deref()
    }

    /// A handle that tells how far the call has come, for logs and metrics. It is of use while the
    /// call runs and after its end.
    pub fn watch(&self) -> CallWatch {
        self.watch.clone()
    }
}

impl<T> std::fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let endpoint = self.request.as_ref().ok().map(|request| &request.endpoint);
        f.debug_struct("Call").field("endpoint", &endpoint).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> IntoFuture for Call<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let exchange =
                Exchange::prepare(self.session, self.request?, self.timeout, self.watch)?;
            let payout = exchange.request.policy == Policy::Payout;
            let (span, watch) = (exchange.span.clone(), exchange.watch.clone());
            let run = exchange.run(self.read).instrument(span);
            if !payout {
                return run.await;
            }
            // Once begun, a payout must not be stopped half-way by a caller who loses patience.
            let task = tokio::spawn(run.with_current_subscriber());
            watch.runs_on(task.abort_handle());
            task.await.unwrap_or_else(|stopped| {
                if watch.is_abandoned() {
                    return Err(given_up());
                }
                let said = "the call's task was stopped, or panicked, before it came to its end";
                Err(Error::new(ErrorKind::Connection, said)
                    .with_source(stopped)
                    .into_outcome_unknown())
            })
        })
    }
}

/// One call: its tries, within its time.
struct Exchange {
    session: Arc<Session>,
    request: Request,
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
    span: Span,
    watch: CallWatch,
}

impl Exchange {
    fn prepare(
        session: Arc<Session>,
        request: Request,
        timeout: Option<Duration>,
        watch: CallWatch,
    ) -> Result<Self, Error> {
        if runtime::Handle::try_current().is_err() {
            return Err(Error::configuration(
                "no tokio runtime: await the call inside one, with I/O and time enabled",
            ));
        }
        let timeout = timeout.unwrap_or(session.timeout).min(LONGEST_TIMEOUT);
        if timeout.is_zero() {
            return Err(Error::validation("timeout", "it must be longer than zero"));
        }
        let headers = headers(&session, &request)?;
        let url = url_of(&session.base_url, &request)?;
        let span = tracing::info_span!(
            "kazawallet.call",
            endpoint = %request.endpoint,
            attempt = field::Empty,
            status = field::Empty,
            duration_ms = field::Empty,
            outcome = field::Empty,
        );
        // It is made from here on, also where its task has yet to begin and nobody waits any more.
        watch.tries(1);
        Ok(Self { session, request, url, headers, timeout, span, watch })
    }

    async fn run<T>(self, read: Reader<T>) -> Result<T, Error> {
        let start = Instant::now();
        self.watch.begins(start);
        let result = self.tries(start + self.timeout, read).await;
        let duration = start.elapsed();
        let outcome = match &result {
            Ok(_) => Some("ok"),
            Err(error) => error.outcome().map(Outcome::as_str),
        };
        self.watch.ends(duration, outcome.unwrap_or_default());
        self.span.record("duration_ms", u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        self.span.record("outcome", outcome);
        result
    }

    async fn tries<T>(&self, deadline: Instant, read: Reader<T>) -> Result<T, Error> {
        let mut attempt: u32 = 1;
        // An earlier try may have been carried out although the last one never left.
        let mut may_have_happened = false;
        let mut departure = self.watch.next_departure();
        loop {
            let Some(left) = departure else {
                let error = given_up();
                return Err(if may_have_happened { error.after_an_earlier_try() } else { error });
            };
            self.watch.tries(attempt);
            self.span.record("attempt", attempt);
            let mut failure = match self.try_once(attempt, deadline, &left, read).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            // What the last try says is of that one alone: the earlier one may have made a link.
            let of_this_try_alone = failure.cause == Cause::NotSent
                || (self.request.policy == Policy::Link
                    && failure.error.outcome() == Some(Outcome::Rejected));
            if of_this_try_alone && may_have_happened {
                failure.error = failure.error.after_an_earlier_try();
            }
            may_have_happened |= failure.error.outcome() == Some(Outcome::Unknown);

            let pause = failure
                .error
                .retry_after()
                .unwrap_or_else(|| backoff(FIRST_PAUSE, LONGEST_PAUSE, attempt));
            let in_time = Instant::now().checked_add(pause).is_some_and(|then| then < deadline);
            let again = self.request.policy.retries(failure.cause)
                && attempt <= self.session.max_retries
                && in_time;
            if !again {
                return Err(failure.error);
            }
            // From here on, too, nothing of the next try has left.
            departure = self.watch.next_departure();
            if departure.is_some() {
                tokio::time::sleep(pause).await;
            }
            attempt += 1;
        }
    }

    async fn try_once<T>(
        &self,
        attempt: u32,
        deadline: Instant,
        left: &Departure,
        read: Reader<T>,
    ) -> Result<T, Failure> {
        let result = tokio::time::timeout_at(deadline, self.answer(attempt, left)).await;
        let mut failure = match result {
            Ok(Ok(response)) => match self.read(&response, read) {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            },
            Ok(Err(failure)) => failure,
            Err(_) => timed_out(left, self.timeout),
        };
        if self.request.policy == Policy::Payout
            && (failure.error.outcome() == Some(Outcome::Unknown)
                || response::proves_nothing_of_a_payout(failure.error.status()))
        {
            failure.cause = Cause::Inconclusive;
            failure.error = failure.error.into_outcome_unknown();
        }
        Err(failure)
    }

    fn read<T>(&self, response: &Response, read: Reader<T>) -> Result<T, Failure> {
        response::judge(response, || self.mask())?;
        read(response, &self.url).map_err(|problem| response::unreadable(response, problem))
    }

    /// Sends the request and reads the whole answer.
    async fn answer(&self, attempt: u32, left: &Departure) -> Result<Response, Failure> {
        // A connection from the pool may have gone stale unnoticed. A payout must not meet one,
        // since its outcome would be unknown; and a second try should not meet another.
        let fresh = self.request.policy == Policy::Payout || attempt > 1;
        let sending = self
            .session
            .connections
            .http(fresh)
            .request(self.request.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .body(reqwest::Body::wrap(ObservedBody {
                data: self.request.json.clone(),
                left: left.clone(),
            }))
            .send();
        let limit = self.session.connect_timeout.saturating_add(TO_TAKE_UP);
        let Some(sent) = left.within(limit, sending).await else {
            return Err(not_taken_up(limit, &self.url));
        };
        let mut response = sent.map_err(|error| unanswered(error, left, &self.url))?;
        self.watch.is_answered(response.status().as_u16());
        self.span.record("status", response.status().as_u16());

        let too_long = |response: &reqwest::Response, read: &[u8]| {
            let partial = Response::new(
                response.status().as_u16(),
                response.headers(),
                Bytes::copy_from_slice(read),
            );
            response::unreadable(&partial, "it is larger than 1 MiB")
        };
        let mut body = BytesMut::new();
        if response.content_length().is_some_and(|length| length > MAX_RESPONSE as u64) {
            return Err(too_long(&response, &body));
        }
        while let Some(chunk) =
            response.chunk().await.map_err(|error| unanswered(error, left, &self.url))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_RESPONSE {
                return Err(too_long(&response, &body));
            }
        }
        Ok(Response::new(response.status().as_u16(), response.headers(), body.freeze()))
    }

    fn mask(&self) -> Mask<'_> {
        let credentials = self.headers.values().filter(|value| value.is_sensitive());
        let query = self.url.query_pairs().map(|(name, value)| {
            if value.is_empty() { name.into_owned() } else { value.into_owned() }
        });
        // Below its first segment a raw request's path may name a person, but for plain words.
        let path = self.request.path.split('?').next().unwrap_or_default();
        let words = |part: &&str| part.chars().all(|c| c.is_ascii_alphabetic() || "-_".contains(c));
        let below = path.split('/').skip(2).filter(|part| !words(part));
        let segments = below.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
        Mask {
            body: self.request.json.as_deref().unwrap_or_default(),
            others: credentials
                .filter_map(|value| value.to_str().ok().map(str::to_owned))
                .chain(query)
                .chain(segments)
                .collect(),
        }
    }
}

fn url_of(base: &Url, request: &Request) -> Result<Url, Error> {
    match &request.path {
        // An endpoint's, which can be put in place: reading the host again for each call costs time.
        Cow::Borrowed(path) => {
            let mut url = base.clone();
            url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
            Ok(url)
        }
        Cow::Owned(path) => Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/')))
            .map_err(|error| Error::validation("path", "it cannot be read").with_source(error)),
    }
}

fn given_up() -> Error {
    Error::new(ErrorKind::Connection, "the call was given up, and nothing was sent")
        .with_outcome(Outcome::NotSent)
}

fn headers(session: &Session, request: &Request) -> Result<HeaderMap, Error> {
    let known = &session.headers;
    let (secret, email) = match request.credentials {
        Credentials::Key => (None, None),
        Credentials::KeyAndSecret => (Some(session.required_secret()?), None),
        Credentials::KeySecretAndEmail => {
            (Some(session.required_secret()?), Some(session.required_email_header()?))
        }
        Credentials::Whatever => (known.api_secret.as_ref(), known.merchant_email.as_ref()),
    };
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if request.json.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert("x-api-key", known.api_key.clone());
    if let Some(secret) = secret {
        headers.insert("x-api-secret", secret.clone());
    }
    if let Some(email) = email {
        headers.insert("merchant-email", email.clone());
    }
    Ok(headers)
}

fn timed_out(left: &Departure, timeout: Duration) -> Failure {
    let error = |said: &str| {
        Error::new(ErrorKind::Timeout, format!("no answer within {timeout:?}: {said}"))
    };
    if left.happened() {
        Failure {
            cause: Cause::Inconclusive,
            error: error("the request was sent, and may have been carried out")
                .with_outcome(Outcome::Unknown),
        }
    } else {
        Failure {
            cause: Cause::NotSent,
            error: error("no connection was made, and nothing was sent")
                .with_outcome(Outcome::NotSent),
        }
    }
}

/// A request that no connection has begun to write.
fn not_taken_up(limit: Duration, url: &Url) -> Failure {
    let server = url.authority();
    let said =
        format!("no connection to {server} took the request within {limit:?}; nothing was sent");
    let error = Error::new(ErrorKind::Timeout, said).with_outcome(Outcome::NotSent);
    Failure { cause: Cause::NotSent, error }
}

/// A try to which the network gave no whole answer.
fn unanswered(error: reqwest::Error, left: &Departure, url: &Url) -> Failure {
    // The URL of a raw request may hold a person's data.
    let error = error.without_url();
    let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Connection };
    let (cause, outcome, said) = if left.happened() {
        let said = "the connection broke after the request was sent".to_owned();
        (Cause::Broke, Outcome::Unknown, said)
    } else {
        let server = url.authority(); // Host and port: a base URL has no user name.
        let said = format!("no connection to {server} could be made; nothing was sent");
        (Cause::NotSent, Outcome::NotSent, said)
    };
    let mut message = format!("{said}: {}", root_cause(&error));
    if is_certificate_error(&error) {
        message.push_str(
            ". The server's certificate is not trusted; verification cannot be turned off. If a \
             proxy or a firewall of yours has its own root certificate, add it to the system's or \
             pass it as `root_certificates`",
        );
    }
    let error = Error::new(kind, message).with_outcome(outcome).with_source(error);
    Failure { cause, error }
}

/// An error and all that it came from. An I/O error hides what it wraps: its source is its inner
/// error's source.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let below = |error: &&'a (dyn StdError + 'static)| {
        let error: &'a (dyn StdError + 'static) = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    };
    std::iter::successors(Some(error), below)
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn is_certificate_error(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| {
        matches!(cause.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)))
    })
}
