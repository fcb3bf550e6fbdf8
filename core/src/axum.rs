//! The webhook's route for [axum](https://docs.rs/axum/0.8) 0.8.
//!
//! [`webhook_route`] makes a route that verifies each delivery and calls your handler with the event.
//! It reads the body itself, at most 64 KiB of it, and no extractor of another route can take the
//! bytes away before: in axum each request's body goes to one route. A middleware that reads it must
//! put it back unchanged.
//!
//! | answer | when |
//! | --- | --- |
//! | 200 `{"received":true}` | the handler succeeded |
//! | 400, 401 | the delivery cannot be read; its signature does not hold |
//! | 405, 413 | no `POST`; more than 64 KiB |
//! | 500 `{"error":"not_processed"}` | the handler failed, or panicked |
//!
//! What went wrong goes to [`tracing`], never into the answer: what was not processed as an error, what
//! was refused as a warning, and what anybody can cause, such as a sender that hangs up, as information.
//! What is about no payment is told once a minute, and says how often it happened meanwhile.
//!
//! # What this risks
//! The provider calls **once**, whatever the answer, and this route remembers nothing: a payment whose
//! handler failed, or whose process died, is lost for your shop unless it stands in your log. The
//! ledger (the crate `kazawallet-ledger`, with a feature `axum` of its own) stores a delivery before it
//! is answered, and calls your handler until it succeeds.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::Router;
//! use kazawallet::axum::webhook_route;
//! use kazawallet::{Order, PaymentEvent, Webhook};
//!
//! async fn on_payment(event: PaymentEvent) -> Result<(), kazawallet::Error> {
//!     // From your own records. Status, currency and ref are not signed.
//!     let order = Order {
//!         amount: "10.50".parse()?,
//!         currency: "USD",
//!         reference: "order-42",
//!         order_id: None,
//!     };
//!     if event.match_order(&order)?.is_fulfilled() {
//!         // Settle the order, once for this `event.order_id()`.
//!     }
//!     Ok(())
//! }
//!
//! let webhook = Webhook::new("81A107141716", "888B6B8877F8")?;
//! let app: Router = Router::new().route("/webhooks/kazawallet", webhook_route(webhook, on_payment));
//! # Ok(())
//! # }
//! ```

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::Future;
use std::iter::successors;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::runtime::Handle;
use tracing::Instrument as _;

use crate::report::since_the_start;
use crate::{Arrived, Error, PaymentEvent, Reception, Webhook, WebhookAnswer, WebhookRoute};

/// A route that verifies each delivery and calls the handler with its event, before it answers.
///
/// The provider expects an answer within about a second: be quick, or use the ledger. A handler that
/// has begun comes to its end also when the provider hangs up meanwhile.
///
/// Where it fails, the log names the payment, and not the handler's error, which may hold anybody's
/// data: log that yourself. A handler that needs the application's state captures it:
///
/// ```
/// # use kazawallet::axum::webhook_route;
/// # use std::sync::{Arc, Mutex};
/// # let webhook = kazawallet::Webhook::new("key", "secret")?;
/// let paid: Arc<Mutex<Vec<String>>> = Arc::default();
/// let route: axum::routing::MethodRouter = webhook_route(webhook, move |event| {
///     let paid = paid.clone();
///     async move {
///         let mut paid = paid.lock().map_err(|_| "another handler panicked")?;
///         paid.push(event.order_id().to_owned());
///         Ok::<(), &str>(())
///     }
/// });
/// # Ok::<(), kazawallet::Error>(())
/// ```
pub fn webhook_route<S, H, F, E>(webhook: Webhook, handler: H) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    H: Fn(PaymentEvent) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: 'static,
{
    let route = Arc::new(WebhookRoute::default());
    let source = Arc::new((webhook, handler, route.clone()));
    receiving_route(route, move |body| {
        let source = source.clone();
        async move {
            let (webhook, handler, route) = &*source;
            let event = match webhook.verify(&body) {
                Ok(event) => event,
                Err(refused) => return route.refused(&refused, since_the_start()),
            };
            let handled = AssertUnwindSafe(async { handler(event.clone()).await }).catch_unwind();
            // Its error may hold anybody's data: its type is told, and an error of ours.
            let problem = match handled.await {
                Ok(Ok(())) => return Reception::RECEIVED,
                Ok(Err(problem)) => match (&problem as &dyn Any).downcast_ref::<Error>() {
                    Some(ours) => ours.to_string(),
                    None => type_name::<E>().to_owned(),
                },
                Err(_) => "it panicked".to_owned(),
            };
            WebhookRoute::handler_failed(&event, &problem)
        }
    })
}

/// A route that hands each body to `receive`, answers what that gives, and tells of it: what this crate
/// and the ledger have in common.
#[doc(hidden)]
pub fn receiving_route<S, R, F>(route: Arc<WebhookRoute>, receive: R) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    R: Fn(Vec<u8>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reception> + Send + 'static,
{
    // axum adds `Allow`, with what else the application has on this path.
    post(move |request: Request| async move {
        let body = match delivery(&route, request).await {
            Ok(body) => body,
            Err(refused) => return told(refused),
        };
        let received = receive(body).in_current_span();
        // A server drops what answers a caller that hung up. On a task of its own it goes on: there is
        // no second delivery.
        let Ok(runtime) = Handle::try_current() else { return told(received.await) };
        let received = runtime.spawn(async move { told(received.await) }.in_current_span());
        received.await.unwrap_or_else(|stopped| {
            tracing::error!("a delivery was not processed: {stopped}"); // The runtime ends.
            WebhookAnswer::NOT_PROCESSED
        })
    })
    .fallback(|| async { WebhookAnswer::METHOD_NOT_ALLOWED })
}

fn told(reception: Reception) -> WebhookAnswer {
    if let Some(report) = reception.report {
        report.trace();
    }
    reception.answer
}

/// The delivery's bytes, if it is not too large.
async fn delivery(route: &WebhookRoute, request: Request) -> Result<Vec<u8>, Reception> {
    let (head, body) = request.into_parts();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let length = header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let encoding = header(header::CONTENT_ENCODING);
    let now = since_the_start();
    // What says how long it is need not be read.
    if let Some(refused) = route.refused_by_head(head.method.as_str(), length, now) {
        return Err(refused);
    }
    let body = Limited::new(body, WebhookAnswer::LONGEST_BODY).collect().await;
    let body = body.map(|body| body.to_bytes());
    let arrived = match &body {
        Ok(body) => Arrived::Read { body, length, encoding },
        Err(problem) => {
            // Its own limit, or that of a middleware, which is wrapped.
            let mut causes = successors(Some(&**problem as &dyn StdError), |&error| error.source());
            if causes.any(|error| error.is::<LengthLimitError>()) {
                Arrived::TooLong
            } else {
                Arrived::BrokeOff { got: None, of: length }
            }
        }
    };
    route.delivery(arrived, now).map(Cow::into_owned)
}

impl IntoResponse for WebhookAnswer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}
