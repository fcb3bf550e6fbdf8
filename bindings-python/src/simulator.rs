//! The simulator inside a Python process, on a thread of its own, and its program.

use std::ffi::OsString;
use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::{fmt, mem};

use kazawallet::Status;
use kazawallet_simulator::{Dialect, Fault, Simulator, Trigger};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::arguments::{amount_text, count, delivered_amount, text, wrong_type};
use crate::ledger_records::OrderLink;
use crate::process::Process;
use crate::results::{PaymentLink, decimal};
use crate::runtime::SIGNAL_INTERVAL;

create_exception!(
    kazawallet.testing,
    SimulatorError,
    PyException,
    "The simulator cannot be used so: a setting, a fault or a link that it does not know."
);

fn refused(error: impl fmt::Display) -> PyErr {
    SimulatorError::new_err(error.to_string())
}

/// A simulator of the native crate, as `kazawallet.testing` uses it.
#[pyclass(frozen, module = "kazawallet._kazawallet")]
pub(crate) struct RunningSimulator {
    process: Process,
    running: Mutex<Option<Running>>,
    simulator: Arc<Simulator>,
}

/// The thread that it runs on: until this is dropped.
struct Running {
    handle: Handle,
    _until_dropped: oneshot::Sender<()>,
}

impl RunningSimulator {
    /// Runs something on the simulator's thread, and waits for it with the GIL released.
    fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        future: impl Future<Output = Result<T, kazawallet_simulator::Error>> + Send + 'static,
    ) -> PyResult<T> {
        if !self.process.is_current() {
            return Err(refused("the simulator runs in the parent process, not in this one"));
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = running.as_ref().map(|running| running.handle.clone());
        drop(running);
        let handle = handle.ok_or_else(|| refused("the simulator was stopped"))?;
        let (done, mut result) = mpsc::channel();
        handle.spawn(async move { done.send(future.await) });
        loop {
            let received;
            (received, result) = py.detach(move || (result.recv_timeout(SIGNAL_INTERVAL), result));
            match received {
                Ok(result) => return result.map_err(refused),
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(refused("the simulator was stopped"));
                }
            }
        }
    }
}

#[pymethods]
impl RunningSimulator {
    #[new]
    #[allow(clippy::too_many_arguments, reason = "the settings, as Python gives them")]
    fn new(
        py: Python<'_>,
        webhook_url: Option<&Bound<'_, PyAny>>,
        balances: Option<&Bound<'_, PyDict>>,
        merchant_email: Option<&Bound<'_, PyAny>>,
        api_key: Option<&Bound<'_, PyAny>>,
        api_secret: Option<&Bound<'_, PyAny>>,
        dialect: &Bound<'_, PyAny>,
        tls: bool,
        port: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let port = count("port", port)?.and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| refused("`port` must be from 0 to 65535"))?;
        let mut options =
            Simulator::builder().bind(([127, 0, 0, 1], port).into()).dialect(dialect_of(dialect)?);
        if tls {
            options = options.tls();
        }
        if let Some(url) = webhook_url {
            options = options.webhook_url(text("webhook_url", url)?);
        }
        for (currency, amount) in balances.into_iter().flatten() {
            options =
                options.balance(text("balances", &currency)?, amount_text("balances", &amount)?);
        }
        if let Some(email) = merchant_email {
            options = options.merchant_email(text("merchant_email", email)?);
        }
        if let Some(key) = api_key {
            options = options.api_key(text("api_key", key)?);
        }
        if let Some(secret) = api_secret {
            options = options.api_secret(text("api_secret", secret)?);
        }

