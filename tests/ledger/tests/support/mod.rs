//! What the ledger's tests share: a shop with a simulator and a database of its own, children, and
//! waiting.

#![allow(dead_code, clippy::print_stdout)]

pub mod child;
pub mod provider;
pub mod proxy;
pub mod random;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use kazawallet::{CreatePaymentLink, CreateWithdrawal, Error, PaymentMethod, Webhook};
use kazawallet_ledger::{Ledger, OpenLedger};
use kazawallet_ledger_tests::postgres::Postgres;
use kazawallet_ledger_tests::{Delivery, Job, Shop};
use kazawallet_simulator::{RecordedRequest, Simulator};
use tempfile::TempDir;

/// Nothing that is waited for takes this long, unless it never comes.
pub const FAR_TOO_LONG: Duration = Duration::from_secs(60);

/// Waits for an event, and fails instead of waiting for ever.
#[track_caller]
pub fn in_time<T>(event: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let event = tokio::time::timeout(FAR_TOO_LONG, event).await;
        event.unwrap_or_else(|_| panic!("what {caller} waits for never came"))
    }
}

/// Waits until something holds of which nobody tells.
#[track_caller]
pub fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < FAR_TOO_LONG, "what {caller} waits for never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Waits until a moment that is known.
pub async fn until_time(moment: SystemTime) {
    while let Ok(left) = moment.duration_since(SystemTime::now()) {
        tokio::time::sleep(left + Duration::from_millis(1)).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// A shop of one test: an account at a simulator, and an empty database.
pub struct TestShop {
    pub shop: Shop,
    pub sim: Simulator,
    pub webhook: Webhook,
    pub database: Database,
    folder: TempDir,
}

impl TestShop {
    /// On a database that is there throughout. The ledger has no spool: on a busy machine a delivery may
    /// have to wait for the database longer than it does before it is spooled.
    pub async fn on(database: Database) -> Self {
        let folder = TempDir::new().unwrap();
        let url = match database {
            Database::Sqlite => sqlite_url(&folder.path().join("ledger.db")),
            Database::Postgres => {
                let server = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
                server.unwrap_or_else(|error| panic!("{error}")).new_database().await.unwrap()
            }
        };
        Self::at(database, url, folder).await
    }

    /// On a PostgreSQL that the test stops and starts. The ledger has a spool.
    pub async fn on_server(server: &Postgres) -> Self {
        let url = server.new_database().await.unwrap();
        Self::at(Database::Postgres, url, TempDir::new().unwrap()).await.with_spool()
    }

    pub fn with_spool(mut self) -> Self {
        self.shop.spool = Some(self.spool());
        self
    }

    async fn at(database: Database, ledger: String, folder: TempDir) -> Self {
        let sim = Simulator::builder().balance("USD", "100000").start().await.unwrap();
        let shop = Shop {
            ledger,
            spool: None,
            provider: sim.url(),
            key: sim.api_key().to_owned(),
            secret: sim.api_secret().to_owned(),
            email: sim.merchant_email().to_owned(),
            timeout: Duration::from_secs(30),
            clock_margin: Duration::from_secs(1),
        };
        let webhook = sim.webhook();
        Self { shop, sim, webhook, database, folder }
    }

    /// The test's own folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The SQLite file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    pub fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    pub fn opening(&self) -> OpenLedger {
        self.shop.opening().unwrap()
    }

    /// The shop's ledger, opened as another process would.
    pub async fn ledger(&self) -> Ledger {
        in_time(self.opening().into_future()).await.unwrap()
    }

    pub fn body(&self, delivery: &Delivery) -> Vec<u8> {
        delivery.body(&self.webhook).unwrap()
    }

    /// An order of [`Job::PRICE`], and its link's id.
    pub async fn order(&self, ledger: &Ledger, reference: &str) -> String {
        let link = ledger.create_payment_link(order(reference)).await.unwrap();
        link.id.unwrap()
    }

    /// An order that is paid; gives the link's id.
    pub async fn paid_order(&self, ledger: &Ledger, reference: &str) -> String {
        let id = self.order(ledger, reference).await;
        let body = self.body(&Delivery::paid(&id, Job::PRICE, reference));
        let receipt = ledger.receive(body).await.unwrap();
        assert_eq!(receipt.decision, kazawallet_ledger::Decision::Paid);
        id
    }

    pub fn links_asked_for(&self) -> usize {
        self.requests("/wallet/createPaymentLink").len()
    }

    pub fn payouts_asked_for(&self) -> usize {
        self.requests("/wallet/createWithdrawalRequest").len()
    }

    pub fn requests(&self, path: &str) -> Vec<RecordedRequest> {
        let mut requests = self.sim.requests();
        requests.retain(|request| request.path == path);
        requests
    }
}

pub fn sqlite_url(file: &std::path::Path) -> String {
    format!("sqlite://{}", file.display())
}

/// What an order of [`Job::PRICE`] asks for.
pub fn order(reference: &str) -> CreatePaymentLink {
    CreatePaymentLink::new(Job::PRICE.parse().unwrap(), "USD").reference(reference)
}

pub const RECIPIENT: &str = "0933123456";
pub const NOTE: &str = "wages for Samira";

/// A payout of [`Job::PAYOUT`].
pub fn payout() -> CreateWithdrawal {
    CreateWithdrawal::new(Job::PAYOUT.parse().unwrap(), "USD", PaymentMethod::sy_cash(RECIPIENT))
        .note(NOTE)
}

/// The code of the error, and the field that it names.
#[track_caller]
pub fn refusal<T>(result: Result<T, Error>) -> (&'static str, Option<String>) {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => (error.code(), error.field().map(str::to_owned)),
    }
}

/// The code of the error.
#[track_caller]
pub fn code<T>(result: Result<T, Error>) -> &'static str {
    refusal(result).0
}

/// Runs a test on SQLite and on PostgreSQL, at the same time: most of it is waiting for the disk.
pub fn on_both_databases<F: Future<Output = ()>>(test: fn(TestShop) -> F) {
    let on = |database| {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all();
        runtime.build().unwrap().block_on(async { test(TestShop::on(database).await).await });
    };
    std::thread::scope(|scope| {
        let databases = [Database::Sqlite, Database::Postgres];
        let runs = databases.map(|database| (database, scope.spawn(move || on(database))));
        let ended = runs.map(|(database, run)| (database, run.join()));
        for (database, end) in ended {
            assert!(end.is_ok(), "on {database:?}; what happened is said above");
        }
    });
}

/// Tests that are run on SQLite and on PostgreSQL.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$about:meta])* async fn $name:ident($shop:ident: $shop_type:ty) $body:block)*) => {$(
        $(#[$about])*
        #[test]
        fn $name() {
            async fn test($shop: $shop_type) $body
            $crate::support::on_both_databases(test);
        }
    )*};
}
