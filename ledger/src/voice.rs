//! What a ledger tells a person of, and who hears it.

use std::future::IntoFuture;
use std::sync::Arc;

use kazawallet::{Call, CallWatch, Error, Report, WebhookRoute, since_the_start};

use crate::ledger::Ledger;

/// Who hears what a ledger tells, for the packages in other languages. Both are called on a thread of the
/// ledger's runtime, or of its database: they must not wait.
pub trait Listener: Send + Sync {
    /// Something that a person should hear.
    fn told(&self, report: Report);

    /// The ledger has called the provider, and this has become of it.
    fn called(&self, call: &CallWatch);
}

/// A ledger's voice. What nobody listens to goes to [`tracing`].
#[derive(Clone, Default)]
pub(crate) struct Voice {
    pub(crate) listener: Option<Arc<dyn Listener>>,
    /// It limits what is told, together with what the receivers of this ledger tell.
    pub(crate) route: Arc<WebhookRoute>,
    /// How the ledger's terminal is called in the listener's language.
    pub(crate) terminal: Option<&'static str>,
}

impl Voice {
    pub(crate) fn tell(&self, report: Report) {
        if let Some(report) = self.route.to_tell(report, since_the_start()) {
            match &self.listener {
                Some(listener) => listener.told(report),
                None => report.trace(),
            }
        }
    }

    /// Where to look: in the terminal, or with this method.
    pub(crate) fn see(&self, method: &str) -> String {
        match self.terminal {
            Some(terminal) => format!("see `{terminal}`"),
            None => format!("see `Ledger::{method}`"),
        }
    }
}

impl Ledger {
    /// Calls the provider. Such a call leaves the record that a client's own calls leave.
    pub(crate) async fn called<T>(&self, call: Call<T>) -> Result<T, Error>
    where
        Call<T>: IntoFuture<Output = Result<T, Error>>,
    {
        let watch = call.watch();
        let answer = call.await;
        if let Some(listener) = &self.inner.voice.listener {
            listener.called(&watch);
        }
        answer
    }

    pub(crate) fn tell(&self, report: Report) {
        self.inner.voice.tell(report);
    }
}
