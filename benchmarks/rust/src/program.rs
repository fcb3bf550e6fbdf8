//! Programs that use one of the clients, each a process of its own: how soon it has its first answer,
//! and how much memory it takes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use kazawallet_benchmark_figures::{Figure, Rounds, cpu_time};
use tokio::runtime::Runtime;

use crate::Result;
use crate::client::{BOTH, LinkMaker, Merchant, REQWEST};

const STARTS: u32 = 60;
const MEMORY_ROUNDS: u32 = 5;
const CALLS: u32 = 10_000;
/// The first start reads the program from the disk.
const WARM_UP: u32 = 1;

/// Starts as a service does, and makes one call; says its CPU time, too, where that is known.
pub(crate) fn first_answer(client: &str, merchant: &Merchant) -> Result<()> {
    Runtime::new()?.block_on(async {
        let url = LinkMaker::new(client, merchant)?.create().await?;
        println!("{url}");
        println!("{}", cpu_time().map_or(String::new(), |cpu| milliseconds(cpu).to_string()));
        Ok(())
    })
}

/// Builds a client, and makes so many calls; says how much memory the process has before and after.
pub(crate) fn memory(client: &str, merchant: &Merchant, calls: u32) -> Result<()> {
    Runtime::new()?.block_on(async {
        let links = LinkMaker::new(client, merchant)?;
        println!("{}", resident_megabytes()?);
        for _ in 0..calls {
            links.create().await?;
        }
        println!("{}", resident_megabytes()?);
        Ok(())
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What of this process is in memory.
fn resident_megabytes() -> Result<f64> {
    // In kibibytes both: Linux tells a process itself, any other Unix another process.
    let told = match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => {
            let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            resident.ok_or("/proc/self/status has no VmRSS")?.replace("kB", "")
        }
        Err(_) => {
            let process = std::process::id().to_string();
            let told = Command::new("ps").args(["-o", "rss=", "-p", &process]).output();
            let told = told.map_err(|error| {
                format!("memory is told by /proc or by `ps`, and neither is here: {error}")
            })?;
            String::from_utf8(told.stdout)?
        }
    };
    let kibibytes: f64 = told.trim().parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}

pub(crate) fn compare_first_answers(merchant: &Merchant, quick: bool) -> Result<Figure> {
    let mut rounds = [Rounds::new(), Rounds::new()];
    for round in 0..WARM_UP + if quick { 3 } else { STARTS } {
        for (client, rounds) in in_turns(round, &mut rounds) {
            let begun = Instant::now();
            let mut program = Program::start(&["first-answer", client], merchant, &[])?;
            program.says()?;
            let took = begun.elapsed();
            let cpu = program.says()?.parse().ok();
            program.end()?;
            if round >= WARM_UP {
                rounds.add_with_cpu(milliseconds(took), cpu);
            }
        }
    }
    let [ours, reqwest] = rounds;
    let title = "from the start of a process to its first answer";
    let name = format!("rust.first_answer_ms.{REQWEST}");
    Ok(Figure::new(name, title, "ms", ours).beside(REQWEST, reqwest))
}

pub(crate) fn compare_memory(merchant: &Merchant, quick: bool) -> Result<[Figure; 2]> {
    let calls = if quick { 100 } else { CALLS };
    let mut fresh = [Rounds::new(), Rounds::new()];
    let mut used = [Rounds::new(), Rounds::new()];
    for round in 0..if quick { 1 } else { MEMORY_ROUNDS } {
        for ((client, fresh), (_, used)) in
            in_turns(round, &mut fresh).into_iter().zip(in_turns(round, &mut used))
        {
            let mut program = Program::start(&["memory", client], merchant, &[calls.to_string()])?;
            fresh.add(program.says()?.parse()?);
            used.add(program.says()?.parse()?);
            program.end()?;
        }
    }
    let figure = |name: &str, title: String, [ours, reqwest]: [Rounds; 2]| {
        let name = format!("rust.memory_mb.{name}.{REQWEST}");
        Figure::new(name, title, "MB", ours).beside(REQWEST, reqwest)
    };
    Ok([
        figure(
            "fresh_client",
            "resident memory of a process with a fresh client".to_owned(),
            fresh,
        ),
        figure(
            "after_10000_calls",
            format!("resident memory of a process after {calls} calls"),
            used,
        ),
    ])
}

/// Each client and its rounds; who begins changes from round to round.
fn in_turns(round: u32, rounds: &mut [Rounds; 2]) -> Vec<(&'static str, &mut Rounds)> {
    let mut turns: Vec<_> = BOTH.into_iter().zip(rounds).collect();
    if round % 2 == 1 {
        turns.reverse();
    }
    turns
}

/// This program once more, with one of the roles above.
struct Program {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(role: &[&str], merchant: &Merchant, more: &[String]) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(role)
            .arg(merchant.to_string())
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("a program has no output")?;
        Ok(Self { process, output: BufReader::new(output) })
    }

    fn says(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err("a program that was measured ended without a word".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    fn end(mut self) -> Result<()> {
        let status = self.process.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(format!("a program that was measured failed: {status}").into())
    }
}
