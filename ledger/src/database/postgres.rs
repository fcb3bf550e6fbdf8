//! PostgreSQL: for a shop on more than one machine.

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use deadpool_postgres::{
    GenericClient, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime, Timeouts,
};
use futures_util::future::{join, join_all};
use kazawallet::{Error, ErrorKind};
use tokio::runtime::Handle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{IsolationLevel, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::migrations::Dialect;
use super::url::Server;
use super::{Durability, PATIENCE, Row, Rows, Statement, Value, closed, error, migrations};
use crate::times;
/// Connections of one process.
const CONNECTIONS: usize = 8;
/// How often a transaction is run that another one got in the way of.
const TRIES: u32 = 5;

/// A server, a database or a role may be set to lose what it has confirmed. The rest: each statement
/// is planned once, for its index, also while the tables are still small or were never analysed.
const SESSION: &str = "SET synchronous_commit = on; SET lock_timeout = '10s'; \
    SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off";

pub(crate) struct Postgres {
    pool: Pool,
    identity: String,
    /// Where connections are made: one lives only as long as the runtime that made it is driven.
    runtime: Handle,
}

impl Postgres {
    pub(super) fn at(server: Server, runtime: Handle) -> Result<Self, Error> {
        let identity = server.identity();
        let added = server.root_certificates.as_deref().map(read_certificates).transpose()?;
        let tls = kazawallet::tls_config(&added.unwrap_or_default())?;
        let manager = Manager::from_config(
            server.config,
            MakeRustlsConnect::new(tls),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let prepare = Hook::async_fn(|connection: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(
                async move { connection.batch_execute(SESSION).await.map_err(HookError::Backend) },
            )
        });
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .post_create(prepare)
            .build()
            .map_err(|problem| {
                Error::no_ledger("PostgreSQL's connections cannot be set up").caused_by(problem)
            })?;
        Ok(Self { pool, identity, runtime })
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    async fn connection(&self) -> Result<Object, Error> {
        if self.pool.is_closed() {
            return Err(closed());
        }
        // One that is there already; else one that is made, or waited for, in the ledger's runtime.
        let there =
            Timeouts { wait: Some(Duration::ZERO), create: Some(Duration::ZERO), recycle: None };
        if let Ok(connection) = self.pool.timeout_get(&there).await {
            return Ok(connection);
        }
        let pool = self.pool.clone();
        let got = self.runtime.spawn(async move { pool.get().await }).await;
        let got = got.unwrap_or(Err(PoolError::Closed)); // The runtime is shutting down.
        got.map_err(|problem| match problem {
            PoolError::Backend(problem)
            | PoolError::PostCreateHook(HookError::Backend(problem)) => of_postgres(problem),
            PoolError::Closed => closed(),
            other => error(
                ErrorKind::LedgerUnavailable,
                "the ledger's PostgreSQL server gave no connection in time",
            )
            .caused_by(other),
        })
    }

    pub(super) async fn migrate(&self, make: bool) -> Result<Vec<u8>, Error> {
        let mut connection = self.connection().await?;
        let encoding = connection.query_one("SHOW server_encoding", &[]).await;
        let encoding: String = encoding.and_then(|row| row.try_get(0)).map_err(of_postgres)?;
        if encoding != "UTF8" {
            return Err(Error::no_ledger(format!(
                "the ledger's database has the encoding {encoding}, which cannot hold every text: make \
                 one with ENCODING 'UTF8'"
            )));
        }
        let version = version(&connection).await?;
        if version.is_none() && !make {
            return Err(migrations::no_ledger_yet());
        }
        if version != Some(migrations::LATEST) {
            migrations::after(version.unwrap_or_default(), Dialect::Postgres)?;
            let transaction = connection
                .build_transaction()
                .isolation_level(IsolationLevel::ReadCommitted)
                .start()
                .await
                .map_err(of_postgres)?;
            let lock = format!("SELECT pg_advisory_xact_lock({})", migrations::LOCK);
            transaction.batch_execute(&lock).await.map_err(of_postgres)?;
            // Another process may have been faster.
            let version = self::version(&transaction).await?;
            for statement in migrations::after(version.unwrap_or_default(), Dialect::Postgres)? {
                transaction.batch_execute(&statement).await.map_err(of_postgres)?;
            }
            let done = match version {
                None => {
                    let key = Value::Bytes(migrations::digest_key()?);
                    let row: [&(dyn ToSql + Sync); 3] = [&migrations::LATEST, &key, &times::now()];
                    transaction.execute(migrations::BEGIN_LEDGER, &row).await
                }
                Some(_) => {
                    transaction.execute(migrations::SET_VERSION, &[&migrations::LATEST]).await
                }
            };
            done.map_err(of_postgres)?;
            transaction.commit().await.map_err(of_postgres)?;
        }
        let row = connection.query_one(migrations::VERSION_AND_KEY, &[]).await;
        row.and_then(|row| row.try_get(1)).map_err(of_postgres)
    }

    pub(super) async fn write(
        &self,
        statements: Vec<Statement>,
        durability: Durability,
    ) -> Result<Vec<Rows>, Error> {
        let mut tries = 1;
        loop {
            let connection = self.connection().await?;
            match transaction(connection, &statements, durability).await {
                Err(problem) if got_in_the_way(&problem) && tries < TRIES => tries += 1,
                done => return done.map_err(Failure::into_error),
            }
        }
    }

    pub(super) async fn read(&self, statement: Statement) -> Result<Rows, Error> {
        let answers = self.write(vec![statement], Durability::Full).await?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }
}

enum Failure {
    Postgres(tokio_postgres::Error),
    TimedOut,
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::Postgres(problem) => of_postgres(problem),
            Self::TimedOut => error(
                ErrorKind::LedgerUnavailable,
                "the ledger's PostgreSQL server did not answer in time",
            ),
        }
    }
}

