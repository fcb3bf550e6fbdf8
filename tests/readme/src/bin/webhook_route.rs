use axum::Router;
use kazawallet::Client;
use kazawallet_ledger::axum::webhook_route;
use kazawallet_ledger::{Ledger, Payment};

async fn on_payment(payment: Payment) -> Result<(), std::io::Error> {
    if payment.is_paid() {
        println!("{} is paid", payment.reference.unwrap_or_default()); // Once for its order_id.
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ledger = Ledger::from_env().client(Client::from_env()?).await?;
    let app = Router::new().route("/webhooks/kazawallet", webhook_route(ledger.clone()));
    let port = std::env::var("PORT").unwrap_or("8000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/webhooks/kazawallet", listener.local_addr()?);
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = tokio::signal::ctrl_c().await;
    });
    ledger.process(on_payment).while_serving(server).await?;
    ledger.close().await;
    Ok(())
}
