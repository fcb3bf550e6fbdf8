//! Many calls at once, calls that are given up, and the runtimes that they run on.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use kazawallet::{Client, CreateWithdrawal, Error, ErrorKind, Method, Outcome, PaymentMethod};
use serde_json::Value;
use support::http::{Request, content, read_request};
use support::merchant::{self, Endpoint};
use support::server::Server;
use support::traces::{Span, Traced, Traces};
use support::{FAR_TOO_LONG, in_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const AT_ONCE: usize = 500;
/// Held by a test that makes so many: what a process may have open is limited.
static MANY_CALLS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A server in a process of its own: with 500 connections in one process, client and server
/// together would reach what many systems allow it to have open. It is the program
/// `serve_many_calls`.
struct ServerProcess {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl ServerProcess {
    /// Starts one, and gives what it says of itself.
    fn start(arguments: &[&str]) -> (Self, Value) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_serve_many_calls"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self { child, output };
        let said = process.says();
        (process, said)
    }

    fn says(&mut self) -> Value {
        let mut line = String::new();
        assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the server has ended");
        serde_json::from_str(&line).unwrap()
    }

    /// Ends it, and gives what it has seen.
    fn end(mut self) -> Value {
        drop(self.child.stdin.take());
        let seen = self.says();
        assert!(self.child.wait().unwrap().success());
        seen
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // A test that fails leaves nothing running; one that has ended cannot be killed again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes this many calls at once: links, balances and, where wanted, payouts.
async fn wave(client: &Client, calls: usize, with_payouts: bool) -> Vec<Result<(), Error>> {
    let mut wave = JoinSet::new();
    for number in 0..calls {
        let client = client.clone();
        wave.spawn(async move {
            match number % 5 {
                0 => client.wallets().list().await.map(drop),
                1 if with_payouts => {
                    let recipient = PaymentMethod::sy_cash(merchant::PHONE);
                    let payout = CreateWithdrawal::new(1000u64.try_into()?, "SYP", recipient);
                    client.withdrawals().create(payout).await.map(drop)
                }
                _ => client.payment_links().create(merchant::link()).await.map(drop),
            }
        });
    }
    in_time(wave.join_all()).await
}

fn assert_all_good(results: Vec<Result<(), Error>>) {
    let of = results.len();
    let failures: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} of {of} failed: {failures:#?}", failures.len());
}

/// The local ports of this machine's open connections to a port.
#[cfg(target_os = "linux")]
fn connections_to(port: u16) -> BTreeSet<u16> {
    const ESTABLISHED: &str = "01";
    let port_of = |address: &str| u16::from_str_radix(address.split_once(':')?.1, 16).ok();
    std::fs::read_to_string("/proc/self/net/tcp")
        .unwrap()
        .lines()
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (local, remote, state) = (columns.get(1)?, columns.get(2)?, columns.get(3)?);
            (*state == ESTABLISHED && port_of(remote) == Some(port)).then(|| port_of(local))?
        })
        .collect()
}

#[cfg(target_os = "linux")]
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap().trim().to_owned()
}