        let (started, result) = mpsc::channel();
        let (until_dropped, dropped) = oneshot::channel::<()>();
        let serve = move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error.to_string()))),
            };
            runtime.block_on(async {
                let simulator = options.start().await;
                let _ = started.send(match simulator {
                    Ok(simulator) => Ok((Handle::current(), simulator)),
                    Err(error) => Err(with_causes(&error)),
                });
                let _ = dropped.await;
            });
        };
        thread::Builder::new()
            .name("kazawallet-simulator".to_owned())
            .spawn(serve)
            .map_err(refused)?;
        let started = py.detach(move || result.recv()).map_err(refused)?;
        let (handle, simulator) = started.map_err(refused)?;
        Ok(Self {
            process: Process::current(),
            running: Mutex::new(Some(Running { handle, _until_dropped: until_dropped })),
            simulator: Arc::new(simulator),
        })
    }

    #[getter]
    fn url(&self) -> String {
        self.simulator.url()
    }

    #[getter]
    fn api_key(&self) -> &str {
        self.simulator.api_key()
    }

    #[getter]
    fn api_secret(&self) -> &str {
        self.simulator.api_secret()
    }

    #[getter]
    fn merchant_email(&self) -> &str {
        self.simulator.merchant_email()
    }

    #[getter]
    fn dashboard_url(&self) -> String {
        self.simulator.dashboard_url()
    }

    #[getter]
    fn webhook_url(&self) -> Option<String> {
        self.simulator.webhook_url()
    }

    #[setter]
    fn set_webhook_url(&self, url: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let url = url.map(|url| text("webhook_url", url)).transpose()?;
        self.simulator.set_webhook_url(url.as_deref()).map_err(refused)
    }

    #[getter]
    fn dialect(&self) -> &'static str {
        self.simulator.dialect().as_str()
    }

    #[setter]
    fn set_dialect(&self, dialect: &Bound<'_, PyAny>) -> PyResult<()> {
        self.simulator.set_dialect(dialect_of(dialect)?);
        Ok(())
    }

    #[getter]
    fn root_certificate(&self) -> Option<&str> {
        self.simulator.root_certificate()
    }

    #[getter]
    fn deliveries(&self) -> Vec<Delivery> {
        self.simulator.deliveries().into_iter().map(Delivery).collect()
    }

    #[getter]
    fn requests(&self) -> Vec<RecordedRequest> {
        self.simulator.requests().into_iter().map(RecordedRequest).collect()
    }

    fn pay(&self, py: Python<'_>, link: &Bound<'_, PyAny>) -> PyResult<Vec<Delivery>> {
        let (simulator, link) = (self.simulator.clone(), link_text(link)?);
        let deliveries = self.run(py, async move { simulator.pay(&link).await })?;
        Ok(deliveries.into_iter().map(Delivery).collect())
    }

    fn time_out(&self, py: Python<'_>, link: &Bound<'_, PyAny>) -> PyResult<Vec<Delivery>> {
        let (simulator, link) = (self.simulator.clone(), link_text(link)?);
        let deliveries = self.run(py, async move { simulator.time_out(&link).await })?;
        Ok(deliveries.into_iter().map(Delivery).collect())
    }

    #[allow(clippy::too_many_arguments, reason = "the delivery's fields, as Python gives them")]
    fn trigger(
        &self,
        py: Python<'_>,
        url: &Bound<'_, PyAny>,
        amount: &Bound<'_, PyAny>,
        currency: &Bound<'_, PyAny>,
        r#ref: Option<&Bound<'_, PyAny>>,
        order_id: Option<&Bound<'_, PyAny>>,
        status: &Bound<'_, PyAny>,
    ) -> PyResult<Delivery> {
        let mut trigger = Trigger::to(text("url", url)?, delivered_amount("amount", amount)?)
            .currency(text("currency", currency)?)
            .status(Status::from(text("status", status)?));
        if let Some(reference) = r#ref {
            trigger = trigger.reference(text("ref", reference)?);
        }
        if let Some(order_id) = order_id {
            trigger = trigger.order_id(text("order_id", order_id)?);
        }
        let simulator = self.simulator.clone();
        self.run(py, async move { simulator.trigger(trigger).await }).map(Delivery)
    }

    fn balance<'py>(&self, currency: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let balance = self.simulator.balance(&text("currency", currency)?);
        decimal(currency.py(), &balance.to_string())
    }

    fn fault(&self, fault: &Bound<'_, PyAny>, times: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let fault: Fault = text("fault", fault)?.parse().map_err(refused)?;
        match times {
            Some(times) => {
                let times = count("times", times)?.filter(|times| *times > 0);
                let times = times.ok_or_else(|| refused("`times` must be at least 1"))?;
                self.simulator.fault_times(fault, times)
            }
            None => self.simulator.fault_until_cleared(fault),
        }
        .map_err(refused)
    }

    fn clear_faults(&self) {
        self.simulator.clear_faults();
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let stopped = self.running.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if stopped || !self.process.is_current() {
            return Ok(());
        }
        let simulator = self.simulator.clone();
        self.run(py, async move {
            simulator.stop().await;
            Ok(())
        })?;
        drop(self.running.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }
}

