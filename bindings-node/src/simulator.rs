//! The simulator inside a JavaScript process, and its program.

use std::ffi::OsString;
use std::future::Future;
use std::sync::Arc;

use kazawallet::{Amount, Status};
use kazawallet_simulator::{Dialect, Fault, Simulator, Trigger};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use tokio::sync::Notify;

use crate::calls::{Calls, Ended};
use crate::errors::CoreError;
use crate::payment_method::pairs;
use crate::runtime;

/// A simulator of the native crate, as `kazawallet/testing` uses it.
#[napi]
pub struct RunningSimulator {
    simulator: Arc<Simulator>,
}

/// Its settings.
#[napi(object, object_to_js = false)]
pub struct SimulatorSettings {
    /// Where deliveries go.
    pub webhook_url: Option<String>,
    /// Currencies and amounts, one behind the other.
    pub balances: Vec<String>,
    /// The merchant's email.
    pub merchant_email: Option<String>,
    /// A key of the user's own.
    pub api_key: Option<String>,
    /// A secret of the user's own.
    pub api_secret: Option<String>,
    /// The dialect's name.
    pub dialect: Option<String>,
    /// Whether it serves https.
    pub tls: bool,
    /// 0 for a free one.
    pub port: u16,
}

/// One webhook delivery.
#[napi(object, object_from_js = false)]
pub struct Delivery {
    /// The link's id.
    pub order_id: String,
    /// Where it went.
    pub url: Option<String>,
    /// JSON or form fields.
    pub content_type: String,
    /// The body.
    pub body: String,
    /// The fault that changed it.
    pub fault: Option<String>,
    /// How it ended, in words.
    pub outcome: String,
    /// The status that the receiver answered.
    pub answered: Option<u16>,
}

/// An API request that the simulator received.
#[napi(object, object_from_js = false)]
pub struct RecordedRequest {
    /// The method.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// Names and values.
    #[napi(ts_type = "[name: string, value: string][]")]
    pub headers: Vec<Vec<String>>,
    /// The body.
    pub body: String,
    /// The status answered.
    pub status: Option<u16>,
    /// The fault that was played.
    pub fault: Option<String>,
}

/// Starts a simulator; text says why there is none.
#[napi(catch_unwind)]
pub fn start_simulator(settings: SimulatorSettings) -> Result<Either<RunningSimulator, String>> {
    let mut builder = Simulator::builder().bind(([127, 0, 0, 1], settings.port).into());
    if let Some(url) = settings.webhook_url {
        builder = builder.webhook_url(url);
    }
    for (currency, amount) in pairs(settings.balances) {
        builder = builder.balance(currency, amount);
    }
    if let Some(email) = settings.merchant_email {
        builder = builder.merchant_email(email);
    }
    if let Some(key) = settings.api_key {
        builder = builder.api_key(key);
    }
    if let Some(secret) = settings.api_secret {
        builder = builder.api_secret(secret);
    }
    if settings.tls {
        builder = builder.tls();
    }
    if let Some(dialect) = settings.dialect {
        match dialect.parse() {
            Ok(dialect) => builder = builder.dialect(dialect),
            Err(error) => return Ok(Either::B(with_causes(&error))),
        }
    }
    Ok(match runtime::handle()?.block_on(builder.start()) {
        Ok(simulator) => Either::A(RunningSimulator { simulator: Arc::new(simulator) }),
        Err(error) => Either::B(with_causes(&error)),
    })
}

#[napi]
impl RunningSimulator {
    /// The base URL for a client.
    #[napi(getter, catch_unwind)]
    pub fn url(&self) -> String {
        self.simulator.url()
    }

    /// The API key.
    #[napi(getter, catch_unwind)]
    pub fn api_key(&self) -> &str {
        self.simulator.api_key()
    }

    /// The API secret.
    #[napi(getter, catch_unwind)]
    pub fn api_secret(&self) -> &str {
        self.simulator.api_secret()
    }

    /// The merchant's email.
    #[napi(getter, catch_unwind)]
    pub fn merchant_email(&self) -> &str {
        self.simulator.merchant_email()
    }

    /// The page for a browser.
    #[napi(getter, catch_unwind)]
    pub fn dashboard_url(&self) -> String {
        self.simulator.dashboard_url()
    }

    /// Where deliveries go.
    #[napi(catch_unwind)]
    pub fn webhook_url(&self) -> Option<String> {
        self.simulator.webhook_url()
    }

    /// Sets where deliveries go; text says why not.
    #[napi(catch_unwind)]
    pub fn set_webhook_url(&self, url: Option<String>) -> Option<String> {
        self.simulator.set_webhook_url(url.as_deref()).err().map(|error| error.to_string())
    }

