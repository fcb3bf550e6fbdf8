use kazawallet::{Client, CreatePaymentLink};

#[tokio::main]
async fn main() -> Result<(), kazawallet::Error> {
    // Reads KAZAWALLET_API_KEY, KAZAWALLET_API_SECRET and KAZAWALLET_MERCHANT_EMAIL.
    let client = Client::from_env()?;
    let link = client
        .payment_links()
        .create(CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42"))
        .await?;
    println!("Send the customer to {}", link.url);
    Ok(())
}
