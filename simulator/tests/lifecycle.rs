//! Starting, configuring, paying, triggering, stopping.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use kazawallet::{Amount, Status};
use kazawallet_simulator::{DeliveryOutcome, Error, Fault, Simulator, Trigger};
use serde_json::{Value, json};
use support::{Receiver, call, create_link, get, link_body, send, try_call};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn each_start_has_fresh_keys_on_a_loopback_port() {
    let one = Simulator::start().await.unwrap();
    let two = Simulator::start().await.unwrap();
    for (ours, theirs) in [
        (one.api_key(), two.api_key()),
        (one.api_secret(), two.api_secret()),
        (one.control_token(), two.control_token()),
        (&*one.url(), &*two.url()),
    ] {
        assert_ne!(ours, theirs);
    }
    assert!(one.api_key().starts_with("sim_") && one.api_secret().starts_with("sim_"));
    assert_ne!(one.api_key(), one.api_secret());
    assert!(one.address().ip().is_loopback());
    assert_eq!(one.url(), format!("http://{}/wallet", one.address()));
    let shown = format!("{one:?}");
    assert!(!shown.contains(one.api_secret()) && !shown.contains(one.control_token()));
    // The one's keys are worth nothing to the other.
    let headers = [("x-api-key", one.api_key()), ("content-type", "application/json")];
    let body = link_body(&two).to_string();
    let path = "/wallet/createPaymentLink";
    assert_eq!(send(two.address(), "POST", path, &headers, &body).await.unwrap().status(), 401);
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused() {
    let any = "0.0.0.0:0".parse().unwrap();
    for builder in [
        Simulator::builder().bind(any),
        Simulator::builder().api_key("81A107141716"),
        Simulator::builder().api_secret("sim_"),
        Simulator::builder().api_key("sim_x\n"),
        Simulator::builder().merchant_email("nobody"),
        Simulator::builder().balance("USD", "1e3"),
        Simulator::builder().balance("usd", "1"),
        Simulator::builder().webhook_url("localhost:8000"),
        Simulator::builder().fault(Fault::AnswerStatus(200)),
    ] {
        let error = builder.start().await.unwrap_err();
        assert!(!error.to_string().contains("81A107141716"), "a real key is not repeated");
    }
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = Simulator::builder().bind(taken.local_addr().unwrap()).start().await.unwrap_err();
    assert!(matches!(error, Error::Bind(_)), "{error:?}");
}

#[tokio::test]
async fn a_network_address_must_be_allowed_by_name() {
    let any = "0.0.0.0:0".parse().unwrap();
    let builder = Simulator::builder().bind(any).allow_non_loopback().allow_host("simulator");
    let sim = builder.start().await.unwrap();
    let port = sim.address().port();
    assert_eq!(sim.url(), format!("http://127.0.0.1:{port}/wallet"));
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    for (host, status) in [
        ("192.0.2.7:80", 200),
        ("simulator:8080", 200),
        ("localhost:8080", 200),
        ("evil.example", 421),
    ] {
        let answer = send(address, "GET", "/", &[("host", host)], "").await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
    }
}

#[tokio::test]
async fn paying_takes_a_url_a_path_or_an_id_and_happens_once() {
    let sim = Simulator::start().await.unwrap();
    for _ in 0..3 {
        create_link(&sim, &link_body(&sim)).await;
    }
    let links = sim.links();
    let url = format!("http://{}/pay/{}?lang=ar", sim.address(), links[0].id);
    sim.pay(&url).await.unwrap();
    sim.pay(&links[1].id).await.unwrap();
    sim.time_out(&links[2]).await.unwrap();
    for link in &links {
        assert!(matches!(sim.pay(link).await, Err(Error::LinkSettled(_))));
        assert!(matches!(sim.time_out(link).await, Err(Error::LinkSettled(_))));
    }
    assert!(matches!(sim.pay("nothing").await, Err(Error::UnknownLink(_))));
    assert_eq!(sim.balance("USD"), "1021.00".parse().unwrap());
    assert_eq!(sim.balance("EUR"), "0".parse().unwrap());
    let deliveries = sim.deliveries();
    assert_eq!(deliveries.len(), 3);
    assert!(deliveries.iter().all(|one| matches!(one.outcome, DeliveryOutcome::NotSent { .. })));
}

#[tokio::test]
async fn a_delivery_says_what_the_documentation_says() {
    let mut receiver = Receiver::start(200).await;
    let sim = Simulator::start().await.unwrap();
    sim.set_webhook_url(Some(&receiver.url)).unwrap();
    let mut body = link_body(&sim);
    body["amount"] = json!("10.500");
    let path = create_link(&sim, &body).await;
    let deliveries = sim.pay(&path).await.unwrap();
    let received = receiver.next().await;
    assert_eq!(received.first_line, "POST /webhook HTTP/1.1");
    let amount = "10.500".parse().unwrap();
    let id = &sim.links()[0].id;
    let wanted = format!(
        "{{\"order_id\":\"{id}\",\"secret\":\"{}\",\"amount\":\"10.500\",\"ref\":\"order-42\",\
         \"status\":\"fulfilled\",\"currency\":\"USD\"}}",
        sim.webhook().sign(&amount, id)
    );
    assert_eq!(received.body, wanted);
    assert_eq!((deliveries.len(), deliveries[0].answered()), (1, Some(200)));
    assert!(!format!("{:?}", deliveries[0]).contains("order-42"));
    // A link without a reference delivers none, and a webhook URL can be taken away.
    sim.set_webhook_url(None).unwrap();
    body.as_object_mut().unwrap().remove("ref");
    let path = create_link(&sim, &body).await;
    let delivery = &sim.pay(&path).await.unwrap()[0];
    assert!(!delivery.body.contains("ref") && delivery.answered().is_none());
    assert!(sim.set_webhook_url(Some("javascript:x")).is_err());
}

#[tokio::test]
async fn a_delivery_that_fails_is_not_repeated_and_does_not_undo_the_payment() {
    // A server that takes the connection and closes it without an answer.
    let rude = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", rude.local_addr().unwrap());
    let accepted = tokio::spawn(async move {
        drop(rude.accept().await.unwrap());
        rude
    });
    let sim = Simulator::builder().webhook_url(url).start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    let delivery = &sim.pay(&path).await.unwrap()[0];
    assert!(matches!(&delivery.outcome, DeliveryOutcome::Failed { .. }), "{delivery:?}");
    drop(accepted.await.unwrap());
    assert_eq!(sim.deliveries()[0].outcome, delivery.outcome);
    assert_eq!(sim.balance("USD"), "1010.50".parse().unwrap());
}

#[tokio::test]
async fn a_delivery_that_is_not_answered_in_time_has_failed() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let limit = Duration::from_millis(50);
    let builder = Simulator::builder().webhook_url(url).delivery_timeout(limit);
    let sim = builder.start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    let delivery = &sim.pay(&path).await.unwrap()[0];
    let reason = "no answer within 50ms".to_owned();
    assert_eq!(delivery.outcome, DeliveryOutcome::Failed { reason });
    assert!(delivery.took >= limit);
}

