use axum::Router;
use kazawallet::axum::webhook_route;
use kazawallet::{Order, PaymentEvent, Webhook};

/// Called with what was verified, before the provider is answered.
async fn on_payment(event: PaymentEvent) -> Result<(), kazawallet::Error> {
    // 1. Store event.body() durably here, before anything else can fail: there is no second
    //    delivery. Make event.order_id() unique: it is the payment's identity.

    // 2. Hold it against your own order: status, currency and ref are not signed.
    match event.match_order(&order_from_your_records(&event)?) {
        Ok(event) if event.is_fulfilled() => println!("order-42 is paid by {}", event.order_id()),
        Ok(event) => println!("order-42: {}", event.status()),
        Err(mismatch) => println!("keep it, and look into it: {mismatch}"),
    }
    Ok(())
}

/// Look it up by its reference; see what the text below says of the link's id.
fn order_from_your_records(_event: &PaymentEvent) -> Result<Order<'static>, kazawallet::Error> {
    Ok(Order {
        amount: "10.50".parse()?,
        currency: "USD",
        reference: "order-42",
        order_id: None, // The link's id, once you know that it is the webhook's.
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = std::env::var("KAZAWALLET_API_KEY")?;
    let secret = std::env::var("KAZAWALLET_API_SECRET")?;
    let port = std::env::var("PORT").unwrap_or("8000".to_owned());
    let webhook = Webhook::new(key, secret)?;
    let app = Router::new().route("/webhooks/kazawallet", webhook_route(webhook, on_payment));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/webhooks/kazawallet", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
