//! The PostgreSQL that the other tests stand on.

#![allow(missing_docs, clippy::unwrap_used)]

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use kazawallet_ledger_tests::postgres::{Postgres, Stop};
use tokio_postgres::NoTls;

async fn one_value(url: &str, sql: &str) -> String {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn what_was_committed_survives_a_crash_and_the_port_stays() {
    let server = Postgres::start().unwrap();
    let url = server.new_database().await.unwrap();
    assert_ne!(url, server.new_database().await.unwrap());
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(one_value(&url, &format!("show {setting}")).await, "on", "{setting}");
    }
    server.run("create table kept (note text); insert into kept values ('kept')").await.unwrap();
    server.stop(Stop::Immediate).unwrap();
    assert!(TcpStream::connect(("127.0.0.1", server.port())).is_err());
    assert!(server.stop(Stop::Fast).is_err(), "it has stopped already");
    server.start_again().unwrap();
    assert_eq!(one_value(&server.url("postgres"), "select note from kept").await, "kept");

    let folder = server.folder().to_owned();
    assert!(folder.join("data").exists());
    drop(server);
    assert!(!folder.exists());
}

#[test]
fn no_server_outlives_the_process_that_started_it() {
    let (folder, port) = {
        // As in a test run that is killed: nothing is dropped.
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_serve_postgres"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let output = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut said).unwrap();
        let (port, folder) = said.trim_end().split_once(' ').unwrap();
        let (folder, port) = (folder.to_owned(), port.parse::<u16>().unwrap());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        child.kill().unwrap();
        child.wait().unwrap();
        (folder, port)
    };
    let begun = Instant::now();
    while Path::new(&folder).exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{folder} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