#[tokio::test]
async fn a_payment_that_does_not_fit_is_refused_and_the_link_stays_open() {
    let sim = Simulator::builder().balance("USD", "999999999999999999").start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    assert!(matches!(sim.pay(&path).await, Err(Error::BalanceTooLarge)));
    assert_eq!(sim.links()[0].state.as_str(), "open");
    assert_eq!(sim.balance("USD"), "999999999999999999".parse().unwrap());
}

#[tokio::test]
async fn trigger_sends_one_signed_delivery() {
    let mut receiver = Receiver::start(202).await;
    let sim = Simulator::start().await.unwrap();
    sim.fault(Fault::NeverDelivered).unwrap();
    let trigger = Trigger::to(&receiver.url, "7.00".parse().unwrap())
        .currency("SYP")
        .reference("r\"1")
        .order_id("order-1")
        .status(Status::Other("refunded".to_owned()));
    let delivery = sim.trigger(trigger.clone()).await.unwrap();
    assert_eq!(delivery.answered(), Some(202));
    let event = sim.webhook().verify(receiver.next().await.body).unwrap();
    assert_eq!((event.order_id(), event.amount().as_str()), ("order-1", "7.00"));
    assert_eq!((event.currency(), event.reference()), (Some("SYP"), Some("r\"1")));
    assert_eq!(event.status().as_str(), "refunded");
    assert_eq!(sim.deliveries().len(), 1);
    // The same without a simulator.
    trigger.send(&sim.webhook()).await.unwrap();
    assert!(sim.webhook().verify(receiver.next().await.body).is_ok());
    let nowhere = Trigger::to("ftp://127.0.0.1/", "1".parse().unwrap());
    assert!(sim.trigger(nowhere).await.is_err());
}