#[cfg(not(target_os = "linux"))]
fn peak_memory() -> String {
    "not known on this system".to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_calls_at_once_against_the_simulator_are_all_answered() {
    let _alone = MANY_CALLS.lock().await;
    let (process, sim) = ServerProcess::start(&["simulator"]);
    let text = |name: &str| sim[name].as_str().unwrap();
    let client = Client::builder(text("key"))
        .api_secret(text("secret"))
        .merchant_email(text("email"))
        .base_url(text("url"))
        .build()
        .unwrap();

    let start = Instant::now();
    assert_all_good(wave(&client, AT_ONCE, true).await);
    let first = start.elapsed();

    #[cfg(target_os = "linux")]
    let (port, before) = {
        let address = text("url").split('/').nth(2).unwrap();
        let port = address.parse::<SocketAddr>().unwrap().port();
        (port, connections_to(port))
    };
    let start = Instant::now();
    assert_all_good(wave(&client, AT_ONCE, true).await);
    let second = start.elapsed();

    let rate = |took: Duration| AT_ONCE as f64 / took.as_secs_f64();
    println!(
        "{AT_ONCE} calls at once: {:.0} calls a second, and {:.0} in a second wave; peak memory {}",
        rate(first),
        rate(second),
        peak_memory()
    );
    #[cfg(target_os = "linux")]
    {
        let after = connections_to(port);
        let reused = after.intersection(&before).count();
        println!("{} connections after the first wave, {reused} of them kept", before.len());
        assert!(reused > 0, "no connection was used again: {before:?}, {after:?}");
    }
    let seen = process.end();
    assert_eq!(seen["requests"], 2 * AT_ONCE, "each call was received once");
    // 200 payouts of 1,000 from 10,000,000.
    assert_eq!(seen["SYP"].as_str().unwrap().split('.').next(), Some("9800000"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_calls_are_in_flight_at_once_and_their_connections_are_used_again() {
    let _alone = MANY_CALLS.lock().await;
    let (process, gate) = ServerProcess::start(&["gate", &AT_ONCE.to_string()]);
    let client = merchant::builder(gate["url"].as_str().unwrap()).timeout(FAR_TOO_LONG);
    let client = client.build().unwrap();
    // None is answered before all of them are there.
    assert_all_good(wave(&client, AT_ONCE, false).await);
    for _ in 0..3 {
        assert_all_good(wave(&client, AT_ONCE, false).await);
    }
    let seen = process.end();
    assert_eq!(seen["requests"], 4 * AT_ONCE);
    let connections = usize::try_from(seen["connections"].as_u64().unwrap()).unwrap();
    println!("{connections} connections for {} calls", 4 * AT_ONCE);
    // One that is just coming back from its last call may be too late for the next.
    assert!((AT_ONCE..2 * AT_ONCE).contains(&connections), "{connections}");
}

/// What a server sees of a call whose caller goes away.
#[derive(Debug)]
enum Sight {
    Received(Request),
    /// The connection is over, and the bytes that came after the request.
    Closed(usize),
}

/// A server that says when a request has arrived, and answers when it is told to.
struct Patient {
    url: String,
    sights: mpsc::UnboundedReceiver<Sight>,
    answer: watch::Sender<bool>,
}

impl Patient {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sight, sights) = mpsc::unbounded_channel();
        let answer = watch::Sender::new(false);
        let may_answer = answer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(wait_and_answer(stream, sight.clone(), may_answer.subscribe()));
            }
        });
        Self { url, sights, answer }
    }

    async fn sees(&mut self) -> Sight {
        in_time(self.sights.recv()).await.unwrap()
    }

    async fn receives(&mut self) -> Request {
        match self.sees().await {
            Sight::Received(request) => request,
            other => panic!("{other:?}"),
        }
    }

    async fn sees_the_end(&mut self) {
        match self.sees().await {
            Sight::Closed(0) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn wait_and_answer(
    mut stream: TcpStream,
    sight: mpsc::UnboundedSender<Sight>,
    mut may_answer: watch::Receiver<bool>,
) {
    let mut unread = Vec::new();
    let Ok(Some(request)) = read_request(&mut stream, &mut unread).await else { return };
    let answer = content(&request);
    sight.send(Sight::Received(request)).unwrap();
    let mut more = 0;
    let mut buffer = [0; 1024];
    let told = async { may_answer.wait_for(|may| *may).await.map(drop) };
    tokio::select! {
        _ = told => {
            // That nobody is there any more shows in what is read next.
            let _ = stream.write_all(&answer).await;
        }
        read = stream.read(&mut buffer) => match read {
            Ok(0) | Err(_) => return sight.send(Sight::Closed(0)).unwrap(),
            Ok(read) => more = read,
        },
    }
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        more += read;
    }
    // The test may be over.
    let _ = sight.send(Sight::Closed(more));
}

#[tokio::test]
async fn a_payout_whose_caller_goes_away_runs_to_its_end() {
    // Other tests run at the same time, on threads of their own.
    let here = thread::current().id();
    let traces = Traces::of_this_process();
    fn nth_call(traced: &Traced, here: ThreadId, number: usize) -> Option<&Span> {
        traced.calls().filter(|span| span.thread == here).nth(number)
    }
    let payouts = [Endpoint::Withdrawals, Endpoint::Deposits, Endpoint::RawPost];
    for (number, endpoint) in payouts.into_iter().enumerate() {
        let mut server = Patient::start().await;
        let client = merchant::builder(&server.url).timeout(FAR_TOO_LONG).build().unwrap();
        let call = tokio::spawn(async move { endpoint.call(&client).await });
        let request = server.receives().await;
        assert!(!request.body.is_empty(), "{endpoint:?}: the request is whole");
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());

        // Caller and client are gone; the call is not: it reads the answer, and says so.
        server.answer.send_replace(true);
        let over = |traced: &Traced| nth_call(traced, here, number).is_some_and(|span| span.closed);
        let traced = traces.wait_for(over).await;
        let span = nth_call(&traced, here, number).unwrap();
        assert_eq!(span.field("outcome"), Some("ok"), "{endpoint:?}: {span:?}");
        assert_eq!(span.field("attempt"), Some("1"), "{endpoint:?}: {span:?}");
        assert_eq!(span.field("status"), Some("200"), "{endpoint:?}: {span:?}");
        server.sees_the_end().await;
        assert!(server.sights.try_recv().is_err(), "{endpoint:?}: there was one request");
    }
}

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_payout_that_is_given_up_before_it_is_connected_still_runs() {
    let mut server = Patient::start().await;
    let client = merchant::builder(&server.url).build().unwrap();
    // It is begun, and dropped at once.
    assert!(
        poll_once(client.withdrawals().create(merchant::withdrawal()).into_future()).is_pending()
    );
    let request = server.receives().await;
    assert_eq!(request.path, "/createWithdrawalRequest");
    server.answer.send_replace(true);
    server.sees_the_end().await;
}

