//! A server that does exactly what a script says: for tests of clients, in any language.
//!
//! The [`Simulator`](crate::Simulator) behaves as the provider does. The scripted server behaves as no
//! provider should: it cuts connections, answers half a body, stalls in the middle of a TLS handshake. A
//! script is JSON and is defined in `tests/README.md`, together with the scenarios that use it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kazawallet_simulator::scripted::ScriptedError> {
//! use kazawallet_simulator::scripted::{Script, ScriptedServer};
//!
//! let script = Script::from_json(r#"{"steps": [{"do": "respond", "status": 503}]}"#)?;
//! let server = ScriptedServer::start(script).await?;
//! println!("point a client at {}", server.url());
//!
//! let seen = server.finish().await;
//! assert_eq!(seen.connections, 0);
//! assert_eq!(seen.steps_left, 1);
//! # Ok(())
//! # }
//! ```

mod connection;
mod program;
mod script;

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates;

pub use program::run_program;
pub use script::{Body, Framing, Pieces, Respond, Script, SendRaw, Step, TlsCertificate};

/// How long [`ScriptedServer::finish`] waits for what a client may have sent in its last moment. Loopback
/// hands bytes over at once, so this only has to cover the scheduling of this process.
const LAST_LOOK: Duration = Duration::from_millis(150);

/// A running scripted server. Dropping it stops it; [`finish`](Self::finish) also says what it saw.
pub struct ScriptedServer {
    url: String,
    root_certificate: Option<String>,
    log: Arc<Log>,
    finishing: watch::Sender<bool>,
    accepting: Option<JoinHandle<()>>,
    /// Holds the port of a script that says `"listening": false`, so that nobody else can listen on it.
    _closed_port: Option<TcpSocket>,
}

impl ScriptedServer {
    /// Starts a server on a loopback port that the system picks. Needs a tokio runtime.
    ///
    /// # Errors
    /// When no port can be bound or no certificate can be made.
    pub async fn start(script: Script) -> Result<Self, ScriptedError> {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (root_certificate, acceptor) = match script.tls {
            None => (None, None),
            Some(kind) => {
                let host = match kind {
                    TlsCertificate::WrongName => "somewhere-else.test".to_owned(),
                    _ => Ipv4Addr::LOCALHOST.to_string(),
                };
                let made = certificates::make(certificates::Wanted {
                    server: "Kazawallet scripted server",
                    hosts: vec![host],
                    expired: kind == TlsCertificate::Expired,
                })
                .map_err(|error| ScriptedError::Certificate(error.to_string()))?;
                let root_to_trust = (kind != TlsCertificate::UnknownRoot).then_some(made.root);
                (root_to_trust, Some(made.acceptor))
            }
        };
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let log = Arc::new(Log::new(script.steps));
        let (finishing, finish_asked) = watch::channel(false);

        let (address, accepting, closed_port) = if script.listening {
            let listener = TcpListener::bind(any_port).await?;
            let address = listener.local_addr()?;
            let task = accept(listener, acceptor, Arc::clone(&log), finish_asked);
            (address, Some(tokio::spawn(task)), None)
        } else {
            let socket = TcpSocket::new_v4()?;
            socket.bind(any_port)?;
            (socket.local_addr()?, None, Some(socket))
        };

        Ok(Self {
            url: format!("{scheme}://{address}"),
            root_certificate,
            log,
            finishing,
            accepting,
            _closed_port: closed_port,
        })
    }

    /// The address to give to a client, without a slash at its end: `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The PEM of the root certificate that a client must be told to trust: only with TLS, and only where the
    /// script wants the client to have it.
    pub fn root_certificate(&self) -> Option<&str> {
        self.root_certificate.as_deref()
    }

