//! SQLite: one file, which several processes of a machine may share.
//!
//! One thread writes and one reads, each with a connection of its own. What waits for the writer is
//! written in one transaction, so that many writes at once cost one wait for the disk.

use std::error::Error as _;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kazawallet::{Error, ErrorKind, Report};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, ToSql, ffi};
use tokio::sync::oneshot;

use super::migrations::Dialect;
use super::{Durability, PATIENCE, Row, Rows, Statement, Value, closed, error, migrations};
use crate::times;
use crate::voice::Voice;

const LOG_IS_GONE: &str = "another SQLite library in this process has opened and closed the ledger's \
                           file, which ends the ledger's locks and removes its log: look at the \
                           tables from another process";
/// How often a transaction is run whose log is gone.
const TRIES: u32 = 3;
const READ_ONLY: &str = "the ledger's database cannot be written: its file, and the folder that it is \
                         in, must be writable";
/// A write, or the growing of the log's index, that failed.
const CANNOT_GROW: [i32; 2] = [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMSIZE];
/// The most transactions that are written as one.
const GROUP: usize = 64;
/// A commit returns when the disk has it.
const DURABLE: &str = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000";
/// A commit waits for no disk, not even to move the log into the file. (`OFF` would let a log begin anew
/// whose header is not on the disk: a power cut could then damage what was durable.)
const CHEAP: &str = "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0";
/// How one who waits for the lock looks for it.
const SHORT_PAUSES: u32 = 200;
const LONG_PAUSE: Duration = Duration::from_millis(5);
/// Statements that a connection keeps prepared.
const PREPARED: usize = 64;

pub(crate) struct Sqlite {
    path: PathBuf,
    voice: Voice,
    threads: Mutex<Threads>,
    resumed: Condvar,
}

#[derive(Default)]
struct Threads {
    writer: Option<Worker>,
    reader: Option<Worker>,
    /// A fork is under way.
    paused: bool,
    closed: bool,
}

struct Worker {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

struct Job {
    work: Work,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Vec<Rows>, Failure>>;

enum Failure {
    Error(Error),
    /// The log is not where it was any more: what was written may be in none. See [`Open`].
    LogIsGone,
}

impl From<Error> for Failure {
    fn from(problem: Error) -> Self {
        Self::Error(problem)
    }
}

#[derive(Clone)]
enum Work {
    Migrate,
    Transaction(Vec<Statement>, Durability),
    Scrub,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Writer,
    Reader,
}

impl Sqlite {
    pub(super) fn at(path: PathBuf, voice: Voice) -> Self {
        Self { path, voice, threads: Mutex::default(), resumed: Condvar::new() }
    }

    pub(super) async fn migrate(&self, make: bool) -> Result<Vec<u8>, Error> {
        // A look at the path costs nothing; whoever opens a database makes its file.
        if !make && !self.path.exists() {
            return Err(migrations::no_ledger_yet());
        }
        let mut answers = self.run(Role::Writer, Work::Migrate).await?.into_iter();
        match answers.next().and_then(|rows| rows.into_iter().next()) {
            Some(mut row) => row.bytes(),
            None => Err(error(ErrorKind::LedgerDamaged, "the ledger's database has lost its key")),
        }
    }

    pub(super) async fn write(
        &self,
        statements: Vec<Statement>,
        durability: Durability,
    ) -> Result<Vec<Rows>, Error> {
        self.run(Role::Writer, Work::Transaction(statements, durability)).await
    }

