//! A webhook's route: what the receivers of all frameworks answer and tell.

use std::borrow::Cow;
use std::sync::Arc;

use kazawallet::{Arrived, Reception, Report, WebhookAnswer, since_the_start};
use kazawallet_ledger::{Listener, Receiver};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::ledger::{LedgerCall, OpenedLedger};
use crate::ledger_records::Told;
use crate::reports;
use crate::webhook::{PaymentEvent, Webhook};

/// What a delivery is answered.
#[pyclass(frozen, module = "kazawallet._kazawallet")]
pub(crate) struct RouteAnswer {
    answer: WebhookAnswer,
}

#[pymethods]
impl RouteAnswer {
    #[getter]
    fn status(&self) -> u16 {
        self.answer.status
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.answer.body.as_bytes())
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let headers = PyDict::new(py);
        headers.set_item("Content-Type", "application/json")?;
        if self.answer == WebhookAnswer::METHOD_NOT_ALLOWED {
            headers.set_item("Allow", "POST")?;
        }
        Ok(headers)
    }
}

/// Logs what is to be told, and gives the answer.
fn told(py: Python<'_>, reception: Reception) -> RouteAnswer {
    if let Some(report) = &reception.report {
        reports::log(py, report);
    }
    RouteAnswer { answer: reception.answer }
}

impl Told for RouteAnswer {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, self)?.into_any())
    }
}

/// The route of one receiver: what it answers, and what it tells in the log.
#[pyclass(frozen, module = "kazawallet._kazawallet")]
#[derive(Default)]
pub(crate) struct Route {
    core: Arc<kazawallet::WebhookRoute>,
}

impl Route {
    fn refused(&self, py: Python<'_>, arrived: Arrived<'_>) -> RouteAnswer {
        match self.core.delivery(arrived, since_the_start()) {
            Ok(_) => RouteAnswer { answer: WebhookAnswer::RECEIVED },
            Err(refused) => told(py, refused),
        }
    }

    fn tell(&self, py: Python<'_>, report: Report) {
        if let Some(report) = self.core.to_tell(report, since_the_start()) {
            reports::log(py, &report);
        }
    }
}

#[pymethods]
impl Route {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// The answer to a request that is refused by its head.
    fn refused_by_head(
        &self,
        py: Python<'_>,
        method: &str,
        length: Option<i64>,
    ) -> Option<RouteAnswer> {
        let length = length.and_then(|length| u64::try_from(length).ok());
        let refused = self.core.refused_by_head(method, length, since_the_start())?;
        Some(told(py, refused))
    }

    /// The delivery's bytes, or the answer if they are none.
    fn delivery(
        &self,
        py: Python<'_>,
        body: &Bound<'_, PyBytes>,
        length: Option<i64>,
        encoding: Option<&str>,
    ) -> PyResult<Py<PyAny>> {
        let length = length.and_then(|length| u64::try_from(length).ok());
        let arrived = Arrived::Read { body: body.as_bytes(), length, encoding };
        match self.core.delivery(arrived, since_the_start()) {
            Ok(Cow::Borrowed(_)) => Ok(body.clone().into_any().unbind()),
            Ok(Cow::Owned(inflated)) => Ok(PyBytes::new(py, &inflated).into_any().unbind()),
            Err(refused) => Ok(Py::new(py, told(py, refused))?.into_any()),
        }
    }

    fn too_long(&self, py: Python<'_>) -> RouteAnswer {
        self.refused(py, Arrived::TooLong)
    }

    /// The sender went away.
    fn broke_off(&self, py: Python<'_>, got: Option<usize>, of: Option<i64>) -> RouteAnswer {
        let of = of.and_then(|of| u64::try_from(of).ok());
        self.refused(py, Arrived::BrokeOff { got, of })
    }

    /// Something of the application has certainly read the body before.
    fn read_before(&self, py: Python<'_>, way_out: &str) -> RouteAnswer {
        self.refused(py, Arrived::ReadBefore { way_out })
    }

    /// It came in chunks, and the server handed on none of them.
    fn not_handed_on(&self, py: Python<'_>) -> RouteAnswer {
        self.refused(py, Arrived::NotHandedOn)
    }

    fn no_request(&self, py: Python<'_>, given: &str, wanted: &str) -> RouteAnswer {
        self.refused(py, Arrived::NoRequest { given, wanted })
    }

    /// The event, or the answer if there is none.
    fn verify(&self, py: Python<'_>, webhook: &Webhook, body: &[u8]) -> PyResult<Py<PyAny>> {
        match webhook.core.verify(body) {
            Ok(core) => Ok(Py::new(py, PaymentEvent { core })?.into_any()),
            Err(error) => {
                let refused = self.core.refused(&error, since_the_start());
                Ok(Py::new(py, told(py, refused))?.into_any())
            }
        }
    }

    /// The answer if the handler has dealt with the event.
    fn handled(&self) -> RouteAnswer {
        RouteAnswer { answer: WebhookAnswer::RECEIVED }
    }

    /// The answer if the handler failed, with an error of this kind.
    fn handler_failed(&self, py: Python<'_>, event: &PaymentEvent, kind: &str) -> RouteAnswer {
        told(py, kazawallet::WebhookRoute::handler_failed(&event.core, kind))
    }

    /// Has a ledger receive a delivery, and gives the answer.
    fn receive(&self, py: Python<'_>, ledger: &OpenedLedger, body: &[u8]) -> PyResult<LedgerCall> {
        let (route, own, body) = (self.core.clone(), ledger.own_to_receive(py)?, body.to_vec());
        Ok(LedgerCall::new(async move {
            let reception = match own.ledger().await {
                Ok(ledger) => Receiver::new(ledger).receive(&body).await,
                Err(error) => Reception::refused(&error),
            };
            // The ledger told it no more than once a minute, and neither does the route.
            let Reception { answer, report } = route.limited(reception, since_the_start());
            if let Some(report) = report {
                own.reports().told(report);
            }
            Ok(RouteAnswer { answer })
        }))
    }

    /// Verifies again what is in the ledger's quarantine.
    fn start(&self, py: Python<'_>, ledger: &OpenedLedger) -> PyResult<LedgerCall> {
        let own = ledger.own(py)?;
        Ok(LedgerCall::new(async move { Receiver::new(own.ledger().await?).start().await }))
    }

    /// The answer if the ledger could not be opened.
    fn not_opened(&self, py: Python<'_>, problem: &str) -> RouteAnswer {
        told(py, self.core.not_opened(problem, since_the_start()))
    }

    /// Tells that deliveries are stored, and no worker hands them to the handler.
    fn worker_not_started(&self, py: Python<'_>, problem: &str) {
        self.tell(py, kazawallet::WebhookRoute::worker_not_started(problem));
    }

    /// Tells that the application does not start its receiver.
    fn started_late(&self, py: Python<'_>, way_out: &str) {
        let text = format!(
            "the webhook's receiver starts with a delivery, and what was received before a restart \
             waits for one: {way_out}"
        );
        self.tell(py, Report::warning("started_late", text));
    }
}
