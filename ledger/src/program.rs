//! The ledger from a terminal: what `python -m kazawallet ledger` and `npx kazawallet ledger` do.

mod shown;

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::time::{Duration, SystemTime};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use kazawallet::Webhook;

use self::shown::{Field, visible};
use crate::Ledger;
use crate::records::{
    Decision, OrderState, PayoutState, Processing, Resolution, Settlement, Summary,
};

/// Look into a ledger of Kazawallet orders, payments and payouts, and decide what waits for a person.
///
/// The ledger's URL comes from the variable KAZAWALLET_LEDGER, and from nowhere else: on a command
/// line others could read its password. Times are UTC.
#[derive(Parser)]
#[command(name = "kazawallet-ledger", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print one JSON object a line, for scripts
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Count everything, and say what waits for a person (what is done without a command, too)
    Summary,
    /// List the orders that have had a link for some time, and no webhook; oldest first
    Overdue {
        /// For how long, such as 30m, 1h or 2days
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
        older_than: Duration,
        #[command(flatten)]
        list: List,
    },
    /// List the payments that wait for a person: a mismatch, no order, overpaid; oldest first
    Unsettled(List),
    /// List the payouts whose outcome is unknown, with their recipients; oldest first
    Unresolved(List),
    /// List the payments whose handler failed too often; oldest first
    Parked(List),
    /// List the deliveries that contradict the first one of their order id; newest first
    Conflicts(List),
    /// List what people decided; newest first
    Decisions(List),
    /// Show the order with a ref
    Order {
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// Show the payment with an order id
    Payment { order_id: String },
    /// Show the payout with a reference, and its recipient
    Payout { reference: String },
    /// Decide what the ledger could not: a payment pays an order, or pays for nothing
    Settle {
        order_id: String,
        #[arg(value_parser = PossibleValuesParser::new(Settlement::ALL.iter().map(|known| known.as_str()))
            .try_map(|text| Settlement::from_text(&text).ok_or("not known")))]
        settlement: Settlement,
        /// The ref of the order that it pays, in place of the delivery's own
        #[arg(long = "ref", value_name = "REF")]
        reference: Option<String>,
        #[command(flatten)]
        person: Person,
    },
    /// Say what became of a payout whose outcome is unknown, once you have looked in the wallet
    Resolve {
        reference: String,
        #[arg(value_parser = PossibleValuesParser::new(Resolution::ALL.iter().map(|known| known.as_str()))
            .try_map(|text| Resolution::from_text(&text).ok_or("not known")))]
        resolution: Resolution,
        #[command(flatten)]
        person: Person,
    },
    /// Have a parked payment handed to the handler again
    Retry {
        order_id: String,
        #[command(flatten)]
        person: Person,
    },
    /// Say whether deliveries are held against the ids of links: ignore them, should the provider's ids of
    /// links and of deliveries prove to be two sequences, or check them again
    LinkIds {
        #[arg(value_enum)]
        check: LinkIdCheck,
        #[command(flatten)]
        person: Person,
    },
    /// Verify again what is in quarantine, with KAZAWALLET_API_KEY and KAZAWALLET_API_SECRET, and
    /// KAZAWALLET_PREVIOUS_API_KEY and KAZAWALLET_PREVIOUS_API_SECRET
    Reverify,
    /// Erase names, phones, emails and bodies of what was settled before a day
    Forget {
        /// Such as 2026-01-31, or 2026-01-31T12:00:00Z
        #[arg(long, value_name = "DATE", value_parser = moment)]
        before: SystemTime,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum LinkIdCheck {
    Ignore,
    Check,
}

#[derive(Args)]
struct List {
    /// The most that are listed
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
}

#[derive(Args)]
struct Person {
    /// Who decides: it is kept for ever
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Person {
    fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

/// Why nothing can be answered.
type Failure = Box<dyn StdError + Send + Sync>;

/// A day's first moment, or a moment.
fn moment(text: &str) -> Result<SystemTime, String> {
    let whole = if text.contains(':') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    humantime::parse_rfc3339_weak(&whole)
        .map_err(|_| "write it as 2026-01-31, or as 2026-01-31T12:00:00Z, in UTC".to_owned())
}

/// Runs the program with its arguments, of which the first is the name that its help shows. Returns
/// the exit status: 0 where all went well, 1 for a failure, 2 for arguments that cannot be used.
///
/// Call it in a tokio runtime with I/O and time.
pub async fn run(arguments: Vec<OsString>) -> u8 {
    let mut program = Cli::command();
    if let Some(name) = arguments.first() {
        program = program.bin_name(name.to_string_lossy());
    }
    let name = program.get_bin_name().unwrap_or_default().to_owned();
    let cli = match program
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
    {
        Ok(cli) => cli,
        Err(shown) => {
            // Help and version are "errors" with status 0. Where they cannot be written, the
            // status still tells.
            let _ = shown.print();
            return u8::try_from(shown.exit_code()).unwrap_or(2);
        }
    };
    let done = match answer(cli, &name).await {
        Ok(answer) => write(&answer),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            // Without its causes: a database's own words may hold what is in its rows. Where even
            // this cannot be written, the exit status says it.
            let _ = writeln!(io::stderr(), "{name}: {}", visible(&error.to_string()));
            1
        }
    }
}

fn write(answer: &str) -> Result<(), Failure> {
    let mut output = io::stdout();
    match output.write_all(answer.as_bytes()).and_then(|()| output.flush()) {
        // The reader has seen enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// What is printed. `name` is how the program is called.
async fn answer(cli: Cli, name: &str) -> Result<String, Failure> {
    let json = cli.json;
    // A mistyped URL must not make a ledger, and then show that it is empty.
    let mut options = Ledger::from_env().existing_only();
    if options.url.is_none() {
        return Err("no ledger: set KAZAWALLET_LEDGER to its URL, such as \
                    sqlite:///var/lib/shop/kazawallet.db"
            .into());
    }
    if matches!(cli.command, Some(Command::Reverify)) {
        options = options.webhook(webhook_of_environment()?);
    }
    let ledger = options.await?;
    let answer = answer_from(&ledger, cli.command.unwrap_or(Command::Summary), json, name).await;
    ledger.close().await;
    answer
}

async fn answer_from(
    ledger: &Ledger,
    command: Command,
    json: bool,
    name: &str,
) -> Result<String, Failure> {
    Ok(match command {
        Command::Summary => {
            let summary = ledger.summary().await?;
            if json {
                return Ok(shown::json_line(summary_fields(&summary)));
            }
            summary_text(ledger, &summary, name).await?
        }
        Command::Overdue { older_than, list } => {
            let orders = ledger.overdue(older_than, list.limit).await?;
            let columns = ["link_at", "amount", "currency", "link_id", "ref"];
            shown::list(&orders, Some(&columns), list.limit, json, "")
        }
        Command::Unsettled(list) => {
            let payments = ledger.unsettled(list.limit).await?;
            let columns = [
                "received_at",
                "decision",
                "problem",
                "amount",
                "currency",
                "order_id",
                "ref",
                "link_ref",
            ];
            let next = format!("Decide: {name} settle ORDER_ID paid|dismissed --by NAME");
            shown::list(&payments, Some(&columns), list.limit, json, &next)
        }
        Command::Unresolved(list) => {
            let payouts = ledger.unresolved(list.limit).await?;
            let next = format!(
                "Look in the wallet, then say what you saw: {name} resolve REFERENCE paid|not_paid \
                 --by NAME"
            );
            shown::list(&payouts, None, list.limit, json, &next)
        }
        Command::Parked(list) => {
            let payments = ledger.parked(list.limit).await?;
            let columns = [
                "received_at",
                "tries",
                "decision",
                "amount",
                "currency",
                "order_id",
                "ref",
                "last_error",
            ];
            let next = format!("Once the handler is mended: {name} retry ORDER_ID --by NAME");
            shown::list(&payments, Some(&columns), list.limit, json, &next)
        }
        Command::Conflicts(list) => {
            let conflicts = ledger.conflicts(list.limit).await?;
            let columns =
                ["received_at", "problem", "amount", "currency", "status", "order_id", "ref"];
            let next = format!(
                "Where the wallet shows that one paid which the ledger took for timed out: \
                 {name} settle ORDER_ID paid --by NAME"
            );
            shown::list(&conflicts, Some(&columns), list.limit, json, &next)
        }
        Command::Decisions(list) => {
            let decisions = ledger.decisions(list.limit).await?;
            let columns = ["at", "by", "action", "subject", "decision", "ref", "note"];
            shown::list(&decisions, Some(&columns), list.limit, json, "")
        }
        Command::Order { reference } => match ledger.order(&reference).await? {
            Some(order) => shown::one(&order, json),
            None => return Err("no order has this ref".into()),
        },
        Command::Payment { order_id } => match ledger.payment(&order_id).await? {
            Some(payment) => shown::one(&payment, json),
            None => return Err("no payment has this order id".into()),
        },
        Command::Payout { reference } => match ledger.payout(&reference).await? {
            Some(payout) => shown::one(&payout, json),
            None => return Err("no payout has this reference".into()),
        },
        Command::Settle { order_id, settlement, reference, person } => {
            let reference = reference.as_deref();
            let payment =
                ledger.settle(&order_id, settlement, reference, &person.by, person.note()).await?;
            shown::one(&payment, json)
        }
        Command::Resolve { reference, resolution, person } => {
            let payout = ledger.resolve(&reference, resolution, &person.by, person.note()).await?;
            shown::one(&payout, json)
        }
        Command::Retry { order_id, person } => {
            shown::one(&ledger.retry(&order_id, &person.by, person.note()).await?, json)
        }
        Command::LinkIds { check, person } => {
            let check = matches!(check, LinkIdCheck::Check);
            ledger.set_link_id_check(check, &person.by, person.note()).await?;
            let link_ids = ledger.summary().await?.link_ids;
            if json {
                shown::json_line(vec![("link_ids", link_ids.as_str().into())])
            } else if check {
                format!("The ids of links are checked: they are {link_ids}.\n")
            } else {
                "The ids of links are ignored.\n".to_owned()
            }
        }
        Command::Reverify => {
            let receipts = ledger.reverify().await?;
            let columns =
                ["decision", "problem", "duplicate", "amount", "currency", "order_id", "ref"];
            shown::list(&receipts, Some(&columns), u32::MAX, json, "")
        }
        Command::Forget { before } => {
            let erased = ledger.forget(before).await?;
            if json {
                shown::json_line(vec![("erased", erased.into())])
            } else {
                format!("Erased something of {erased} records.\n")
            }
        }
    })
}

/// What verifies again what a rotation of keys refused.
fn webhook_of_environment() -> Result<Webhook, Failure> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let pair = |key, secret| Some((variable(key)?, variable(secret)?));
    let (key, secret) = pair("KAZAWALLET_API_KEY", "KAZAWALLET_API_SECRET")
        .ok_or("set KAZAWALLET_API_KEY and KAZAWALLET_API_SECRET: they verify the deliveries")?;
    let webhook = Webhook::new(key, secret)?;
    Ok(match pair("KAZAWALLET_PREVIOUS_API_KEY", "KAZAWALLET_PREVIOUS_API_SECRET") {
        Some((key, secret)) => webhook.with_previous(key, secret)?,
        None => webhook,
    })
}

fn summary_fields(summary: &Summary) -> Vec<Field> {
    vec![
        ("orders", shown::counts(&summary.orders, OrderState::as_str)),
        ("payments", shown::counts(&summary.payments, Decision::as_str)),
        ("processing", shown::counts(&summary.processing, Processing::as_str)),
        ("payouts", shown::counts(&summary.payouts, PayoutState::as_str)),
        ("conflicts", summary.conflicts.into()),
        ("quarantined", summary.quarantined.into()),
        ("spooled", summary.spooled.into()),
        ("link_ids", summary.link_ids.as_str().into()),
    ]
}

/// The most that the summary counts one by one.
const COUNTED: u32 = 1_000;

async fn summary_text(ledger: &Ledger, summary: &Summary, name: &str) -> Result<String, Failure> {
    let payments = summary.payments.iter();
    let unsettled = payments.filter(|(decision, _)| decision.waits_for_person());
    let unsettled: u64 = unsettled.map(|(_, count)| count).sum();
    // Not by their state: one may be `sending` by a process that died.
    let unresolved = ledger.unresolved(COUNTED).await?.len();
    let parked = summary.processing.get(&Processing::Parked).copied().unwrap_or(0);

    let mut contradicted = BTreeSet::new();
    for conflict in ledger.conflicts(COUNTED).await? {
        let payment = ledger.payment(&conflict.order_id).await?;
        if payment.is_some_and(|payment| payment.decision == Decision::TimedOut) {
            contradicted.insert(conflict.order_id);
        }
    }

    let mut waiting = String::new();
    for (count, what, command) in [
        (unsettled, "payments that the ledger could not decide", "unsettled"),
        (unresolved as u64, "payouts whose outcome is unknown", "unresolved"),
        (parked, "payments whose handler failed too often", "parked"),
        (
            contradicted.len() as u64,
            "payments that timed out, and that another delivery contradicts",
            "conflicts",
        ),
    ] {
        if count > 0 {
            let more = if count == u64::from(COUNTED) { " or more" } else { "" };
            waiting.push_str(&format!("  {what}: {count}{more} ({name} {command})\n"));
        }
    }
    let waiting = if waiting.is_empty() {
        "Nothing waits for a person.\n".to_owned()
    } else {
        format!("Waits for a person:\n{waiting}")
    };
    Ok(format!("{}\n{waiting}", shown::block(summary_fields(summary))))
}
