//! Calls over loopback, so many in flight at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kazawallet_benchmark_figures::{Clock, Figure, Rounds};
use tokio::task::JoinSet;

use crate::Result;
use crate::client::{BOTH, LinkMaker, Merchant, REQWEST};

/// How many calls are in flight.
pub(crate) const LEVELS: [u32; 4] = [1, 8, 64, 256];

/// How many rounds there are, how long each contender works in one, and for how long before.
struct Plan {
    rounds: usize,
    turn: Duration,
    warm_up: Duration,
}

const FULL: Plan =
    Plan { rounds: 40, turn: Duration::from_millis(250), warm_up: Duration::from_millis(1_000) };
const QUICK: Plan =
    Plan { rounds: 3, turn: Duration::from_millis(40), warm_up: Duration::from_millis(40) };

struct Contender {
    links: LinkMaker,
    calls: u32,
    rounds: Rounds,
}

pub(crate) async fn compare(
    merchant: &Merchant,
    server: &str,
    at_once: u32,
    quick: bool,
) -> Result<Figure> {
    let plan = if quick { QUICK } else { FULL };
    let mut contenders = Vec::new();
    for name in BOTH {
        let links = LinkMaker::new(name, merchant)?;
        let calls = calls_in_a_turn(&links, at_once, &plan).await?;
        contenders.push(Contender { links, calls, rounds: Rounds::new() });
    }
    for _ in 0..plan.rounds {
        for Contender { links, calls, rounds } in &mut contenders {
            let clock = Clock::start();
            keep_in_flight(links, at_once, *calls).await?;
            clock.stop(rounds, *calls, 1e6);
        }
        // Who begins changes from round to round.
        contenders.rotate_left(1);
    }
    if plan.rounds % 2 == 1 {
        contenders.rotate_left(1);
    }
    let [ours, reqwest] = contenders.as_slice() else { return Err("not two contenders".into()) };
    let manner = if at_once == 1 { "one at a time".into() } else { format!("{at_once} in flight") };
    let title = format!("create a payment link, {manner}, against {server}");
    Ok(Figure::new(
        format!("rust.create_link.{at_once}.{REQWEST}"),
        title,
        "µs",
        ours.rounds.clone(),
    )
    .beside(REQWEST, reqwest.rounds.clone()))
}

/// About how many calls fit into a turn, once the connections are open.
async fn calls_in_a_turn(links: &LinkMaker, at_once: u32, plan: &Plan) -> Result<u32> {
    let url = links.create().await?;
    if !url.contains("/pay/") {
        return Err(format!("the answer's link is none of the simulator's: {url}").into());
    }
    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < plan.warm_up || calls == 0 {
        keep_in_flight(links, at_once, at_once * 4).await?;
        calls += at_once * 4;
    }
    let turns = begun.elapsed().as_secs_f64() / plan.turn.as_secs_f64();
    Ok(((f64::from(calls) / turns) as u32).max(at_once))
}

/// Tasks that make one call after the other, until so many have been made.
async fn keep_in_flight(links: &LinkMaker, at_once: u32, calls: u32) -> Result<()> {
    let begun = Arc::new(AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let (links, begun) = (links.clone(), Arc::clone(&begun));
        tasks.spawn(async move {
            while begun.fetch_add(1, Ordering::Relaxed) < calls {
                links.create().await?;
            }
            Result::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
