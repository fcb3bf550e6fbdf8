//! Verification, and from body bytes to an event, beside the hashes that neither can avoid: one
//! SHA-256 block and two SHA-512 blocks. All are measured in turns within one run, so that a
//! noisy machine is noisy for each of them; what counts is the ratio of the medians.
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
use std::time::Instant;

use kazawallet::Webhook;
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
const CALLS_A_ROUND: u32 = 400;

const KEY: &str = "81A107141716";
const SECRET: &str = "888B6B8877F8";
const AMOUNT: &str = "10.50";
const ORDER_ID: &str = "pl_8f2a61c1";

struct Measured {
    name: &'static str,
    /// The most times the bare hashes that it may take.
    goal: Option<f64>,
    call: Box<dyn FnMut()>,
    /// The nanoseconds a call took, round by round.
    rounds: Vec<f64>,
}

impl Measured {
    fn new(name: &'static str, goal: Option<f64>, call: impl FnMut() + 'static) -> Self {
        Self { name, goal, call: Box::new(call), rounds: Vec::with_capacity(ROUNDS) }
    }

    fn round(&mut self) {
        let start = Instant::now();
        for _ in 0..CALLS_A_ROUND {
            (self.call)();
        }
        self.rounds.push(start.elapsed().as_nanos() as f64 / f64::from(CALLS_A_ROUND));
    }

    fn median(&self) -> f64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        *sorted.get(sorted.len() / 2).expect("at least one round")
    }
}

fn main() {
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
        Measured::new("the three blocks' compression", None, || {
            let mut inner = [0; 8];
            block_api::compress256(black_box(&mut inner), black_box(&[[7; 64]]));
            let mut outer = [0; 8];
            block_api::compress512(black_box(&mut outer), black_box(&[[7; 128]]));
            block_api::compress512(black_box(&mut outer), black_box(&[[7; 128]]));
            black_box((inner, outer));
        }),
        Measured::new("the bare hashes: Sha256::digest, 2 Sha512::digest", None, || {
            black_box(Sha256::digest(black_box(&[7; 55])));
            black_box(Sha512::digest(black_box(&[7; 64])));
            black_box(Sha512::digest(black_box(&[7; 64])));
        }),
        Measured::new("verification, given the fields", Some(1.15), move || {
            let holds = signer.matches(black_box(AMOUNT), black_box(ORDER_ID), black_box(&claimed));
            assert!(holds, "a genuine signature");
        }),
        Measured::new("Webhook::verify, from body bytes to event", Some(2.0), move || {
            black_box(webhook.verify(black_box(body.as_bytes())).expect("a genuine delivery"));
        }),
        Measured::new("Webhook::sign", None, move || {
            black_box(signing.sign(black_box(&amount), black_box(ORDER_ID)));
        }),
    ];
    for _ in 0..ROUNDS {
        for measured in &mut all {
            measured.round();
        }
    }

    let bare = all.get(1).expect("the bare hashes").median();
    println!("medians of {ROUNDS} interleaved rounds of {CALLS_A_ROUND} calls");
    println!("{:<50} {:>8}  {:>12}  goal", "", "a call", "x bare hashes");
    for measured in &all {
        let (median, ratio) = (measured.median(), measured.median() / bare);
        let goal = match measured.goal {
            Some(goal) if ratio <= goal => format!("at most {goal:.2}: met"),
            Some(goal) => format!("at most {goal:.2}: NOT met"),
            None => String::new(),
        };
        println!("{:<50} {median:>5.0} ns  {ratio:>13.2}  {goal}", measured.name);
    }
}
