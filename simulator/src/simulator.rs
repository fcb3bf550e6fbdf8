//! Starting, configuring, driving and stopping a simulator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use kazawallet::{Client, PaymentLink, Webhook};
use rust_decimal::Decimal;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::delivery::{self, Courier, Delivery, Trigger};
use crate::dialect::Dialect;
use crate::fault::Fault;
use crate::server::{self, Settings, Shared};
use crate::state::{Link, LinkState, RecordedRequest, State};
use crate::{Error, certificates, money, random};

/// What every key and secret of a simulator begins with; a real one never does.
pub(crate) const KEY_PREFIX: &str = "sim_";

const DEFAULT_MERCHANT: &str = "merchant@example.com";
/// Enough for a payout of either Haram kind.
const DEFAULT_BALANCES: [(&str, &str); 2] = [("USD", "1000.00"), ("SYP", "10000000")];

/// A payment link, as [`Simulator::pay`] takes it: one that the SDK created, its URL or its id.
pub trait CheckoutLink {
    /// The link's URL or id.
    fn url_or_id(&self) -> &str;
}

impl CheckoutLink for PaymentLink {
    fn url_or_id(&self) -> &str {
        &self.url
    }
}

impl CheckoutLink for Link {
    fn url_or_id(&self) -> &str {
        &self.id
    }
}

impl CheckoutLink for str {
    fn url_or_id(&self) -> &str {
        self
    }
}

impl CheckoutLink for String {
    fn url_or_id(&self) -> &str {
        self
    }
}

/// A running simulator. It stops when it is dropped; [`stop`](Simulator::stop) also waits for
/// the end.
pub struct Simulator {
    shared: Arc<Shared>,
    client: Client,
    stop: Arc<Notify>,
    server: Mutex<Option<JoinHandle<()>>>,
}

