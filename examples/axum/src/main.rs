//! A shop that sells tea, and pays out. What it must not forget is in the ledger: `ledger` below.

use std::{env, error::Error, fmt::Display, io, path::PathBuf};

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Router, serve};
use kazawallet::{Client, CreatePaymentLink, CreateWithdrawal, ErrorKind, Outcome, PaymentMethod};
use kazawallet_ledger::axum::webhook_route;
use kazawallet_ledger::{Ledger, OrderLink, OrderState, Payment, Payout};
use serde::Deserialize;
use tokio::{fs, net::TcpListener};

#[derive(Clone)]
struct Shop {
    ledger: Ledger,
    /// Has an empty file for each order that was shipped.
    shipped: PathBuf,
    url: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init(); // Where the SDK says what went wrong.
    let setting = |name, default: String| env::var(name).unwrap_or(default);
    let data = setting("SHOP_DATA", concat!(env!("CARGO_MANIFEST_DIR"), "/data").to_owned());
    fs::create_dir_all(&data).await?;
    let data = fs::canonicalize(data).await?;
    let port = setting("PORT", "8000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let url = format!("http://{}", listener.local_addr()?);

    let database = format!("sqlite://{}/kazawallet.db", data.display());
    let database = setting("KAZAWALLET_LEDGER", database);
    let ledger = Ledger::open(database).client(Client::from_env()?).await?;
    let shipped = data.join("shipped");
    let shop = Shop { ledger: ledger.clone(), shipped, url: setting("SHOP_URL", url.clone()) };
    let app = Router::new()
        .route("/", get(home))
        .route("/orders", post(make_order))
        .route("/orders/{reference}", get(show_order))
        .route("/orders/{reference}/pay", post(pay))
        .route("/orders/{reference}/return", get(come_back))
        // In a real shop behind a login, the form with a token against other sites' posts.
        .route("/payouts", get(payout_form).post(pay_out))
        .route("/webhooks/kazawallet", webhook_route(ledger.clone()))
        .with_state(shop.clone());

    let server = serve(listener, app).with_graceful_shutdown(stopped()?);
    println!("The shop is at {url}/");
    ledger.process(move |payment| ship(shop.clone(), payment)).while_serving(server).await?;
    ledger.close().await;
    Ok(())
}

/// Called for each payment at least once: what it does must be the same done twice.
async fn ship(shop: Shop, payment: Payment) -> io::Result<()> {
    if !payment.is_paid() {
        return Ok(()); // The link timed out. The customer may press Pay again.
    }
    fs::create_dir_all(&shop.shipped).await?;
    fs::write(shop.shipped.join(payment.reference.unwrap_or_default()), "").await
}

async fn home() -> Html<String> {
    page(
        "A tea shop",
        r#"<p>Tea, 10.50 USD</p>
        <form method="post" action="/orders"><button>Order</button></form>
        <p><a href="/payouts">Pay out</a></p>"#,
    )
}

async fn make_order() -> Result<Redirect, Failed> {
    let number = getrandom::u64().map_err(failed)?;
    Ok(Redirect::to(&format!("/orders/order-{number:016x}")))
}

async fn show_order(
    State(shop): State<Shop>,
    Path(order): Path<String>,
) -> Result<Html<String>, Failed> {
    let (payment, paid) = shop.payment(&order).await?;
    let shipped = fs::try_exists(shop.shipped.join(&order)).await.unwrap_or(false);
    let delivery = if shipped { "shipped" } else { "waiting" };
    let pay =
        format!(r#"<form method="post" action="/orders/{order}/pay"><button>Pay</button></form>"#);
    let body = format!(
        r#"<p>Payment: <strong id="payment">{payment}</strong></p>
        <p>Delivery: <strong id="delivery">{delivery}</strong></p>{}"#,
        if paid { "" } else { &pay }
    );
    Ok(page(&order, &body))
}

/// The same order has the same link, however often the button is pressed.
async fn pay(State(shop): State<Shop>, Path(order): Path<String>) -> Result<Redirect, Failed> {
    checked(&order)?;
    let link = shop.link(&order).await.map_err(failed)?;
    Ok(Redirect::to(&link.url))
}

/// Anybody can open this page: it changes nothing.
async fn come_back(
    State(shop): State<Shop>,
    Path(order): Path<String>,
) -> Result<Html<String>, Failed> {
    let (payment, paid) = shop.payment(&order).await?;
    let reload = if paid { "" } else { r#"<meta http-equiv="refresh" content="2">"# };
    let body = format!(
        r#"{reload}<p>Your payment counts once Kazawallet has told this shop of it.</p>
        <p>Payment: <strong id="payment">{payment}</strong></p>
        <p><a href="/orders/{order}">Your order</a></p>"#
    );
    Ok(page("Thank you", &body))
}

const LOOK_INTO_THE_WALLET: &str = "It may have been paid. Look into the wallet, then resolve it; \
    do not repeat it under another reference.";

const PAYOUT_FORM: &str = r#"<form method="post">
    <p><label>Reference <input name="reference" required></label></p>
    <p><label>Amount in USD <input name="amount" required></label></p>
    <p><label>Phone, of SY Cash <input name="phone" required></label></p>
    <button>Pay out</button></form>"#;

async fn payout_form() -> Html<String> {
    page("Pay out", PAYOUT_FORM)
}

#[derive(Deserialize)]
struct PayoutForm {
    /// The payout's identity: what it is for, such as `refund-order-42`. It is never paid twice.
    reference: String,
    amount: String,
    phone: String,
}

async fn pay_out(State(shop): State<Shop>, Form(form): Form<PayoutForm>) -> Html<String> {
    let (state, sentence) = match shop.withdraw(form).await {
        Ok(payout) => {
            (payout.state.as_str(), "It is paid. Asked again, it is not paid again.".to_owned())
        }
        Err(error) => match (error.kind(), error.outcome()) {
            (ErrorKind::Validation | ErrorKind::LedgerState, _) => ("refused", error.to_string()),
            (_, Some(Outcome::Rejected)) => ("rejected", error.to_string()),
            (_, Some(Outcome::Unknown)) => ("unknown", LOOK_INTO_THE_WALLET.to_owned()),
            _ => ("not_sent", format!("Nothing has left, and asking again is safe: {error}")),
        },
    };
    let body = format!(
        r#"<p>Payout: <strong id="payout">{state}</strong></p><p>{}</p>{PAYOUT_FORM}"#,
        escaped(&sentence)
    );
    page("Pay out", &body)
}

impl Shop {
    /// How far the payment of an order is, and whether it is paid.
    async fn payment(&self, order: &str) -> Result<(String, bool), Failed> {
        checked(order)?;
        let state = self.ledger.order(order).await.map_err(failed)?.map(|order| order.state);
        let text = state.map_or("none".to_owned(), |state| state.to_string());
        Ok((text, state == Some(OrderState::Paid)))
    }

    async fn link(&self, order: &str) -> Result<OrderLink, kazawallet::Error> {
        let link = CreatePaymentLink::new("10.50".parse()?, "USD")
            .reference(order)
            .redirect_url(format!("{}/orders/{order}/return", self.url));
        self.ledger.create_payment_link(link).await
    }

    async fn withdraw(&self, form: PayoutForm) -> Result<Payout, kazawallet::Error> {
        let recipient = PaymentMethod::sy_cash(form.phone);
        let withdrawal = CreateWithdrawal::new(form.amount.parse()?, "USD", recipient);
        self.ledger.withdraw(form.reference, withdrawal).await
    }
}

/// What the customer sees where something does not work just now.
type Failed = (StatusCode, &'static str);

const NO_SUCH_ORDER: Failed = (StatusCode::NOT_FOUND, "There is no such order.");

fn failed(error: impl Display) -> Failed {
    eprintln!("{error}");
    (StatusCode::BAD_GATEWAY, "That did not work. Please try it again in a minute.")
}

/// A ref becomes a file's name: only one that this shop may have made.
fn checked(order: &str) -> Result<(), Failed> {
    let number = order.strip_prefix("order-").unwrap_or("no number");
    if number.bytes().all(|byte| byte.is_ascii_hexdigit()) { Ok(()) } else { Err(NO_SUCH_ORDER) }
}

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
        <meta name="viewport" content="width=device-width"><h1>{title}</h1>{body}"#
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Ends at Ctrl-C, or when the system wants the program to end.
#[cfg(unix)]
fn stopped() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! { _ = interrupted.recv() => {}, _ = terminated.recv() => {} }
    })
}

#[cfg(windows)]
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut interrupted = tokio::signal::windows::ctrl_c()?;
    Ok(async move { interrupted.recv().await.unwrap_or_default() })
}
