//! Where the span of a call goes. One test, since subscribers that come and go concern a whole
//! process.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use kazawallet::{CreateWithdrawal, PaymentMethod};
use kazawallet_simulator::Simulator;
use tracing::field::{Empty, Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::{Instrument, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The values of each span's fields, by the names of span and field.
#[derive(Clone, Default)]
struct Fields(Arc<Mutex<BTreeMap<String, String>>>);

struct Of<'a>(&'a Fields, &'static str);

impl Visit for Of<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let name = format!("{}.{}", self.1, field.name());
        self.0.0.lock().unwrap().insert(name, format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Fields {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        attributes.record(&mut Of(self, attributes.metadata().name()));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        values.record(&mut Of(self, context.span(id).unwrap().name()));
    }
}

impl Fields {
    fn of(&self, span: &str) -> Vec<(String, String)> {
        let fields = self.0.lock().unwrap();
        let of_span = fields.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix(span)?.strip_prefix('.')?.to_owned(), value.clone()))
        });
        of_span.collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_records_on_its_own_span_and_on_no_other() {
    let sim = Simulator::start().await.unwrap();
    let client = sim.client();
    let pay_out = || {
        let method = PaymentMethod::sy_cash("0933123456");
        let call = client.withdrawals();
        let call = call.create(CreateWithdrawal::new("10".parse().unwrap(), "USD", method));
        async { call.await.unwrap() }
    };

    // A payout runs on a task of its own, and still reports to its caller's subscriber.
    let all = Fields::default();
    pay_out().with_subscriber(tracing_subscriber::registry().with(all.clone())).await;
    let names: Vec<String> = all.of("kazawallet.call").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["attempt", "duration_ms", "endpoint", "outcome", "status"]);

    // Where nobody listens to the SDK, the span around the call is not written to in its place.
    let others = Fields::default();
    let without_the_sdk = filter_fn(|metadata| !metadata.target().starts_with("kazawallet::"));
    let subscriber =
        tracing_subscriber::registry().with(others.clone().with_filter(without_the_sdk));
    async {
        let span = tracing::info_span!("checkout", attempt = 7, outcome = Empty);
        pay_out().instrument(span).await;
    }
    .with_subscriber(subscriber)
    .await;
    assert_eq!(others.of("kazawallet.call"), []);
    assert_eq!(others.of("checkout"), [("attempt".to_owned(), "7".to_owned())]);
}