impl Simulator {
    /// Starts one with fresh keys, a merchant, some balance in USD and SYP, and no webhook URL,
    /// on a free loopback port.
    ///
    /// # Errors
    /// [`Error::Bind`] where no port can be had.
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// Starts one that is configured.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), kazawallet_simulator::Error> {
    /// use kazawallet_simulator::{Fault, Simulator};
    ///
    /// let sim = Simulator::builder()
    ///     .merchant_email("shop@example.com")
    ///     .balance("USD", "250.00")
    ///     .webhook_url("http://127.0.0.1:8000/webhook")
    ///     .fault(Fault::CloseAfterActing)
    ///     .start()
    ///     .await?;
    /// assert_eq!(sim.merchant_email(), "shop@example.com");
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::default()
    }

    /// The base URL for the SDK's `base_url`, such as `http://127.0.0.1:40123/wallet`.
    pub fn url(&self) -> String {
        format!("{}/wallet", self.shared.origin())
    }

    /// With [`tls`](SimulatorBuilder::tls) the PEM of the root certificate that a client must trust, as
    /// with `root_certificates` of the SDK's own; [`client`](Simulator::client) does. Each start has
    /// one of its own.
    pub fn root_certificate(&self) -> Option<&str> {
        self.shared.settings.root_certificate.as_deref()
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.shared.settings.address
    }

    /// The API key; begins with `sim_`.
    pub fn api_key(&self) -> &str {
        &self.shared.settings.api_key
    }

    /// The API secret; begins with `sim_`.
    pub fn api_secret(&self) -> &str {
        &self.shared.settings.api_secret
    }

    /// The default merchant's email.
    pub fn merchant_email(&self) -> &str {
        &self.shared.settings.default_merchant
    }

    /// A client of the SDK that is ready to use against this simulator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A webhook verifier with this simulator's keys.
    pub fn webhook(&self) -> Webhook {
        self.shared.webhook.clone()
    }

    /// The page that shows requests and deliveries. The address holds the control token.
    pub fn dashboard_url(&self) -> String {
        format!("{}/__simulator/?token={}", self.shared.origin(), self.control_token())
    }

    /// The token that every control call wants in its header `x-simulator-token`.
    pub fn control_token(&self) -> &str {
        &self.shared.settings.control_token
    }

    /// Pays a link as the customer would, waits until its webhook was delivered or failed, and
    /// returns the deliveries: one, unless a [`Fault`] says otherwise. One that was not sent
    /// (no webhook URL is set, a fault held it back) is returned too, and its outcome says so.
    ///
    /// # Errors
    /// [`Error::UnknownLink`], [`Error::LinkSettled`], [`Error::BalanceTooLarge`].
    pub async fn pay<L: CheckoutLink + ?Sized>(&self, link: &L) -> Result<Vec<Delivery>, Error> {
        self.settle(link.url_or_id(), LinkState::Paid).await
    }

    /// Lets a link time out, and otherwise does as [`pay`](Simulator::pay).
    ///
    /// # Errors
    /// [`Error::UnknownLink`], [`Error::LinkSettled`].
    pub async fn time_out<L: CheckoutLink + ?Sized>(
        &self,
        link: &L,
    ) -> Result<Vec<Delivery>, Error> {
        self.settle(link.url_or_id(), LinkState::TimedOut).await
    }

    async fn settle(&self, link: &str, as_state: LinkState) -> Result<Vec<Delivery>, Error> {
        Ok(delivery::settle(&self.shared, link, as_state).await?.1)
    }

    /// Sends one signed delivery without a payment link behind it. Faults do not touch it.
    ///
    /// # Errors
    /// [`Error::Configuration`] where the URL is not http or https.
    pub async fn trigger(&self, trigger: Trigger) -> Result<Delivery, Error> {
        delivery::trigger(&self.shared, trigger).await
    }

    /// The webhook deliveries so far, oldest first (the last 10,000).
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.state().deliveries.iter().cloned().collect()
    }

    /// The API requests so far, oldest first (the last 10,000). Checkout and control are not
    /// among them.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.state().requests.iter().cloned().collect()
    }

    /// The payment links so far, oldest first.
    pub fn links(&self) -> Vec<Link> {
        let mut links: Vec<Link> = self.shared.state().links.values().cloned().collect();
        links.sort_by_key(|link| link.number);
        links
    }

    /// The default merchant's balance; zero in a currency it has no wallet for.
    pub fn balance(&self, currency: &str) -> Decimal {
        let state = self.shared.state();
        let wallet = state.merchants.get(&self.shared.settings.default_merchant);
        wallet.and_then(|wallet| wallet.get(currency)).copied().unwrap_or_default()
    }

    /// Arms a fault for the next request (or delivery, as its kind is). Several wait in line.
    ///
    /// # Errors
    /// [`Error::Configuration`] where its value is out of range.
    pub fn fault(&self, fault: Fault) -> Result<(), Error> {
        self.fault_times(fault, 1)
    }

    /// Arms a fault for the next `times` requests (or deliveries).
    ///
    /// # Errors
    /// [`Error::Configuration`] where its value is out of range.
    pub fn fault_times(&self, fault: Fault, times: u32) -> Result<(), Error> {
        self.shared.state().arm(fault, Some(times))
    }

    /// Arms a fault until [`clear_faults`](Simulator::clear_faults).
    ///
    /// # Errors
    /// [`Error::Configuration`] where its value is out of range.
    pub fn fault_until_cleared(&self, fault: Fault) -> Result<(), Error> {
        self.shared.state().arm(fault, None)
    }

    /// Disarms every fault.
    pub fn clear_faults(&self) {
        self.shared.state().disarm(None);
    }

    /// Where deliveries go; `None` for nowhere.
    pub fn webhook_url(&self) -> Option<String> {
        self.shared.state().webhook_url.clone()
    }

    /// Where deliveries go from now on; `None` for nowhere.
    ///
    /// # Errors
    /// [`Error::Configuration`] where it is not an http or https URL.
    pub fn set_webhook_url(&self, url: Option<&str>) -> Result<(), Error> {
        let url = url.map(delivery::checked_url).transpose()?;
        self.shared.state().webhook_url = url;
        Ok(())
    }

    /// The dialect that it speaks.
    pub fn dialect(&self) -> Dialect {
        self.shared.state().dialect
    }

    /// The dialect that it speaks from now on, also for links that are there already.
    pub fn set_dialect(&self, dialect: Dialect) {
        self.shared.state().dialect = dialect;
    }

    /// Stops: no more is accepted, open connections are closed, deliveries under way are given
    /// up, and nothing of it runs any more. Stopping twice does nothing.
    pub async fn stop(&self) {
        self.stop.notify_one();
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            // It ends by itself; that it was aborted or failed would be an end as well.
            let _ = server.await;
        }
        if let Some(mut tasks) = self.shared.take_tasks() {
            tasks.shutdown().await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            server.abort();
        }
        // Dropping the set aborts what is in it.
        drop(self.shared.take_tasks());
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// How a simulator shall be; see [`Simulator::builder`].
#[derive(Clone)]
#[must_use = "nothing runs until start() is awaited"]
pub struct SimulatorBuilder {
    api_key: Option<String>,
    api_secret: Option<String>,
    merchant: String,
    other_merchants: Vec<String>,
    balances: Vec<(String, String)>,
    webhook_url: Option<String>,
    dialect: Dialect,
    delivery_timeout: Duration,
    address: SocketAddr,
    allow_non_loopback: bool,
    allowed_hosts: Vec<String>,
    tls: bool,
    faults: Vec<Fault>,
}

