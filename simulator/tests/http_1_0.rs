//! Clients that speak HTTP/1.0, as PHP's own do, and close the connection after each answer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use kazawallet_simulator::{Fault, Simulator};
use support::{link_body, payout_body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request and reads until the server closes: head and body.
async fn send(sim: &Simulator, path: &str, host: Option<&str>, body: &str) -> (String, String) {
    let host = host.map_or_else(String::new, |host| format!("Host: {host}\r\n"));
    let request = format!(
        "POST {path} HTTP/1.0\r\nConnection: close\r\n{host}x-api-key: {}\r\nx-api-secret: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        sim.api_key(),
        sim.api_secret(),
        body.len()
    );
    let mut stream = TcpStream::connect(sim.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn an_answer_has_a_length_and_no_chunks_and_the_connection_ends() {
    let sim = Simulator::start().await.unwrap();
    let address = sim.address().to_string();
    // HTTP/1.0 knows no header `Host`; PHP sends it all the same.
    for host in [Some(&*address), None] {
        let body = link_body(&sim).to_string();
        let (head, body) = send(&sim, "/wallet/createPaymentLink", host, &body).await;
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
        let head = head.to_ascii_lowercase();
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        let id = sim.links().last().unwrap().id.clone();
        let wanted =
            format!("{{\"success\":true,\"id\":\"{id}\",\"url\":\"http://{address}/pay/{id}\"}}");
        assert_eq!(body, wanted);

        let payout = payout_body(&sim).to_string();
        let (head, _) = send(&sim, "/wallet/createWithdrawalRequest", host, &payout).await;
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    }
}

#[tokio::test]
async fn refusals_and_faults_are_answered_in_the_same_way() {
    let sim = Simulator::start().await.unwrap();
    let (head, body) = send(&sim, "/wallet/createPaymentLink", None, "{}").await;
    assert!(head.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{head}");
    assert!(body.starts_with("{\"data\":null,\"error\":{"), "{body}");

    sim.fault(Fault::HalfBody).unwrap();
    let new = link_body(&sim).to_string();
    let (head, body) = send(&sim, "/wallet/createPaymentLink", None, &new).await;
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert!(body.starts_with("{\"success\":true,\"id\":") && !body.ends_with('}'), "{body}");
}

#[tokio::test]
async fn a_host_that_is_named_must_be_the_simulators_own() {
    let sim = Simulator::start().await.unwrap();
    let new = link_body(&sim).to_string();
    for host in ["evil.example", ""] {
        let (head, _) = send(&sim, "/wallet/createPaymentLink", Some(host), &new).await;
        assert!(head.starts_with("HTTP/1.0 421 "), "{head}");
    }
    // HTTP/1.1 must name one.
    let request = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(sim.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert!(sim.links().is_empty());
}
