//! What is told to be `not_sent` never arrives, however short the time for the call: a connection
//! writes on a task of its own, perhaps at the very moment at which the caller's time is up.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kazawallet::{Client, Method, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

const CALLS: u64 = 4_000;
const AT_ONCE: usize = 4;

/// The path of the request that came over a connection, if any of it came.
async fn received_path(mut stream: TcpStream) -> Option<String> {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut chunk).await {
        received.extend_from_slice(&chunk[..length]);
        if received.ends_with(b"}") {
            // A client whose time is up does not hear it.
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    }
    String::from_utf8(received).unwrap().split(' ').nth(1).map(str::to_owned)
}

/// Serves until the connection from `last` comes, and gives the paths that arrived.
async fn serve(listener: TcpListener, last: Arc<OnceLock<SocketAddr>>) -> HashSet<String> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, from) = listener.accept().await.unwrap();
        if last.get() == Some(&from) {
            return connections.join_all().await.into_iter().flatten().collect();
        }
        connections.spawn(received_path(stream));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_told_to_be_not_sent_never_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let last = Arc::new(OnceLock::new());
    let server = tokio::spawn(serve(listener, last.clone()));
    let client = Client::builder("sim_key")
        .base_url(format!("http://{address}/wallet"))
        .max_retries(0)
        .build()
        .unwrap();

    let mut calls = JoinSet::new();
    let mut not_sent = HashSet::new();
    for number in 0..CALLS {
        if calls.len() == AT_ONCE {
            not_sent.extend(calls.join_next().await.unwrap().unwrap());
        }
        let client = client.clone();
        calls.spawn(async move {
            let path = format!("/call/{number}");
            let time = Duration::from_micros(1_000 + number * 37 % 1_500);
            let call = client
                .request(Method::POST, path.clone())
                .json(&serde_json::json!({}))
                .send()
                .timeout(time);
            let error = call.await.err()?;
            (error.outcome() == Some(Outcome::NotSent)).then(|| format!("/wallet{path}"))
        });
    }
    not_sent.extend(calls.join_all().await.into_iter().flatten());
    drop(client);

    // Connections are accepted in the order in which they came: after this one there is none.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    last.set(socket.local_addr().unwrap()).unwrap();
    let _end = socket.connect(address).await.unwrap();
    let arrived = server.await.unwrap();

    println!("{CALLS} calls: {} arrived, {} were told not_sent", arrived.len(), not_sent.len());
    assert!(!arrived.is_empty());
    let told_wrongly: Vec<_> = not_sent.intersection(&arrived).collect();
    assert!(told_wrongly.is_empty(), "told not_sent, and arrived: {told_wrongly:?}");
}