impl Default for SimulatorBuilder {
    fn default() -> Self {
        Self {
            api_key: None,
            api_secret: None,
            merchant: DEFAULT_MERCHANT.to_owned(),
            other_merchants: Vec::new(),
            balances: Vec::new(),
            webhook_url: None,
            dialect: Dialect::default(),
            delivery_timeout: delivery::TIME_LIMIT,
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            allow_non_loopback: false,
            allowed_hosts: Vec::new(),
            tls: false,
            faults: Vec::new(),
        }
    }
}

impl SimulatorBuilder {
    /// A fixed API key instead of a fresh one. It must begin with `sim_`.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// A fixed API secret instead of a fresh one. It must begin with `sim_`.
    pub fn api_secret(mut self, secret: impl Into<String>) -> Self {
        self.api_secret = Some(secret.into());
        self
    }

    /// The default merchant instead of `merchant@example.com`.
    pub fn merchant_email(mut self, email: impl Into<String>) -> Self {
        self.merchant = email.into();
        self
    }

    /// One more merchant that has an account, with the same opening balances.
    pub fn another_merchant(mut self, email: impl Into<String>) -> Self {
        self.other_merchants.push(email.into());
        self
    }

    /// The opening balance in a currency, as plain decimal text. Currencies that are not given
    /// keep their defaults: 1,000 USD and 10,000,000 SYP.
    pub fn balance(mut self, currency: impl Into<String>, amount: impl Into<String>) -> Self {
        self.balances.push((currency.into(), amount.into()));
        self
    }

    /// Where deliveries go.
    pub fn webhook_url(mut self, url: impl Into<String>) -> Self {
        self.webhook_url = Some(url.into());
        self
    }

    /// The dialect that it speaks, instead of [`Dialect::Documented`].
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// How long a delivery waits for its answer before it has failed; 5 seconds by default.
    pub fn delivery_timeout(mut self, limit: Duration) -> Self {
        self.delivery_timeout = limit;
        self
    }

    /// The address to listen on instead of `127.0.0.1:0` (port 0: a free one).
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// The port to listen on; 0 is a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// Allows [`bind`](SimulatorBuilder::bind) to name an address that others on the network
    /// can reach. Then whoever reaches it and has the keys or the token can drive it.
    pub fn allow_non_loopback(mut self) -> Self {
        self.allow_non_loopback = true;
        self
    }

