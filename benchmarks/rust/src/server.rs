//! The servers, each in a process of its own, so that its CPU time is not counted as the client's.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use kazawallet_simulator::Simulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

use crate::Result;
use crate::client::Merchant;

/// A server that ends with its input, and so with this process, too.
pub(crate) struct ServerProcess {
    process: Child,
    /// How it is called.
    pub(crate) merchant: Merchant,
}

impl ServerProcess {
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut said)?;
        }
        let merchant = said.parse().map_err(|_| format!("{arguments:?} did not start: {said}"))?;
        Ok(Self { process, merchant })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It has ended by itself, or does so now; nobody waits for what it says.
        let _ = self.process.wait();
    }
}

/// One thread, as little as a server can do with.
fn one_thread() -> Result<runtime::Runtime> {
    Ok(runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn until_the_input_ends() -> Result<()> {
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

/// The simulator, until the input ends.
pub(crate) fn simulator() -> Result<()> {
    one_thread()?.block_on(async {
        let sim = Simulator::start().await?;
        let merchant = Merchant {
            base_url: sim.url(),
            api_key: sim.api_key().to_owned(),
            email: sim.merchant_email().to_owned(),
        };
        println!("{merchant}");
        until_the_input_ends().await?;
        sim.stop().await;
        Ok(())
    })
}

/// Answers every request with the bytes that the simulator answers to one, until the input ends.
pub(crate) fn replaying_server(simulator: &Merchant) -> Result<()> {
    one_thread()?.block_on(async {
        let (address, path) = simulator
            .base_url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .ok_or("the simulator's base URL is not as expected: http://ADDRESS/PATH")?;
        let answer: Arc<[u8]> = simulators_answer(simulator, address, path).await?.into();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}/{path}", listener.local_addr()?);
        println!("{}", Merchant { base_url, ..simulator.clone() });
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(replay(connection, Arc::clone(&answer)));
            }
        });
        until_the_input_ends().await
    })
}

async fn simulators_answer(merchant: &Merchant, address: &str, path: &str) -> Result<Vec<u8>> {
    let body = serde_json::json!({
        "amount": "10.50", "currency": "USD", "email": merchant.email, "ref": "order-42",
    });
    let body = body.to_string();
    let request = format!(
        "POST /{path}/createPaymentLink HTTP/1.1\r\nhost: {address}\r\nx-api-key: {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        merchant.api_key,
        body.len(),
    );
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(request.as_bytes()).await?;
    let mut messages = Messages::new(connection);
    if messages.next().await?.is_none() {
        return Err("the simulator closed the connection".into());
    }
    Ok(messages.last)
}

async fn replay(connection: TcpStream, answer: Arc<[u8]>) -> Result<()> {
    connection.set_nodelay(true)?;
    let mut messages = Messages::new(connection);
    while messages.next().await?.is_some() {
        messages.connection.write_all(&answer).await?;
    }
    Ok(())
}

/// The HTTP messages that come over a connection.
struct Messages {
    connection: TcpStream,
    received: Vec<u8>,
    /// The one that came last, whole.
    last: Vec<u8>,
}

impl Messages {
    fn new(connection: TcpStream) -> Self {
        Self { connection, received: Vec::new(), last: Vec::new() }
    }

    /// Waits for the next, unless the connection is closed first.
    async fn next(&mut self) -> Result<Option<()>> {
        loop {
            if let Some(end) = end_of_message(&self.received)? {
                self.last = self.received.drain(..end).collect();
                return Ok(Some(()));
            }
            if self.connection.read_buf(&mut self.received).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Where the first message ends, once it is there whole: its head, and as much as that says.
fn end_of_message(received: &[u8]) -> Result<Option<usize>> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let Some(head) = received.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(received.get(..head).unwrap_or_default());
    let length = text.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let end = head + HEAD_END.len() + length.ok_or("a message without content-length")??;
    Ok((end <= received.len()).then_some(end))
}
