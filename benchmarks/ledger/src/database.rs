//! Fresh databases of both kinds, and a way into them past the ledger.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use kazawallet_ledger_tests::postgres::Postgres;
use tokio_postgres::NoTls;

use crate::Result;

/// Makes databases.
pub(crate) struct Databases<'a> {
    folder: &'a Path,
    server: &'a Postgres,
    made: AtomicU32,
}

/// One of them.
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// As figures are named.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }
}

impl<'a> Databases<'a> {
    pub(crate) fn new(folder: &'a Path, server: &'a Postgres) -> Self {
        Self { folder, server, made: AtomicU32::new(0) }
    }

    pub(crate) async fn postgres_version(&self) -> Result<String> {
        let client = connect(&self.server.new_database().await?).await?;
        Ok(client.query_one("SHOW server_version", &[]).await?.try_get(0)?)
    }

    pub(crate) async fn new_one(&self, kind: Kind) -> Result<Database> {
        Ok(match kind {
            Kind::Sqlite => {
                let number = self.made.fetch_add(1, Ordering::Relaxed);
                Database::Sqlite(self.folder.join(format!("{number}.db")))
            }
            Kind::Postgres => Database::Postgres(self.server.new_database().await?),
        })
    }
}

impl Database {
    /// Its URL, for the ledger.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite://{}", file.display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Runs statements without the ledger.
    pub(crate) async fn execute(&self, statements: &str) -> Result<()> {
        match self {
            Self::Sqlite(file) => Ok(rusqlite::Connection::open(file)?.execute_batch(statements)?),
            Self::Postgres(url) => Ok(connect(url).await?.batch_execute(statements).await?),
        }
    }

    /// A table expression with the column `i`, from one to `count`.
    pub(crate) fn numbers(&self, count: u32) -> String {
        match self {
            Self::Sqlite(_) => format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                 SELECT i FROM n) n"
            ),
            Self::Postgres(_) => format!("generate_series(1, {count}) n(i)"),
        }
    }

    /// Brings it to where a database in use has come by itself. SQLite's log is as long as it gets, so
    /// that what follows overwrites it: while it grows, each sync costs more.
    pub(crate) async fn settle_down(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => {
                self.execute(
                    "CREATE TABLE filler AS SELECT zeroblob(8000000) AS filler;
                     DROP TABLE filler;
                     PRAGMA wal_checkpoint(RESTART)",
                )
                .await
            }
            Self::Postgres(_) => {
                self.execute("VACUUM ANALYZE").await?;
                self.execute("CHECKPOINT").await
            }
        }
    }
}

pub(crate) async fn connect(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
