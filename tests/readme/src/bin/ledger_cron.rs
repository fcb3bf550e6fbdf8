use kazawallet_ledger::Ledger;

#[tokio::main]
async fn main() -> Result<(), kazawallet::Error> {
    let ledger = Ledger::from_env().await?;
    for payment in ledger.pending(100).await? {
        println!("{} paid: {}", payment.order_id, payment.is_paid());
        ledger.mark_processed(&payment.order_id).await?;
    }
    ledger.close().await;
    Ok(())
}
