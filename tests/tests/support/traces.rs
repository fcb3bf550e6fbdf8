//! A subscriber that keeps every span and event, of any target and level.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;
use std::thread::{self, ThreadId};

use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, prelude::*};

use super::in_time;

#[derive(Clone, Debug)]
pub struct Span {
    id: Id,
    pub name: &'static str,
    pub thread: ThreadId,
    /// In the order in which they were recorded; one that was recorded again comes again.
    pub fields: Vec<(&'static str, String)>,
    pub closed: bool,
}

impl Span {
    /// The last value that a field was given.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Debug, Default)]
pub struct Traced {
    pub spans: Vec<Span>,
    /// Everything that was said: names, targets, fields, messages.
    pub text: String,
    /// The reports: the events that have a code.
    pub told: Vec<Told>,
}

/// Something that a person should hear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub level: String,
    pub code: String,
    pub order_id: Option<String>,
}

impl Traced {
    /// The client's own spans.
    pub fn calls(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(|span| span.name == "kazawallet.call")
    }
}

#[derive(Clone)]
pub struct Traces(watch::Sender<Traced>);

impl Traces {
    /// What is traced in the whole process, from the first time that this is called.
    pub fn of_this_process() -> &'static Self {
        static TRACES: OnceLock<Traces> = OnceLock::new();
        TRACES.get_or_init(|| {
            let traces = Self(watch::Sender::new(Traced::default()));
            let subscriber = Registry::default().with(traces.clone());
            tracing::subscriber::set_global_default(subscriber).unwrap();
            // A call that another test made meanwhile was perhaps put down as one that nobody
            // traces.
            tracing::callsite::rebuild_interest_cache();
            traces
        })
    }

    pub fn so_far(&self) -> Traced {
        self.0.borrow().clone()
    }

    pub async fn wait_for(&self, wanted: impl FnMut(&Traced) -> bool) -> Traced {
        in_time(self.0.subscribe().wait_for(wanted)).await.unwrap().clone()
    }

    fn note(&self, metadata: &Metadata<'_>, fields: Vec<(&'static str, String)>, id: Option<&Id>) {
        self.0.send_modify(|traced| {
            writeln!(traced.text, "{} {} {fields:?}", metadata.target(), metadata.name()).unwrap();
            if let Some(id) = id {
                let span = traced.spans.iter_mut().rev().find(|span| span.id == *id);
                span.unwrap().fields.extend(fields);
            }
        });
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let metadata = attributes.metadata();
        self.0.send_modify(|traced| {
            traced.spans.push(Span {
                id: id.clone(),
                name: metadata.name(),
                thread: thread::current().id(),
                fields: Vec::new(),
                closed: false,
            });
        });
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        self.note(metadata, fields.0, Some(id));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.note(context.metadata(id).unwrap(), fields.0, Some(id));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let field = |name| fields.0.iter().find(|(known, _)| *known == name);
        if let Some((_, code)) = field("code") {
            let level = match *event.metadata().level() {
                Level::WARN => "warning".to_owned(),
                level => level.as_str().to_lowercase(),
            };
            let order_id = field("order_id").map(|(_, id)| id.clone());
            self.0.send_modify(|traced| {
                traced.told.push(Told { level, code: code.clone(), order_id })
            });
        }
        self.note(event.metadata(), fields.0, None);
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.0.send_modify(|traced| {
            // Ids are used again once their span is closed: the last one is meant.
            let span = traced.spans.iter_mut().rev().find(|span| span.id == id);
            span.unwrap().closed = true;
        });
    }
}

#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }
}
