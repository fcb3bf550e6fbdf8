use kazawallet::{CreatePaymentLink, CreateWithdrawal, ErrorKind, PaymentMethod};
use kazawallet_ledger::{Decision, Ledger};
use kazawallet_simulator::{Fault, Simulator};

#[tokio::test]
async fn an_order_is_paid_and_a_payout_is_not_repeated() -> Result<(), Box<dyn std::error::Error>> {
    let (sim, folder) = (Simulator::start().await?, tempfile::tempdir()?);
    let url = format!("sqlite://{}/kazawallet.db", folder.path().display());
    let ledger = Ledger::open(url).client(sim.client()).await?;

    let order = CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42");
    let link = ledger.create_payment_link(order).await?;
    let deliveries = sim.pay(&link.url).await?; // What the customer does.
    assert_eq!(ledger.receive(&deliveries[0].body).await?.decision, Decision::Paid);
    let pending = ledger.pending(10).await?; // Or your handler, with ledger.process(…).
    assert_eq!(pending[0].reference.as_deref(), Some("order-42"));

    sim.fault(Fault::CloseAfterActing)?; // It pays, and nobody hears of it.
    for _ in 0..2 {
        let refund =
            CreateWithdrawal::new("10".parse()?, "USD", PaymentMethod::sy_cash("0933123456"));
        let refused = ledger.withdraw("refund-order-42", refund).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::OutcomeUnknown);
    }
    assert_eq!(sim.balance("USD").to_string(), "1000.50"); // 1000.00, and 10.50 in, and 10 out: once.
    ledger.close().await;
    Ok(())
}
