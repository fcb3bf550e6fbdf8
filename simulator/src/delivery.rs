//! Webhook deliveries: signed with the core's own rule, sent once, never repeated.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kazawallet::{Amount, Status, Webhook};
use tokio::sync::oneshot;

use crate::dialect::Dialect;
use crate::fault::Fault;
use crate::server::Shared;
use crate::state::{Link, LinkState};
use crate::{Error, random};

/// A delivery that is not answered within this time has failed, unless set otherwise.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(5);

/// What a delivery calls its sender.
pub(crate) const USER_AGENT: &str = concat!("kazawallet-simulator/", env!("CARGO_PKG_VERSION"));

/// How many bytes of a receiver's answer are kept, and how long they are waited for.
const SHOWN_ANSWER: usize = 2 * 1024;
const SHOWN_ANSWER_TIME: Duration = Duration::from_secs(1);

/// One webhook delivery, as it went out or would have gone out.
#[derive(Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// Its number, from 1; 0 where it was sent without a simulator running.
    pub id: u64,
    /// When it was made, counted from the simulator's start.
    pub at: Duration,
    /// The payment link's id.
    pub order_id: String,
    /// Where it went; `None` where no webhook URL is set.
    pub url: Option<String>,
    /// `application/json` or `application/x-www-form-urlencoded`.
    pub content_type: String,
    /// The body, byte for byte.
    pub body: String,
    /// The fault that changed it.
    pub fault: Option<Fault>,
    /// How it ended.
    pub outcome: DeliveryOutcome,
    /// How long the attempt took.
    pub took: Duration,
    /// The beginning of what the receiver answered.
    pub(crate) answer: String,
}

impl Delivery {
    /// The status that the receiver answered.
    pub fn answered(&self) -> Option<u16> {
        match self.outcome {
            DeliveryOutcome::Answered { status } => Some(status),
            _ => None,
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("order_id", &self.order_id)
            .field("fault", &self.fault)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// It is on its way.
    Pending,
    /// The receiver answered, with whatever status. It is not sent again.
    Answered {
        /// The HTTP status.
        status: u16,
    },
    /// There was no answer: refused, cut, or not in time. It is not sent again.
    Failed {
        /// What happened.
        reason: String,
    },
    /// It was not sent: no webhook URL is set, or a fault held it back.
    NotSent {
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for DeliveryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeliveryOutcome::Pending => f.write_str("on its way"),
            DeliveryOutcome::Answered { status } => write!(f, "answered {status}"),
            DeliveryOutcome::Failed { reason } => write!(f, "failed: {reason}"),
            DeliveryOutcome::NotSent { reason } => write!(f, "not sent: {reason}"),
        }
    }
}

/// One signed delivery to a URL of your choice, without a payment link behind it.
///
/// ```
/// use kazawallet_simulator::Trigger;
///
/// let trigger = Trigger::to("http://127.0.0.1:8000/webhook", "10.50".parse()?)
///     .currency("USD")
///     .reference("order-42");
/// # Ok::<(), kazawallet::Error>(())
/// ```
#[derive(Clone)]
pub struct Trigger {
    url: String,
    amount: Amount,
    currency: String,
    reference: Option<String>,
    order_id: Option<String>,
    status: Status,
    dialect: Option<Dialect>,
}

impl Trigger {
    /// A delivery to `url` (http or https) that says `amount` was paid, in USD.
    pub fn to(url: impl Into<String>, amount: Amount) -> Self {
        Self {
            url: url.into(),
            amount,
            currency: "USD".to_owned(),
            reference: None,
            order_id: None,
            status: Status::Fulfilled,
            dialect: None,
        }
    }

    /// The currency instead of USD.
    #[must_use]
    pub fn currency(mut self, currency: impl Into<String>) -> Self {
        self.currency = currency.into();
        self
    }

    /// The merchant's reference; without it the delivery carries none.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// The order id; without it one is made up.
    #[must_use]
    pub fn order_id(mut self, order_id: impl Into<String>) -> Self {
        self.order_id = Some(order_id.into());
        self
    }

    /// The status instead of `fulfilled`.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// The dialect instead of that of the simulator that sends it; without a simulator
    /// [`Dialect::Documented`] is spoken.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Sends it, signed with the keys of `webhook`; no simulator need be running.
    ///
    /// # Errors
    /// [`Error::Configuration`] where the URL is not http or https. A receiver that refuses or
    /// does not answer is not an error: the delivery's outcome says it.
    pub async fn send(self, webhook: &Webhook) -> Result<Delivery, Error> {
        let mut delivery = self.prepare(webhook, Dialect::default())?;
        Courier::new(TIME_LIMIT).send(&mut delivery).await;
        Ok(delivery)
    }

