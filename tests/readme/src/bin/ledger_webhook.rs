use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use kazawallet::{Client, ErrorKind};
use kazawallet_ledger::{Ledger, Payment};

/// The provider calls this once, whatever it answers.
async fn webhook(State(ledger): State<Ledger>, body: Bytes) -> StatusCode {
    match ledger.receive(body).await {
        Ok(_) => StatusCode::OK, // Decided, and safe on the disk.
        Err(error) => match error.kind() {
            // It proves nothing, and changed nothing. The quarantine has it.
            ErrorKind::SignatureVerification => StatusCode::UNAUTHORIZED,
            // It cannot be read. The quarantine has it, too.
            ErrorKind::WebhookPayload => StatusCode::BAD_REQUEST,
            // Stored nowhere, and there is no second delivery: have somebody woken.
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
    }
}

/// Your code, at least once for each payment. Let an order id count once.
async fn fulfil(payment: Payment) -> Result<(), std::io::Error> {
    let order = payment.reference.as_deref().unwrap_or_default();
    if payment.is_paid() {
        println!("{order} is paid by {}", payment.order_id);
    } else {
        println!("the link of {order} timed out");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ledger = Ledger::from_env().client(Client::from_env()?).await?;
    let worker = ledger.process(fulfil).start();
    let port = std::env::var("PORT").unwrap_or("8000".to_owned());
    let app = Router::new().route("/webhook", post(webhook)).with_state(ledger.clone());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/webhook", listener.local_addr()?);
    axum::serve(listener, app).await?;
    worker.stop().await;
    ledger.close().await;
    Ok(())
}
