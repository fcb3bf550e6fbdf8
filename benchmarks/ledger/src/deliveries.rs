//! Orders that wait to be paid, and the deliveries that pay them.

use kazawallet::{Amount, Webhook};

use crate::Result;
use crate::database::Database;

pub(crate) fn webhook() -> Result<Webhook> {
    Ok(Webhook::new("sim_key", "sim_secret")?)
}

/// Puts orders with a link into a ledger: `order-1`, with the link `link-1`, and so on.
pub(crate) async fn put_orders(database: &Database, count: u32) -> Result<()> {
    let numbers = database.numbers(count);
    let orders = format!(
        "INSERT INTO kazawallet_orders
            (ref, amount, amount_value, currency, state, link_url, link_id, link_at, created_at)
        SELECT 'order-' || i, '10.50', '10.5', 'USD', 'open', 'https://pay.example/link-' || i,
            'link-' || i, '2999-01-01T09:30:00.000Z', '2026-05-01T09:30:00.000Z' FROM {numbers}"
    );
    database.execute(&orders).await?;
    database.settle_down().await
}

/// The delivery that pays such an order.
pub(crate) fn delivery(webhook: &Webhook, number: u32) -> Result<Vec<u8>> {
    let amount: Amount = "10.50".parse()?;
    let secret = webhook.sign(&amount, &format!("link-{number}"));
    Ok(format!(
        r#"{{"order_id":"link-{number}","amount":"10.50","status":"fulfilled","currency":"USD","ref":"order-{number}","secret":"{secret}"}}"#
    )
    .into_bytes())
}