    pub(super) async fn read(&self, statement: Statement) -> Result<Rows, Error> {
        let work = Work::Transaction(vec![statement], Durability::Full);
        let answers = self.run(Role::Reader, work).await?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    pub(super) async fn scrub(&self) -> Result<(), Error> {
        self.run(Role::Writer, Work::Scrub).await.map(drop)
    }

    async fn run(&self, role: Role, work: Work) -> Result<Vec<Rows>, Error> {
        for _ in 0..TRIES {
            let (answer, answered) = oneshot::channel();
            self.hand_over(role, Job { work: work.clone(), answer })?;
            match answered.await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(Failure::Error(problem))) => return Err(problem),
                Ok(Err(Failure::LogIsGone)) => {
                    self.voice.tell(Report::error("sqlite_log_is_gone", LOG_IS_GONE));
                    self.lock().stop(); // Whoever asks next opens the file anew.
                }
                // Only a thread that panicked leaves a job unanswered.
                Err(_) => return Err(error(ErrorKind::LedgerDamaged, "SQLite failed")),
            }
        }
        Err(error(ErrorKind::LedgerDamaged, LOG_IS_GONE))
    }

    fn hand_over(&self, role: Role, job: Job) -> Result<(), Error> {
        let mut threads = self.lock();
        while threads.paused {
            threads = self.resumed.wait(threads).unwrap_or_else(PoisonError::into_inner);
        }
        if threads.closed {
            return Err(closed());
        }
        let worker = match role {
            Role::Writer => &mut threads.writer,
            Role::Reader => &mut threads.reader,
        };
        let worker = match worker {
            Some(worker) => worker,
            None => worker.insert(Worker::start(role, self.path.clone())?),
        };
        worker.jobs.send(job).map_err(|_| error(ErrorKind::LedgerDamaged, "SQLite failed"))
    }

    pub(super) fn close(&self) {
        let mut threads = self.lock();
        threads.closed = true;
        threads.stop();
    }

    /// SQLite must not have a file open in a process that forks: its locks belong to the process,
    /// and it would take the parent's for the child's.
    pub(super) fn pause(&self) {
        let mut threads = self.lock();
        threads.paused = true;
        threads.stop();
    }

    pub(super) fn resume(&self) {
        self.lock().paused = false;
        self.resumed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}

impl Threads {
    /// Has both finish what waits for them and close their connections.
    fn stop(&mut self) {
        for worker in [self.writer.take(), self.reader.take()].into_iter().flatten() {
            drop(worker.jobs);
            let _ = worker.thread.join();
        }
    }
}

impl Worker {
    fn start(role: Role, path: PathBuf) -> Result<Self, Error> {
        let (jobs, to_do) = channel();
        let thread = thread::Builder::new()
            .name("kazawallet-sqlite".to_owned())
            .spawn(move || serve(role, &path, &to_do))
            .map_err(|problem| {
                error(ErrorKind::LedgerUnavailable, "no thread for SQLite can be started")
                    .caused_by(problem)
            })?;
        Ok(Self { jobs, thread })
    }
}

/// What a thread does until nobody can ask anything of it any more.
fn serve(role: Role, path: &Path, to_do: &Receiver<Job>) {
    let mut opened = None;
    while let Ok(first) = to_do.recv() {
        let mut jobs = vec![first];
        while jobs.len() < GROUP
            && let Ok(next) = to_do.try_recv()
        {
            jobs.push(next);
        }
        let mut jobs = jobs.into_iter().peekable();
        while let Some(job) = jobs.next() {
            let open = match &opened {
                Some(open) => open,
                None => match Open::new(role, path, matches!(job.work, Work::Migrate)) {
                    Ok(open) => &*opened.insert(open),
                    Err(problem) => {
                        let _ = job.answer.send(Err(problem.into()));
                        continue;
                    }
                },
            };
            match job.work {
                Work::Migrate => {
                    drop(job.answer.send(migrate(&open.connection).map_err(Into::into)))
                }
                Work::Scrub => drop(job.answer.send(scrub(&open.connection).map_err(Into::into))),
                Work::Transaction(statements, durability) => {
                    let mut group = vec![(statements, job.answer)];
                    while let Some(next) = jobs.next_if(|next| next.work.goes_with(durability)) {
                        if let Work::Transaction(statements, _) = next.work {
                            group.push((statements, next.answer));
                        }
                    }
                    if !open.run_group(group, durability, role) {
                        opened = None;
                        continue;
                    }
                }
            }
            if !open.connection.is_autocommit() {
                opened = None; // A step of a migration failed: closing it takes all back.
            }
        }
    }
}

/// An open connection, and which file its log was when it was opened.
///
/// Where another SQLite library in this process closes the file, it ends all of the process's locks
/// on it, takes itself for the last one, and removes the log, while this library goes on writing into
/// it. So each time it is looked at whether the log is still there: after what was written, and
/// before it is answered.
struct Open {
    connection: Connection,
    log: PathBuf,
    log_is: Option<FileId>,
}

type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
fn file_id(_: &Path) -> Option<FileId> {
    None
}

impl Open {
    /// For the first time, a database of a newer version is refused. Later it is not: what a newer
    /// version adds while this one runs is no reason to stop.
    fn new(role: Role, path: &Path, first_time: bool) -> Result<Self, Error> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = PathBuf::from(log);
        // While another process opens or closes the file, SQLite says at once that it is locked.
        let until = Instant::now() + PATIENCE;
        let connection = loop {
            match open(role, path, first_time.then_some(&*log)) {
                Err(problem) if is_busy(&problem) && Instant::now() < until => {
                    thread::sleep(LONG_PAUSE);
                }
                opened => break opened?,
            }
        };
        let log_is = file_id(&log);
        Ok(Self { connection, log, log_is })
    }

