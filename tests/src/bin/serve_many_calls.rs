//! Serves until its standard input ends: `simulator`, or `gate` and the number of requests at which
//! the gate opens. It prints a line of JSON once it can be reached, and another that says what it
//! has seen. `tests/tests/concurrency.rs` starts it.

// A helper of the tests: whatever it cannot do must fail the test that started it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "../../tests/support/http.rs"]
#[allow(dead_code)]
mod http;

use std::env;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{content, read_request};
use kazawallet_simulator::Simulator;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = Runtime::new().unwrap();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["simulator"] => runtime.block_on(serve_simulator()),
        ["gate", opens_at] => runtime.block_on(serve_gate(opens_at.parse().unwrap())),
        _ => panic!("no server is called {arguments:?}"),
    }
}

async fn serve_simulator() {
    let sim = Simulator::start().await.unwrap();
    say(&json!({
        "url": sim.url(),
        "key": sim.api_key(),
        "secret": sim.api_secret(),
        "email": sim.merchant_email(),
    }));
    until_the_parent_is_done().await;
    let balance = sim.balance("SYP").to_string();
    say(&json!({ "requests": sim.requests().len(), "SYP": balance }));
}

async fn serve_gate(opens_at: usize) {
    let gate = start_gate(opens_at).await;
    say(&json!({ "url": format!("http://{}", gate.address) }));
    until_the_parent_is_done().await;
    say(&json!({
        "connections": *gate.connections.lock().unwrap(),
        "requests": *gate.arrived.borrow(),
    }));
}

fn say(value: &Value) {
    println!("{value}");
}

async fn until_the_parent_is_done() {
    let wait = || std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    tokio::task::spawn_blocking(wait).await.unwrap();
}

/// A server that answers nobody before a number of requests have arrived, and then everybody.
struct Gate {
    address: SocketAddr,
    connections: Arc<Mutex<usize>>,
    arrived: watch::Receiver<usize>,
}

async fn start_gate(opens_at: usize) -> Gate {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(Mutex::new(0));
    let (note, arrived) = watch::channel(0);
    let (count, note) = (Arc::clone(&connections), Arc::new(note));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            *count.lock().unwrap() += 1;
            let note = Arc::clone(&note);
            tokio::spawn(async move {
                let mut unread = Vec::new();
                while let Ok(Some(request)) = read_request(&mut stream, &mut unread).await {
                    note.send_modify(|arrived| *arrived += 1);
                    let open = |arrived: &usize| *arrived >= opens_at;
                    note.subscribe().wait_for(open).await.unwrap();
                    stream.write_all(&content(&request)).await.unwrap();
                }
            });
        }
    });
    Gate { address, connections, arrived }
}
