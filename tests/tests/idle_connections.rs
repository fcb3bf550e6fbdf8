//! A server that closes a kept-alive connection after a short quiet, and calls that come just then.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kazawallet::{CreateWithdrawal, Error};
use support::http::{Request, content, read_request};
use support::traces::Traces;
use support::{FAR_TOO_LONG, merchant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// After this long without a request the server closes a connection, unannounced.
const QUIET: Duration = Duration::from_millis(50);
const CALLS: usize = 2000;
/// Calls that begin together: they find as many connections that were quiet equally long. Calls
/// that begin one by one would all get the one that was used last.
const TOGETHER: usize = 40;
/// Pauses between the beginnings, in milliseconds, around the length of the quiet.
const PAUSES: std::ops::RangeInclusive<usize> = 44..=58;

/// Held by each test: they count what the process traces.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The requests of each connection.
type Log = Arc<Mutex<BTreeMap<usize, Vec<Request>>>>;

async fn start_impatient_server() -> (SocketAddr, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let log = Log::default();
    let connections = Arc::clone(&log);
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            connections.lock().unwrap().insert(number, Vec::new());
            tokio::spawn(serve(stream, number, Arc::clone(&connections)));
        }
    });
    (address, log)
}

async fn serve(mut stream: TcpStream, number: usize, log: Log) {
    let mut unread = Vec::new();
    // A connection is kept from its first request on: how long a new one takes to bring it is a
    // matter of this machine's load.
    let mut patience = FAR_TOO_LONG;
    loop {
        let next = read_request(&mut stream, &mut unread);
        // Too quiet, gone, or broken: in each case the connection is closed here.
        let Ok(Ok(Some(request))) = tokio::time::timeout(patience, next).await else { return };
        patience = QUIET;
        let answer = content(&request);
        log.lock().unwrap().get_mut(&number).unwrap().push(request);
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn payout(number: usize) -> CreateWithdrawal {
    merchant::withdrawal().note(format!("payout {number}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_although_kept_connections_are_closed_under_it() {
    let _alone = ALONE.lock().await;
    let traces = Traces::of_this_process();
    let earlier = traces.so_far().calls().count();
    let (address, log) = start_impatient_server().await;
    let client = merchant::builder(&format!("http://{address}")).build().unwrap();

    let mut under_way: JoinSet<Result<(), Error>> = JoinSet::new();
    let mut pauses = PAUSES.cycle();
    for number in 0..CALLS {
        let client = client.clone();
        let call = async move {
            match number % 4 {
                0 => client.wallets().list().await.map(drop),
                1 => client.withdrawals().create(payout(number)).await.map(drop),
                _ => client.payment_links().create(merchant::link()).await.map(drop),
            }
        };
        under_way.spawn(call);
        if (number + 1) % TOGETHER == 0 {
            let pause = u64::try_from(pauses.next().unwrap()).unwrap();
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
    let results = tokio::time::timeout(FAR_TOO_LONG, under_way.join_all()).await.unwrap();
    let mut calls = CALLS;
    // On a machine that is busy enough each pause above was too long. Two calls without one are not, at last.
    let used_twice = || log.lock().unwrap().values().any(|requests| requests.len() > 1);
    let until_used_twice = async {
        while !used_twice() {
            client.wallets().list().await.unwrap();
            client.wallets().list().await.unwrap();
            calls += 2;
        }
    };
    tokio::time::timeout(FAR_TOO_LONG, until_used_twice)
        .await
        .expect("no connection is used twice");
    let failures: Vec<String> = results
        .into_iter()
        .filter_map(Result::err)
        .map(|error| merchant::everything_shown(&error))
        .collect();
    assert!(failures.is_empty(), "{} of {CALLS}: {failures:#?}", failures.len());

    let log = log.lock().unwrap();
    let mut payouts = Vec::new();
    let (mut shared_connections, mut shared_requests) = (0, 0);
    for requests in log.values() {
        if requests.iter().any(Request::is_payout) {
            assert_eq!(requests.len(), 1, "a payout shared its connection: {requests:#?}");
            let body: serde_json::Value = serde_json::from_str(&requests[0].body).unwrap();
            payouts.push(body["note"].as_str().unwrap().to_owned());
        } else {
            shared_connections += 1;
            shared_requests += requests.len();
        }
    }
    let mut expected: Vec<String> =
        (0..CALLS).filter(|number| number % 4 == 1).map(|n| format!("payout {n}")).collect();
    payouts.sort();
    expected.sort();
    assert_eq!(payouts, expected, "each payout is received exactly once");
    assert!(shared_requests >= CALLS - expected.len());

    let traced = traces.so_far();
    let spans: Vec<_> = traced.calls().skip(earlier).collect();
    assert_eq!(spans.len(), calls);
    let again = spans.iter().filter(|span| span.field("attempt") != Some("1")).count();
    println!(
        "{calls} calls, none failed; {} payouts on as many connections; {shared_requests} links and \
         balances on {shared_connections} connections; {again} calls met a closed one and were made \
         again",
        payouts.len()
    );
}

/// Answers the first request of each connection, once the first `together` have arrived, and closes
/// the connection at the second one, unanswered.
async fn start_once_only_server(together: usize) -> (SocketAddr, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let log = Log::default();
    let connections = Arc::clone(&log);
    let all_here = Arc::new(tokio::sync::Barrier::new(together));
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (log, all_here) = (Arc::clone(&connections), Arc::clone(&all_here));
            tokio::spawn(async move {
                let mut unread = Vec::new();
                while let Ok(Some(request)) = read_request(&mut stream, &mut unread).await {
                    let answer = content(&request);
                    let nth = {
                        let mut log = log.lock().unwrap();
                        let requests = log.entry(number).or_default();
                        requests.push(request);
                        requests.len()
                    };
                    if nth > 1 {
                        return;
                    }
                    if number < together {
                        all_here.wait().await;
                    }
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    (address, log)
}

#[tokio::test]
async fn a_second_try_does_not_meet_another_closed_connection() {
    let _alone = ALONE.lock().await;
    // More than a call has tries.
    const KEPT: usize = 6;
    let (address, log) = start_once_only_server(KEPT).await;
    let client = merchant::builder(&format!("http://{address}")).build().unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..KEPT {
        let client = client.clone();
        calls.spawn(async move { client.wallets().list().await.map(drop) });
    }
    for result in calls.join_all().await {
        result.unwrap();
    }
    for _ in 0..2 {
        client.wallets().list().await.unwrap();
        client.payment_links().create(merchant::link()).await.unwrap();
    }
    let requests: usize = log.lock().unwrap().values().map(Vec::len).sum();
    assert!(requests <= KEPT + 2 * 4, "a call needed more than two tries: {requests} requests");
}
