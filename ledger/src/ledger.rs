//! The ledger itself.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use kazawallet::{Client, Error, ErrorKind, Outcome, Webhook};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell, RwLock};

use crate::database::{Database, closed, error};
use crate::open::OpenLedger;
use crate::quarantine::Gate;
use crate::spool::Spool;
use crate::voice::Voice;

const CLOCK_MARGIN: Duration = Duration::from_secs(60);
/// How often a spool is looked into.
const DRAIN_INTERVAL: Duration = Duration::from_secs(1);
/// Names of orders, people and the like are short; what is longer is a mistake.
pub(crate) const LONGEST_NAME: usize = 1024;

/// What a shop remembers of its orders, payments and payouts.
///
/// It is cheap to clone and to share. Await its calls inside a tokio runtime; the one in which it was
/// opened must live as long as it does. A transaction, a link or a payout that has begun comes to its
/// end also when its future is dropped.
///
/// # Errors
/// Besides its own, each call can fail with the ledger's kinds:
/// [`LedgerUnavailable`](ErrorKind::LedgerUnavailable) (the database cannot be reached, was lost, or
/// was locked for too long; or the ledger was closed), [`LedgerFull`](ErrorKind::LedgerFull),
/// [`LedgerReadOnly`](ErrorKind::LedgerReadOnly), [`LedgerVersion`](ErrorKind::LedgerVersion),
/// [`LedgerDamaged`](ErrorKind::LedgerDamaged). Nothing is left half done.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    /// The key of the digests, once the tables are as they should be.
    pub(crate) digest_key: OnceCell<Vec<u8>>,
    client: Option<Client>,
    webhook: Option<Webhook>,
    pub(crate) spool: Option<Spool>,
    pub(crate) voice: Voice,
    pub(crate) clock_margin: Duration,
    /// Whether the tables are made where there are none.
    make: bool,
    pub(crate) gate: Gate,
    /// Tells this process's workers of a payment.
    pub(crate) arrivals: Notify,
    pub(crate) closing: tokio::sync::watch::Sender<bool>,
    /// Held, for reading, by what is under way.
    under_way: Arc<RwLock<()>>,
    /// Where it was opened, and where its work in the background runs.
    pub(crate) runtime: Handle,
}

impl Ledger {
    /// A ledger at a URL: `sqlite:///var/lib/shop/kazawallet.db` (a file, made where there is none,
    /// that several processes of one machine may share; never on a network disk) or
    /// `postgres://user:password@host/database`. `.await` what it gives, after setting its options.
    ///
    /// A process that has the SQLite file open must not open it in another way as well (another SQLite
    /// library, a copy by hand): POSIX locks belong to the process, and closing the file there would
    /// end the ledger's. Query it from another process, such as the `sqlite3` shell.
    ///
    /// PostgreSQL on another machine is reached over TLS, verified in full; `sslrootcert=` in the
    /// URL's query adds a root certificate.
    ///
    /// # Errors
    /// Awaiting it: [`Configuration`](ErrorKind::Configuration) for a URL or an option that cannot be
    /// used, and the ledger's kinds for a database that cannot be opened. A PostgreSQL that cannot be
    /// reached is no error where there is a spool: deliveries go there meanwhile.
    pub fn open(url: impl Into<String>) -> OpenLedger {
        OpenLedger { url: Some(url.into()), ..OpenLedger::default() }
    }

    /// A ledger at the URL in `KAZAWALLET_LEDGER`.
    pub fn from_env() -> OpenLedger {
        OpenLedger::default().env_defaults()
    }

    pub(crate) async fn opened(options: OpenLedger) -> Result<Self, Error> {
        let runtime = runtime()?;
        let url = options.url.ok_or_else(|| {
            Error::no_ledger(
                "no ledger's URL: pass one, or set the environment variable KAZAWALLET_LEDGER",
            )
        })?;
        let database = Database::at(&url, &runtime, &options.voice)?;
        let spool = match options.spool {
            Some(None) => None,
            Some(Some(folder)) => Some(Spool::in_folder(folder)?),
            None => {
                let usual = |database: &str| Spool::in_usual_folder(database, options.spool_parent);
                database.identity().map(usual).transpose()?
            }
        };
        // A client without a secret makes links, and verifies nothing.
        let own = options.client.as_ref().and_then(|client| client.webhook().ok());
        let ledger = Self {
            inner: Arc::new(Inner {
                database,
                digest_key: OnceCell::new(),
                webhook: options.webhook.or(own),
                client: options.client,
                spool,
                voice: options.voice,
                clock_margin: options.clock_margin.unwrap_or(CLOCK_MARGIN),
                make: !options.existing_only,
                gate: Gate::default(),
                arrivals: Notify::new(),
                closing: tokio::sync::watch::Sender::new(false),
                under_way: Arc::default(),
                runtime,
            }),
        };
        match ledger.digest_key().await {
            Ok(_) => {}
            // While it cannot be reached, the spool takes deliveries: a shop that did not start
            // would lose them.
            Err(problem)
                if problem.kind() == ErrorKind::LedgerUnavailable
                    && ledger.inner.spool.is_some() => {}
            Err(problem) => return Err(problem),
        }
        ledger.adopt_left_behind().await;
        if ledger.inner.spool.is_some() {
            ledger.drain().await;
            tokio::spawn(drain_now_and_then(Arc::downgrade(&ledger.inner)));
        }
        Ok(ledger)
    }

