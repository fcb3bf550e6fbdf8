//! Verification, and from body bytes to an event, beside the hashes that neither can avoid: one
//! SHA-256 block and two SHA-512 blocks. All are measured in turns within one run, so that a
//! noisy machine is noisy for each of them; what counts is the median of the rounds' ratios.
//!
//! `cargo bench --package kazawallet --bench webhook`, then `-- --json FILE` for the figures in a
//! file, and `-- --quick` for a few rounds.
//!
//! The bare hashes are what anybody would call: the one-shot `Sha256::digest` and
//! `Sha512::digest` of inputs that fill one block each. The blocks' compression alone stands in
//! the table too, as the lowest conceivable floor; no goal is set against it.
//!
//! "Verification" is checking a claimed signature, given the fields: the hashes, base64 and the
//! comparison in constant time. The crate shows no such function, since an event must not exist
//! without its payload having been read; so the bench compiles the crate's own source of it.

#![allow(missing_docs, clippy::print_stdout, clippy::expect_used)]

use std::hint::black_box;

use kazawallet::Webhook;
use kazawallet_benchmark_figures::{Clock, Figure, Options, Results, Rounds};
use sha2::{Digest, Sha256, Sha512, block_api};

#[path = "../src/credentials.rs"]
#[allow(dead_code)]
mod credentials;
#[path = "../src/error.rs"]
#[allow(dead_code)]
mod error;
#[path = "../src/webhook/signature.rs"]
mod signature;

const ROUNDS: usize = 600;
const QUICK_ROUNDS: usize = 5;
const CALLS_A_ROUND: u32 = 400;

const KEY: &str = "81A107141716";
const SECRET: &str = "888B6B8877F8";
const AMOUNT: &str = "10.50";
const ORDER_ID: &str = "pl_8f2a61c1";

const BARE: &str = "the bare hashes: Sha256::digest, 2 Sha512::digest";

struct Measured {
    title: &'static str,
    /// Where it is a figure of its own: its name, and the most times the bare hashes that it may
    /// take.
    figure: Option<(&'static str, Option<f64>)>,
    call: Box<dyn FnMut()>,
    /// The nanoseconds a call took.
    rounds: Rounds,
}

impl Measured {
    fn new(title: &'static str, call: impl FnMut() + 'static) -> Self {
        Self { title, figure: None, call: Box::new(call), rounds: Rounds::new() }
    }

    fn figure(
        name: &'static str,
        title: &'static str,
        goal: Option<f64>,
        call: impl FnMut() + 'static,
    ) -> Self {
        Self { figure: Some((name, goal)), ..Self::new(title, call) }
    }

    fn round(&mut self) {
        let clock = Clock::start();
        for _ in 0..CALLS_A_ROUND {
            (self.call)();
        }
        clock.stop(&mut self.rounds, CALLS_A_ROUND, 1e9);
    }
}

fn main() {
    let options = Options::read(std::env::args().skip(1)).expect("arguments that are understood");
    assert!(
        options.others.is_empty(),
        "it takes --json FILE and --quick, not {:?}",
        options.others
    );
    let webhook = Webhook::new(KEY, SECRET).expect("valid credentials");
    let amount = AMOUNT.parse().expect("a valid amount");
    let claimed = webhook.sign(&amount, ORDER_ID);
    let body = format!(
        r#"{{"order_id":"{ORDER_ID}","secret":"{claimed}","amount":"{AMOUNT}","ref":"order-42","status":"fulfilled","currency":"USD"}}"#
    );
    let signer = signature::Signer::new(KEY.into(), SECRET.into()).expect("valid credentials");
    assert_eq!(signer.sign(AMOUNT, ORDER_ID), claimed, "the bench's copy is the crate's");
    let signing = webhook.clone();

    let mut all = [
        Measured::new("the three blocks' compression", || {
            let mut inner = [0; 8];
            block_api::compress256(black_box(&mut inner), black_box(&[[7; 64]]));
            let mut outer = [0; 8];
            block_api::compress512(black_box(&mut outer), black_box(&[[7; 128]]));
            block_api::compress512(black_box(&mut outer), black_box(&[[7; 128]]));
            black_box((inner, outer));
        }),
        Measured::new(BARE, || {
            black_box(Sha256::digest(black_box(&[7; 55])));
            black_box(Sha512::digest(black_box(&[7; 64])));
            black_box(Sha512::digest(black_box(&[7; 64])));
        }),
        Measured::figure(
            "rust.verify.bare_hashes",
            "verification, given the fields",
            Some(1.15),
            move || {
                let holds =
                    signer.matches(black_box(AMOUNT), black_box(ORDER_ID), black_box(&claimed));
                assert!(holds, "a genuine signature");
            },
        ),
        Measured::figure(
            "rust.event.bare_hashes",
            "Webhook::verify, from body bytes to event",
            Some(2.0),
            move || {
                black_box(webhook.verify(black_box(body.as_bytes())).expect("a genuine delivery"));
            },
        ),
        Measured::figure("rust.sign.bare_hashes", "Webhook::sign", None, move || {
            black_box(signing.sign(black_box(&amount), black_box(ORDER_ID)));
        }),
    ];
    let rounds = if options.quick { QUICK_ROUNDS } else { ROUNDS };
    for _ in 0..rounds {
        for measured in &mut all {
            measured.round();
        }
    }

    let bare = all.iter().find(|measured| measured.title == BARE).expect("the bare hashes");
    let bare = bare.rounds.clone();
    let mut results = Results::new();
    results.version("kazawallet (crate)", env!("CARGO_PKG_VERSION"));
    println!("medians of {rounds} interleaved rounds of {CALLS_A_ROUND} calls");
    for Measured { title, figure, rounds, .. } in all {
        let (name, goal) = figure.unwrap_or_default();
        let mut shown = Figure::new(name, title, "ns", rounds);
        if title != BARE {
            shown = shown.over("the bare hashes", bare.clone());
        }
        if let Some(goal) = goal {
            shown = shown.goal(goal);
        }
        println!("  {shown}");
        if figure.is_some() {
            results.add(shown);
        }
    }
    if let Some(file) = options.json {
        results.write(&file).expect("a file that can be written");
    }
}