    /// Makes the delivery, in the dialect that the sender speaks unless the trigger has its own.
    fn prepare(self, webhook: &Webhook, spoken: Dialect) -> Result<Delivery, Error> {
        let url = checked_url(&self.url)?;
        let order_id = match self.order_id {
            Some(order_id) => order_id,
            None => random::hex::<12>()?,
        };
        let message = Message {
            order_id,
            amount: self.amount,
            reference: self.reference,
            status: self.status.as_str().to_owned(),
            currency: self.currency,
        };
        let dialect = self.dialect.unwrap_or(spoken);
        Ok(message.into_delivery(webhook, Some(url), dialect, None))
    }
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trigger")
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Holds a URL that a delivery shall go to: http or https, with a host.
pub(crate) fn checked_url(text: &str) -> Result<String, Error> {
    match web_url(text) {
        Some(url) => Ok(url),
        None => Err(Error::Configuration(format!("{text:?} is not an http or https URL"))),
    }
}

/// The URL in its ASCII form if it is http or https, the only ones that are ever followed.
pub(crate) fn web_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| url.to_string())
}

/// What a delivery says.
struct Message {
    order_id: String,
    amount: Amount,
    reference: Option<String>,
    status: String,
    currency: String,
}

impl Message {
    fn of(link: &Link) -> Self {
        Self {
            order_id: link.id.clone(),
            amount: link.amount.clone(),
            reference: link.reference.clone(),
            status: link.state.as_str().to_owned(),
            currency: link.currency.clone(),
        }
    }

    /// Signs the message and writes it down, changed as the fault says.
    fn into_delivery(
        mut self,
        webhook: &Webhook,
        url: Option<String>,
        dialect: Dialect,
        fault: Option<Fault>,
    ) -> Delivery {
        match fault {
            Some(Fault::StatusChanged) => {
                let changed = if self.status == LinkState::Paid.as_str() {
                    LinkState::TimedOut
                } else {
                    LinkState::Paid
                };
                self.status = changed.as_str().to_owned();
            }
            Some(Fault::CurrencyChanged) => {
                self.currency = if self.currency == "USD" { "SYP" } else { "USD" }.to_owned();
            }
            _ => {}
        }
        // What is signed is the text that the link was made with, whatever form it is delivered in.
        let secret = webhook.sign(&self.amount, &self.order_id);
        let number = fault == Some(Fault::AmountAsNumber);
        let amount = if number { self.amount.shortest() } else { self.amount.as_str().to_owned() };
        let ids = dialect.id_fields().iter().map(|name| (*name, self.order_id.as_str()));
        let mut fields: Vec<(&str, &str)> = ids.collect();
        fields.extend([("secret", secret.as_str()), ("amount", amount.as_str())]);
        fields.extend(self.reference.as_deref().map(|reference| ("ref", reference)));
        fields.push(("status", self.status.as_str()));
        fields.push(("currency", self.currency.as_str()));
        let (content_type, body) = if fault == Some(Fault::FormEncoded) {
            let mut form = form_urlencoded::Serializer::new(String::new());
            ("application/x-www-form-urlencoded", form.extend_pairs(&fields).finish())
        } else {
            ("application/json", json(&fields, number))
        };
        Delivery {
            id: 0,
            at: Duration::ZERO,
            order_id: self.order_id,
            url,
            content_type: content_type.to_owned(),
            body,
            fault,
            outcome: DeliveryOutcome::Pending,
            took: Duration::ZERO,
            answer: String::new(),
        }
    }
}

