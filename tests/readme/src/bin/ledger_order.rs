use kazawallet::{Client, CreatePaymentLink};
use kazawallet_ledger::Ledger;

#[tokio::main]
async fn main() -> Result<(), kazawallet::Error> {
    // Reads KAZAWALLET_LEDGER, such as sqlite:///var/lib/shop/kazawallet.db
    let ledger = Ledger::from_env().client(Client::from_env()?).await?;
    let order = CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42");
    let link = ledger.create_payment_link(order).await?;
    println!("Send the customer to {}", link.url);
    ledger.close().await;
    Ok(())
}
