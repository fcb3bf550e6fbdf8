use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use kazawallet::{ErrorKind, Order, PaymentEvent, Webhook};

async fn receive(State(webhook): State<Webhook>, body: Bytes) -> StatusCode {
    // 1. The raw bytes, before any parser. Nothing is an event before it was verified.
    let event = match webhook.verify(&body) {
        Ok(event) => event,
        // It may be a delivery of a new form, and there is no second one: keep the body.
        Err(error) if error.kind() == ErrorKind::WebhookPayload => return StatusCode::BAD_REQUEST,
        Err(_) => return StatusCode::UNAUTHORIZED, // It proves nothing: change no order.
    };
    // 2. Store event.body() durably here, before anything else can fail: there is no second
    //    delivery. Make event.order_id() unique: it is the payment's identity.

    // 3. Hold it against your own order: status, currency and ref are not signed.
    let Ok(order) = order_from_your_records(&event) else {
        return StatusCode::INTERNAL_SERVER_ERROR;
    };
    match event.match_order(&order) {
        Ok(event) if event.is_fulfilled() => println!("order-42 is paid by {}", event.order_id()),
        Ok(event) => println!("order-42: {}", event.status()),
        Err(mismatch) => println!("keep it, and look into it: {mismatch}"),
    }
    StatusCode::OK
}

/// Look it up by the event's order id where you kept the link's id, else by its reference.
fn order_from_your_records(_event: &PaymentEvent) -> Result<Order<'static>, kazawallet::Error> {
    Ok(Order {
        amount: "10.50".parse()?,
        currency: "USD",
        reference: "order-42",
        order_id: None, // The link's id, where you kept it.
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = std::env::var("KAZAWALLET_API_KEY")?;
    let secret = std::env::var("KAZAWALLET_API_SECRET")?;
    let port = std::env::var("PORT").unwrap_or("8000".to_owned());
    let app = Router::new().route("/webhook", post(receive)).with_state(Webhook::new(key, secret)?);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/webhook", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