    fn log_is_gone(&self) -> bool {
        file_id(&self.log) != self.log_is
    }

    /// Returns whether the connection is still as it should be.
    fn run_group(
        &self,
        group: Vec<(Vec<Statement>, Answer)>,
        durability: Durability,
        role: Role,
    ) -> bool {
        let connection = &self.connection;
        let (to_do, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let results = match (role, to_do.as_slice()) {
            (Role::Reader, _) => {
                Ok(to_do.iter().map(|statements| all(connection, statements)).collect())
            }
            (Role::Writer, [statements]) => {
                transaction(connection, durability, |connection| all(connection, statements))
                    .map(|rows| vec![Ok(rows)])
            }
            (Role::Writer, many) => transaction(connection, durability, |connection| {
                many.iter().map(|statements| apart(connection, statements)).collect()
            }),
        };
        // Before the answers, which may bring new work.
        let restored = durability == Durability::Full || connection.execute_batch(DURABLE).is_ok();
        if self.log_is_gone() {
            for answer in answers {
                let _ = answer.send(Err(Failure::LogIsGone));
            }
            return false;
        }
        match results {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    let _ = answer.send(result.map_err(|problem| of_sqlite(problem).into()));
                }
            }
            Err(problem) => {
                for answer in answers {
                    let _ = answer.send(Err(of_sqlite_ref(&problem).into()));
                }
            }
        }
        restored && connection.is_autocommit()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.log_is_gone() {
            // What is in a log that was removed must not go over what came after it.
            let keep_out = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            let _ = self.connection.set_db_config(keep_out, true);
        }
    }
}

impl Work {
    fn goes_with(&self, durability: Durability) -> bool {
        matches!(self, Self::Transaction(_, theirs) if *theirs == durability)
    }
}

/// With the path of the log, a newer version's database is refused.
fn open(role: Role, path: &Path, log_of_unknown: Option<&Path>) -> Result<Connection, Error> {
    make_private(path)?;
    let has_log = log_of_unknown.map(|log| std::fs::metadata(log).is_ok_and(|log| log.len() > 0));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(of_sqlite)?;
    connection.busy_handler(Some(wait_for_lock)).map_err(of_sqlite)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    if connection.is_readonly(MAIN_DB).map_err(of_sqlite)? {
        return Err(error(ErrorKind::LedgerReadOnly, READ_ONLY));
    }
    if let Some(has_log) = has_log {
        refuse_newer(&connection, has_log)?;
    }
    // The fullfsyncs are macOS's word for "the disk has it". Secure delete: what is erased is
    // overwritten.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
             PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF",
        )
        .and_then(|()| connection.execute_batch(DURABLE))
        .map_err(of_sqlite)?;
    if role == Role::Reader {
        connection.execute_batch("PRAGMA query_only = ON").map_err(of_sqlite)?;
    }
    // The first look opens the log.
    connection
        .query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(of_sqlite)?;
    Ok(connection)
}

