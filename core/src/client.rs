//! The client and its builder.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Method, Url};

use crate::connections::{ConnectOptions, Connections};
use crate::credentials::{self, ApiKey, ApiSecret};
use crate::deposits::Deposits;
use crate::error::Error;
use crate::payment_links::PaymentLinks;
use crate::raw_request::RawRequest;
use crate::session::{CredentialHeaders, Session};
use crate::urls::check_base_url;
use crate::wallets::Wallets;
use crate::webhook::Webhook;
use crate::withdrawals::Withdrawals;

/// The provider's address (documented).
const DEFAULT_BASE_URL: &str = "https://outdoor.kasroad.com/wallet";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_MAX_RETRIES: u32 = 2;
/// Keys of the simulator begin so. They are worth nothing, and may travel in clear.
const SIMULATOR_KEY_PREFIX: &str = "sim_";

/// A merchant's connection to the Kazawallet API.
///
/// It is cheap to clone and to share between threads and tasks, and keeps its connections alive.
/// Make one and keep it. Calls must run inside a tokio runtime: outside of one they fail with a
/// [`Configuration`](crate::ErrorKind::Configuration) error.
///
/// ```no_run
/// # async fn example() -> Result<(), kazawallet::Error> {
/// use kazawallet::{Client, CreatePaymentLink};
///
/// let client = Client::builder("81A107141716").merchant_email("shop@example.com").build()?;
/// let link = client
///     .payment_links()
///     .create(CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42"))
///     .await?;
/// println!("send the customer to {}", link.url);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// tokio itself panics where a call runs in a runtime that was built without I/O or time (for a
/// payout on the payout's own task, which gives an error); `#[tokio::main]` and `enable_all` have
/// both.
///
/// # What it does on its own
/// - TLS is always verified; nothing turns that off. Redirects are not followed, so that a key
///   never travels to another host.
/// - A failed try is repeated where that cannot move money twice; see [`ClientBuilder::max_retries`].
/// - A withdrawal or a deposit always opens a connection of its own, and once begun runs to its
///   end even when the future is dropped.
/// - One `tracing` span a call, `kazawallet.call`, with endpoint, attempt, status, duration and
///   outcome. No key, no secret and no person's data is in it.
#[derive(Clone)]
pub struct Client {
    session: Arc<Session>,
}

impl Client {
    /// Starts a client for a merchant's API key. Nothing is read from the environment.
    pub fn builder(key: impl Into<ApiKey>) -> ClientBuilder {
        ClientBuilder { api_key: Some(key.into()), ..ClientBuilder::default() }
    }

    /// A client from `KAZAWALLET_API_KEY`, `KAZAWALLET_API_SECRET`, `KAZAWALLET_MERCHANT_EMAIL`
    /// and `KAZAWALLET_BASE_URL`. Only the first must be set.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::default().env_defaults().build()
    }

    /// Payment links: what a customer pays through.
    pub fn payment_links(&self) -> PaymentLinks<'_> {
        PaymentLinks::new(&self.session)
    }

    /// Withdrawals: paying out of the merchant's wallet.
    pub fn withdrawals(&self) -> Withdrawals<'_> {
        Withdrawals::new(&self.session)
    }

    /// The merchant's balances.
    pub fn wallets(&self) -> Wallets<'_> {
        Wallets::new(&self.session)
    }

    /// Deposits into a user's wallet.
    pub fn deposits(&self) -> Deposits<'_> {
        Deposits::new(&self.session)
    }

    /// A request to an endpoint that this crate does not know, such as the virtual cards'.
    ///
    /// The path begins with one `/` and is appended to the base URL. The request carries the key
    /// and, where the client has them, the secret and the merchant's email. A `GET` is repeated as
    /// [`wallets`](Self::wallets) is; anything else is taken to move money, and follows the rule of
    /// [`withdrawals`](Self::withdrawals).
    ///
    /// ```no_run
    /// # async fn example(client: kazawallet::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use kazawallet::Method;
    ///
    /// let response = client
    ///     .request(Method::POST, "/wallet-cards/create")
    ///     .json(&serde_json::json!({ "currency": "USD" }))
    ///     .send()
    ///     .await?;
    /// let card: serde_json::Value = response.json()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: impl Into<String>) -> RawRequest {
        RawRequest::new(self.session.clone(), method, path.into())
    }

    /// The webhook of the client's own key and secret, for the ledger.
    #[doc(hidden)]
    pub fn webhook(&self) -> Result<Webhook, Error> {
        let text = |header: &HeaderValue| header.to_str().unwrap_or_default().to_owned();
        let secret = self.session.required_secret()?;
        Webhook::new(text(&self.session.headers.api_key), text(secret))
    }

    /// The time for a whole call, for the ledger.
    #[doc(hidden)]
    pub fn timeout(&self) -> Duration {
        self.session.timeout
    }

    /// Scheme, host and port of the base URL, for the ledger: what made a link.
    #[doc(hidden)]
    pub fn origin(&self) -> String {
        self.session.base_url.origin().ascii_serialization()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.show("Client", f)
    }
}

