//! Opening a ledger: its URL, its options.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kazawallet::{Client, Error, Webhook};

use crate::ledger::Ledger;
use crate::spool::FOLDER_VARIABLE;
use crate::voice::{Listener, Voice};

/// The variable that holds the ledger's URL.
const URL_VARIABLE: &str = "KAZAWALLET_LEDGER";

/// A ledger that is to be opened: `.await` it. [`Ledger::open`] gives one.
#[derive(Clone, Default)]
#[must_use = "nothing is opened until it is awaited"]
pub struct OpenLedger {
    pub(crate) url: Option<String>,
    pub(crate) client: Option<Client>,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) spool: Option<Option<PathBuf>>,
    /// `KAZAWALLET_SPOOL`, where it was looked up elsewhere than in the process's environment.
    pub(crate) spool_parent: Option<Option<PathBuf>>,
    pub(crate) clock_margin: Option<Duration>,
    pub(crate) existing_only: bool,
    pub(crate) voice: Voice,
}

impl OpenLedger {
    /// The client that makes links and pays out. Its key and secret also verify webhooks, unless
    /// [`webhook`](Self::webhook) is given.
    pub fn client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// What verifies deliveries, in place of the client's own key and secret: for a ledger without a
    /// client, or while keys are being rotated ([`Webhook::with_previous`]).
    pub fn webhook(mut self, webhook: Webhook) -> Self {
        self.webhook = Some(webhook);
        self
    }

    /// The folder that keeps deliveries while the database cannot be reached. It must outlive a
    /// restart. Unless given, a ledger in PostgreSQL takes the variable `KAZAWALLET_SPOOL`, else
    /// `kazawallet` in the user's state folder; a ledger in SQLite has none.
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Some(Some(folder.into()));
        self
    }

    /// No spool: where the database cannot be reached, a delivery is refused with an error. The
    /// provider never repeats it.
    pub fn no_spool(mut self) -> Self {
        self.spool = Some(None);
        self
    }

    /// How long after a payout's deadline it may be resolved by hand. 60 seconds unless given; it
    /// must be longer than the clocks of your machines differ.
    pub fn clock_margin(mut self, margin: Duration) -> Self {
        self.clock_margin = Some(margin);
        self
    }

    /// Who hears what the ledger tells, in place of `tracing`, and how its terminal is called there.
    #[doc(hidden)]
    pub fn listener(mut self, listener: Arc<dyn Listener>, terminal: &'static str) -> Self {
        self.voice.listener = Some(listener);
        self.voice.terminal = Some(terminal);
        self
    }

    /// Refuses a database that has no ledger yet, where one would else be made: for a program that
    /// only looks, and whose URL may be mistyped.
    #[doc(hidden)]
    pub fn existing_only(mut self) -> Self {
        self.existing_only = true;
        self
    }

    /// Takes the URL from `KAZAWALLET_LEDGER` where none was given.
    pub fn env_defaults(mut self) -> Self {
        // What is not Unicode is refused later, where it would else be overlooked.
        let variable = || Some(std::env::var_os(URL_VARIABLE)?.to_string_lossy().into_owned());
        self.url = self.url.or_else(|| variable().filter(|value| !value.is_empty()));
        self
    }

    /// As [`env_defaults`](Self::env_defaults), with the variables looked up by a function,
    /// `KAZAWALLET_SPOOL` among them: for an environment that is not the process's own, such as a
    /// worker thread's in Node.js.
    pub fn env_defaults_from(mut self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| lookup(name).filter(|value| !value.is_empty());
        self.spool_parent = Some(variable(FOLDER_VARIABLE).map(PathBuf::from));
        self.url = self.url.or_else(|| variable(URL_VARIABLE));
        self
    }
}

impl IntoFuture for OpenLedger {
    type Output = Result<Ledger, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(Ledger::opened(self))
    }
}

impl fmt::Debug for OpenLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds a password.
        f.debug_struct("OpenLedger").finish_non_exhaustive()
    }
}
