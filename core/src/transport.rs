//! One request in, one response out: TLS, time limits, the retry rule.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::{Future, IntoFuture};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use percent_encoding::percent_decode_str;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime;
use tokio::time::Instant;
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, Span, field};

use crate::client::{Client, is_loopback};
use crate::error::{Error, ErrorKind, Outcome};
use crate::mask::Mask;
use crate::response::{self, Cause, Failure, Response};

const MAX_RESPONSE: usize = 1024 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Port 0 stands for the URL's own.
const THIS_MACHINE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Longer than anybody waits, and short enough to add to a clock.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Shorter than the time for which usual servers and proxies keep a quiet connection.
const KEEP_IDLE: Duration = Duration::from_secs(20);

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
pub(crate) type Reader<T> = fn(&Response) -> Result<T, &'static str>;

/// A call that is ready to be made: `.await` it.
///
/// Nothing is sent before it is awaited. Dropping it while it runs drops the request, except for a
/// withdrawal or a deposit, which runs to its end on a task of its own.
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<T> {
    client: Client,
    request: Result<Request, Error>,
    read: Reader<T>,
    timeout: Option<Duration>,
}

impl<T> Call<T> {
    pub(crate) fn new(client: &Client, request: Result<Request, Error>, read: Reader<T>) -> Self {
        Self { client: client.clone(), request, read, timeout: None }
    }

