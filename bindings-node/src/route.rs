//! A webhook's route: what the receivers of all frameworks answer and tell.

use std::borrow::Cow;
use std::sync::Arc;

use kazawallet::{Arrived, WebhookAnswer, WebhookRoute, since_the_start};
use kazawallet_ledger::Receiver;
use napi::JsString;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::calls::Calls;
use crate::errors::CoreError;
use crate::ledger::{Ledger, ask};
use crate::ledger_answers::LedgerAnswer;
use crate::reports::Report;
use crate::webhook::{Webhook, packed_string};

/// What a request is answered, and what a person should hear of it.
#[napi(object, object_from_js = false)]
pub struct Reception {
    /// The HTTP status.
    pub status: u32,
    /// JSON.
    pub body: &'static str,
    /// The header `Allow`.
    pub allow: Option<&'static str>,
    /// What to tell.
    pub report: Option<Report>,
}

impl From<kazawallet::Reception> for Reception {
    fn from(reception: kazawallet::Reception) -> Self {
        let kazawallet::Reception { answer, report } = reception;
        Self {
            status: answer.status.into(),
            body: answer.body,
            allow: (answer == WebhookAnswer::METHOD_NOT_ALLOWED).then_some("POST"),
            report: report.map(Into::into),
        }
    }
}

/// What came of a body: nothing, if it is the delivery as it stands.
#[derive(Default)]
#[napi(object, object_from_js = false)]
pub struct Delivered {
    /// It was compressed: these are its bytes.
    pub inflated: Option<Buffer>,
    /// It is none.
    pub refused: Option<Reception>,
}

/// The route of one receiver.
#[derive(Default)]
#[napi]
pub struct Route {
    core: Arc<WebhookRoute>,
}

#[napi]
impl Route {
    /// A route that has told nothing yet.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// The answer to a request that is refused by its head; `length` is its `Content-Length`.
    #[napi(catch_unwind)]
    pub fn refused_by_head(&self, method: String, length: Option<f64>) -> Option<Reception> {
        let length = length.map(|length| length as u64);
        self.core.refused_by_head(&method, length, since_the_start()).map(Into::into)
    }

    /// What came of a body that was read to its end.
    #[napi(catch_unwind)]
    pub fn delivery(
        &self,
        body: &[u8],
        length: Option<f64>,
        encoding: Option<String>,
    ) -> Delivered {
        let length = length.map(|length| length as u64);
        let arrived = Arrived::Read { body, length, encoding: encoding.as_deref() };
        match self.core.delivery(arrived, since_the_start()) {
            Ok(Cow::Borrowed(_)) => Delivered::default(),
            Ok(Cow::Owned(inflated)) => {
                Delivered { inflated: Some(inflated.into()), ..Delivered::default() }
            }
            Err(refused) => Delivered { refused: Some(refused.into()), ..Delivered::default() },
        }
    }

    /// The body has more bytes than the limit.
    #[napi(catch_unwind)]
    pub fn too_long(&self) -> Reception {
        self.refused(Arrived::TooLong)
    }

    /// The sender went away after so many bytes.
    #[napi(catch_unwind)]
    pub fn broke_off(&self, got: u32, of: Option<f64>) -> Reception {
        let got = usize::try_from(got).ok();
        self.refused(Arrived::BrokeOff { got, of: of.map(|length| length as u64) })
    }

    /// Something of the application has read the body before.
    #[napi(catch_unwind)]
    pub fn read_before(&self, way_out: String) -> Reception {
        self.refused(Arrived::ReadBefore { way_out: &way_out })
    }

    /// The route was given something else than a request.
    #[napi(catch_unwind)]
    pub fn no_request(&self, given: String, wanted: String) -> Reception {
        self.refused(Arrived::NoRequest { given: &given, wanted: &wanted })
    }

    /// The event of a genuine delivery, packed.
    #[napi(catch_unwind)]
    pub fn verify<'env>(
        &self,
        env: &'env Env,
        webhook: &Webhook,
        body: &[u8],
    ) -> Result<Either<JsString<'env>, Reception>> {
        // One look at it: what another thread may change is not to be another body after the check.
        let body = body.to_vec();
        match webhook.verify(&body) {
            Ok(event) => packed_string(env, &event).map(Either::A),
            Err(error) => Ok(Either::B(self.core.refused(&error, since_the_start()).into())),
        }
    }

    /// The answer if the handler has dealt with the event.
    #[napi(catch_unwind)]
    pub fn handled(&self) -> Reception {
        kazawallet::Reception::RECEIVED.into()
    }

    /// The answer if the handler failed with an error of this kind. Only what verifies is an event, so the
    /// body is verified again.
    #[napi(catch_unwind)]
    pub fn handler_failed(&self, webhook: &Webhook, body: String, kind: String) -> Reception {
        match webhook.verify(&body) {
            Ok(event) => WebhookRoute::handler_failed(&event, &kind).into(),
            Err(error) => self.core.refused(&error, since_the_start()).into(),
        }
    }

    /// Has a ledger receive a delivery.
    #[napi(catch_unwind)]
    pub fn receive(
        &self,
        calls: &Calls,
        id: u32,
        ledger: &Ledger,
        body: &[u8],
    ) -> Result<Option<CoreError>> {
        // Its own copy: JavaScript may change the bytes while this runs.
        let (route, ledger, body) = (self.core.clone(), ledger.core.clone(), body.to_vec());
        ask(calls, id, async move {
            let reception = Receiver::new(ledger).receive(&body).await;
            // The ledger told it no more than once a minute, and neither does the route.
            let reception = route.limited(reception, since_the_start()).into();
            Ok(LedgerAnswer { reception: Some(reception), ..LedgerAnswer::default() })
        })
    }

    /// Verifies again what is in a ledger's quarantine.
    #[napi(catch_unwind)]
    pub fn start(&self, calls: &Calls, id: u32, ledger: &Ledger) -> Result<Option<CoreError>> {
        let ledger = ledger.core.clone();
        ask(calls, id, async move {
            Receiver::new(ledger).start().await.map(|()| LedgerAnswer::default())
        })
    }

    /// The answer if the ledger could not be opened.
    #[napi(catch_unwind)]
    pub fn not_opened(&self, problem: String) -> Reception {
        self.core.not_opened(&problem, since_the_start()).into()
    }

    /// What is told if deliveries are stored, and no worker hands them to the handler.
    #[napi(catch_unwind)]
    pub fn worker_not_started(&self, problem: String) -> Option<Report> {
        let report = WebhookRoute::worker_not_started(&problem);
        self.core.to_tell(report, since_the_start()).map(Into::into)
    }
}

impl Route {
    fn refused(&self, arrived: Arrived<'_>) -> Reception {
        match self.core.delivery(arrived, since_the_start()) {
            Ok(_) => kazawallet::Reception::RECEIVED.into(),
            Err(refused) => refused.into(),
        }
    }
}
