//! What is never shown: keys, secrets, and people's data. Not in `Debug`, not in an error, not in a
//! trace.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fmt::{Debug, Display};
use std::sync::Mutex;

use kazawallet::{
    ApiKey, ApiSecret, Client, ErrorKind, Method, Order, PaymentEvent, PaymentMethod, Webhook,
};
use kazawallet_simulator::{Decimal, Fault, Simulator, Trigger};
use serde_json::json;
use support::http::{Request, answer, content};
use support::in_time;
use support::library_log;
use support::merchant::{
    self, Endpoint, KEY, MERCHANT_EMAIL, NAME, NOTE, PHONE, PRIVATE, REFERENCE, SECRET, USER_EMAIL,
    everything_shown, private_values_in,
};
use support::server::Server;
use support::traces::Traces;

#[track_caller]
fn assert_private(what: &str, value: &(impl Debug + ?Sized)) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        assert_eq!(private_values_in(&shown), [""; 0], "{what}: {shown}");
        assert!(!shown.is_empty(), "{what} shows nothing at all");
    }
}

#[track_caller]
fn assert_private_text(what: &str, value: &(impl Debug + Display + ?Sized)) {
    assert_private(what, value);
    for shown in [format!("{value}"), format!("{value:#}")] {
        assert_eq!(private_values_in(&shown), [""; 0], "{what}: {shown}");
    }
}

fn webhook() -> Webhook {
    Webhook::new(KEY, SECRET).unwrap()
}

/// A delivery with private values in every place that has room for one.
fn event() -> PaymentEvent {
    let webhook = webhook();
    let body = json!({
        "order_id": "ab12",
        "amount": "10.50",
        "secret": webhook.sign(&"10.50".parse().unwrap(), "ab12"),
        "status": "fulfilled",
        "currency": "USD",
        "ref": REFERENCE,
        "email": USER_EMAIL,
        "customer": { "name": NAME, "phone": PHONE },
        "note": NOTE,
    });
    webhook.verify(body.to_string()).unwrap()
}

