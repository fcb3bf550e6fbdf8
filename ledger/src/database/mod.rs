//! The two databases behind one face: a transaction is a list of statements, sent at once.
//!
//! What one statement does may depend on the one before, but only in SQL: so a transaction never
//! waits for this process, costs one round trip, and cannot be left half-way. One text of a
//! statement serves both databases where they agree.

mod migrations;
mod postgres;
mod sqlite;
mod url;

use std::fmt;
use std::time::SystemTime;

use kazawallet::{Amount, Error, ErrorKind, Outcome};
use tokio::runtime::Handle;

use crate::times;
use crate::voice::Voice;
use postgres::Postgres;
use sqlite::Sqlite;
use url::Location;

/// How long a lock, a connection or an answer is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// A parameter or a column.
#[derive(Clone)]
pub(crate) enum Value {
    /// Of a text column.
    Null,
    Text(String),
    Int(i64),
    /// Null, of a column of numbers.
    NoInt,
    Bytes(Vec<u8>),
}

/// PostgreSQL's driver logs parameters so: they are people's data.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null | Self::NoInt => "null",
            Self::Text(_) => "text",
            Self::Int(_) => "int",
            Self::Bytes(_) => "bytes",
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Into::into)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Into::into)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

/// One statement. Its parameters are `$1`, `$2` and so on.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    sqlite: Option<&'static str>,
    postgres: Option<&'static str>,
    values: Vec<Value>,
}

impl Statement {
    pub(crate) fn new(sql: &'static str) -> Self {
        Self::differing(Some(sql), Some(sql))
    }

    /// A statement that the databases spell differently, or that one of them has no need of.
    pub(crate) fn differing(sqlite: Option<&'static str>, postgres: Option<&'static str>) -> Self {
        Self { sqlite, postgres, values: Vec::new() }
    }

    /// Gives the next parameter its value.
    pub(crate) fn with(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }
}

/// A row of an answer, read from its first column on.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, Error> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(unreadable("a text")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, Error> {
        self.optional_text()?.ok_or_else(|| unreadable("a text"))
    }

    /// One of a set of fixed texts.
    pub(crate) fn known<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        read(&self.text()?).ok_or_else(|| unreadable("a state"))
    }

    pub(crate) fn optional_time(&mut self) -> Result<Option<SystemTime>, Error> {
        let Some(text) = self.optional_text()? else { return Ok(None) };
        times::read(&text).map(Some).ok_or_else(|| unreadable("a time"))
    }

    pub(crate) fn time(&mut self) -> Result<SystemTime, Error> {
        self.optional_time()?.ok_or_else(|| unreadable("a time"))
    }

    pub(crate) fn amount(&mut self) -> Result<Amount, Error> {
        Amount::from_delivery(&self.text()?).map_err(|_| unreadable("an amount"))
    }

    pub(crate) fn optional_int(&mut self) -> Result<Option<i64>, Error> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(Some(number)),
            Some(Value::Null) => Ok(None),
            _ => Err(unreadable("a number")),
        }
    }

    pub(crate) fn int(&mut self) -> Result<i64, Error> {
        self.optional_int()?.ok_or_else(|| unreadable("a number"))
    }

    pub(crate) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.0.next() {
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            Some(Value::Null) => Ok(None),
            _ => Err(unreadable("bytes")),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        self.optional_bytes()?.ok_or_else(|| unreadable("bytes"))
    }
}

/// What a statement answered.
pub(crate) type Rows = Vec<Row>;

/// The answers of a transaction's statements, in their order.
#[derive(Debug)]
pub(crate) struct Answers(std::vec::IntoIter<Rows>);

impl Answers {
    pub(crate) fn next(&mut self) -> Rows {
        self.0.next().unwrap_or_default()
    }
}

/// How much a transaction's durability may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durability {
    /// It survives a power cut once it is answered.
    Full,
    /// It waits for no disk.
    Cheap,
}

/// An open database.
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Database {
    /// Opens a database without talking to it yet.
    pub(crate) fn at(url: &str, runtime: &Handle, voice: &Voice) -> Result<Self, Error> {
        Ok(match url::read(url)? {
            Location::Sqlite(path) => Self::Sqlite(Sqlite::at(path, voice.clone())),
            Location::Postgres(server) => Self::Postgres(Postgres::at(*server, runtime.clone())?),
        })
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// What tells a server's databases apart, before one is reached.
    pub(crate) fn identity(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(postgres) => Some(postgres.identity()),
        }
    }

    /// Brings the tables to this version, and gives the key of the digests. Makes them where there
    /// are none, if it may.
    pub(crate) async fn migrate(&self, make: bool) -> Result<Vec<u8>, Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.migrate(make).await,
            Self::Postgres(postgres) => postgres.migrate(make).await,
        }
    }

    /// Runs statements as one transaction. Once it is answered it would survive a power cut.
    pub(crate) async fn write(
        &self,
        statements: impl Into<Vec<Statement>>,
    ) -> Result<Answers, Error> {
        self.transaction(statements.into(), Durability::Full).await
    }

    /// As [`write`](Self::write), but a power cut may undo it, and it waits for no disk.
    pub(crate) async fn write_cheaply(
        &self,
        statements: impl Into<Vec<Statement>>,
    ) -> Result<Answers, Error> {
        self.transaction(statements.into(), Durability::Cheap).await
    }

    async fn transaction(
        &self,
        statements: Vec<Statement>,
        durability: Durability,
    ) -> Result<Answers, Error> {
        let rows = match self {
            Self::Sqlite(sqlite) => sqlite.write(statements, durability).await?,
            Self::Postgres(postgres) => postgres.write(statements, durability).await?,
        };
        Ok(Answers(rows.into_iter()))
    }

    /// Runs one statement that changes nothing.
    pub(crate) async fn read(&self, statement: Statement) -> Result<Rows, Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.read(statement).await,
            Self::Postgres(postgres) => postgres.read(statement).await,
        }
    }

    /// Leaves nothing of what was erased in the database's own files, as far as it lets us.
    pub(crate) async fn scrub(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.scrub().await,
            Self::Postgres(_) => Ok(()), // Its dead rows go with the next VACUUM.
        }
    }

    pub(crate) fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close(),
            Self::Postgres(postgres) => postgres.close(),
        }
    }

    /// Closes what must not be open while this process forks, and keeps it closed. What is under
    /// way is waited for.
    pub(crate) fn before_fork(&self) {
        if let Self::Sqlite(sqlite) = self {
            sqlite.pause();
        }
    }

    pub(crate) fn after_fork_in_parent(&self) {
        if let Self::Sqlite(sqlite) = self {
            sqlite.resume();
        }
    }
}

/// An error of the ledger, of which nothing was sent to the provider.
pub(crate) fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::of_ledger(kind, Outcome::NotSent, message)
}

pub(crate) fn closed() -> Error {
    error(ErrorKind::LedgerUnavailable, "the ledger is closed: open it again, or close it later")
}

fn unreadable(expected: &str) -> Error {
    error(
        ErrorKind::LedgerDamaged,
        format!("the ledger's database holds something else where {expected} was expected"),
    )
}