    /// Stops the server and tells what it saw. Close the client first: a request that is still under way is
    /// cut short.
    pub async fn finish(mut self) -> Observed {
        self.finishing.send_replace(true);
        if let Some(accepting) = self.accepting.take() {
            // A task that was cancelled or has panicked leaves its log behind all the same.
            let _ = accepting.await;
        }
        self.log.observed()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedServer").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Accepts connections until it is told to finish, and then waits for those it has.
async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    log: Arc<Log>,
    finish_asked: watch::Receiver<bool>,
) {
    // Dropping the set ends the connections: a server that is dropped leaves nothing running.
    let mut connections = JoinSet::new();
    let begin = |connections: &mut JoinSet<()>, stream: TcpStream| {
        let number = log.connected();
        let (acceptor, log, finish) = (acceptor.clone(), Arc::clone(&log), finish_asked.clone());
        connections.spawn(connection::serve(stream, number, acceptor, log, finish));
    };
    let mut until_finish = finish_asked.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => begin(&mut connections, stream),
                // Out of file descriptors, or a client that left before it was accepted: look again shortly.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            () = finished(&mut until_finish) => break,
        }
    }
    while let Ok(Ok((stream, _))) = tokio::time::timeout(LAST_LOOK, listener.accept()).await {
        begin(&mut connections, stream);
    }
    while connections.join_next().await.is_some() {}
}

/// Waits until the server is told to finish.
async fn finished(finish_asked: &mut watch::Receiver<bool>) {
    // The sender is gone only when the server was dropped, which ends everything that waits here too.
    let _ = finish_asked.wait_for(|asked| *asked).await;
}

/// What is left to do, and what was seen.
struct Log {
    state: Mutex<LogState>,
}

struct LogState {
    steps: VecDeque<Step>,
    connections: u32,
    incomplete_requests: u32,
    requests: Vec<ObservedRequest>,
}

impl LogState {
    fn take_step_if(&mut self, wanted: impl FnOnce(&Step) -> bool) -> Option<Step> {
        if wanted(self.steps.front()?) { self.steps.pop_front() } else { None }
    }
}

impl Log {
    fn new(steps: Vec<Step>) -> Self {
        Self {
            state: Mutex::new(LogState {
                steps: steps.into(),
                connections: 0,
                incomplete_requests: 0,
                requests: Vec::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connected(&self) -> u32 {
        let mut state = self.state();
        state.connections += 1;
        state.connections
    }

    /// The next step, when it is one that a connection takes before there is a request.
    fn take_connection_step(&self) -> Option<Step> {
        self.state().take_step_if(Step::is_for_a_connection)
    }

    /// Writes a request down and takes the step that it is answered with: none when the script had no more.
    fn take_request_step(&self, mut request: ObservedRequest) -> Option<Step> {
        let mut state = self.state();
        let step = state.take_step_if(|step| !step.is_for_a_connection());
        request.unexpected = step.is_none();
        state.requests.push(request);
        step
    }

    fn incomplete_request(&self) {
        self.state().incomplete_requests += 1;
    }

    fn observed(&self) -> Observed {
        let state = self.state();
        Observed {
            connections: state.connections,
            requests: state.requests.clone(),
            incomplete_requests: state.incomplete_requests,
            steps_left: state.steps.len(),
        }
    }
}

/// What a scripted server saw.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Observed {
    /// Connections that were accepted, also those that carried no request.
    pub connections: u32,
    /// Every request that was read whole, in the order in which they came.
    pub requests: Vec<ObservedRequest>,
    /// Requests that a client began and did not finish.
    pub incomplete_requests: u32,
    /// Steps of the script that nothing has used.
    pub steps_left: usize,
}

/// One request that a scripted server read.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ObservedRequest {
    /// The number of the connection that it came on; the first is 1.
    pub connection: u32,
    /// `GET`, `POST` …
    pub method: String,
    /// The path with its query, as it stood in the request line.
    pub path: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body as text; bytes that are not UTF-8 are replaced.
    pub body: String,
    /// Whether the script had no step for it. It was answered with status 599.
    pub unexpected: bool,
}

impl ObservedRequest {
    /// The value of the header with this name (lower case), the first where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why a scripted server did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScriptedError {
    /// The script is not JSON, or says something that this server does not understand.
    Script(serde_json::Error),
    /// No port could be bound, or standard input and output failed.
    Io(std::io::Error),
    /// No certificate could be made.
    Certificate(String),
}

impl fmt::Display for ScriptedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What is behind these two is their source, and is not said twice.
            Self::Script(_) => f.write_str("the script cannot be read"),
            Self::Io(_) => f.write_str("the scripted server cannot run"),
            Self::Certificate(error) => write!(f, "no certificate could be made: {error}"),
        }
    }
}

impl std::error::Error for ScriptedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Script(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Certificate(_) => None,
        }
    }
}

impl From<std::io::Error> for ScriptedError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