/// An answer that is content and repeats all that a provider could know.
fn talkative(request: &Request) -> Vec<u8> {
    let mut body: serde_json::Value = {
        let answer = String::from_utf8(content(request)).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let said = format!("paid to {NAME}, {PHONE}, by {MERCHANT_EMAIL} for {USER_EMAIL}: {NOTE}");
    body["message"] = json!(said);
    body["echo"] = json!(PRIVATE);
    if let Some(payment) = body.get_mut("createdPayment") {
        payment["message"] = json!(said);
        payment["note"] = json!(NOTE);
    }
    if let Some(url) = body.get_mut("url") {
        *url = json!(format!("https://pay.example/1?email={USER_EMAIL}&ref={REFERENCE}#{PHONE}"));
    }
    answer(200, &[], &body.to_string())
}

#[test]
fn credentials_are_not_shown() {
    assert_private("ApiKey", &ApiKey::from(KEY));
    assert_private("ApiSecret", &ApiSecret::from(SECRET.to_owned()));
    assert_private("Option<ApiKey>", &Some(ApiKey::from(KEY)));
    let rotated = webhook().with_previous(KEY, SECRET).unwrap();
    assert_private("Webhook", &webhook());
    assert_private("Webhook", &rotated);
}

#[test]
fn a_client_and_its_builder_show_no_credential() {
    let builder = merchant::builder("https://pay.example.test/wallet")
        .proxy(format!("http://{NAME}:{SECRET}@proxy.example"))
        .app_name("a shop");
    assert_private("ClientBuilder", &builder);
    let client = builder.build().unwrap();
    assert_private("Client", &client);
    assert_private("PaymentLinks", &client.payment_links());
    assert_private("Withdrawals", &client.withdrawals());
    assert_private("Wallets", &client.wallets());
    assert_private("Deposits", &client.deposits());
}

#[test]
fn what_is_asked_for_shows_nobodys_data() {
    assert_private("PaymentMethod", &merchant::recipient());
    assert_private("PaymentMethod", &PaymentMethod::sy_cash(PHONE));
    assert_private("PaymentMethod", &PaymentMethod::custom("118", [(NAME, PHONE)]));
    let redirected =
        merchant::link().redirect_url(format!("https://shop.example/?who={USER_EMAIL}"));
    assert_private("CreatePaymentLink", &redirected);
    assert_private("CreateWithdrawal", &merchant::withdrawal());
    assert_private("CreateDeposit", &merchant::deposit());

    let client = merchant::builder("https://pay.example.test").build().unwrap();
    assert_private("Call<PaymentLink>", &client.payment_links().create(redirected));
    assert_private("Call<Withdrawal>", &client.withdrawals().create(merchant::withdrawal()));
    assert_private("Call<WalletList>", &client.wallets().list());
    assert_private("Call<Deposit>", &client.deposits().create(merchant::deposit()));
    let path = format!("/wallet-cards/{PHONE}?email={USER_EMAIL}");
    let raw = client.request(Method::POST, path).json(&json!({ "holder": NAME }));
    assert_private("RawRequest", &raw);
    let raw = client.request(Method::GET, format!("/wallet-cards?email={USER_EMAIL}"));
    assert_private("RawRequest", &raw);
}

#[test]
fn an_event_and_an_order_show_nobodys_data() {
    let event = event();
    assert_eq!(event.reference(), Some(REFERENCE));
    assert_private("PaymentEvent", &event);
    let amount: kazawallet::Amount = "10.50".parse().unwrap();
    let order =
        Order { amount, currency: "USD", reference: REFERENCE, order_id: event.order_id().into() };
    assert_private("Order", &order);
    assert_private("PaymentEvent", event.match_order(&order).unwrap());
}

#[test]
fn the_errors_of_a_webhook_show_nobodys_data() {
    let event = event();
    let amount: kazawallet::Amount = "10.50".parse().unwrap();
    for (reference, order_id) in
        [("another", "ab12"), (REFERENCE, REFERENCE), (NAME, "ab12"), (USER_EMAIL, "ab12")]
    {
        let order =
            Order { amount: amount.clone(), currency: "USD", reference, order_id: Some(order_id) };
        let error = event.match_order(&order).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OrderMismatch);
        assert_eq!(private_values_in(&everything_shown(&error)), [""; 0], "{error:?}");
    }

    // Bodies that fail in each part of the reading, with private values where they fail.
    let genuine = String::from_utf8(event.body().to_vec()).unwrap();
    let bodies = [
        genuine.replace("10.50", "10.51"),
        genuine.replace("\"10.50\"", &format!("\"{PHONE}x\"")),
        genuine.replace("\"10.50\"", &format!("[\"{NAME}\"]")),
        genuine.replace("\"ab12\"", &format!("{{\"{NAME}\":\"{PHONE}\"}}")),
        genuine.replace("\"order_id\"", &format!("\"{NAME}\"")),
        genuine.replace('{', &format!("{{\"{USER_EMAIL}\":1,\"{USER_EMAIL}\":2,")),
        genuine.replace("}", ""),
        format!("[\"{NAME}\"]"),
        format!("\"{USER_EMAIL}\""),
        format!("{{\"{USER_EMAIL}\" {NAME}"),
        format!("order_id=1&order_id={USER_EMAIL}"),
        format!("{USER_EMAIL}=1&{USER_EMAIL}=2&%zz={PHONE}"),
        format!("<p>{NAME}</p>"),
    ];
    for body in bodies {
        let Err(error) = webhook().verify(&body) else { panic!("verified: {body}") };
        assert_eq!(private_values_in(&everything_shown(&error)), [""; 0], "{body}: {error:?}");
    }
}

#[tokio::test]
async fn an_argument_that_is_refused_is_not_repeated() {
    let client = merchant::builder("https://pay.example.test").build().unwrap();
    let payout = |method| {
        let amount = "5000".parse().unwrap();
        client.withdrawals().create(kazawallet::CreateWithdrawal::new(amount, "SYP", method))
    };
    let mut errors = vec![
        payout(PaymentMethod::haram_under_3m(NAME, PHONE, " ")).await.map(drop).unwrap_err(),
        payout(PaymentMethod::haram_over_3m(NAME, PHONE, NAME)).await.map(drop).unwrap_err(),
        payout(PaymentMethod::haram_under_3m(PHONE, NAME, NAME)).await.map(drop).unwrap_err(),
        payout(PaymentMethod::sy_cash(format!("{PHONE}1"))).await.map(drop).unwrap_err(),
        payout(PaymentMethod::custom(" ", [(NAME, PHONE)])).await.map(drop).unwrap_err(),
        client
            .payment_links()
            .create(merchant::link().redirect_url(USER_EMAIL))
            .await
            .map(drop)
            .unwrap_err(),
        client
            .payment_links()
            .create(merchant::link().reference(format!("{REFERENCE}\0")))
            .await
            .map(drop)
            .unwrap_err(),
        client
            .deposits()
            .create(kazawallet::CreateDeposit::new(
                "1".parse().unwrap(),
                "USD",
                NAME,
                merchant::recipient(),
            ))
            .await
            .map(drop)
            .unwrap_err(),
        PHONE.replace('0', "+").parse::<kazawallet::Amount>().unwrap_err(),
        format!("{PHONE} ").parse::<kazawallet::Amount>().unwrap_err(),
    ];
    for path in [NAME, USER_EMAIL, "//x", &format!("/{NAME}"), &format!("/../{PHONE}")] {
        errors.push(client.request(Method::GET, path).send().await.map(drop).unwrap_err());
    }
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
        assert_eq!(private_values_in(&everything_shown(&error)), [""; 0], "{error:?}");
    }
}

