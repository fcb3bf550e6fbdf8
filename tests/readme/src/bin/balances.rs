use kazawallet::{Client, Method};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    for wallet in &client.wallets().list().await? {
        println!("{} {}", wallet.amount, wallet.currency);
    }
    // An endpoint that this SDK does not model, such as the virtual cards'.
    let response = client
        .request(Method::POST, "/wallet-cards/create")
        .json(&serde_json::json!({ "currency": "USD" }))
        .send()
        .await?;
    println!("{}", response.text());
    Ok(())
}