    /// Closes the ledger: its connections, and its work in the background. What is under way, such as
    /// a payout, comes to its end first; stop the workers before. What is called later is refused with
    /// [`LedgerUnavailable`](ErrorKind::LedgerUnavailable).
    pub async fn close(&self) {
        self.inner.closing.send_replace(true);
        drop(self.inner.under_way.write().await);
        let inner = self.inner.clone();
        // It waits for a thread.
        let _ = tokio::task::spawn_blocking(move || inner.database.close()).await;
    }

    /// Before this process forks: waits for what is under way, and closes what must not be open
    /// meanwhile. The child must not use this ledger, nor drop it; it opens its own.
    #[doc(hidden)]
    pub fn before_fork(&self) {
        self.inner.database.before_fork();
    }

    /// After the fork, in the parent.
    #[doc(hidden)]
    pub fn after_fork_in_parent(&self) {
        self.inner.database.after_fork_in_parent();
    }

    /// The database, its tables as they should be.
    pub(crate) async fn database(&self) -> Result<&Database, Error> {
        self.digest_key().await?;
        Ok(&self.inner.database)
    }

    pub(crate) async fn digest_key(&self) -> Result<&[u8], Error> {
        runtime()?;
        let key =
            self.inner.digest_key.get_or_try_init(|| self.inner.database.migrate(self.inner.make));
        let key = key.await?;
        Ok(key)
    }

    pub(crate) fn refuse_when_closed(&self) -> Result<(), Error> {
        if *self.inner.closing.borrow() { Err(closed()) } else { Ok(()) }
    }

    /// Runs what must not be stopped half-way by a caller who loses patience, or by `close`.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let ledger = self.clone();
        self.although_closing(async move {
            ledger.refuse_when_closed()?;
            work.await
        })
        .await
    }

    /// As [`to_its_end`](Self::to_its_end), for what ends something that began before.
    pub(crate) async fn although_closing<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        // None while `close` waits for the others, before which the database is open.
        let under_way = self.inner.under_way.clone().try_read_owned().ok();
        let work = async move {
            let _under_way = under_way;
            work.await
        };
        self.inner.runtime.spawn(work).await.unwrap_or_else(|stopped| {
            let said = "the ledger's task was stopped, or panicked, before it came to its end";
            let lost = Error::of_ledger(ErrorKind::LedgerUnavailable, Outcome::Unknown, said);
            Err(lost.caused_by(stopped))
        })
    }

    pub(crate) fn client(&self) -> Result<&Client, Error> {
        self.inner.client.as_ref().ok_or_else(|| {
            Error::no_ledger("the ledger has no client: give it one when it is opened")
        })
    }

    /// What verifies deliveries, for the packages in other languages.
    #[doc(hidden)]
    pub fn webhook(&self) -> Result<&Webhook, Error> {
        self.inner.webhook.as_ref().ok_or_else(|| {
            Error::no_ledger(
                "the ledger has nothing to verify deliveries with: give it a client with an API \
                 secret, or a webhook, when it is opened",
            )
        })
    }
}

/// Takes over what is in the spool, for as long as there is a ledger.
async fn drain_now_and_then(ledger: Weak<Inner>) {
    loop {
        tokio::time::sleep(DRAIN_INTERVAL).await;
        let Some(inner) = ledger.upgrade() else { return };
        if *inner.closing.borrow() {
            return;
        }
        Ledger { inner }.drain().await;
    }
}

/// The runtime that this is called in.
pub(crate) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|problem| {
        let said = "no tokio runtime: use the ledger inside one, with I/O and time enabled";
        Error::no_ledger(said).caused_by(problem)
    })
}

/// A name that nobody else has.
pub(crate) fn unique() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|problem| {
        error(ErrorKind::LedgerUnavailable, "this machine gives no random numbers")
            .caused_by(problem)
    })?;
    Ok(hex(&bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text as both databases can keep it.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A name that a person or a shop gives: of an order, a payout, somebody.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), Error> {
    let refused = |reason: &str| Err(Error::refused_by_ledger(field, reason));
    if name.trim().is_empty() {
        return refused("it is blank");
    }
    if name.len() > LONGEST_NAME {
        return refused("it has more than 1,024 bytes");
    }
    if name.contains('\0') {
        return refused("it holds a NUL character");
    }
    Ok(())
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = if self.inner.database.is_postgres() { "postgres" } else { "sqlite" };
        f.debug_struct("Ledger")
            .field("database", &database)
            .field("has_client", &self.inner.client.is_some())
            .field("has_spool", &self.inner.spool.is_some())
            .finish_non_exhaustive()
    }
}