#[test]
fn a_client_that_cannot_be_built_shows_no_credential() {
    let build = |key: &str, secret: &str, email: &str, url: &str| {
        Client::builder(key).api_secret(secret).merchant_email(email).base_url(url).build()
    };
    let good = "https://pay.example.test";
    for error in [
        build(&format!("{KEY}\n"), SECRET, MERCHANT_EMAIL, good).unwrap_err(),
        build(&format!("{KEY}é"), SECRET, MERCHANT_EMAIL, good).unwrap_err(),
        build(KEY, &format!(" {SECRET}"), MERCHANT_EMAIL, good).unwrap_err(),
        build(KEY, &format!("{SECRET}\u{7f}"), MERCHANT_EMAIL, good).unwrap_err(),
        build(KEY, SECRET, &format!("{MERCHANT_EMAIL}\r\n"), good).unwrap_err(),
        build(KEY, SECRET, NAME, good).unwrap_err(),
        build(KEY, SECRET, MERCHANT_EMAIL, &format!("https://{KEY}:{SECRET}@x.test")).unwrap_err(),
        build(KEY, SECRET, MERCHANT_EMAIL, &format!("{good}/?key={KEY}")).unwrap_err(),
        build(KEY, SECRET, MERCHANT_EMAIL, &format!("http://{KEY}.example.test")).unwrap_err(),
        build(KEY, SECRET, MERCHANT_EMAIL, &format!("{KEY}://x")).unwrap_err(),
        build(KEY, SECRET, MERCHANT_EMAIL, SECRET).unwrap_err(),
        merchant::builder(good).app_name(format!("{NAME}\n")).build().unwrap_err(),
        merchant::builder(good).root_certificates(SECRET).build().unwrap_err(),
        Webhook::new(format!("{KEY} "), SECRET).unwrap_err(),
        Webhook::new(KEY, format!("\t{SECRET}")).unwrap_err(),
        webhook().with_previous(KEY, format!("{SECRET}\n")).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert_eq!(private_values_in(&everything_shown(&error)), [""; 0], "{error:?}");
    }
}

#[tokio::test]
async fn a_success_that_repeats_everything_shows_nobodys_data() {
    let server = Server::plain(talkative).await;
    let client = merchant::builder(&format!("http://{}", server.address)).build().unwrap();
    let withdrawal = client.withdrawals().create(merchant::withdrawal()).await.unwrap();
    let deposit = client.deposits().create(merchant::deposit()).await.unwrap();
    let link = client.payment_links().create(merchant::link()).await.unwrap();
    let wallets = client.wallets().list().await.unwrap();
    let response = client.request(Method::GET, "/x").send().await.unwrap();

    // It is all there for those who ask for it …
    assert!(withdrawal.message.as_deref().unwrap().contains(NAME));
    assert!(deposit.message.as_deref().unwrap().contains(NAME));
    assert!(link.url.contains(USER_EMAIL));
    assert!(response.text().contains(NAME));
    // … and for nobody else.
    assert_private("Withdrawal", &withdrawal);
    assert_private("Deposit", &deposit);
    assert_private("PaymentLink", &link);
    assert_private("WalletList", &wallets);
    assert_private("Wallet", &wallets[0]);
    assert_private("Response", &response);
    for raw in [&withdrawal.raw, &deposit.raw, &link.raw, &wallets.raw] {
        assert_private("Response", raw);
    }
}

