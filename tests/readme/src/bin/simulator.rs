use kazawallet::CreatePaymentLink;
use kazawallet_simulator::{Fault, Simulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sim = Simulator::start().await?;
    let client = sim.client();
    let link = client
        .payment_links()
        .create(CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42"))
        .await?;

    let deliveries = sim.pay(&link).await?; // what a customer does
    let event = sim.webhook().verify(&deliveries[0].body)?;
    assert_eq!(event.reference(), Some("order-42"));

    sim.fault(Fault::AnswerStatus(401))?; // what a bad day does
    let error = client.wallets().list().await.unwrap_err();
    assert_eq!(error.code(), "authentication");
    Ok(())
}
