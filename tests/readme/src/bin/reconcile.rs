use kazawallet::Client;
use kazawallet_ledger::Ledger;

#[tokio::main]
async fn main() -> Result<(), kazawallet::Error> {
    let client = Client::from_env()?;
    let ledger = Ledger::from_env().client(client.clone()).await?;
    for wallet in &client.wallets().list().await? {
        println!("{} {}", wallet.amount, wallet.currency);
    }
    let summary = ledger.summary().await?;
    for (state, count) in &summary.payouts {
        println!("{count} payouts are {state}");
    }
    ledger.close().await;
    Ok(())
}