    /// The time for this call, all tries included, in place of the client's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
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
            let exchange = Exchange::prepare(self.client, self.request?, self.timeout)?;
            let payout = exchange.request.policy == Policy::Payout;
            let span = exchange.span.clone();
            let run = exchange.run(self.read).instrument(span);
            if !payout {
                return run.await;
            }
            // Once begun, a payout must not be stopped half-way by a caller who loses patience.
            let task = tokio::spawn(run.with_current_subscriber());
            task.await.unwrap_or_else(|stopped| {
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
    client: Client,
    request: Request,
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
    span: Span,
}

impl Exchange {
    fn prepare(client: Client, request: Request, timeout: Option<Duration>) -> Result<Self, Error> {
        if runtime::Handle::try_current().is_err() {
            return Err(Error::configuration(
                "no tokio runtime: await the call inside one, with I/O and time enabled",
            ));
        }
        let timeout = timeout.unwrap_or(client.inner().timeout).min(LONGEST_TIMEOUT);
        if timeout.is_zero() {
            return Err(Error::validation("timeout", "it is zero; it must be longer"));
        }
        let headers = headers(&client, &request)?;
        let base = client.inner().base_url.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}{}", request.path))
            .map_err(|error| Error::validation("path", "it cannot be read").with_source(error))?;
        let span = tracing::info_span!(
            "kazawallet.call",
            endpoint = %request.endpoint,
            attempt = field::Empty,
            status = field::Empty,
            duration_ms = field::Empty,
            outcome = field::Empty,
        );
        Ok(Self { client, request, url, headers, timeout, span })
    }

    async fn run<T>(self, read: Reader<T>) -> Result<T, Error> {
        let start = Instant::now();
        let result = self.tries(start + self.timeout, read).await;
        let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.span.record("duration_ms", milliseconds);
        match &result {
            Ok(_) => self.span.record("outcome", "ok"),
            Err(error) => self.span.record("outcome", error.outcome().map(Outcome::as_str)),
        };
        result
    }

    async fn tries<T>(&self, deadline: Instant, read: Reader<T>) -> Result<T, Error> {
        let mut attempt: u32 = 1;
        // An earlier try may have been carried out although the last one never left.
        let mut may_have_happened = false;
        loop {
            self.span.record("attempt", attempt);
            let mut failure = match self.try_once(attempt, deadline, read).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if failure.cause == Cause::NotSent && may_have_happened {
                failure.error = failure.error.after_an_earlier_try();
            }
            may_have_happened |= failure.error.outcome() == Some(Outcome::Unknown);

            let pause = failure.error.retry_after().unwrap_or_else(|| backoff(attempt));
            let in_time = Instant::now().checked_add(pause).is_some_and(|then| then < deadline);
            let again = self.request.policy.retries(failure.cause)
                && attempt <= self.client.inner().max_retries
                && in_time;
            if !again {
                return Err(failure.error);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn try_once<T>(
        &self,
        attempt: u32,
        deadline: Instant,
        read: Reader<T>,
    ) -> Result<T, Failure> {
        let left = Departure::default();
        let result = tokio::time::timeout_at(deadline, self.answer(attempt, &left)).await;
        let mut failure = match result {
            Ok(Ok(response)) => {
                self.span.record("status", response.status());
                match self.read(&response, read) {
                    Ok(value) => return Ok(value),
                    Err(failure) => failure,
                }
            }
            Ok(Err(failure)) => failure,
            Err(_) => timed_out(&left, self.timeout),
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
        response::judge(response, &self.mask())?;
        read(response).map_err(|problem| response::unreadable(response, problem))
    }

    /// Sends the request and reads the whole answer.
    async fn answer(&self, attempt: u32, left: &Departure) -> Result<Response, Failure> {
        // A connection from the pool may have gone stale unnoticed. A payout must not meet one,
        // since its outcome would be unknown; and a second try should not meet another.
        let fresh = self.request.policy == Policy::Payout || attempt > 1;
        let mut response = self
            .client
            .inner()
            .transport
            .http(fresh)
            .request(self.request.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .body(reqwest::Body::wrap(ObservedBody {
                data: self.request.json.clone(),
                left: left.clone(),
            }))
            .send()
            .await
            .map_err(|error| unanswered(error, left))?;

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
        while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(error, left))? {
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
        // Below its first segment a raw request's path may name a person.
        let path = self.request.path.split('?').next().unwrap_or_default();
        let below = path.split('/').skip(2);
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

fn headers(client: &Client, request: &Request) -> Result<HeaderMap, Error> {
    let known = &client.inner().headers;
    let (secret, email) = match request.credentials {
        Credentials::Key => (None, None),
        Credentials::KeyAndSecret => (Some(required_secret(client)?), None),
        Credentials::KeySecretAndEmail => {
            (Some(required_secret(client)?), Some(required_email_header(client)?))
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

fn required_secret(client: &Client) -> Result<&HeaderValue, Error> {
    client.inner().headers.api_secret.as_ref().ok_or_else(|| {
        Error::validation(
            "api_secret",
            "this call needs it and the client has none: give it when the client is built, or set \
             KAZAWALLET_API_SECRET beside KAZAWALLET_API_KEY. The provider's support hands it out",
        )
    })
}

fn required_email_header(client: &Client) -> Result<&HeaderValue, Error> {
    client.inner().headers.merchant_email.as_ref().ok_or_else(missing_email)
}

/// The merchant's email, for the calls that name it.
pub(crate) fn required_email(client: &Client) -> Result<&str, Error> {
    client.inner().merchant_email.as_deref().ok_or_else(missing_email)
}

fn missing_email() -> Error {
    Error::validation(
        "merchant_email",
        "this call needs it and the client has none: give the email of the merchant's Kazawallet \
         account when the client is built, or set KAZAWALLET_MERCHANT_EMAIL",
    )
}

/// Whether anything of one try may have left this machine. It is settled where it leaves, since
/// an error looks the same before and after; and once only, since the connection writes on a
/// task of its own, perhaps at the very moment at which the caller's time is up.
#[derive(Clone, Default)]
struct Departure(Arc<AtomicU8>);

const HERE: u8 = 0;
const LEFT: u8 = 1;
const CALLED_OFF: u8 = 2;

impl Departure {
    /// Asked before the first byte is written; false where the try was called off.
    fn leaves(&self) -> bool {
        self.settle(LEFT) == LEFT
    }

    /// Asked when the try has failed: whether it had left. If not, it never will.
    fn happened(&self) -> bool {
        self.settle(CALLED_OFF) == LEFT
    }

    fn called_off(&self) -> bool {
        self.0.load(Ordering::SeqCst) == CALLED_OFF
    }

    fn settle(&self, wanted: u8) -> u8 {
        match self.0.compare_exchange(HERE, wanted, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => wanted,
            Err(settled) => settled,
        }
    }
}

/// A request body that a connection takes up just before the first byte of the request is
/// written, and that stops the connection from writing where the try was called off.
struct ObservedBody {
    data: Option<Bytes>,
    left: Departure,
}

#[derive(Debug)]
struct CalledOff;

impl std::fmt::Display for CalledOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the try was called off before it was sent")
    }
}

impl StdError for CalledOff {}

impl Body for ObservedBody {
    type Data = Bytes;
    type Error = CalledOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CalledOff>>> {
        if !self.left.leaves() {
            return Poll::Ready(Some(Err(CalledOff)));
        }
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        // An empty body is never polled: a connection only asks whether it has ended.
        self.data.is_none() && self.left.leaves()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.data {
            Some(data) => SizeHint::with_exact(data.len() as u64),
            // Of no known length, so that the connection polls it and learns of its end.
            None if self.left.called_off() => SizeHint::default(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// The pause before the next try: exponential, with full jitter.
fn backoff(attempt: u32) -> Duration {
    let doubled = 2u32.saturating_pow(attempt.saturating_sub(1));
    let longest = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
    longest.mul_f64(fastrand::f64())
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

/// A try to which the network gave no whole answer.
fn unanswered(error: reqwest::Error, left: &Departure) -> Failure {
    // The URL of a raw request may hold a person's data.
    let error = error.without_url();
    let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Connection };
    let (cause, outcome, said) = if left.happened() {
        (Cause::Broke, Outcome::Unknown, "the connection broke after the request was sent")
    } else {
        (Cause::NotSent, Outcome::NotSent, "no connection could be made; nothing was sent")
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

/// The HTTP clients, which differ only in whether they keep connections.
pub(crate) struct Transport {
    options: HttpOptions,
    kept: Mutex<Kept>,
    fresh: reqwest::Client,
}

/// The client that keeps connections. A connection makes progress only while the runtime that
/// opened it runs, and a call from another one could wait for it in vain: so connections are kept
/// for one runtime, the last that made a call.
struct Kept {
    runtime: Option<runtime::Id>,
    http: reqwest::Client,
}

/// What every HTTP client of a transport is built from.
struct HttpOptions {
    tls: rustls::ClientConfig,
    connect_timeout: Duration,
    user_agent: HeaderValue,
    /// The host, where it is this machine.
    loopback: Option<String>,
    proxy: Option<reqwest::Proxy>,
}

impl HttpOptions {
    fn build(&self, kept_connections: usize) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .http1_only()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(KEEP_IDLE)
            .pool_max_idle_per_host(kept_connections)
            .user_agent(self.user_agent.clone());
        if let Some(host) = &self.loopback {
            // A name server must not lead `localhost` elsewhere: keys go there in clear.
            builder = builder.no_proxy().resolve_to_addrs(host, &THIS_MACHINE);
        } else if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        builder.build().map_err(|error| {
            Error::configuration("the HTTP client cannot be built").with_source(error)
        })
    }
}

/// What of a client's options concerns connections.
pub(crate) struct ConnectOptions {
    pub(crate) connect_timeout: Duration,
    pub(crate) proxy: Option<String>,
    pub(crate) root_certificates: Vec<u8>,
    pub(crate) user_agent: HeaderValue,
}

impl Transport {
    pub(crate) fn connect_to(base_url: &Url, options: ConnectOptions) -> Result<Self, Error> {
        let loopback = base_url.host_str().filter(|_| is_loopback(base_url)).map(str::to_owned);
        let added = added_roots(&options.root_certificates)?;
        let plain = loopback.is_some() && base_url.scheme() == "http";
        let tls = if plain { tls_unused() } else { tls(added) }?;
        let proxy = options.proxy.as_deref().map(read_proxy).transpose()?;
        let options = HttpOptions {
            tls,
            connect_timeout: options.connect_timeout,
            user_agent: options.user_agent,
            loopback,
            proxy,
        };
        let kept = Mutex::new(Kept { runtime: None, http: options.build(usize::MAX)? });
        Ok(Self { kept, fresh: options.build(0)?, options })
    }

    fn http(&self, fresh: bool) -> reqwest::Client {
        let here = runtime::Handle::try_current().ok().map(|runtime| runtime.id());
        if fresh || here.is_none() {
            return self.fresh.clone();
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.runtime.is_some() && kept.runtime != here {
            // It could be built before. Should it fail now, nothing needs to be kept.
            let Ok(http) = self.options.build(usize::MAX) else { return self.fresh.clone() };
            kept.http = http;
        }
        kept.runtime = here;
        kept.http.clone()
    }
}

/// The HTTP library takes any URL here, and passes by a proxy of a kind that it does not know.
fn read_proxy(text: &str) -> Result<reqwest::Proxy, Error> {
    let refused = || {
        Error::configuration(
            "the proxy's URL cannot be used: it should look like http://proxy.example:8080, and \
             begin with http, https, socks5 or socks5h",
        )
    };
    let url = Url::parse(text).map_err(|error| refused().with_source(error))?;
    let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    if !known || url.host_str().is_none_or(str::is_empty) {
        return Err(refused());
    }
    reqwest::Proxy::all(url).map_err(|error| refused().with_source(error.without_url()))
}

fn added_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    if pem.is_empty() {
        return Ok(Vec::new());
    }
    let roots =
        CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|error| {
            Error::configuration(format!("the root certificates cannot be read as PEM: {error}"))
        })?;
    if roots.is_empty() {
        return Err(Error::configuration("the root certificates hold no PEM certificate"));
    }
    Ok(roots)
}

/// Verification by the system's own roots, with Mozilla's built in for images that have none.
fn tls(added: Vec<CertificateDer<'static>>) -> Result<rustls::ClientConfig, Error> {
    let refused = |error: rustls::Error| {
        Error::configuration(format!("the root certificates were refused: {error}"))
            .with_source(error)
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned().chain(added);
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots, provider.clone())
            .map_err(refused)?;
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// For plain HTTP to this machine: reading the system's certificates would be time lost. It
/// trusts nothing.
fn tls_unused() -> Result<rustls::ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::configuration("TLS cannot be set up").with_source(error))?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(body: ObservedBody) -> Option<Result<Frame<Bytes>, CalledOff>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Box::pin(body).as_mut().poll_frame(&mut context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => None,
        }
    }

    fn body(data: Option<&'static [u8]>) -> (ObservedBody, Departure) {
        let left = Departure::default();
        (ObservedBody { data: data.map(Bytes::from_static), left: left.clone() }, left)
    }

    #[test]
    fn what_was_taken_up_has_left() {
        let (with_data, left) = body(Some(b"{}"));
        assert!(!with_data.is_end_stream());
        assert!(matches!(poll(with_data), Some(Ok(_))));
        assert!(left.happened());

        let (empty, left) = body(None);
        assert!(empty.is_end_stream());
        assert!(left.happened());
    }

    /// The connection runs on a task of its own: it may come to the body just after the caller's
    /// time is up and `not_sent` was told.
    #[test]
    fn what_was_called_off_never_leaves() {
        let (with_data, left) = body(Some(b"{}"));
        assert!(!left.happened());
        assert!(matches!(poll(with_data), Some(Err(CalledOff))));
        assert!(!left.happened());

        let (empty, left) = body(None);
        assert!(!left.happened());
        assert!(!empty.is_end_stream());
        assert_eq!(empty.size_hint().exact(), None);
        assert!(matches!(poll(empty), Some(Err(CalledOff))));
    }
}