#[tokio::test]
async fn a_payout_that_was_never_begun_is_never_sent() {
    let server = Server::plain(content).await;
    let client = merchant::builder(&format!("http://{}", server.address)).build().unwrap();
    drop(client.withdrawals().create(merchant::withdrawal()));
    drop(client.withdrawals().create(merchant::withdrawal()).into_future());
    drop(client.request(Method::POST, "/wallet-cards/create").send());
    Endpoint::Deposits.call(&client).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.connections, 1);
    assert_eq!(seen.requests[0].1.path, "/createDepositRequest");
}

#[tokio::test]
async fn a_call_that_moves_no_money_ends_with_its_caller() {
    for endpoint in [Endpoint::Links, Endpoint::Wallets, Endpoint::RawGet] {
        let mut server = Patient::start().await;
        let client = merchant::builder(&server.url).timeout(FAR_TOO_LONG).build().unwrap();
        let kept = client.clone();
        let call = tokio::spawn(async move { endpoint.call(&client).await });
        server.receives().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        // Although the client is still there, and the answer never came.
        server.sees_the_end().await;
        drop(kept);
    }
}

#[test]
fn a_call_without_a_runtime_is_a_configuration_error() {
    let client = merchant::builder("http://127.0.0.1:1").build().unwrap();
    for endpoint in Endpoint::ALL {
        let Poll::Ready(Err(error)) = poll_once(endpoint.call(&client)) else {
            panic!("{endpoint:?} did not fail at once");
        };
        assert_eq!(error.kind(), ErrorKind::Configuration, "{endpoint:?}: {error}");
        assert_eq!(error.outcome(), Some(Outcome::NotSent), "{endpoint:?}: {error}");
        assert!(error.message().contains("tokio"), "{endpoint:?}: {error}");
    }
}

