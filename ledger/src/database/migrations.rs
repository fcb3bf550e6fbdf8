//! The tables, and how they came to be: numbered steps, run in their order, never changed once
//! released.

use kazawallet::{Error, ErrorKind};

use super::error;

/// The steps. The version of a database is how many of them it has seen.
const MIGRATIONS: &[&str] =
    &[include_str!("migrations/001_first.sql"), include_str!("migrations/002_links.sql")];

/// Where PostgreSQL's advisory locks are numbered, this is ours: `kazawall` in ASCII.
pub(super) const LOCK: i64 = 0x6b61_7a61_7761_6c6c;

pub(super) const VERSION_AND_KEY: &str = "SELECT version, digest_key FROM kazawallet_ledger";
pub(super) const SET_VERSION: &str = "UPDATE kazawallet_ledger SET version = $1";
pub(super) const BEGIN_LEDGER: &str =
    "INSERT INTO kazawallet_ledger (version, digest_key, created_at) VALUES ($1, $2, $3)";

pub(super) const LATEST: i64 = MIGRATIONS.len() as i64;

/// Whose words a step is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// That of the files.
    Postgres,
    /// Other types. A table whose key is text has no further key of SQLite's own, which would be written,
    /// too. And no payment is `UNIQUE` in what it settles: that makes one of two fail that PostgreSQL
    /// decides at the same time, and SQLite decides one after the other.
    Sqlite,
}

impl Dialect {
    fn spelt(self, statement: &str) -> String {
        match self {
            Self::Postgres => statement.to_owned(),
            Self::Sqlite => statement
                .replace("BYTEA", "BLOB")
                .replace("/* sqlite: WITHOUT ROWID */", "WITHOUT ROWID")
                .replace(" UNIQUE", ""),
        }
    }
}

/// The statements that bring a database from a version to the latest one.
pub(super) fn after(version: i64, dialect: Dialect) -> Result<Vec<String>, Error> {
    let seen = usize::try_from(version).ok().and_then(|seen| MIGRATIONS.get(seen..));
    let to_run = seen.ok_or_else(|| {
        error(
            ErrorKind::LedgerVersion,
            format!(
                "the ledger's database has version {version}, and this software knows up to \
                 {LATEST}: a newer version of kazawallet has used it. Update this one"
            ),
        )
    })?;
    Ok(to_run.iter().flat_map(|step| statements(step)).map(|said| dialect.spelt(said)).collect())
}

/// A step's statements. Each ends with a line that ends with a semicolon.
fn statements(step: &str) -> impl Iterator<Item = &str> {
    step.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

pub(super) fn no_ledger_yet() -> Error {
    error(
        ErrorKind::LedgerNotFound,
        "there is no ledger at this URL: the shop's first `Ledger.open` makes it",
    )
}

/// 32 bytes that nobody can guess.
pub(super) fn digest_key() -> Result<Vec<u8>, Error> {
    let mut key = vec![0; 32];
    getrandom::fill(&mut key).map_err(|problem| {
        error(ErrorKind::LedgerUnavailable, "this machine gives no random numbers")
            .caused_by(problem)
    })?;
    Ok(key)
}