    /// The dialect that it speaks.
    #[napi(catch_unwind)]
    pub fn dialect(&self) -> &'static str {
        self.simulator.dialect().as_str()
    }

    /// Sets the dialect; text says why not.
    #[napi(catch_unwind)]
    pub fn set_dialect(&self, dialect: String) -> Option<String> {
        let set = |dialect: Dialect| self.simulator.set_dialect(dialect);
        dialect.parse().map(set).err().map(|error: kazawallet_simulator::Error| error.to_string())
    }

    /// The PEM that a client must trust.
    #[napi(catch_unwind)]
    pub fn root_certificate(&self) -> Option<&str> {
        self.simulator.root_certificate()
    }

    /// The deliveries so far.
    #[napi(catch_unwind)]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.simulator.deliveries().into_iter().map(Delivery::from).collect()
    }

    /// The requests so far.
    #[napi(catch_unwind)]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.simulator.requests().into_iter().map(RecordedRequest::from).collect()
    }

    /// Pays a link.
    #[napi(catch_unwind)]
    pub fn pay(&self, calls: &Calls, id: u32, link: String) -> Result<Option<CoreError>> {
        let simulator = self.simulator.clone();
        deliver(calls, id, async move { simulator.pay(&link).await })
    }

    /// Lets a link time out.
    #[napi(catch_unwind)]
    pub fn time_out(&self, calls: &Calls, id: u32, link: String) -> Result<Option<CoreError>> {
        let simulator = self.simulator.clone();
        deliver(calls, id, async move { simulator.time_out(&link).await })
    }

    /// Sends one delivery.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the delivery's fields, as JavaScript gives them")]
    pub fn trigger(
        &self,
        calls: &Calls,
        id: u32,
        url: String,
        amount: String,
        currency: String,
        status: String,
        reference: Option<String>,
        order_id: Option<String>,
    ) -> Result<Option<CoreError>> {
        let amount = match Amount::from_delivery(&amount) {
            Ok(amount) => amount,
            Err(error) => return Ok(Some(error.into())),
        };
        let mut trigger = Trigger::to(url, amount).currency(currency).status(Status::from(status));
        if let Some(reference) = reference {
            trigger = trigger.reference(reference);
        }
        if let Some(order_id) = order_id {
            trigger = trigger.order_id(order_id);
        }
        let simulator = self.simulator.clone();
        deliver(calls, id, async move { Ok(vec![simulator.trigger(trigger).await?]) })
    }

    /// The merchant's balance.
    #[napi(catch_unwind)]
    pub fn balance(&self, currency: String) -> String {
        self.simulator.balance(&currency).to_string()
    }

    /// Misbehaves so many times, or until it is told to stop; text says why not.
    #[napi(catch_unwind)]
    pub fn fault(&self, fault: String, times: Option<u32>) -> Option<String> {
        let play = || {
            let fault: Fault = fault.parse()?;
            match times {
                Some(times) => self.simulator.fault_times(fault, times),
                None => self.simulator.fault_until_cleared(fault),
            }
        };
        play().err().map(|error: kazawallet_simulator::Error| error.to_string())
    }

    /// Behaves again.
    #[napi(catch_unwind)]
    pub fn clear_faults(&self) {
        self.simulator.clear_faults();
    }

    /// Stops it.
    #[napi(catch_unwind)]
    pub fn stop(&self, calls: &Calls, id: u32) -> Result<Option<CoreError>> {
        let simulator = self.simulator.clone();
        calls.start_other(id, async move {
            simulator.stop().await;
            Ended::default()
        })?;
        Ok(None)
    }
}

/// The simulator's program.
#[derive(Default)]
#[napi]
pub struct SimulatorProgram {
    stop: Arc<Notify>,
}

#[napi]
impl SimulatorProgram {
    /// One that does not run yet.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs it until it ends or is stopped. The process's signals are JavaScript's.
    #[napi(catch_unwind)]
    pub fn run(&self, calls: &Calls, id: u32, arguments: Vec<String>) -> Result<Option<CoreError>> {
        let stop = self.stop.clone();
        calls.start_other(id, async move {
            let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
            let stopped = async move { stop.notified().await };
            let status = kazawallet_simulator::program::run_until(arguments, stopped).await;
            Ended { exit_status: Some(u32::from(status)), ..Ended::default() }
        })?;
        Ok(None)
    }

    /// Stops it.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.stop.notify_one();
    }
}

type Delivered =
    std::result::Result<Vec<kazawallet_simulator::Delivery>, kazawallet_simulator::Error>;

fn deliver(
    calls: &Calls,
    id: u32,
    delivered: impl Future<Output = Delivered> + Send + 'static,
) -> Result<Option<CoreError>> {
    calls.start_other(id, async move {
        match delivered.await {
            Ok(deliveries) => Ended {
                deliveries: Some(deliveries.into_iter().map(Delivery::from).collect()),
                ..Ended::default()
            },
            Err(error) => Ended { simulator_error: Some(error.to_string()), ..Ended::default() },
        }
    })?;
    Ok(None)
}

impl From<kazawallet_simulator::Delivery> for Delivery {
    fn from(delivery: kazawallet_simulator::Delivery) -> Self {
        Self {
            answered: delivery.answered(),
            outcome: delivery.outcome.to_string(),
            order_id: delivery.order_id,
            url: delivery.url,
            content_type: delivery.content_type,
            body: delivery.body,
            fault: delivery.fault.map(|fault| fault.to_string()),
        }
    }
}

impl From<kazawallet_simulator::RecordedRequest> for RecordedRequest {
    fn from(request: kazawallet_simulator::RecordedRequest) -> Self {
        let header = |(name, value): (String, String)| vec![name, value];
        Self {
            method: request.method,
            path: request.path,
            headers: request.headers.into_iter().map(header).collect(),
            body: request.body,
            status: request.status,
            fault: request.fault.map(|fault| fault.to_string()),
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}
