//! The fixtures: ledgers of former versions, and what those told of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use kazawallet::{Client, CreatePaymentLink, Webhook};
use kazawallet_ledger::{Ledger, OpenLedger};
use kazawallet_ledger_tests::postgres::Postgres;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::provider::Provider;
use crate::support::{Database, sqlite_url};
use crate::told::{EMAIL, KEY, Names, SECRET};

/// A copy of a fixture, which the present version has not seen yet.
pub struct Former {
    /// The commit that made it.
    pub commit: String,
    pub database: Database,
    pub url: String,
    /// What that version told.
    pub told: Arc<Map<String, Value>>,
    pub provider: Provider,
    pub webhook: Webhook,
    folder: TempDir,
}

impl Former {
    pub async fn copy(commit: &str, database: Database) -> Self {
        let folder = TempDir::new().unwrap();
        let url = match database {
            Database::Sqlite => {
                let file = folder.path().join("ledger.db");
                std::fs::write(&file, unpacked(&format!("{commit}.sqlite.gz"))).unwrap();
                sqlite_url(&file)
            }
            Database::Postgres => {
                let server = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
                let url = server.unwrap().new_database().await.unwrap();
                let dump = unpacked(&format!("{commit}.postgresql.sql.gz"));
                let client = connected(&url).await;
                client.batch_execute(str::from_utf8(&dump).unwrap()).await.unwrap();
                url
            }
        };
        let told = match database {
            Database::Sqlite => "sqlite",
            Database::Postgres => "postgresql",
        };
        let told = told_by(&format!("{commit}.{told}.json.gz"));
        Self {
            commit: commit.to_owned(),
            database,
            url,
            told,
            // Its links are others than the former ones.
            provider: Provider::start(1_000_000).await.unwrap(),
            webhook: Webhook::new(KEY, SECRET).unwrap(),
            folder,
        }
    }

    /// The SQLite file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn opening(&self) -> OpenLedger {
        let client = Client::builder(KEY).api_secret(SECRET).merchant_email(EMAIL);
        let client = client.base_url(&self.provider.url).max_retries(0).build().unwrap();
        Ledger::open(&self.url).client(client).no_spool()
    }

    /// Opened by the present version.
    pub async fn ledger(&self) -> Ledger {
        self.opening().await.unwrap()
    }

    pub fn all(&self, kind: &str) -> &[Value] {
        self.told[kind].as_array().unwrap()
    }

    pub fn names(&self) -> Names {
        let names = |kind: &str, field: &str| {
            self.all(kind).iter().map(|record| text(&record[field]).to_owned()).collect()
        };
        Names {
            orders: names("orders", "ref"),
            payments: names("payments", "order_id"),
            payouts: names("payouts", "reference"),
        }
    }
}

/// The text of a field that has one.
#[track_caller]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// What an order of a fixture was asked for with.
pub fn asked_for(order: &Value) -> CreatePaymentLink {
    let amount = text(&order["amount"]).parse().unwrap();
    CreatePaymentLink::new(amount, text(&order["currency"])).reference(text(&order["ref"]))
}

pub async fn connected(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// By the program that every system of ours has: so no crate is needed for a test's sake.
fn unpacked(name: &str) -> Vec<u8> {
    let done = Command::new("gzip").arg("-dc").arg(fixtures().join(name)).output().unwrap();
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// What is in a file, which all tests of this process read once.
fn told_by(name: &str) -> Arc<Map<String, Value>> {
    static TOLD: Mutex<BTreeMap<String, Arc<Map<String, Value>>>> = Mutex::new(BTreeMap::new());
    let mut told = TOLD.lock().unwrap();
    let read = || Arc::new(serde_json::from_slice(&unpacked(name)).unwrap());
    told.entry(name.to_owned()).or_insert_with(read).clone()
}

/// The commits of which there are fixtures.
pub fn commits() -> Vec<String> {
    let commits: Vec<_> = std::fs::read_dir(fixtures())
        .unwrap()
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".sqlite.gz").map(str::to_owned)
        })
        .collect();
    assert!(!commits.is_empty());
    commits
}

/// Runs a test on a copy of every fixture.
pub fn run_on_every_fixture<F: Future<Output = ()>>(test: fn(Former) -> F) {
    let on = |commit: &str, database| {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all();
        runtime.build().unwrap().block_on(async {
            test(Former::copy(commit, database).await).await;
        });
    };
    for commit in &commits() {
        std::thread::scope(|scope| {
            let databases = [Database::Sqlite, Database::Postgres];
            let runs =
                databases.map(|database| (database, scope.spawn(move || on(commit, database))));
            let ended = runs.map(|(database, run)| (database, run.join()));
            for (database, end) in ended {
                assert!(end.is_ok(), "{commit} on {database:?}; what happened is said above");
            }
        });
    }
}

/// Tests that are run on a copy of every fixture.
macro_rules! on_every_fixture {
    ($($(#[$about:meta])* async fn $name:ident($former:ident: $former_type:ty) $body:block)*) => {$(
        $(#[$about])*
        #[test]
        fn $name() {
            async fn test($former: $former_type) $body
            $crate::former::run_on_every_fixture(test);
        }
    )*};
}
pub(crate) use on_every_fixture;