/// Ways to say no, each with everything in it that was sent, in capitals and in small letters.
fn refusals(request: &Request) -> Vec<Vec<u8>> {
    let sent: Vec<&str> = request.headers.iter().map(|(_, value)| &**value).collect();
    // Where the query is, a service repeats it as it has read it.
    let path = request.path.clone();
    let repeated = format!("no: {} {path} {}", sent.join(" "), private_of(request).join(", "));
    let loud = repeated.to_uppercase();
    let details = json!({ "key": repeated, "was": request.body });
    let strapi = |status: u16, text: &str| {
        json!({ "data": null, "error": {
            "status": status, "name": text, "message": text, "details": details,
        } })
        .to_string()
    };
    let error = |text: &str| json!({ "success": false, "error": text }).to_string();
    let message = |text: &str| json!({ "success": false, "message": text }).to_string();
    let html = format!("<html>{repeated}</html>");
    let headers: [(&str, &str); 1] = [("content-type", "application/json")];
    [400, 401, 403, 404, 408, 422, 429, 500, 503, 302]
        .into_iter()
        .map(|status| answer(status, &headers, &strapi(status, &repeated)))
        .chain([
            answer(200, &headers, &strapi(400, &loud)),
            answer(200, &headers, &strapi(503, &loud)),
            answer(200, &headers, &error(&repeated)),
            answer(200, &headers, &error(&loud)),
            answer(400, &headers, &message(&repeated)),
            answer(200, &headers, &message(&loud)),
            answer(200, &headers, &html),
            answer(502, &headers, &html),
            answer(200, &headers, &html[..html.len() / 2]),
            b"nothing that is HTTP\r\n\r\n".to_vec(),
        ])
        .collect()
}

/// The private values that are in a request.
fn private_of(request: &Request) -> Vec<&'static str> {
    let all = format!("{} {:?} {}", request.path, request.headers, request.body);
    private_values_in(&all)
}

#[tokio::test]
async fn an_error_that_repeats_what_was_sent_shows_none_of_it() {
    let number = std::sync::Arc::new(Mutex::new(0));
    let next = std::sync::Arc::clone(&number);
    let server = Server::plain(move |request| {
        let refusals = refusals(request);
        let mut number = next.lock().unwrap();
        let refusal = refusals[*number % refusals.len()].clone();
        *number += 1;
        refusal
    })
    .await;
    let url = format!("http://{}", server.address);
    let client = merchant::builder(&url).max_retries(0).build().unwrap();
    for endpoint in Endpoint::ALL {
        *number.lock().unwrap() = 0;
        for refusal in 0..20 {
            let error = endpoint.call(&client).await.unwrap_err();
            let shown = everything_shown(&error);
            assert_eq!(private_values_in(&shown), [""; 0], "{endpoint:?}, {refusal}: {shown}");
        }
        assert_eq!(*number.lock().unwrap(), 20, "{endpoint:?}: each was tried once");
    }
}

#[tokio::test]
async fn the_simulators_types_show_nobodys_data() {
    let (key, secret) = (format!("sim_{KEY}"), format!("sim_{SECRET}"));
    let builder = Simulator::builder()
        .api_key(&key)
        .api_secret(&secret)
        .merchant_email(MERCHANT_EMAIL)
        .another_merchant(USER_EMAIL)
        .webhook_url(format!("http://127.0.0.1:9/{NAME}?phone={PHONE}"));
    assert_private("SimulatorBuilder", &builder);
    let sim = builder.start().await.unwrap();
    assert_private("Simulator", &sim);
    assert!(!format!("{sim:?}").contains(sim.control_token()));
    assert_private("Client", &sim.client());
    assert_private("Webhook", &sim.webhook());

    let redirect = format!("https://shop.example/?who={USER_EMAIL}");
    let link =
        sim.client().payment_links().create(merchant::link().redirect_url(redirect)).await.unwrap();
    sim.client().withdrawals().create(merchant::withdrawal()).await.unwrap();
    let own_deposit = kazawallet::CreateDeposit::new(
        "1".parse().unwrap(),
        "USD",
        USER_EMAIL,
        PaymentMethod::custom("118", [("name", NAME), ("phone", PHONE)]),
    );
    // Whether it is granted is not the question here.
    let _ = sim.client().deposits().create(own_deposit.note(NOTE)).await;
    assert_private("PaymentLink", &link);
    assert!(sim.requests().iter().any(|request| request.body.contains(NAME)));
    for request in sim.requests() {
        assert_private("RecordedRequest", &request);
    }
    for known in sim.links() {
        assert_private("Link", &known);
    }

    sim.set_webhook_url(None).unwrap();
    sim.pay(&link).await.unwrap();
    let trigger = Trigger::to(format!("http://127.0.0.1:9/?to={USER_EMAIL}"), "1".parse().unwrap())
        .reference(REFERENCE);
    assert_private("Trigger", &trigger);
    // The port answers nothing, and the reason must not tell where it went.
    let failed = sim.trigger(trigger).await;
    if let Err(error) = &failed {
        assert_private_text("simulator's Error", error);
    }
    assert!(!sim.deliveries().is_empty());
    for delivery in sim.deliveries() {
        assert_private("Delivery", &delivery);
        assert_private_text("DeliveryOutcome", &delivery.outcome);
    }
    assert_private_text("Decimal", &Decimal::ONE);
    assert_private_text("Fault", &Fault::HalfBody);
    let refused = Simulator::builder().api_key(KEY).start().await.unwrap_err();
    assert_private_text("simulator's Error", &refused);
    let refused = Simulator::builder().api_secret(SECRET).start().await.unwrap_err();
    assert_private_text("simulator's Error", &refused);
    let refused = Simulator::builder().merchant_email(NAME).start().await.unwrap_err();
    assert_private_text("simulator's Error", &refused);
    in_time(sim.stop()).await;
}