/// Before anything is written, and be it the mode of the journal.
fn refuse_newer(connection: &Connection, has_log: bool) -> Result<(), Error> {
    let known = version(connection)
        .and_then(|version| migrations::after(version.unwrap_or_default(), Dialect::Sqlite));
    if known.is_err() && has_log {
        // What a newer version has left in its log is for it to move into the file.
        let keep_out = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        connection.set_db_config(keep_out, true).map_err(of_sqlite)?;
    }
    known.map(drop)
}

/// The file holds people's data: a new one is its owner's alone. SQLite gives the files beside it
/// the same permissions.
fn make_private(path: &Path) -> Result<(), Error> {
    // Closing a file ends all locks that this process has on it, SQLite's too: so nobody opens it
    // before this has closed it.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path).map_err(|problem| problem.kind()) {
        Err(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            Err(error(ErrorKind::LedgerReadOnly, READ_ONLY))
        }
        // Where it is there already, all is well; of what else there may be SQLite's error says more.
        _ => Ok(()),
    }
}

/// SQLite's own pauses grow to 100 ms, in which others overtake. A lock is held for as long as the
/// disk takes, so these are short at first, and never alike.
fn wait_for_lock(tries: i32) -> bool {
    let tries = u32::try_from(tries).unwrap_or_default();
    let shortly = tries < SHORT_PAUSES;
    thread::sleep(if shortly { Duration::from_micros(fastrand::u64(50..400)) } else { LONG_PAUSE });
    LONG_PAUSE * tries.saturating_sub(SHORT_PAUSES) < PATIENCE
}

fn transaction<T>(
    connection: &Connection,
    durability: Durability,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    if durability == Durability::Cheap {
        connection.execute_batch(CHEAP)?;
    }
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let done = work(connection).and_then(|done| {
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(done)
    });
    if done.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    done
}

/// One transaction among several that are written together: it fails alone.
fn apart(
    connection: &Connection,
    statements: &[Statement],
) -> rusqlite::Result<rusqlite::Result<Vec<Rows>>> {
    connection.prepare_cached("SAVEPOINT one")?.execute([])?;
    let done = all(connection, statements);
    if let Err(problem) = done {
        if connection.is_autocommit() {
            return Err(problem); // It took all of them with it.
        }
        connection.execute_batch("ROLLBACK TO one; RELEASE one")?;
        return Ok(Err(problem));
    }
    connection.prepare_cached("RELEASE one")?.execute([])?;
    Ok(done)
}

fn all(connection: &Connection, statements: &[Statement]) -> rusqlite::Result<Vec<Rows>> {
    statements.iter().map(|statement| one(connection, statement)).collect()
}

fn one(connection: &Connection, statement: &Statement) -> rusqlite::Result<Rows> {
    let Some(sql) = statement.sqlite else { return Ok(Rows::new()) };
    let mut prepared = connection.prepare_cached(sql)?;
    for (number, value) in (1..).zip(&statement.values) {
        // A parameter's place is where it first stands, not its number.
        if let Some(place) = prepared.parameter_index(&format!("${number}"))? {
            prepared.raw_bind_parameter(place, value)?;
        }
    }
    let columns = prepared.column_count();
    let mut rows = prepared.raw_query();
    let mut answer = Rows::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|column| Ok(read(row.get_ref(column)?)));
        answer.push(Row::new(values.collect::<rusqlite::Result<_>>()?));
    }
    Ok(answer)
}

fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Null | ValueRef::Real(_) => Value::Null,
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null | Self::NoInt => ValueRef::Null,
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Gives the key of the digests.
fn migrate(connection: &Connection) -> Result<Vec<Rows>, Error> {
    let version = version(connection)?;
    if version != Some(migrations::LATEST) {
        connection.execute_batch("BEGIN IMMEDIATE").map_err(of_sqlite)?;
        // Another process may have been faster.
        let version = self::version(connection)?;
        for statement in migrations::after(version.unwrap_or_default(), Dialect::Sqlite)? {
            connection.execute_batch(&statement).map_err(of_sqlite)?;
        }
        let done = match version {
            None => connection.execute(
                migrations::BEGIN_LEDGER,
                (migrations::LATEST, migrations::digest_key()?, times::now()),
            ),
            Some(_) => connection.execute(migrations::SET_VERSION, [migrations::LATEST]),
        };
        done.map_err(of_sqlite)?;
        connection.execute_batch("COMMIT").map_err(of_sqlite)?;
    }
    let key = connection
        .query_row(migrations::VERSION_AND_KEY, [], |row| row.get(1))
        .map_err(of_sqlite)?;
    Ok(vec![vec![Row::new(vec![Value::Bytes(key)])]])
}

fn version(connection: &Connection) -> Result<Option<i64>, Error> {
    // Not the library's own way to ask, which may answer from what it remembers.
    let there = "SELECT COUNT(*) > 0 FROM sqlite_schema WHERE name = 'kazawallet_ledger'";
    let there: bool = connection.query_row(there, [], |row| row.get(0)).map_err(of_sqlite)?;
    if !there {
        return Ok(None);
    }
    let version = connection.query_row(migrations::VERSION_AND_KEY, [], |row| row.get(0));
    version.map(Some).map_err(of_sqlite)
}

/// What was erased is overwritten in the file, and the log that still has it is emptied; unless
/// somebody reads it, for whom others are not to wait.
fn scrub(connection: &Connection) -> Result<Vec<Rows>, Error> {
    connection.busy_timeout(Duration::from_millis(500)).map_err(of_sqlite)?;
    let kept = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    connection.busy_handler(Some(wait_for_lock)).map_err(of_sqlite)?;
    if kept.map_err(of_sqlite)? {
        return Err(error(
            ErrorKind::LedgerUnavailable,
            "all was erased, but the log still has it, since another process reads the database: \
             call it again",
        ));
    }
    Ok(Vec::new())
}

fn is_busy(problem: &Error) -> bool {
    let cause = problem.source().and_then(|cause| cause.downcast_ref::<rusqlite::Error>());
    cause.and_then(rusqlite::Error::sqlite_error_code) == Some(ErrorCode::DatabaseBusy)
}

fn of_sqlite(problem: rusqlite::Error) -> Error {
    of_sqlite_ref(&problem).caused_by(problem)
}

fn of_sqlite_ref(problem: &rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(failure, said) = problem else {
        return error(ErrorKind::LedgerDamaged, format!("SQLite: {problem}"));
    };
    let said = said.as_deref().unwrap_or("no reason given");
    let (kind, what) = match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
            ErrorKind::LedgerUnavailable,
            "another process has locked the ledger's database for too long",
        ),
        ErrorCode::DiskFull => (
            ErrorKind::LedgerFull,
            "the disk of the ledger's database is full: nothing was changed. Make room",
        ),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => (ErrorKind::LedgerReadOnly, READ_ONLY),
        ErrorCode::CannotOpen => (
            ErrorKind::LedgerUnavailable,
            "the ledger's database cannot be opened: the folder must exist, and be writable",
        ),
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => {
            (ErrorKind::LedgerDamaged, "the ledger's file is no SQLite database, or is damaged")
        }
        // What a quota or a limit of file size gives, too.
        ErrorCode::SystemIoFailure if CANNOT_GROW.contains(&failure.extended_code) => (
            ErrorKind::LedgerFull,
            "the disk of the ledger's database cannot be written: is it full, or is a quota or a limit \
             of file size reached? Nothing was changed",
        ),
        ErrorCode::SystemIoFailure => (
            ErrorKind::LedgerUnavailable,
            "the disk of the ledger's database cannot be read or written",
        ),
        _ => (ErrorKind::LedgerDamaged, "SQLite failed"),
    };
    error(kind, format!("{what} ({said})"))
}
