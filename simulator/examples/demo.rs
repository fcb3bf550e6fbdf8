//! A payment and a payout from beginning to end against the simulator, then one attack and one
//! accident. `make demo` runs it.

#![allow(clippy::print_stdout)]

use std::error::Error;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use kazawallet::{CreatePaymentLink, CreateWithdrawal, Order, PaymentMethod, Webhook};
use kazawallet_simulator::{Fault, Simulator};
use reqwest::header::LOCATION;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("This is a simulator on this machine. It is not Kazawallet, and no money moves.\n");
    let sim = Simulator::start().await?;
    let (shop_url, mut inbox) = start_shop(sim.webhook()).await?;
    sim.set_webhook_url(Some(&shop_url))?;
    let client = sim.client();
    let browser = reqwest::Client::builder()
        .tls_backend_preconfigured(no_tls()?)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;

    println!("1. The shop makes a payment link for order-42, 10.50 USD");
    let link = client
        .payment_links()
        .create(CreatePaymentLink::new("10.50".parse()?, "USD").reference("order-42"))
        .await?;
    println!("   link     {}", link.url);

    println!("2. The customer opens it and presses “Pay” on the page");
    let before = sim.balance("USD");
    press(&browser, &link.url, "pay").await?;

    println!("3. The one webhook arrives, and the shop verifies it");
    let delivery = inbox.recv().await.ok_or("no delivery came")?;
    let event = sim.webhook().verify(&delivery)?;
    println!("   event    {} {} {}", event.order_id(), event.amount(), event.status());
    event.match_order(&Order {
        amount: "10.50".parse()?,
        currency: "USD",
        reference: "order-42",
        order_id: link.id.as_deref(),
    })?;
    println!("   order    fits: amount, currency, ref and order id are the order's own");
    println!("   balance  {before} USD before, {} USD after", sim.balance("USD"));

    println!("4. The shop pays 500000 SYP out through Haram");
    let before = sim.balance("SYP");
    let recipient = || PaymentMethod::haram_under_3m("سعيد محمد حمدان", "0933123456", "دمشق");
    let payout =
        || Ok::<_, Box<dyn Error>>(CreateWithdrawal::new("500000".parse()?, "SYP", recipient()));
    let withdrawal = client.withdrawals().create(payout()?).await?;
    println!("   answer   {}", withdrawal.status.as_deref().unwrap_or("none"));
    println!("   balance  {before} SYP before, {} SYP after", sim.balance("SYP"));

    println!("\nAn attack: the link of order-43 is not paid in time");
    let link = client
        .payment_links()
        .create(CreatePaymentLink::new("900".parse()?, "USD").reference("order-43"))
        .await?;
    press(&browser, &link.url, "time_out").await?;
    let genuine = inbox.recv().await.ok_or("no delivery came")?;
    let first = sim.webhook().verify(&genuine)?;
    println!("   event    {} {} {}", first.order_id(), first.amount(), first.status());
    println!("   Somebody who holds that delivery sends it again, with another status:");
    let edited = String::from_utf8(genuine.to_vec())?.replace("timed_out", "fulfilled");
    let answer = browser.post(&shop_url).body(edited.clone()).send().await?.status();
    let second = sim.webhook().verify(&edited)?;
    println!("   verify   {answer}: the signature holds; it covers amount and order id only");
    println!("   status   {}: not signed, so it decides nothing on its own", second.status());
    if second.order_id() == first.order_id() {
        println!(
            "   order    its first delivery has decided: {}. This one is ignored",
            first.status()
        );
    }
    let dearer = edited.replace("\"900\"", "\"9000\"");
    if let Err(error) = sim.webhook().verify(&dearer) {
        println!("   amount   with another amount, too: {}", error.code());
    }

    println!("\nAn accident: the connection is lost in the middle of a payout");
    sim.fault(Fault::CloseAfterActing)?;
    let (before, sent) = (sim.balance("SYP"), sim.requests().len());
    match client.withdrawals().create(payout()?).await {
        Ok(_) => return Err("the accident did not happen".into()),
        Err(error) => {
            println!("   error    {}", error.code());
            for line in wrapped(error.message(), 76) {
                println!("            {line}");
            }
            println!("   sent     {} time, whatever `max_retries` is", sim.requests().len() - sent);
            println!(
                "   balance  {before} SYP before, {} SYP after: it was paid",
                sim.balance("SYP")
            );
        }
    }
    sim.stop().await;

    println!("\nNow click it yourself, in a browser:");
    println!("   the simulator's pages    cargo run -p kazawallet-simulator");
    println!("                            (it prints the dashboard's address; Ctrl-C stops it)");
    println!("   a whole shop to click    make shop-axum, make shop-fastapi or make shop-express");
    Ok(())
}

/// The shop's webhook endpoint: a real HTTP server that verifies what comes in. A real shop
/// stores the delivery before it answers.
async fn start_shop(webhook: Webhook) -> Result<(String, mpsc::Receiver<Bytes>), Box<dyn Error>> {
    let (sender, inbox) = mpsc::channel(8);
    let receive = async |State((webhook, sender)): State<(Webhook, mpsc::Sender<Bytes>)>,
                         body: Bytes| {
        if webhook.verify(&body).is_err() {
            return StatusCode::UNAUTHORIZED;
        }
        // A full inbox means that nobody reads it any more.
        let _ = sender.try_send(body);
        StatusCode::OK
    };
    let app = axum::Router::new()
        .route("/webhook", axum::routing::post(receive))
        .with_state((webhook, sender));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((url, inbox))
}

/// Opens a link's page and presses a button of its form, as a browser does.
async fn press(browser: &reqwest::Client, url: &str, action: &str) -> Result<(), Box<dyn Error>> {
    let page = browser.get(url).send().await?.text().await?;
    let between = |before: &str| {
        let (_, rest) = page.split_once(before).ok_or("the page has no form")?;
        rest.split('"').next().ok_or("the page has no form")
    };
    let target = reqwest::Url::parse(url)?.join(between("<form method=\"post\" action=\"")?)?;
    let token = between("name=\"form_token\" value=\"")?;
    let form = format!("form_token={token}&action={action}");
    let answer = browser
        .post(target)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await?;
    match answer.headers().get(LOCATION) {
        Some(_) => Ok(()),
        None => Err(format!("the page answered {}", answer.status()).into()),
    }
}

/// A text in lines of at most so many characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Everything here is plain HTTP on this machine.
fn no_tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = rustls::crypto::ring::default_provider();
    Ok(rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}
