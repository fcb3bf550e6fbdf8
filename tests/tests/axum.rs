//! The webhook's route for axum, with a webhook and with a ledger: real servers, asked over sockets. What
//! is answered and told stands in `webhook_routes.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/served.rs"]
mod served;
mod support;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use kazawallet::Webhook;
use kazawallet_ledger::{Decision, Payment};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use served::{
    Account, Handler, PATH, Running, delivery, ledger_route, post, send, some_webhook,
    webhook_route,
};
use support::in_time;
use support::traces::Traces;

#[tokio::test]
async fn what_says_that_it_is_too_long_is_refused_unread() {
    let handler = Handler::default();
    let shop = Running::alone(webhook_route(some_webhook(), &handler)).await;
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: shop\r\ncontent-length: 65537\r\n\r\n");
    let answer = send(shop.address, head.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (413, &br#"{"error":"body_too_large"}"#[..])
    );

    // And one that never ends, once it is too long.
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("10001\r\n{}", " ".repeat(65537));
    assert_eq!(send(shop.address, (head.clone() + &chunk).as_bytes()).await.status, 413);

    // What is no chunk ends the body before its end.
    let answer = send(shop.address, (head + "no chunk\r\n").as_bytes()).await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (400, &br#"{"error":"webhook_payload"}"#[..])
    );
    assert!(handler.handled().is_empty());
    shop.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_fails_alone() {
    let webhook = some_webhook();
    let route = kazawallet::axum::webhook_route(webhook.clone(), |event| async move {
        assert_ne!(event.reference(), Some("order-1"));
        Ok::<(), io::Error>(())
    });
    let shop = Running::alone(route).await;
    let answer = send(shop.address, &post(&delivery(&webhook, "pl_1", "order-1"))).await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (500, &br#"{"error":"not_processed"}"#[..])
    );
    assert_eq!(send(shop.address, &post(&delivery(&webhook, "pl_2", "order-2"))).await.status, 200);
    shop.stop().await;
}

/// Tells that it was dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_stop_the_handler() {
    let (webhook, handler) = (some_webhook(), Handler::default());
    let [began, may_end, dropped] = [(); 3].map(|()| Arc::new(Notify::new()));
    let route = {
        let (handler, began, may_end) = (handler.clone(), began.clone(), may_end.clone());
        kazawallet::axum::webhook_route(webhook.clone(), move |event| {
            let (handler, began, may_end) = (handler.clone(), began.clone(), may_end.clone());
            async move {
                began.notify_one();
                may_end.notified().await;
                handler.handle(event.reference())
            }
        })
    };
    let told = dropped.clone();
    let shop = Running::alone(route.layer(from_fn(move |request: Request, next: Next| {
        let told = Told(told.clone());
        async move {
            let answer = next.run(request).await;
            drop(told);
            answer
        }
    })))
    .await;

    let mut caller = TcpStream::connect(shop.address).await.unwrap();
    caller.write_all(&post(&delivery(&webhook, "pl_1", "order-1"))).await.unwrap();
    in_time(began.notified()).await;
    drop(caller);
    in_time(dropped.notified()).await; // The server gave the request up.
    may_end.notify_one();
    handler.wait_for("order-1").await;
    shop.stop().await;
}

#[tokio::test]
async fn the_log_says_what_went_wrong_and_shows_nobody_anything() {
    let traces = Traces::of_this_process();
    let webhook = Webhook::new("sim_key_of_the_log", "sim_secret_of_the_log").unwrap();
    let route = kazawallet::axum::webhook_route(webhook.clone(), |_| async {
        Err::<(), &str>("no such table: parcels")
    });
    let shop = Running::alone(route).await;
    let genuine = delivery(&webhook, "pl_of_the_log", "ref-of-the-log");
    let answer = send(shop.address, &post(&genuine)).await;
    assert_eq!(answer.json(), serde_json::json!({ "error": "not_processed" }));
    let forged = delivery(&some_webhook(), "pl_of_the_log", "ref-of-the-log");
    assert_eq!(send(shop.address, &post(&forged)).await.status, 401);
    shop.stop().await;

    // And with a ledger, whose worker tells of its handler.
    let account = Account::new().await;
    let ledger = account.open_ledger().await;
    let paid = account.paid(&ledger, "ref-of-the-log").await;
    let worker = ledger.process(|_| async { Err::<(), &str>("no such table: parcels") }).start();
    let receipt = ledger.receive(paid).await.unwrap();
    let tells = |log: &str, what: &str, order_id: &str| {
        log.lines().any(|line| line.contains(what) && line.contains(order_id))
    };
    let order_id = receipt.event.order_id();
    let log =
        traces.wait_for(|traced| tells(&traced.text, "the handler failed", order_id)).await.text;
    worker.stop().await;
    ledger.close().await;

    assert!(tells(&log, "the handler failed", "pl_of_the_log"), "{log}");
    assert!(log.contains("signature_verification"), "{log}");
    let signature = webhook.sign(&"10.50".parse().unwrap(), "pl_of_the_log");
    for private in [
        "sim_key_of_the_log",
        "sim_secret_of_the_log",
        "ref-of-the-log",
        "no such table: parcels",
        &signature,
    ] {
        assert!(!log.contains(private), "{private} is in the log");
    }
}

#[test]
fn it_needs_no_tokio_runtime() {
    use tower_service::Service;

    let (webhook, handler) = (some_webhook(), Handler::default());
    let mut route = webhook_route(webhook.clone(), &handler);
    let request = Request::post(PATH).body(Body::from(delivery(&webhook, "pl_1", "order-1")));
    let answering = std::pin::pin!(route.call(request.unwrap()));
    let Poll::Ready(answer) = answering.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits for something");
    };
    let answer: Response = answer.unwrap_or_else(|never| match never {});
    assert_eq!(answer.status(), 200);
    assert_eq!(handler.handled(), ["order-1"]);
}

