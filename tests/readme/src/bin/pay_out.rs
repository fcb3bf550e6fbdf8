use kazawallet::{Client, CreateWithdrawal, Outcome, PaymentMethod};

#[tokio::main]
async fn main() -> Result<(), kazawallet::Error> {
    let client = Client::from_env()?;
    let recipient = PaymentMethod::haram_under_3m("سعيد محمد حمدان", "0933123456", "دمشق");
    let payout = CreateWithdrawal::new("500000".parse()?, "SYP", recipient).note("salary, May");
    match client.withdrawals().create(payout).await {
        Ok(withdrawal) => println!("the provider answered {:?}", withdrawal.status),
        Err(error) => match error.outcome() {
            // Money may have moved. Look in the wallet; do not simply try again.
            Some(Outcome::Unknown) => println!("look into it: {error}"),
            // Nothing moved: the provider said no, or nothing left this machine.
            _ => println!("not paid: {error}"),
        },
    }
    Ok(())
}