/// The options of a [`Client`]. Everything is checked in [`build`](Self::build).
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    api_key: Option<ApiKey>,
    api_secret: Option<ApiSecret>,
    merchant_email: Option<String>,
    base_url: Option<String>,
    timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    max_retries: Option<u32>,
    proxy: Option<String>,
    root_certificates: Vec<u8>,
    app_name: Option<String>,
    language: Option<&'static str>,
}

impl ClientBuilder {
    /// The API secret, which withdrawals, deposits and balances need. Ask the provider's support
    /// for it (documented).
    pub fn api_secret(mut self, secret: impl Into<ApiSecret>) -> Self {
        self.api_secret = Some(secret.into());
        self
    }

    /// The merchant's own email, the one of its Kazawallet account: the `email` of links and
    /// payouts, and the `merchant-email` header.
    pub fn merchant_email(mut self, email: impl Into<String>) -> Self {
        self.merchant_email = Some(email.into());
        self
    }

    /// Another address than the provider's, such as the simulator's. `http` is allowed to a
    /// loopback host, or anywhere with a simulator's key and secret. `localhost` is this machine,
    /// whatever a name server says.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The time for a whole call, all tries included. 30 seconds unless given; each call can give
    /// its own.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The time for one connection to be made, TLS included. 10 seconds unless given.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How often a call is tried again after the first time. 2 unless given; 0 means never.
    ///
    /// A try is repeated, after a pause that grows from half a second to 8 s at random (full
    /// jitter), where it:
    /// - never left this machine: every call;
    /// - was answered with 429: every call, after `Retry-After`;
    /// - was answered with 502, 503 or 504: balances and links;
    /// - broke off after it was sent: balances and links. Balances are read again after any other
    ///   inconclusive answer, too.
    ///
    /// A withdrawal or a deposit that may have left is never repeated: its error is
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown).
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// A proxy (`http`, `https` or `socks5` URL) in place of the system's settings. A loopback
    /// host is never reached through a proxy.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Root certificates, in PEM, to trust besides the system's and the built-in ones.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.root_certificates = pem.as_ref().to_vec();
        self
    }

    /// A name for your application, appended to the user agent.
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.app_name = Some(name.into());
        self
    }

    /// For the packages in other languages that are built on this crate: the language that the user
    /// agent names in place of `rust`.
    pub fn language(mut self, name: &'static str) -> Self {
        self.language = Some(name);
        self
    }

    /// Fills what was not given from the environment: `KAZAWALLET_API_KEY`,
    /// `KAZAWALLET_MERCHANT_EMAIL`, `KAZAWALLET_BASE_URL`, and `KAZAWALLET_API_SECRET` where the
    /// key came from the environment too, since they belong together. A variable that is empty
    /// counts as not set.
    pub fn env_defaults(self) -> Self {
        // What is not Unicode is refused later, by name, where it would else be overlooked.
        self.env_defaults_from(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// As [`env_defaults`](Self::env_defaults), with the variables looked up by a function: for an
    /// environment that is not the process's own, such as a worker thread's in Node.js.
    pub fn env_defaults_from(mut self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| lookup(name).filter(|value| !value.is_empty());
        if self.api_key.is_none() {
            self.api_key = variable("KAZAWALLET_API_KEY").map(ApiKey::from);
            self.api_secret =
                self.api_secret.or_else(|| variable("KAZAWALLET_API_SECRET").map(ApiSecret::from));
        }
        self.merchant_email = self.merchant_email.or_else(|| variable("KAZAWALLET_MERCHANT_EMAIL"));
        self.base_url = self.base_url.or_else(|| variable("KAZAWALLET_BASE_URL"));
        self
    }

    /// Checks the options and makes the client. Nothing is sent.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration), with a message that names the option:
    /// no API key; a key, a secret, an email or an app name that is blank or cannot be an HTTP
    /// header; a merchant email that is no email; a base URL that is not `https` (see
    /// [`base_url`](Self::base_url)) or has a query, a fragment or a user name; a simulator's key
    /// without a simulator's base URL; a time limit of zero; a proxy or root certificates that cannot
    /// be read.
    pub fn build(self) -> Result<Client, Error> {
        let api_key = self.api_key.ok_or_else(|| {
            Error::configuration(
                "no API key: pass one, or set the environment variable KAZAWALLET_API_KEY",
            )
        })?;
        let api_key_header = credential_header("API key", api_key.expose())?;
        let api_secret = self
            .api_secret
            .as_ref()
            .map(|secret| credential_header("API secret", secret.expose()))
            .transpose()?;
        let merchant_email_header =
            self.merchant_email.as_deref().map(merchant_email_header).transpose()?;
        let is_simulators = |text: &str| text.starts_with(SIMULATOR_KEY_PREFIX);
        let simulator_key = is_simulators(api_key.expose());
        let worthless = simulator_key
            && self.api_secret.as_ref().is_none_or(|secret| is_simulators(secret.expose()));
        let base_url =
            check_base_url(self.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL), worthless)?;
        let provider = Url::parse(DEFAULT_BASE_URL);
        if simulator_key && provider.is_ok_and(|url| url.host_str() == base_url.host_str()) {
            return Err(Error::configuration(
                "the API key is a simulator's, and the base URL is the provider's: give the \
                 simulator's, or set KAZAWALLET_BASE_URL",
            ));
        }
        let connect_timeout =
            positive("connect_timeout", self.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT))?;
        let connections = Connections::to(
            &base_url,
            ConnectOptions {
                connect_timeout,
                proxy: self.proxy,
                root_certificates: self.root_certificates,
                user_agent: user_agent(self.language, self.app_name.as_deref())?,
            },
        )?;
        Ok(Client {
            session: Arc::new(Session {
                connections,
                base_url,
                headers: CredentialHeaders {
                    api_key: api_key_header,
                    api_secret,
                    merchant_email: merchant_email_header,
                },
                merchant_email: self.merchant_email,
                connect_timeout,
                timeout: positive("timeout", self.timeout.unwrap_or(DEFAULT_TIMEOUT))?,
                max_retries: self.max_retries.unwrap_or(DEFAULT_MAX_RETRIES),
            }),
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_retries", &self.max_retries)
            .finish_non_exhaustive()
    }
}

fn credential_header(name: &str, text: &str) -> Result<HeaderValue, Error> {
    credentials::check(name, text)?;
    let mut header = header_value(text).ok_or_else(|| {
        Error::configuration(format!(
            "the {name} cannot be sent as an HTTP header: it holds characters other than ASCII"
        ))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Other bytes than ASCII could be sent too, but no two servers read them alike.
fn header_value(text: &str) -> Option<HeaderValue> {
    if text.is_ascii() { HeaderValue::from_str(text).ok() } else { None }
}

fn merchant_email_header(email: &str) -> Result<HeaderValue, Error> {
    if !email.contains('@') {
        return Err(Error::configuration(
            "the merchant email is not an email address: give the address of the merchant's \
             Kazawallet account",
        ));
    }
    credential_header("merchant email", email)
}

fn user_agent(language: Option<&str>, app_name: Option<&str>) -> Result<HeaderValue, Error> {
    let language = language.unwrap_or("rust");
    let mut text = format!("kazawallet-{language}/{}", env!("CARGO_PKG_VERSION"));
    if let Some(name) = app_name {
        if name.trim().is_empty() {
            return Err(Error::configuration("the app name is blank: leave it out, or give one"));
        }
        text = format!("{text} ({name})");
    }
    header_value(&text).ok_or_else(|| {
        Error::configuration("the app name cannot be part of an HTTP header: use plain ASCII")
    })
}

fn positive(option: &str, duration: Duration) -> Result<Duration, Error> {
    if duration.is_zero() {
        return Err(Error::configuration(format!("`{option}` must be longer than zero")));
    }
    Ok(duration)
}
