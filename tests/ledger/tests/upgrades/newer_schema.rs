//! The tables of a newer version are refused before anything is written.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use crate::former::{Former, commits, connected, on_every_fixture};
use crate::support::{Database, code};

const NEWER: &str = "UPDATE kazawallet_ledger SET version = 1000000";

/// What is in a folder: of each file its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| {
        let file = file.unwrap();
        (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())
    });
    files.collect()
}

async fn refused(former: &Former) {
    for opening in [former.opening(), former.opening().existing_only()] {
        let refused = opening.await.unwrap_err();
        assert_eq!(refused.code(), "ledger_version");
        assert!(refused.message().contains("1000000"), "{refused}");
    }
}

/// What PostgreSQL holds: the tables as they are declared, and each row with where and by whom it was
/// written.
async fn rows(url: &str) -> Vec<String> {
    let client = connected(url).await;
    let column = |rows: Vec<tokio_postgres::Row>| {
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
    };
    let declared = "SELECT concat_ws(' ', relname, relkind, attname, atttypid, attnotnull)
        FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
        WHERE relnamespace = 'public'::regnamespace ORDER BY relname, attnum";
    let mut held = column(client.query(declared, &[]).await.unwrap());
    let tables = "SELECT relname::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname";
    for table in column(client.query(tables, &[]).await.unwrap()) {
        let rows = format!(
            "SELECT '{table} ' || COUNT(*) || ' ' ||
                COALESCE(md5(string_agg(ctid::text || xmin::text || xmax::text || t::text, '' ORDER BY ctid)), '')
            FROM {table} t"
        );
        held.extend(column(client.query(&rows, &[]).await.unwrap()));
    }
    held
}

on_every_fixture! {
    async fn a_newer_schema_is_refused_and_left_as_it_is(former: Former) {
        match former.database {
            Database::Sqlite => {
                let newer = Connection::open(former.file()).unwrap();
                newer.execute_batch(NEWER).unwrap();
                newer.close().unwrap();
                let before = files(former.folder());
                assert_eq!(before.keys().collect::<Vec<_>>(), ["ledger.db"]);
                refused(&former).await;
                assert!(files(former.folder()) == before, "its file, and none beside it");
            }
            Database::Postgres => {
                connected(&former.url).await.batch_execute(NEWER).await.unwrap();
                let before = rows(&former.url).await;
                refused(&former).await;
                assert_eq!(rows(&former.url).await, before);
            }
        }
    }
}

#[tokio::test]
async fn it_is_also_where_its_journal_is_of_another_kind() {
    for commit in commits() {
        let former = Former::copy(&commit, Database::Sqlite).await;
        let newer = Connection::open(former.file()).unwrap();
        let mode: String =
            newer.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "delete");
        newer.execute_batch(NEWER).unwrap();
        newer.close().unwrap();
        let before = files(former.folder());
        refused(&former).await;
        assert!(files(former.folder()) == before, "its file, and none beside it");
    }
}

/// As a process of the newer version leaves it that was killed.
#[tokio::test]
async fn it_is_also_where_a_part_of_it_is_in_its_log() {
    for commit in commits() {
        let former = Former::copy(&commit, Database::Sqlite).await;
        let killed = Connection::open(former.file()).unwrap();
        killed.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
        killed.execute_batch(NEWER).unwrap();
        let left = files(former.folder());
        killed.close().unwrap();
        // The index of the log, beside these, is made anew from the log.
        let of_killed = ["ledger.db", "ledger.db-wal"];
        for name in of_killed {
            std::fs::write(former.folder().join(name), &left[name]).unwrap();
        }
        assert!(!left["ledger.db-wal"].is_empty());
        refused(&former).await;
        let after = files(former.folder());
        assert!(of_killed.iter().all(|name| after[*name] == left[*name]));
        // The newer version finds what it had written.
        let newer = Connection::open(former.file()).unwrap();
        let version =
            newer.query_row("SELECT version FROM kazawallet_ledger", [], |row| row.get(0));
        assert_eq!(version, Ok(1_000_000_i64));
    }
}

#[tokio::test]
async fn a_file_without_a_ledger_is_no_newer_one() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = crate::support::sqlite_url(&folder.path().join("ledger.db"));
    let looks = kazawallet_ledger::Ledger::open(&url).existing_only();
    assert_eq!(code(looks.await), "ledger_not_found");
    kazawallet_ledger::Ledger::open(&url).await.unwrap().close().await;
}