impl Drop for RunningSimulator {
    fn drop(&mut self) {
        if !self.process.is_current() {
            // It is the parent's, with its sockets.
            mem::forget(self.running.lock().unwrap_or_else(PoisonError::into_inner).take());
            mem::forget(self.simulator.clone());
        }
    }
}

fn dialect_of(dialect: &Bound<'_, PyAny>) -> PyResult<Dialect> {
    text("dialect", dialect)?.parse().map_err(refused)
}

fn link_text(link: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(link) = link.cast::<PaymentLink>() {
        return Ok(link.get().url.clone());
    }
    if let Ok(link) = link.cast::<OrderLink>() {
        return Ok(link.get().url.clone());
    }
    text("link", link).map_err(|_| wrong_type("link", "a PaymentLink, its URL or its id", link))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

/// One webhook delivery, as it went out or would have gone out.
#[pyclass(frozen, module = "kazawallet.testing")]
pub(crate) struct Delivery(kazawallet_simulator::Delivery);

#[pymethods]
impl Delivery {
    /// The payment link's id.
    #[getter]
    fn order_id(&self) -> &str {
        &self.0.order_id
    }

    /// Where it went; `None` where no webhook URL is set.
    #[getter]
    fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// `application/json` or `application/x-www-form-urlencoded`.
    #[getter]
    fn content_type(&self) -> &str {
        &self.0.content_type
    }

    /// The body, byte for byte.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.body.as_bytes())
    }

    /// The fault that changed it.
    #[getter]
    fn fault(&self) -> Option<String> {
        self.0.fault.map(|fault| fault.to_string())
    }

    /// How it ended, in words: `answered 200`, `failed: …`, `not sent: …`, `on its way`.
    #[getter]
    fn outcome(&self) -> String {
        self.0.outcome.to_string()
    }

    /// The HTTP status that the receiver answered.
    #[getter]
    fn answered(&self) -> Option<u16> {
        self.0.answered()
    }

    fn __repr__(&self) -> String {
        format!("Delivery(order_id='{}', outcome='{}')", self.0.order_id, self.0.outcome)
    }
}

/// An API request that the simulator received, with the key and the secret masked.
#[pyclass(frozen, module = "kazawallet.testing")]
pub(crate) struct RecordedRequest(kazawallet_simulator::RecordedRequest);

#[pymethods]
impl RecordedRequest {
    /// `GET`, `POST`, …
    #[getter]
    fn method(&self) -> &str {
        &self.0.method
    }

    /// The path and the query.
    #[getter]
    fn path(&self) -> &str {
        &self.0.path
    }

    /// The headers in their order, names in lower case. Those that hold a key are `***`.
    #[getter]
    fn headers(&self) -> Vec<(String, String)> {
        self.0.headers.clone()
    }

    /// The body as text.
    #[getter]
    fn body(&self) -> &str {
        &self.0.body
    }

    /// The status answered; `None` where there was no answer, or none yet.
    #[getter]
    fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The fault that was played.
    #[getter]
    fn fault(&self) -> Option<String> {
        self.0.fault.map(|fault| fault.to_string())
    }

    fn __repr__(&self) -> String {
        let status = self.0.status.map_or_else(|| "None".to_owned(), |status| status.to_string());
        format!("RecordedRequest({} {}, status={status})", self.0.method, self.0.path)
    }
}

/// Runs the simulator's program until it ends; returns the exit status.
#[pyfunction]
pub(crate) fn run_simulator(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    py.detach(|| {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(refused)?;
        Ok(runtime.block_on(kazawallet_simulator::program::run(arguments)))
    })
}
