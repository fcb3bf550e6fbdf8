//! Does a job with a ledger, in a process that may be killed at any moment. Its first argument is a
//! file with the shop and the job, in JSON, its second how many steps are done at once. Each step that
//! was acknowledged is a line of its output, written at once.
//!
//! It says `ready` when the ledger is open, begins at the line `go`, and says `finished`. The line
//! `stop` ends the processing; the end of its input, which is the death of the test, ends it all.

// A helper of the tests: whatever it cannot do must fail the test that started it.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::fs::OpenOptions;
use std::future::Future;
use std::io::{self, BufRead, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use kazawallet::{CreatePaymentLink, CreateWithdrawal, Error, PaymentMethod};
use kazawallet_ledger::{Ledger, Payment};
use kazawallet_ledger_tests::{Delivery, Job, Order, Shop};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let errand = std::fs::read(arguments.next().unwrap()).unwrap();
    let (shop, job): (Shop, Job) = serde_json::from_slice(&errand).unwrap();
    let at_once = arguments.next().map_or(1, |text| text.parse().unwrap());

    let (sender, mut commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            sender.send(line.unwrap()).unwrap();
        }
        std::process::exit(1);
    });

    let ledger = match shop.opening().unwrap().await {
        Ok(ledger) => ledger,
        Err(error) => {
            eprintln!("{error}");
            say(&format!("error open {}", error.code()));
            return;
        }
    };
    say("ready");
    assert_eq!(commands.recv().await.as_deref(), Some("go"));
    match job {
        Job::Links(references) => {
            each(references, at_once, ledger, ask_for_link).await;
        }
        Job::Receive(orders) => {
            let webhook = Arc::new(shop.webhook().unwrap());
            each(orders, at_once, ledger, move |ledger, order| {
                let webhook = webhook.clone();
                async move { receive(ledger, order, &webhook).await }
            })
            .await;
        }
        Job::Process(effects) => {
            let handler = move |payment: Payment| {
                let file = effects.join(&payment.order_id);
                async move {
                    match OpenOptions::new().write(true).create_new(true).open(file) {
                        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                        _ => {
                            say(&format!("handled {}", payment.order_id));
                            // Now and then the end comes between the effect and its record.
                            tokio::time::sleep(Duration::from_millis(3)).await;
                            Ok(())
                        }
                    }
                }
            };
            let worker = |_| {
                let process = ledger.process(handler.clone());
                // A worker that is killed leaves what it held to the next soon, however often it is.
                let process = process.max_tries(u32::MAX).lease(Duration::from_millis(500));
                let (pause, interval) = (Duration::from_millis(10), Duration::from_millis(20));
                process.first_pause(pause).poll_interval(interval).start()
            };
            let workers: Vec<_> = (0..at_once).map(worker).collect();
            while commands.recv().await.as_deref() != Some("stop") {}
            for worker in workers {
                worker.stop().await;
            }
        }
        Job::PayOut(references) => each(references, at_once, ledger, pay_out).await,
        Job::Open => ledger.close().await,
    }
    say("finished");
}

/// Does a step for each of many, so many at once.
async fn each<T, F>(
    many: Vec<T>,
    at_once: usize,
    ledger: Ledger,
    step: impl Fn(Ledger, T) -> F + Clone + Send + 'static,
) where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(at_once));
    let mut steps = JoinSet::new();
    for one in many {
        let place = places.clone().acquire_owned().await.unwrap();
        let (ledger, step) = (ledger.clone(), step.clone());
        steps.spawn(async move {
            step(ledger, one).await;
            drop(place);
        });
    }
    steps.join_all().await;
}

async fn ask_for_link(ledger: Ledger, reference: String) {
    let link =
        CreatePaymentLink::new(Job::PRICE.parse().unwrap(), "USD").reference(reference.as_str());
    match ledger.create_payment_link(link).await {
        Ok(link) => say(&format!("link {reference} {}", link.id.unwrap())),
        Err(error) => failed(&reference, &error),
    }
}

async fn receive(ledger: Ledger, order: Order, webhook: &kazawallet::Webhook) {
    let delivery = Delivery::paid(&order.link_id, Job::PRICE, &order.reference);
    match ledger.receive(delivery.body(webhook).unwrap()).await {
        Ok(receipt) => {
            let times = if receipt.duplicate { "again" } else { "first" };
            say(&format!("received {} {} {times}", order.link_id, receipt.decision));
        }
        Err(error) => failed(&order.link_id, &error),
    }
}

async fn pay_out(ledger: Ledger, reference: String) {
    // The note tells the test which reference a request was for.
    let payout = CreateWithdrawal::new(
        Job::PAYOUT.parse().unwrap(),
        "USD",
        PaymentMethod::sy_cash("0933123456"),
    )
    .note(reference.as_str());
    match ledger.withdraw(reference.as_str(), payout).await {
        Ok(payout) => say(&format!("payout {reference} {}", payout.state)),
        Err(error) => failed(&reference, &error),
    }
}

fn failed(what: &str, error: &Error) {
    let outcome = error.outcome().map_or("none", kazawallet::Outcome::as_str);
    say(&format!("error {what} {} {outcome}", error.code()));
}

/// One line, as a whole and at once: other tasks speak too, and the next moment may be the last.
fn say(line: &str) {
    let mut output = io::stdout().lock();
    output.write_all(format!("{line}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}
