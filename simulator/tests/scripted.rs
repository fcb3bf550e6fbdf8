//! The scripted server, as a library and as a program. What it does over TLS is tested by the
//! scenarios of `tests/`, which need a client that speaks it.

#![cfg(feature = "scripted")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::ErrorKind;

use kazawallet_simulator::scripted::{Script, ScriptedServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REQUEST: &str =
    "POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Api-Key: k\r\ncontent-length: 3\r\n\r\nabc";

async fn start(steps: &str) -> ScriptedServer {
    let script = Script::from_json(&format!("{{\"steps\": [{steps}]}}")).unwrap();
    ScriptedServer::start(script).await.unwrap()
}

async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Sends one request and reads to the end of the connection.
async fn exchange(url: &str) -> std::io::Result<String> {
    let mut stream = connect(url).await;
    stream.write_all(REQUEST.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn requests_are_answered_in_order_and_written_down() {
    let server = start(
        r#"{"do": "respond", "status": 200, "body": {"json": {"a": "1"}}, "close_after": true},
           {"do": "respond", "status": 503, "framing": "until_close", "body": {"text": "é"}},
           {"do": "send_raw", "text": "HTTP/1.1 20"},
           {"do": "close_after_request"}"#,
    )
    .await;
    let json = exchange(server.url()).await.unwrap();
    assert!(json.starts_with("HTTP/1.1 200 "), "{json}");
    assert!(json.contains("\r\ncontent-type: application/json\r\n"), "{json}");
    assert!(json.ends_with("\r\ncontent-length: 9\r\n\r\n{\"a\":\"1\"}"), "{json}");
    let until_close = exchange(server.url()).await.unwrap();
    assert!(until_close.ends_with("\r\nconnection: close\r\n\r\né"), "{until_close}");
    assert_eq!(exchange(server.url()).await.unwrap(), "HTTP/1.1 20");
    assert_eq!(exchange(server.url()).await.unwrap(), "");

    let seen = server.finish().await;
    assert_eq!((seen.connections, seen.steps_left, seen.incomplete_requests), (4, 0, 0));
    let numbers: Vec<_> = seen.requests.iter().map(|request| request.connection).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let first = &seen.requests[0];
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/a?b=c"));
    assert_eq!((first.header("x-api-key"), first.body.as_str()), (Some("k"), "abc"));
    assert!(!first.unexpected);
}

#[tokio::test]
async fn a_request_that_the_script_does_not_know_is_answered_loudly() {
    let server = start("").await;
    let answer = exchange(server.url()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 599 "), "{answer}");
    assert!(server.finish().await.requests[0].unexpected);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let server = start(r#"{"do": "reset"}"#).await;
    let error = exchange(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.finish().await.requests.len(), 1);
}

#[tokio::test]
async fn two_requests_can_share_a_connection_and_an_unfinished_one_is_told() {
    let answer = r#"{"do": "respond", "status": 204}"#;
    let server = start(&format!("{answer}, {answer}")).await;
    let mut stream = connect(server.url()).await;
    let whole_and_a_half = format!("{REQUEST}{REQUEST}POST / HTT");
    stream.write_all(whole_and_a_half.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 204 ").count(), 2);

    let seen = server.finish().await;
    assert_eq!((seen.connections, seen.requests.len(), seen.incomplete_requests), (1, 2, 1));
}

#[tokio::test]
async fn a_server_that_hangs_can_be_finished_and_tells_what_it_read() {
    let server = start(r#"{"do": "hang"}"#).await;
    let mut stream = connect(server.url()).await;
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let seen = server.finish().await;
    assert_eq!((seen.requests.len(), seen.steps_left), (1, 0));
}

#[tokio::test]
async fn where_nothing_listens_a_connection_is_refused() {
    let script = Script::from_json(r#"{"listening": false, "steps": []}"#).unwrap();
    let server = ScriptedServer::start(script).await.unwrap();
    let address = server.url().strip_prefix("http://").unwrap();
    let error = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(server.finish().await.connections, 0);
}

#[cfg(feature = "cli")]
mod program {
    use std::process::Stdio;

    use serde_json::Value;
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::process::{Child, Command};

    use super::*;

    fn run() -> Child {
        Command::new(env!("CARGO_BIN_EXE_kazawallet-simulator"))
            .arg("scripted")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn it_takes_a_script_and_tells_what_it_saw() {
        let mut program = run();
        let mut input = program.stdin.take().unwrap();
        let mut output = BufReader::new(program.stdout.take().unwrap()).lines();
        let script = "{\"steps\": [{\"do\": \"close_after_request\"}, {\"do\": \"hang\"}]}\n";
        input.write_all(script.as_bytes()).await.unwrap();
        let started: Value =
            serde_json::from_str(&output.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(started["root_certificate"], Value::Null);
        assert_eq!(exchange(started["url"].as_str().unwrap()).await.unwrap(), "");
        drop(input);

        let seen: Value =
            serde_json::from_str(&output.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(seen["connections"], 1);
        assert_eq!(seen["steps_left"], 1);
        assert_eq!(seen["incomplete_requests"], 0);
        assert_eq!(seen["requests"][0]["body"], "abc");
        assert_eq!(seen["requests"][0]["headers"][1], serde_json::json!(["x-api-key", "k"]));
        assert_eq!(output.next_line().await.unwrap(), None);
        assert!(program.wait().await.unwrap().success());
    }

    #[tokio::test]
    async fn a_script_that_is_not_understood_ends_it() {
        let mut program = run();
        let mut input = program.stdin.take().unwrap();
        input.write_all(b"{\"steps\": [{\"do\": \"dance\"}]}\n").await.unwrap();
        let ended = program.wait_with_output().await.unwrap();
        assert!(!ended.status.success());
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("unknown variant `dance`"), "{said}");
    }
}
