//! The simulator from a terminal: what the program `kazawallet-simulator` does, and the packages in
//! other languages that carry it.

use std::error::Error as StdError;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::future::{Future, pending};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use kazawallet::{Amount, Status, Webhook};

use crate::{DeliveryOutcome, Dialect, Fault, Simulator, Trigger, random};

/// A local stand-in for the Kazawallet payment API. It is not the provider, and no money moves.
///
/// Prints its address, its keys and the lines to copy into your environment, and runs until
/// Ctrl-C. Everything is kept in memory and is gone when it stops.
#[derive(Parser)]
#[command(name = "kazawallet-simulator", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Send one signed webhook delivery to a URL, and say what it answered
    ///
    /// A shop that holds deliveries against its orders accepts one that fits an open order: give
    /// that order's --ref, --amount and --currency, and --order-id where the shop kept the link's.
    Trigger(TriggerArgs),
    /// Run a scripted server for tests: a script on standard input, what was seen on the output
    #[cfg(feature = "scripted")]
    Scripted,
}

#[derive(Args)]
struct Run {
    /// Port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Allow --host to be an address that others on the network can reach
    #[arg(long)]
    allow_non_loopback: bool,
    /// Host name by which the simulator may be called besides localhost (may be repeated)
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Where webhooks are delivered
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// The merchant's email
    #[arg(long, value_name = "EMAIL")]
    merchant_email: Option<String>,
    /// Opening balance, such as USD=100 (may be repeated)
    #[arg(long, value_name = "CURRENCY=AMOUNT", value_parser = balance)]
    balance: Vec<(String, String)>,
    /// What webhooks are like: documented, plugin or both
    #[arg(long, default_value_t)]
    dialect: Dialect,
    /// Fault to play once, such as close_after_acting or answer_status:503 (may be repeated)
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Serve https, with a certificate that is made at the start
    #[arg(long)]
    tls: bool,
    /// File for the certificate that clients must trust; one in the system's folder for temporary
    /// files where it is not given, which is removed at the end
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_certificate: Option<PathBuf>,
    /// API key to use instead of a fresh one; must begin with sim_
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// API secret to use instead of a fresh one; must begin with sim_
    #[arg(long, value_name = "SECRET")]
    api_secret: Option<String>,
}

#[derive(Args)]
struct TriggerArgs {
    /// Where the delivery goes
    url: String,
    /// Amount paid; may be zero, as that of a link that timed out
    #[arg(long, default_value = "10.50", value_parser = Amount::from_delivery)]
    amount: Amount,
    /// Currency code
    #[arg(long, default_value = "USD")]
    currency: String,
    /// The merchant's reference
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Order id; made up where it is not given
    #[arg(long)]
    order_id: Option<String>,
    /// Status: fulfilled, timed_out, or any other text
    #[arg(long, default_value = "fulfilled")]
    status: String,
    /// What the webhook is like: documented, plugin or both
    #[arg(long, default_value_t)]
    dialect: Dialect,
    /// API key to sign with, else KAZAWALLET_API_KEY; must begin with sim_
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// API secret to sign with, else KAZAWALLET_API_SECRET; must begin with sim_
    #[arg(long, value_name = "SECRET")]
    api_secret: Option<String>,
}

fn balance(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((currency, amount)) => Ok((currency.to_owned(), amount.to_owned())),
        None => Err("write it as USD=100".to_owned()),
    }
}

/// Runs the program with its arguments, of which the first is the name that its help shows, until
/// it is done. Returns the exit status: 0 where all went well, 1 for a failure, 2 for arguments that
/// cannot be used.
///
/// Call it in a tokio runtime with I/O and time.
pub async fn run(arguments: Vec<OsString>) -> u8 {
    run_with(arguments, None).await
}

/// As [`run`], but stops when `stop` is ready, and leaves the process's signals alone: for a process
/// that has handlers of its own for them, as Node.js has.
pub async fn run_until(
    arguments: Vec<OsString>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> u8 {
    run_with(arguments, Some(Box::pin(stop))).await
}

type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn run_with(arguments: Vec<OsString>, stop: Option<Stop>) -> u8 {
    let name = arguments.first().map(|name| name.to_string_lossy().into_owned());
    let mut command = Cli::command();
    if let Some(name) = name {
        command = command.bin_name(name);
    }
    let cli = match command
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
    let done = match cli.command {
        None => serve(cli.run, stop).await,
        Some(Command::Trigger(arguments)) => tokio::select! {
            done = trigger(arguments) => done,
            () = stop.unwrap_or_else(|| Box::pin(pending())) => Err("stopped".into()),
        },
        #[cfg(feature = "scripted")]
        Some(Command::Scripted) => crate::scripted::run_program().await.map_err(Into::into),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            // Where even this cannot be written, the exit status says it.
            let _ = writeln!(io::stderr(), "kazawallet-simulator: {text}");
            1
        }
    }
}

