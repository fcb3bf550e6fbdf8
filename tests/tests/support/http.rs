//! Just enough HTTP/1.1 to read a client's request and to answer it.

use std::io;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn is_payout(&self) -> bool {
        self.method == "POST" && !self.path.ends_with("/createPaymentLink")
    }
}

/// Takes the first request out of what was read so far, once it is whole.
pub fn take_request(unread: &mut Vec<u8>) -> Option<Request> {
    let head_end = unread.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(unread[..head_end].to_vec()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Request { method, path, headers, body: String::new() };
    let length: usize = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    if unread.len() < head_end + length {
        return None;
    }
    let rest = unread.split_off(head_end + length);
    request.body = String::from_utf8(unread.split_off(head_end)).unwrap();
    *unread = rest;
    Some(request)
}

/// The next request; `None` where the client closed the connection before another one began.
pub async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    unread: &mut Vec<u8>,
) -> io::Result<Option<Request>> {
    loop {
        if let Some(request) = take_request(unread) {
            return Ok(Some(request));
        }
        if stream.read_buf(unread).await? == 0 {
            return if unread.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    answer.push_str("\r\n");
    answer.push_str(body);
    answer.into_bytes()
}

/// What the provider says to a request with which it is content.
pub fn content(request: &Request) -> Vec<u8> {
    let path = request.path.split('?').next().unwrap_or_default();
    let body = match path.rsplit('/').next().unwrap_or_default() {
        "createPaymentLink" => json!({ "url": "https://pay.example/1", "order_id": "ab12" }),
        "createWithdrawalRequest" => {
            json!({ "success": true, "status": "approved", "message": "done" })
        }
        "get-merchant-wallets" => {
            json!({ "success": true, "wallets": [{ "currency": "USD", "amount": "12.50" }] })
        }
        "createDepositRequest" => json!({
            "success": true, "error": null,
            "createdPayment": { "status": "pending", "transaction_id": "de-1" },
        }),
        _ => json!({ "done": true }),
    };
    answer(200, &[("content-type", "application/json")], &body.to_string())
}
