use kazawallet::{Client, CreatePaymentLink, ErrorKind};

#[tokio::main]
async fn main() -> Result<(), kazawallet::Error> {
    let client = Client::from_env()?;
    let link = CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42");
    match client.payment_links().create(link).await {
        Ok(link) => println!("Send the customer to {}", link.url),
        Err(error) => match error.kind() {
            ErrorKind::RateLimit => println!("try again in {:?}", error.retry_after()),
            ErrorKind::Authentication => println!("have somebody woken: {error}"),
            _ => println!("no link: {} ({:?}): {error}", error.code(), error.outcome()),
        },
    }
    Ok(())
}