async fn serve(run: Run, stop: Option<Stop>) -> Result<(), Box<dyn StdError>> {
    let address = SocketAddr::new(run.host, run.port);
    let mut builder = Simulator::builder().bind(address).dialect(run.dialect);
    if run.allow_non_loopback {
        builder = builder.allow_non_loopback();
    }
    if let Some(url) = run.webhook_url {
        builder = builder.webhook_url(url);
    }
    if let Some(email) = run.merchant_email {
        builder = builder.merchant_email(email);
    }
    if let Some(key) = run.api_key {
        builder = builder.api_key(key);
    }
    if let Some(secret) = run.api_secret {
        builder = builder.api_secret(secret);
    }
    for (currency, amount) in run.balance {
        builder = builder.balance(currency, amount);
    }
    for name in run.allow_host {
        builder = builder.allow_host(name);
    }
    for fault in run.fault {
        builder = builder.fault(fault);
    }
    if run.tls {
        builder = builder.tls();
    }
    // Before anything is printed, so that a signal sent on reading it is already awaited.
    let stop = match stop {
        Some(stop) => stop,
        None => Box::pin(StopSignal::listen()?.wait()),
    };
    let sim = builder.start().await?;
    let certificate = match sim.root_certificate() {
        Some(pem) => Some(CertificateFile::write(pem, run.tls_certificate)?),
        None => None,
    };
    let certificate_line = certificate.as_ref().map_or_else(String::new, |certificate| {
        format!("Certificate  {}\n", certificate.path.display())
    });
    writeln!(
        io::stdout(),
        "Kazawallet simulator: not the provider, no money moves. Stop it with Ctrl-C.\n\n\
         Base URL     {url}\nDashboard    {dashboard}\n{certificate_line}\n\
         For your environment (in a shell, put `export` before each):\n\
         KAZAWALLET_BASE_URL={url}\nKAZAWALLET_API_KEY={key}\nKAZAWALLET_API_SECRET={secret}\n\
         KAZAWALLET_MERCHANT_EMAIL={merchant}",
        url = sim.url(),
        dashboard = sim.dashboard_url(),
        key = sim.api_key(),
        secret = sim.api_secret(),
        merchant = sim.merchant_email(),
    )?;
    stop.await;
    sim.stop().await;
    writeln!(io::stdout(), "\nStopped.")?;
    Ok(())
}

/// The certificate that clients must trust, where they can read it.
struct CertificateFile {
    path: PathBuf,
    is_ours: bool,
}

impl CertificateFile {
    fn write(pem: &str, given: Option<PathBuf>) -> Result<Self, Box<dyn StdError>> {
        let (path, is_ours) = match given {
            Some(path) => (path, false),
            None => {
                let name = format!("kazawallet-simulator-{}.pem", random::hex::<8>()?);
                (std::env::temp_dir().join(name), true)
            }
        };
        let mut options = OpenOptions::new();
        // Others may write to the folder for temporary files: never through what they put there.
        options.write(true).create(true).truncate(true).create_new(is_ours);
        let written = options.open(&path).and_then(|mut file| file.write_all(pem.as_bytes()));
        written.map_err(|error| format!("{} could not be written: {error}", path.display()))?;
        Ok(Self { path, is_ours })
    }
}

impl Drop for CertificateFile {
    fn drop(&mut self) {
        if self.is_ours {
            // One that stays behind is of no use to anybody.
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn trigger(arguments: TriggerArgs) -> Result<(), Box<dyn StdError>> {
    let key = sim_key(arguments.api_key, "--api-key", "KAZAWALLET_API_KEY")?;
    let secret = sim_key(arguments.api_secret, "--api-secret", "KAZAWALLET_API_SECRET")?;
    let mut trigger = Trigger::to(arguments.url, arguments.amount)
        .currency(arguments.currency)
        .status(Status::from(arguments.status))
        .dialect(arguments.dialect);
    if let Some(reference) = arguments.reference {
        trigger = trigger.reference(reference);
    }
    if let Some(order_id) = arguments.order_id {
        trigger = trigger.order_id(order_id);
    }
    let delivery = trigger.send(&Webhook::new(key, secret)?).await?;
    writeln!(io::stdout(), "{}\n{}", delivery.body, delivery.outcome)?;
    match delivery.outcome {
        DeliveryOutcome::Answered { status: 200..=299 } => Ok(()),
        outcome => Err(format!("the delivery was not accepted ({outcome})").into()),
    }
}

/// The key given, else the one in the environment; a real one is refused and not repeated.
fn sim_key(given: Option<String>, option: &str, variable: &str) -> Result<String, String> {
    let (key, source) = match given {
        Some(key) => (key, option),
        None => match std::env::var(variable) {
            Ok(key) => (key, variable),
            Err(_) => return Err(format!("no key: give {option}, or set {variable}")),
        },
    };
    if key.starts_with("sim_") {
        Ok(key)
    } else {
        Err(format!("{source} is not a simulator's: those begin with sim_"))
    }
}

/// Ctrl-C, or on Unix the signal to terminate.
struct StopSignal {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignal {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl StopSignal {
    fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn wait(self) {
        // An error here means that no signal can be had; stopping is then the safe answer.
        let _ = tokio::signal::ctrl_c().await;
    }
}