/// JSON in the fields' own order; `serde_json`'s map would sort them.
fn json(fields: &[(&str, &str)], amount_is_number: bool) -> String {
    let members = fields.iter().map(|(name, value)| {
        if amount_is_number && *name == "amount" {
            format!("\"{name}\":{value}")
        } else {
            format!("\"{name}\":{}", serde_json::Value::from(*value))
        }
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// Sends deliveries. What it needs for TLS is read only when the first one goes out.
pub(crate) struct Courier {
    time_limit: Duration,
    http: OnceLock<Result<reqwest::Client, String>>,
}

impl Courier {
    pub(crate) fn new(time_limit: Duration) -> Self {
        Self { time_limit, http: OnceLock::new() }
    }

    /// Sends it once, and writes down how that ended.
    async fn send(&self, delivery: &mut Delivery) {
        let begun = Instant::now();
        let answered = self.attempt(delivery).await;
        // The answer is its head; a receiver that is slow with the rest has answered.
        delivery.took = begun.elapsed();
        match answered {
            Ok(response) => {
                delivery.outcome = DeliveryOutcome::Answered { status: response.status().as_u16() };
                delivery.answer = beginning(response).await;
            }
            Err(reason) => delivery.outcome = DeliveryOutcome::Failed { reason },
        }
    }

    async fn attempt(&self, delivery: &Delivery) -> Result<reqwest::Response, String> {
        let http = self.http.get_or_init(|| http_client(self.time_limit));
        let request = http
            .as_ref()
            .map_err(String::clone)?
            .post(delivery.url.as_deref().unwrap_or_default())
            .header("content-type", &delivery.content_type)
            .header("user-agent", USER_AGENT)
            .body(delivery.body.clone());
        request.send().await.map_err(|error| {
            if error.is_timeout() {
                format!("no answer within {:?}", self.time_limit)
            } else {
                described(&error.without_url())
            }
        })
    }
}

/// The beginning of an answer's body, as far as it comes without delay: it is only shown.
async fn beginning(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while bytes.len() < SHOWN_ANSWER
            && let Ok(Some(piece)) = response.chunk().await
        {
            bytes.extend_from_slice(&piece);
        }
    };
    // What has come until then is kept.
    let _ = tokio::time::timeout(SHOWN_ANSWER_TIME, read).await;
    bytes.truncate(SHOWN_ANSWER);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An error with what caused it, in one line.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn http_client(time_limit: Duration) -> Result<reqwest::Client, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // The system's roots know the developer's own; the added ones serve an image that has none.
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
            .map_err(|error| error.to_string())?;
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .timeout(time_limit)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        // A kept connection may have gone stale, and a delivery is not repeated.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| described(&error))
}

/// Pays the link or lets it time out, and delivers that once. The attempt runs on a task of its
/// own: it goes on when whoever waits here goes away.
pub(crate) async fn settle(
    shared: &Arc<Shared>,
    link: &str,
    as_state: LinkState,
) -> Result<(Link, Vec<Delivery>), Error> {
    let (link, deliveries) = {
        let mut state = shared.state();
        let id = state.find_link(link)?.id.clone();
        let link = state.settle(&id, as_state)?;
        let fault = state.take_fault(|fault| fault.is_of_delivery());
        let url = state.webhook_url.clone();
        let mut first =
            Message::of(&link).into_delivery(&shared.webhook, url, state.dialect, fault);
        first.at = shared.started.elapsed();
        if fault == Some(Fault::NeverDelivered) {
            first.outcome =
                DeliveryOutcome::NotSent { reason: "held back by never_delivered".to_owned() };
        } else if first.url.is_none() {
            first.outcome = DeliveryOutcome::NotSent { reason: "no webhook URL is set".to_owned() };
        }
        let again = fault == Some(Fault::DeliveredTwice) && first.url.is_some();
        let mut deliveries = vec![first.clone()];
        if again {
            deliveries.push(first);
        }
        for delivery in &mut deliveries {
            state.record_delivery(delivery);
        }
        (link, deliveries)
    };
    Ok((link, send_all(shared, deliveries).await?))
}

/// Sends one signed delivery with the simulator's own keys.
pub(crate) async fn trigger(shared: &Arc<Shared>, trigger: Trigger) -> Result<Delivery, Error> {
    let spoken = shared.state().dialect;
    let mut delivery = trigger.prepare(&shared.webhook, spoken)?;
    delivery.at = shared.started.elapsed();
    shared.state().record_delivery(&mut delivery);
    send_all(shared, vec![delivery]).await?.pop().ok_or(Error::Stopped)
}

/// Sends what is to be sent, one after the other, and notes how each ended.
async fn send_all(
    shared: &Arc<Shared>,
    mut deliveries: Vec<Delivery>,
) -> Result<Vec<Delivery>, Error> {
    let (done, ended) = oneshot::channel();
    let task = Arc::clone(shared);
    shared.spawn(async move {
        for delivery in &mut deliveries {
            if delivery.outcome != DeliveryOutcome::Pending {
                continue;
            }
            task.courier.send(delivery).await;
            task.state().finish_delivery(delivery);
        }
        // Nobody may be waiting any more; the record has it all the same.
        let _ = done.send(deliveries);
    })?;
    ended.await.map_err(|_| Error::Stopped)
}
