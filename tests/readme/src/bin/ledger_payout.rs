use kazawallet::{Client, CreateWithdrawal, Outcome, PaymentMethod};
use kazawallet_ledger::Ledger;

#[tokio::main]
async fn main() -> Result<(), kazawallet::Error> {
    let ledger = Ledger::from_env().client(Client::from_env()?).await?;
    let recipient = PaymentMethod::haram_under_3m("سعيد محمد حمدان", "0933123456", "دمشق");
    let salary = CreateWithdrawal::new("500000".parse()?, "SYP", recipient).note("salary, May");
    match ledger.withdraw("salary-2026-05-7", salary).await {
        Ok(payout) => println!("{}", payout.state), // Paid, also when it is asked for again.
        Err(error) => match error.outcome() {
            Some(Outcome::Unknown) => println!("a person must look in the wallet: {error}"),
            Some(Outcome::Rejected) => println!("refused, for good: {error}"),
            _ => println!("nothing has left; asking again is safe: {error}"),
        },
    }
    ledger.close().await;
    Ok(())
}
