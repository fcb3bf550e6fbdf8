//! The connections under a client: TLS and its roots, proxies, and which connections are kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime;

use crate::error::Error;
use crate::urls::is_loopback;

/// Shorter than the time for which usual servers and proxies keep a quiet connection.
const KEEP_IDLE: Duration = Duration::from_secs(20);
/// For how many runtimes connections are kept. A server may have one a worker thread.
const RUNTIMES: usize = 64;
/// Port 0 stands for the URL's own.
const THIS_MACHINE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];

/// The HTTP clients, which differ only in whether they keep connections.
pub(crate) struct Connections {
    options: HttpOptions,
    kept: Mutex<Vec<Kept>>,
    fresh: reqwest::Client,
}

/// A client that keeps connections, and the runtime that it keeps them for. A connection makes
/// progress only while the runtime that opened it runs: a call from another one could wait for it
/// in vain.
struct Kept {
    runtime: runtime::Id,
    http: reqwest::Client,
}

/// What every HTTP client here is built from.
struct HttpOptions {
    tls: rustls::ClientConfig,
    connect_timeout: Duration,
    user_agent: HeaderValue,
    /// The host, where it is this machine.
    loopback: Option<String>,
    /// Whether the base URL is `http`.
    plain: bool,
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
            builder = builder.no_proxy();
            if self.plain {
                // A name server must not lead `localhost` elsewhere: keys go there in clear.
                builder = builder.resolve_to_addrs(host, &THIS_MACHINE);
            }
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

impl Connections {
    pub(crate) fn to(base_url: &Url, options: ConnectOptions) -> Result<Self, Error> {
        let loopback = base_url.host_str().filter(|_| is_loopback(base_url)).map(str::to_owned);
        let added = added_roots(&options.root_certificates)?;
        let plain = base_url.scheme() == "http";
        let tls = if plain && loopback.is_some() { tls_unused() } else { tls(added) }?;
        let proxy = options.proxy.as_deref().map(read_proxy).transpose()?;
        let options = HttpOptions {
            tls,
            connect_timeout: options.connect_timeout,
            user_agent: options.user_agent,
            loopback,
            plain,
            proxy,
        };
        Ok(Self { kept: Mutex::default(), fresh: options.build(0)?, options })
    }

    /// The HTTP client that keeps its connections, or the one that opens a new one each time.
    pub(crate) fn http(&self, fresh: bool) -> reqwest::Client {
        let here = runtime::Handle::try_current().ok().map(|runtime| runtime.id());
        let Some(here) = here.filter(|_| !fresh) else { return self.fresh.clone() };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.iter().find(|kept| kept.runtime == here) {
            return kept.http.clone();
        }
        // The other client could be built. Should this one fail, nothing needs to be kept.
        let Ok(http) = self.options.build(usize::MAX) else { return self.fresh.clone() };
        if kept.len() == RUNTIMES {
            kept.remove(0);
        }
        kept.push(Kept { runtime: here, http: http.clone() });
        http
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
        return Err(Error::configuration(
            "the root certificates hold no PEM certificate: give the certificates themselves, not the \
             path of a file",
        ));
    }
    Ok(roots)
}

/// TLS as the client has it, for the ledger's database.
///
/// # Errors
/// [`Configuration`](crate::ErrorKind::Configuration) where the added root certificates, in PEM,
/// cannot be used.
#[doc(hidden)]
pub fn tls_config(root_certificates: &[u8]) -> Result<rustls::ClientConfig, Error> {
    tls(added_roots(root_certificates)?)
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