#[tokio::test]
async fn every_call_is_traced_by_one_span_that_shows_nobodys_data() {
    library_log::keep();
    let traces = Traces::of_this_process();
    // Other tests run at the same time, on threads of their own.
    let here = std::thread::current().id();

    let good = Server::plain(talkative).await;
    let bad = Server::plain(|request| refusals(request).remove(0)).await;
    let failing = Server::plain(|request| refusals(request).remove(8)).await;
    let cutting = Server::plain(|_| b"nothing that is HTTP\r\n\r\n".to_vec()).await;
    let nobody = {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket
    };
    let nowhere = nobody.local_addr().unwrap();

    let mut expected = Vec::new();
    for endpoint in Endpoint::ALL {
        let name = match endpoint {
            Endpoint::Links => "/createPaymentLink",
            Endpoint::Withdrawals => "/createWithdrawalRequest",
            Endpoint::Wallets => "/get-merchant-wallets",
            Endpoint::Deposits => "/createDepositRequest",
            Endpoint::RawGet | Endpoint::RawPost => "/wallet-cards/…",
        };
        for (address, retries, status, outcome) in [
            (good.address, 2, Some("200"), "ok"),
            (bad.address, 2, Some("400"), "rejected"),
            (failing.address, 1, Some("503"), "unknown"),
            (cutting.address, 0, None, "unknown"),
            (nowhere, 1, None, "not_sent"),
        ] {
            let client =
                merchant::builder(&format!("http://{address}")).max_retries(retries).build();
            let result = endpoint.call(&client.unwrap()).await;
            assert_eq!(result.is_ok(), outcome == "ok", "{endpoint:?}, {outcome}");
            let again = match outcome {
                "not_sent" => true,
                "unknown" => retries > 0 && !endpoint.is_payout(),
                _ => false,
            };
            expected.push((name, if again { "2" } else { "1" }, status, outcome));
        }
    }

    let traced = traces.so_far();
    let spans: Vec<_> = traced.calls().filter(|span| span.thread == here).collect();
    let recorded: Vec<_> = spans
        .iter()
        .map(|span| {
            let field = |name| span.field(name).unwrap_or("missing");
            (field("endpoint"), field("attempt"), span.field("status"), field("outcome"))
        })
        .collect();
    assert_eq!(recorded, expected);
    for span in &spans {
        assert!(span.closed, "{span:?}");
        let duration = span.field("duration_ms").unwrap_or_else(|| panic!("{span:?}"));
        duration.parse::<u64>().unwrap_or_else(|_| panic!("{span:?}"));
        let known = ["endpoint", "attempt", "status", "duration_ms", "outcome"];
        assert!(span.fields.iter().all(|(name, _)| known.contains(name)), "{span:?}");
    }
    // All targets, all levels, all threads.
    assert_eq!(private_values_in(&traced.text), [""; 0], "{}", traced.text);
    let logged = library_log::kept();
    assert!(logged.contains("reqwest"), "nothing was logged below: {logged}");
    assert_eq!(private_values_in(&logged), [""; 0], "{logged}");
}
