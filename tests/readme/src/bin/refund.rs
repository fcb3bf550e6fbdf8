use kazawallet::{Client, CreateWithdrawal, Error, Outcome, PaymentMethod};
use kazawallet_ledger::Ledger;

async fn refund(ledger: &Ledger, order: &str, amount: &str, phone: &str) -> Result<String, Error> {
    let payout = CreateWithdrawal::new(amount.parse()?, "SYP", PaymentMethod::sy_cash(phone))
        .note(format!("refund of {order}"));
    Ok(match ledger.withdraw(format!("refund-{order}"), payout).await {
        Ok(payout) => payout.state.to_string(),
        Err(error) => match error.outcome() {
            Some(Outcome::Unknown) => format!("money may have moved: look in the wallet. {error}"),
            Some(Outcome::Rejected) => format!("refused, for good under this reference. {error}"),
            _ => format!("nothing has left: asking again is safe. {error}"),
        },
    })
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ledger = Ledger::from_env().client(Client::from_env()?).await?;
    println!("{}", refund(&ledger, "order-42", "50000", "0933123456").await?);
    println!("{}", refund(&ledger, "order-42", "50000", "0933123456").await?);
    ledger.close().await;
    Ok(())
}