#[tokio::test]
async fn the_worker_comes_and_goes_with_the_application() {
    let account = Account::new().await;
    let ledger = account.open_ledger().await;

    // An application without a worker, which then ends.
    let first = account.paid(&ledger, "order-1").await;
    let shop = Running::alone(ledger_route(&ledger)).await;
    assert_eq!(send(shop.address, &post(&first)).await.status, 200);
    shop.stop().await;
    ledger.close().await;

    // The next one handles what that received.
    let ledger = account.open_ledger().await;
    let handler = Handler::default();
    let [began, may_end, served] = [(); 3].map(|()| Arc::new(Notify::new()));
    let worker = {
        let (handler, began, may_end) = (handler.clone(), began.clone(), may_end.clone());
        ledger.process(move |payment: Payment| {
            let (handler, began, may_end) = (handler.clone(), began.clone(), may_end.clone());
            async move {
                if payment.reference.as_deref() == Some("order-2") {
                    began.notify_one();
                    may_end.notified().await;
                }
                handler.handle(payment.reference.as_deref())
            }
        })
    };
    let told = Told(served.clone());
    let shop = Running::start(ledger_route(&ledger), |server| {
        worker.while_serving(async move {
            let _told = told;
            server.await
        })
    })
    .await;
    handler.wait_for("order-1").await;

    // It ends when the handler that runs has ended, and takes no other payment.
    for reference in ["order-2", "order-3"] {
        let body = account.paid(&ledger, reference).await;
        assert_eq!(send(shop.address, &post(&body)).await.status, 200);
    }
    in_time(began.notified()).await;
    let ending = tokio::spawn(shop.stop());
    in_time(served.notified()).await; // Now it waits for the worker.
    may_end.notify_one();
    in_time(ending).await.unwrap();
    assert_eq!(handler.handled(), ["order-1", "order-2"]);
    let [waiting] = ledger.pending(10).await.unwrap().try_into().unwrap();
    assert_eq!((waiting.reference.as_deref(), waiting.tries), (Some("order-3"), 1));
    ledger.close().await;
}

/// 2,000 deliveries, 50 at once, while the handler takes its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_deliveries_while_the_handler_sleeps() {
    const DELIVERIES: u32 = 2_000;
    const AT_ONCE: u32 = 50;

    let account = Arc::new(Account::new().await);
    let ledger = account.open_ledger().await;
    let mut shoppers = JoinSet::new();
    for shopper in 0..AT_ONCE {
        let (account, ledger) = (account.clone(), ledger.clone());
        shoppers.spawn(async move {
            let mut paid = Vec::new();
            for number in (shopper..DELIVERIES).step_by(AT_ONCE as usize) {
                paid.push(account.paid(&ledger, &format!("order-{number}")).await);
            }
            paid
        });
    }
    let paid = shoppers.join_all().await;

    let began = Arc::new(Notify::new());
    let told = began.clone();
    let worker = ledger.process(move |_| {
        told.notify_one();
        async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok::<(), io::Error>(())
        }
    });
    let shop = Running::start(ledger_route(&ledger), |server| worker.while_serving(server)).await;
    let mut couriers = JoinSet::new();
    for bodies in paid {
        let address = shop.address;
        couriers.spawn(async move {
            let mut late = 0;
            for body in bodies {
                let sent = Instant::now();
                assert_eq!(send(address, &post(&body)).await.status, 200);
                late += u32::from(sent.elapsed() > Duration::from_secs(1));
            }
            late
        });
    }
    let late: u32 = couriers.join_all().await.into_iter().sum();
    in_time(began.notified()).await;
    shop.stop().await;
    ledger.close().await;

    // A busy machine that stops for a moment, with fifty under way, must not fail it.
    assert!(late <= DELIVERIES / 10, "{late} of {DELIVERIES} took more than a second");
    let ledger = account.open_ledger().await;
    assert_eq!(ledger.summary().await.unwrap().payments[&Decision::Paid], u64::from(DELIVERIES));
    ledger.close().await;
}
