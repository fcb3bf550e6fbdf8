//! A bare HTTP client and a webhook receiver: nothing stands between the tests and the wire.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub mod html;

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use kazawallet_simulator::Simulator;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// One HTTP message as it was read.
#[derive(Debug)]
pub struct Message {
    pub first_line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The value of the hidden field of this name in the page.
    pub fn hidden(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&start).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// The address that the page's form is sent to.
    pub fn action(&self) -> String {
        let (_, rest) = self.body.split_once("action=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

/// Reads one message; an error where the connection ends before the message does.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Message> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "cut before the head was whole"));
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.split("\r\n").map(str::to_owned);
    let first_line = lines.next().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned())).unwrap())
        .collect();
    let mut message = Message { first_line, headers, body: String::new() };
    let length: usize = message.header("content-length").map_or(0, |text| text.parse().unwrap());
    let end = head + 4 + length;
    while bytes.len() < end {
        if stream.read_buf(&mut bytes).await? == 0 {
            let half = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
            return Err(Error::new(ErrorKind::UnexpectedEof, half));
        }
    }
    message.body = String::from_utf8(bytes[head + 4..end].to_vec()).unwrap();
    Ok(message)
}

/// Sends one request on a connection of its own.
pub async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Message> {
    send_on(TcpStream::connect(address).await?, &address.to_string(), method, path, headers, body)
        .await
}

/// The same on a connection that is there already, such as one with TLS.
pub async fn send_on(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Message> {
    let mut request = format!("{method} {path} HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("host: {host}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes()).await?;
    read(&mut stream).await
}

pub async fn get(sim: &Simulator, path: &str, headers: &[(&str, &str)]) -> Message {
    send(sim.address(), "GET", path, headers, "").await.unwrap()
}

/// Posts a form as a page of the simulator would.
pub async fn post_form(sim: &Simulator, path: &str, fields: &[(&str, &str)]) -> Message {
    let origin = format!("http://{}", sim.address());
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", &*origin)];
    let mut form = form_urlencoded::Serializer::new(String::new());
    let body = form.extend_pairs(fields).finish();
    send(sim.address(), "POST", path, &headers, &body).await.unwrap()
}

/// Calls the API with every right header.
pub async fn try_call(sim: &Simulator, path: &str, body: &Value) -> Result<Message> {
    let headers = [
        ("x-api-key", sim.api_key()),
        ("x-api-secret", sim.api_secret()),
        ("merchant-email", sim.merchant_email()),
        ("content-type", "application/json"),
    ];
    let (method, body) = match body {
        Value::Null => ("GET", String::new()),
        body => ("POST", body.to_string()),
    };
    send(sim.address(), method, path, &headers, &body).await
}

pub async fn call(sim: &Simulator, path: &str, body: &Value) -> Message {
    try_call(sim, path, body).await.unwrap()
}

/// Opens the dashboard at its printed address, and returns the cookie that this gives.
pub async fn dashboard_cookie(sim: &Simulator) -> String {
    let url = sim.dashboard_url();
    let path = url.strip_prefix(&format!("http://{}", sim.address())).unwrap();
    let answer = get(sim, path, &[]).await;
    assert_eq!((answer.status(), answer.header("location")), (303, Some("/__simulator/")));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

pub fn link_body(sim: &Simulator) -> Value {
    serde_json::json!({
        "amount": "10.50", "currency": "USD", "email": sim.merchant_email(), "ref": "order-42",
        "redirectUrl": "https://shop.example/thanks?order=42",
    })
}

pub fn payout_body(sim: &Simulator) -> Value {
    serde_json::json!({
        "email": sim.merchant_email(), "currency": "SYP", "amount": "500000", "note": "wages",
        "paymentMethod": "37",
        "fields": {
            "name": "سعيد محمد حمدان", "phone": "0912345678",
            "hawalahmauto-custom-field-withdraw-3": "دمشق",
        },
    })
}

/// Creates a link and returns its URL's path.
pub async fn create_link(sim: &Simulator, body: &Value) -> String {
    let answer = call(sim, "/wallet/createPaymentLink", body).await;
    assert_eq!(answer.status(), 200, "{}", answer.body);
    let url = answer.json()["url"].as_str().unwrap().to_owned();
    url.strip_prefix(&format!("http://{}", sim.address())).unwrap().to_owned()
}

/// A merchant's server: keeps what is delivered, and answers as told.
pub struct Receiver {
    pub url: String,
    received: mpsc::UnboundedReceiver<Message>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub async fn start(status: u16) -> Self {
        Self::answering(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await
    }

    /// One that answers these bytes, and leaves the connection open for a while.
    pub async fn answering(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let (sender, received) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            // Closed when the next one is answered.
            let mut last = None;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let message = read(&mut stream).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                last.replace(stream);
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { url, received, task }
    }

    pub async fn next(&mut self) -> Message {
        self.received.recv().await.unwrap()
    }

    /// Everything that has come and was not looked at.
    pub fn rest(&mut self) -> usize {
        std::iter::from_fn(|| self.received.try_recv().ok()).count()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
