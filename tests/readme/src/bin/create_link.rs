use kazawallet::{Client, CreatePaymentLink, ErrorKind};

#[tokio::main]
async fn main() -> Result<(), kazawallet::Error> {
    let client = Client::builder("sim_your_api_key")
        .merchant_email("shop@example.com")
        .env_defaults() // What is not given comes from the environment.
        .build()?;
    let link = CreatePaymentLink::new("10.50".parse()?, "USD")
        .reference("order-42")
        .redirect_url("https://shop.example/thanks");
    match client.payment_links().create(link).await {
        Ok(link) => println!("{} {:?}", link.url, link.id),
        Err(error) if error.kind() == ErrorKind::Authentication => println!("wrong key: {error}"),
        Err(error) => return Err(error),
    }
    Ok(())
}