    /// A host name, without port, by which the simulator may be called besides `localhost`:
    /// the name of a container, for example.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.allowed_hosts.push(name.into());
        self
    }

    /// Serves https, with a certificate that is made at the start for the addresses of this machine,
    /// the bound one and each [`allow_host`](SimulatorBuilder::allow_host): for a client that takes no
    /// other. See [`Simulator::root_certificate`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kazawallet_simulator::Simulator;
    ///
    /// let sim = Simulator::builder().tls().start().await?;
    /// assert!(sim.url().starts_with("https://127.0.0.1:"));
    /// sim.client().wallets().list().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Arms a fault from the start, once.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Starts it. It runs on the tokio runtime that this is awaited on.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a setting that cannot be used, [`Error::Bind`] where the
    /// address cannot be bound.
    pub async fn start(self) -> Result<Simulator, Error> {
        if !self.address.ip().is_loopback() && !self.allow_non_loopback {
            return Err(Error::Configuration(format!(
                "{} can be reached from the network; to want that, use `allow_non_loopback` \
                     (--allow-non-loopback)",
                self.address.ip()
            )));
        }
        let api_key = key_or_fresh(self.api_key, "key")?;
        let api_secret = key_or_fresh(self.api_secret, "secret")?;
        let webhook = Webhook::new(api_key.as_str(), api_secret.as_str())?;
        let mut state = State::default();
        state.webhook_url = self.webhook_url.as_deref().map(delivery::checked_url).transpose()?;
        state.dialect = self.dialect;
        let merchant = checked_email(&self.merchant)?;
        let defaults =
            DEFAULT_BALANCES.map(|(currency, amount)| (currency.to_owned(), amount.to_owned()));
        for email in std::iter::once(&self.merchant).chain(&self.other_merchants) {
            let wallet = state.merchants.entry(checked_email(email)?).or_default();
            for (currency, amount) in defaults.iter().chain(&self.balances) {
                let opening = money::balance(amount).ok_or_else(|| {
                    Error::Configuration(format!(
                        "{amount:?} is not a balance in {currency}: write it as 250.00"
                    ))
                })?;
                if !is_currency(currency) {
                    return Err(Error::Configuration(format!(
                        "{currency:?} is not a currency code such as USD"
                    )));
                }
                wallet.insert(currency.clone(), opening);
            }
        }
        for fault in self.faults {
            state.arm(fault, Some(1))?;
        }
        let listener = listen(self.address).map_err(Error::Bind)?;
        let address = listener.local_addr().map_err(Error::Bind)?;
        let (root_certificate, acceptor) = if self.tls {
            let made = certificates::make(certificates::Wanted {
                server: "Kazawallet simulator",
                hosts: certified_hosts(address.ip(), &self.allowed_hosts),
                expired: false,
            })
            .map_err(|error| Error::Configuration(format!("no certificate was made: {error}")))?;
            (Some(made.root), Some(made.acceptor))
        } else {
            (None, None)
        };
        let settings = Settings {
            api_key,
            api_secret,
            default_merchant: merchant,
            control_token: random::hex::<16>()?,
            address,
            allowed_hosts: self.allowed_hosts,
            root_certificate,
        };
        let courier = Courier::new(self.delivery_timeout);
        let client = Client::builder(settings.api_key.as_str())
            .api_secret(settings.api_secret.as_str())
            .merchant_email(&settings.default_merchant)
            .root_certificates(settings.root_certificate.as_deref().unwrap_or_default());
        let shared = Arc::new(Shared::new(settings, webhook, courier, state));
        let client = client.base_url(format!("{}/wallet", shared.origin())).build()?;
        let stop = Arc::new(Notify::new());
        let serving = server::serve(listener, server::routes(&shared), acceptor, Arc::clone(&stop));
        let server = tokio::spawn(serving);
        Ok(Simulator { shared, client, stop, server: Mutex::new(Some(server)) })
    }
}

impl fmt::Debug for SimulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorBuilder")
            .field("address", &self.address)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// Listens with room for many connections that come at once: with the usual room for 128 a load
/// test's others would wait a second to be tried again.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As `TcpListener::bind` does, so that a port can be used again at once. On Windows the
    // option would let another program take the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// The names that the simulator's certificate is for.
fn certified_hosts(bound: IpAddr, allowed: &[String]) -> Vec<String> {
    let mut hosts = vec!["localhost".to_owned()];
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    hosts.extend(loopback.map(|ip| ip.to_string()));
    if !bound.is_unspecified() && !loopback.contains(&bound) {
        hosts.push(bound.to_string());
    }
    hosts.extend(allowed.iter().cloned());
    hosts
}

/// The key given, if it is one of a simulator; else a fresh one. The text of a key that is
/// refused is not repeated: it may be a real one.
fn key_or_fresh(given: Option<String>, what: &str) -> Result<String, Error> {
    match given {
        None => Ok(format!("{KEY_PREFIX}{}", random::hex_upper::<8>()?)),
        Some(key) if key.starts_with(KEY_PREFIX) && key.len() > KEY_PREFIX.len() => Ok(key),
        Some(_) => Err(Error::Configuration(format!(
            "a simulator's API {what} begins with {KEY_PREFIX}; never give it a real one"
        ))),
    }
}

fn checked_email(email: &str) -> Result<String, Error> {
    if is_email(email) {
        Ok(email.to_ascii_lowercase())
    } else {
        Err(Error::Configuration("a merchant's email is not an email address".to_owned()))
    }
}

/// Whether the text is roughly an email address; more than that nobody can tell.
pub(crate) fn is_email(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace());
    text.split_once('@').is_some_and(|(name, host)| plain(name) && plain(host))
}

/// Whether the text is a currency code: three to ten upper-case letters or digits.
pub(crate) fn is_currency(text: &str) -> bool {
    (3..=10).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