fn single_threaded() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A server on a thread and a runtime of its own, so that no test's runtime drives it.
fn server_elsewhere() -> (SocketAddr, Arc<Server>) {
    let (started, starting) = std::sync::mpsc::channel();
    thread::spawn(move || {
        single_threaded().block_on(async {
            started.send(Arc::new(Server::plain(content).await)).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let server = starting.recv().unwrap();
    (server.address, server)
}

/// Every kind of call, one after the other.
fn call_everything(client: &Client, runtime: &Runtime) {
    runtime.block_on(async {
        for endpoint in Endpoint::ALL {
            endpoint.call(client).await.unwrap_or_else(|error| panic!("{endpoint:?}: {error}"));
        }
    });
}

#[test]
fn one_client_serves_several_runtimes_one_after_the_other() {
    let (address, server) = server_elsewhere();
    let client = merchant::builder(&format!("http://{address}")).max_retries(0).build().unwrap();
    for _ in 0..5 {
        call_everything(&client, &single_threaded());
        call_everything(&client, &Runtime::new().unwrap());
    }
    assert_eq!(server.seen().requests.len(), 10 * Endpoint::ALL.len());
}

#[test]
fn one_client_serves_runtimes_that_rest_in_between() {
    let (address, server) = server_elsewhere();
    let client = merchant::builder(&format!("http://{address}")).max_retries(0);
    let client = client.timeout(Duration::from_secs(5)).build().unwrap();
    // A connection that one of them has opened makes no progress while that one rests.
    let runtimes = [single_threaded(), single_threaded(), single_threaded()];
    for _ in 0..3 {
        for runtime in &runtimes {
            call_everything(&client, runtime);
        }
    }
    assert_eq!(server.seen().requests.len(), 9 * Endpoint::ALL.len());
}

#[test]
fn one_client_serves_many_threads_at_once() {
    const THREADS: usize = 16;
    let (address, server) = server_elsewhere();
    let client = merchant::builder(&format!("http://{address}")).timeout(Duration::from_secs(20));
    let client = client.build().unwrap();
    let shared = Runtime::new().unwrap();
    let together = Barrier::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (client, shared) = (client.clone(), &shared);
            let together = &together;
            scope.spawn(move || {
                let own = single_threaded();
                // Every other thread has a runtime of its own.
                let runtime = if number % 2 == 0 { shared } else { &own };
                together.wait();
                for _ in 0..5 {
                    call_everything(&client, runtime);
                }
            });
        }
    });
    let payouts = |seen: &support::server::Seen| {
        seen.requests.iter().filter(|(_, request)| request.is_payout()).count()
    };
    assert_eq!(payouts(&server.seen()), THREADS * 5 * 3, "each payout was received once");
}

#[tokio::test]
async fn a_calls_own_timeout_is_the_one_that_counts() {
    let mut server = Patient::start().await;
    let short = Duration::from_millis(100);
    let patient = merchant::builder(&server.url).timeout(FAR_TOO_LONG).build().unwrap();

    let error = patient.payment_links().create(merchant::link()).timeout(short).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(error.outcome(), Some(Outcome::Unknown), "{error}");
    let error =
        patient.withdrawals().create(merchant::withdrawal()).timeout(short).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    let error = patient.request(Method::GET, "/x").send().timeout(short).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");

    // And the other way round: more time than the client gives.
    let hasty = merchant::builder(&server.url).timeout(short).build().unwrap();
    while server.sights.try_recv().is_ok() {}
    let call = tokio::spawn({
        let hasty = hasty.clone();
        async move { hasty.payment_links().create(merchant::link()).timeout(FAR_TOO_LONG).await }
    });
    loop {
        // What is left of the calls above.
        if let Sight::Received(_) = server.sees().await {
            break;
        }
    }
    // This is the thing tested: an answer that comes after the client's own limit.
    tokio::time::sleep(2 * short).await;
    server.answer.send_replace(true);
    in_time(call).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_timeout_of_zero_is_refused() {
    for builder in [
        merchant::builder("http://127.0.0.1:1").timeout(Duration::ZERO),
        merchant::builder("http://127.0.0.1:1").connect_timeout(Duration::ZERO),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.message().contains("timeout"), "{error}");
    }
    let server = Server::plain(content).await;
    let client = merchant::builder(&format!("http://{}", server.address)).build().unwrap();
    let zero = Duration::ZERO;
    for error in [
        client.payment_links().create(merchant::link()).timeout(zero).await.map(drop).unwrap_err(),
        client.wallets().list().timeout(zero).await.map(drop).unwrap_err(),
        client
            .withdrawals()
            .create(merchant::withdrawal())
            .timeout(zero)
            .await
            .map(drop)
            .unwrap_err(),
        client.deposits().create(merchant::deposit()).timeout(zero).await.map(drop).unwrap_err(),
        client.request(Method::GET, "/x").send().timeout(zero).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
        assert_eq!(error.field(), Some("timeout"), "{error}");
        assert_eq!(error.outcome(), Some(Outcome::NotSent), "{error}");
    }
    assert_eq!(server.seen().connections, 0);
}

#[tokio::test]
async fn an_endless_timeout_is_no_trouble() {
    let server = Server::plain(content).await;
    let client = merchant::builder(&format!("http://{}", server.address))
        .timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .max_retries(u32::MAX)
        .build()
        .unwrap();
    for endpoint in Endpoint::ALL {
        endpoint.call(&client).await.unwrap();
    }
    client.wallets().list().timeout(Duration::MAX).await.unwrap();
}