/// Whether another transaction made this one fail, which then did nothing.
fn got_in_the_way(problem: &Failure) -> bool {
    let code = match problem {
        Failure::Postgres(problem) => problem.code(),
        Failure::TimedOut => None,
    };
    code.is_some_and(|code| {
        // A unique value that was not there yet when the statement looked.
        *code == SqlState::UNIQUE_VIOLATION
            || *code == SqlState::T_R_SERIALIZATION_FAILURE
            || *code == SqlState::T_R_DEADLOCK_DETECTED
    })
}

async fn transaction(
    connection: Object,
    statements: &[Statement],
    durability: Durability,
) -> Result<Vec<Rows>, Failure> {
    match tokio::time::timeout(PATIENCE, send(&connection, statements, durability)).await {
        Ok(done) => done.map_err(Failure::Postgres),
        Err(_) => {
            drop(Object::take(connection));
            Err(Failure::TimedOut)
        }
    }
}

/// Sends a whole transaction at once. It comes to its end also where nobody waits for it any more.
async fn send(
    connection: &Object,
    statements: &[Statement],
    durability: Durability,
) -> Result<Vec<Rows>, tokio_postgres::Error> {
    let mut prepared = Vec::with_capacity(statements.len());
    for statement in statements {
        prepared.push(match statement.postgres {
            Some(sql) => {
                let types: Vec<Type> = statement.values.iter().map(type_of).collect();
                Some(connection.prepare_typed_cached(sql, &types).await?)
            }
            None => None,
        });
    }
    let sent = prepared.iter().flatten().count();
    // Each of these hands over its whole request when it is first polled, and they are polled in
    // their order, without a pause: so they go out together, whole or not at all, and the answers
    // are waited for once.
    let queries =
        join_all(prepared.iter().zip(statements).map(|(prepared, statement)| async move {
            let Some(prepared) = prepared else { return Ok(Vec::new()) };
            let values: Vec<&(dyn ToSql + Sync)> =
                statement.values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            connection.query(prepared, &values).await
        }));
    let answers = if sent == 1 && durability == Durability::Full {
        queries.await
    } else {
        let begin = match durability {
            Durability::Full => "BEGIN",
            Durability::Cheap => "BEGIN; SET LOCAL synchronous_commit = off",
        };
        let begin = connection.simple_query(begin);
        let (begun, (answers, committed)) =
            join(begin, join(queries, connection.simple_query("COMMIT"))).await;
        begun?;
        // Where a statement failed, its error says more; the COMMIT has then rolled back.
        if answers.iter().all(Result::is_ok) {
            let _: Vec<SimpleQueryMessage> = committed?;
        }
        answers
    };
    answers.into_iter().map(|rows| rows?.iter().map(read).collect::<Result<Rows, _>>()).collect()
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::Null | Value::Text(_) => Type::TEXT,
        Value::Int(_) | Value::NoInt => Type::INT8,
        Value::Bytes(_) => Type::BYTEA,
    }
}

