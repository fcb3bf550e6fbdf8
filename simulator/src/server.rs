//! Listening, serving, stopping; and the guards that every request passes first.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State as FromState};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use kazawallet::Webhook;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::delivery::Courier;
use crate::state::State;
use crate::{Error, api, checkout, dashboard, page};

/// The longest body that is read.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// What no handler changes.
pub(crate) struct Settings {
    pub(crate) api_key: String,
    pub(crate) api_secret: String,
    pub(crate) default_merchant: String,
    pub(crate) control_token: String,
    /// Where it listens, with the port that the system picked.
    pub(crate) address: SocketAddr,
    /// Names by which it may be called besides its loopback ones.
    pub(crate) allowed_hosts: Vec<String>,
    /// The PEM of the root that a client must trust; with it the simulator serves TLS.
    pub(crate) root_certificate: Option<String>,
}

impl Settings {
    /// `https`, or `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.root_certificate.is_some() { "https" } else { "http" }
    }
}

/// Everything that handlers and deliveries share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) webhook: Webhook,
    pub(crate) courier: Courier,
    pub(crate) started: Instant,
    state: Mutex<State>,
    /// Deliveries under way; `None` once stopped.
    tasks: Mutex<Option<JoinSet<()>>>,
    runtime: Handle,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        webhook: Webhook,
        courier: Courier,
        state: State,
    ) -> Self {
        Self {
            settings,
            webhook,
            courier,
            started: Instant::now(),
            state: Mutex::new(state),
            tasks: Mutex::new(Some(JoinSet::new())),
            runtime: Handle::current(),
        }
    }

    /// The state. Never held across an `await`, so that each change is whole.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task that ends with the simulator at the latest.
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = tasks.as_mut().ok_or(Error::Stopped)?;
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(task, &self.runtime);
        Ok(())
    }

    /// Takes the tasks away; from then on none is started.
    pub(crate) fn take_tasks(&self) -> Option<JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Where programs on this machine reach the simulator.
    pub(crate) fn origin(&self) -> String {
        let mut address = self.settings.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
                IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            });
        }
        format!("{}://{address}", self.settings.scheme())
    }

    /// Whether a `Host` header is one of the simulator's own. A page whose name was pointed at
    /// this machine (DNS rebinding) carries another one.
    fn is_own_host(&self, host: &str) -> bool {
        let address = self.settings.address;
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => match port.parse() {
                Ok(port) => (name, port),
                Err(_) => return false,
            },
            _ if self.settings.root_certificate.is_some() => (host, 443),
            _ => (host, 80),
        };
        let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let literal = bracketed.unwrap_or(name).parse::<IpAddr>().ok();
        if self.settings.allowed_hosts.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return true;
        }
        let is_localhost = name.eq_ignore_ascii_case("localhost");
        if !address.ip().is_loopback() && (literal.is_some() || is_localhost) {
            // Bound to a network on purpose, perhaps behind a mapped port. An attack by DNS
            // needs a name of its own, so an address is safe.
            return true;
        }
        let loopback = is_localhost || literal.is_some_and(|ip| ip.is_loopback());
        loopback && port == address.port()
    }
}

/// The host under which the request came, one of the simulator's own.
#[derive(Clone)]
pub(crate) struct OwnHost(pub(crate) String);

/// Cuts the request's connection.
#[derive(Clone)]
pub(crate) struct Cut(Arc<Notify>);

impl Cut {
    /// Drops the TCP connection; whoever waits for an answer sees it close.
    pub(crate) fn now(&self) {
        self.0.notify_one();
    }

    /// Drops the TCP connection, and with it the handler that waits here.
    pub(crate) async fn instead_of_answering(&self) -> Response {
        self.now();
        std::future::pending().await
    }
}

pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(page::welcome))
        .route("/style.css", get(page::style))
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .route("/wallet/{*path}", any(api::answer))
        .route("/pay/{id}", get(checkout::show).post(checkout::submit))
        .route("/pay/{id}/return", get(checkout::back))
        .route("/__simulator/", get(dashboard::show))
        .route("/__simulator/deliveries/{id}", get(dashboard::show_delivery))
        .route("/__simulator/api/{name}", get(dashboard::read).post(dashboard::control))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), guard))
        .with_state(Arc::clone(shared))
}

/// Lets pass only what is addressed to the simulator, and nothing that another site's page sends.
async fn guard(
    FromState(shared): FromState<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    // A browser always says which host it means, so that what does not is no page's request. Only
    // HTTP/1.0 may leave it out.
    let host =
        if request.version() == Version::HTTP_10 && !request.headers().contains_key(header::HOST) {
            shared.settings.address.to_string()
        } else {
            one_header(request.headers(), &header::HOST).unwrap_or_default().to_owned()
        };
    let named = request.uri().authority().map(|authority| authority.as_str().to_owned());
    if !shared.is_own_host(&host) || named.is_some_and(|named| named != host) {
        let said = "This is a local simulator, and it does not answer to this host name.\n";
        return (StatusCode::MISDIRECTED_REQUEST, said).into_response();
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let origin = request.headers().get(header::ORIGIN);
    let foreign = |origin: &HeaderValue| {
        let own = format!("{}://{host}", shared.settings.scheme());
        !origin.as_bytes().eq_ignore_ascii_case(own.as_bytes())
    };
    // A page can send a GET without an origin, as an image; its browser says where it comes from.
    // Played as a request to the API it would use up a fault and fill the record.
    let to_the_api = request.uri().path().starts_with("/wallet/");
    let site = one_header(request.headers(), &HeaderName::from_static("sec-fetch-site"));
    let from_a_page = to_the_api && site.is_some_and(|site| site != "none");
    if from_a_page || (changes && origin.is_some_and(foreign)) {
        let said = "This request comes from a page of another site.\n";
        return (StatusCode::FORBIDDEN, said).into_response();
    }
    request.extensions_mut().insert(OwnHost(host));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut always = |name: HeaderName, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    always(header::CACHE_CONTROL, "no-store");
    always(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    always(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    always(header::X_FRAME_OPTIONS, "DENY");
    // Not `no-referrer`: with it a browser sends `Origin: null` with the page's own forms.
    always(header::REFERRER_POLICY, "same-origin");
    response
}

/// A header's text, if it is there exactly once.
pub(crate) fn one_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Accepts connections until told to stop; then every one of them is closed before it returns.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    stop: Arc<Notify>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.notified() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), router.clone()));
                }
                // Out of file handles, most likely: give the others time to close theirs.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    // Without this an answer may wait for 40 ms; where it cannot be set, that is all that happens.
    let _ = stream.set_nodelay(true);
    match tls {
        None => answer_on(stream, router).await,
        Some(tls) => {
            // A client that does not like the certificate goes: that is for the client to tell.
            if let Ok(stream) = tls.accept(stream).await {
                answer_on(stream, router).await;
            }
        }
    }
}

async fn answer_on(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let cut = Arc::new(Notify::new());
    let handle = Cut(Arc::clone(&cut));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(handle.clone());
        let answer = router.call(request);
        async move {
            let response: Result<hyper::Response<Body>, Infallible> = answer.await;
            response
        }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Whatever ends it, the stream is dropped here and so the connection closed.
    tokio::select! {
        _ = serving => {}
        () = cut.notified() => {}
    }
}