#[tokio::test]
async fn trigger_signs_a_time_out_of_zero() {
    let mut receiver = Receiver::start(200).await;
    let sim = Simulator::start().await.unwrap();
    for zero in ["0", "0.00"] {
        let trigger = Trigger::to(&receiver.url, Amount::from_delivery(zero).unwrap())
            .order_id("order-1")
            .status(Status::TimedOut);
        assert_eq!(sim.trigger(trigger).await.unwrap().answered(), Some(200));
        let event = sim.webhook().verify(receiver.next().await.body).unwrap();
        assert_eq!((event.amount().as_str(), event.status()), (zero, &Status::TimedOut));
    }
}

#[tokio::test]
async fn stopping_closes_everything_and_frees_the_port() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    // On Linux a loopback address that no other test uses, so that none can take the freed port.
    let own = if cfg!(target_os = "linux") { "127.77.0.1:0" } else { "127.0.0.1:0" };
    let builder = Simulator::builder().bind(own.parse().unwrap()).webhook_url(url);
    let sim = std::sync::Arc::new(builder.start().await.unwrap());
    let address = sim.address();
    let path = create_link(&sim, &link_body(&sim)).await;
    // One delivery under way, one request that would be answered in ten minutes, one idle connection.
    sim.fault(Fault::AnswerLate(Duration::from_secs(600))).unwrap();
    let paying = tokio::spawn({
        let (sim, path) = (sim.clone(), path.clone());
        async move { sim.pay(&path).await }
    });
    let (mut received, _) = silent.accept().await.unwrap();
    let late = tokio::spawn({
        let sim = sim.clone();
        async move { try_call(&sim, "/wallet/get-merchant-wallets", &Value::Null).await }
    });
    while sim.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    let mut idle = TcpStream::connect(address).await.unwrap();

    sim.stop().await;
    assert!(matches!(paying.await.unwrap(), Err(Error::Stopped)));
    assert_eq!(late.await.unwrap().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    use tokio::io::AsyncReadExt;
    let mut rest = Vec::new();
    // Closed or reset, as the system has it: it is over in either case.
    let _ = idle.read_to_end(&mut rest).await;
    let _ = received.read_to_end(&mut rest).await;
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    sim.stop().await;
    // What was kept can still be read; what would need it running says so.
    assert_eq!(sim.requests().len(), 2);
    assert!(matches!(
        sim.trigger(Trigger::to("http://127.0.0.1:9/", "1".parse().unwrap())).await,
        Err(Error::Stopped)
    ));
    let again = Simulator::builder().bind(address).start().await.unwrap();
    assert_eq!(get(&again, "/", &[]).await.status(), 200);
}

#[test]
fn dropping_stops_it_and_no_task_is_left() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sim = Simulator::start().await.unwrap();
        let address = sim.address();
        call(&sim, "/wallet/get-merchant-wallets", &Value::Null).await;
        drop(sim);
        let handle = tokio::runtime::Handle::current();
        while handle.metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(TcpStream::connect(address).await.is_err());

        let sim = Simulator::start().await.unwrap();
        call(&sim, "/wallet/get-merchant-wallets", &Value::Null).await;
        let path = create_link(&sim, &link_body(&sim)).await;
        sim.pay(&path).await.unwrap();
        sim.stop().await;
        assert_eq!(handle.metrics().num_alive_tasks(), 0);
    });
}

/// The design's "some tens of milliseconds", with room for a busy machine. Run with `--nocapture`
/// for the numbers.
#[tokio::test]
async fn it_starts_quickly() {
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let sim = Simulator::start().await.unwrap();
        times.push(begun.elapsed());
        sim.stop().await;
    }
    times.sort();
    println!(
        "start: first quartile {:?}, median {:?}, slowest {:?}",
        times[5], times[10], times[19]
    );
    assert!(times[10] < Duration::from_secs(1), "{times:?}");
}