fn read(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    let column = |(place, column): (usize, &tokio_postgres::Column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(place)?.map(Value::Int),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(place)?.map(Value::Bytes),
            _ => row.try_get::<_, Option<String>>(place)?.map(Value::Text),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    row.columns().iter().enumerate().map(column).collect::<Result<_, _>>().map(Row::new)
}

impl ToSql for Value {
    fn to_sql(
        &self,
        wanted: &Type,
        out: &mut deadpool_postgres::tokio_postgres::types::private::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null | Self::NoInt => Ok(tokio_postgres::types::IsNull::Yes),
            Self::Text(text) => text.as_str().to_sql(wanted, out),
            Self::Int(number) => number.to_sql(wanted, out),
            Self::Bytes(bytes) => bytes.as_slice().to_sql(wanted, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true // The statements are prepared with the types of the values.
    }

    tokio_postgres::types::to_sql_checked!();
}

async fn version(client: &impl GenericClient) -> Result<Option<i64>, Error> {
    let row = client.query_one(LEDGER_EXISTS, &[]).await;
    if !row.and_then(|row| row.try_get(0)).map_err(of_postgres)? {
        return Ok(None);
    }
    let row = client.query_one(migrations::VERSION_AND_KEY, &[]).await;
    row.and_then(|row| row.try_get(0)).map(Some).map_err(of_postgres)
}

/// It reads a table, since only that makes the server look at what others have done.
const LEDGER_EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class
    WHERE relname = 'kazawallet_ledger' AND pg_catalog.pg_table_is_visible(oid))";

fn read_certificates(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|problem| {
        Error::no_ledger(format!("the file of sslrootcert cannot be read: {problem}"))
            .caused_by(problem)
    })
}

fn of_postgres(problem: tokio_postgres::Error) -> Error {
    let Some(said) = problem.as_db_error() else {
        let cause = StdError::source(&problem).map(|cause| format!(": {cause}"));
        let message = format!(
            "the ledger's PostgreSQL server cannot be reached, or the connection was lost{}",
            cause.unwrap_or_default()
        );
        return error(ErrorKind::LedgerUnavailable, message).caused_by(problem);
    };
    let (code, said) = (said.code().clone(), said.message().to_owned());
    // Its detail may show values; the message does not.
    let shown = |what: &str| format!("{what} (PostgreSQL {}: {said})", code.code());
    let class = code.code().get(..2).unwrap_or_default();
    let failure = match (class, &code) {
        ("28", _) | ("3D", _) => Error::no_ledger(shown("PostgreSQL refused the ledger's URL")),
        (_, code) if *code == SqlState::DISK_FULL => error(
            ErrorKind::LedgerFull,
            shown("the disk of the ledger's database is full: nothing was changed. Make room"),
        ),
        (_, code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => error(
            ErrorKind::LedgerReadOnly,
            shown("the ledger's database cannot be written: is it a standby?"),
        ),
        (_, code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => error(
            ErrorKind::LedgerReadOnly,
            shown("the ledger's role may not write its tables, or make them"),
        ),
        ("22" | "23" | "42" | "XX", _) => {
            error(ErrorKind::LedgerDamaged, shown("the ledger's tables are not as they should be"))
        }
        _ => error(ErrorKind::LedgerUnavailable, shown("PostgreSQL failed")),
    };
    // What PostgreSQL says in full can show values: it is no cause that a log may print.
    failure
}
