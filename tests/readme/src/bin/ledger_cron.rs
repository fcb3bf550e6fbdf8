use kazawallet_ledger::{Ledger, Payment};

#[tokio::main]
async fn main() -> Result<(), kazawallet::Error> {
    let ledger = Ledger::from_env().await?;
    for payment in ledger.pending(100).await? {
        match deliver(&payment) {
            Ok(()) => ledger.mark_processed(&payment.order_id).await?,
            // It comes again in a minute.
            Err(problem) => eprintln!("{} failed: {problem}", payment.order_id),
        }
    }
    ledger.close().await;
    Ok(())
}

fn deliver(payment: &Payment) -> std::io::Result<()> {
    println!("{} paid: {}", payment.order_id, payment.is_paid());
    Ok(())
}
