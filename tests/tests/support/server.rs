//! A server on loopback that answers every request as it was told, and writes down what it sees.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::http::{Request, read_request};
use super::in_time;

#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub connections: usize,
    /// Connections that have come to their end.
    pub ended: usize,
    /// TLS handshakes that were completed.
    pub handshakes: usize,
    /// Every byte that was meant to be read: after the TLS handshake, where there is one.
    pub bytes: Vec<u8>,
    /// With the number of its connection, from 1.
    pub requests: Vec<(usize, Request)>,
}

type Respond = dyn Fn(&Request) -> Vec<u8> + Send + Sync;

pub struct Server {
    pub address: SocketAddr,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn plain(respond: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(respond)).await
    }

    pub async fn tls(
        config: ServerConfig,
        respond: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(TlsAcceptor::from(Arc::new(config))), Arc::new(respond)).await
    }

    async fn start(acceptor: Option<TlsAcceptor>, respond: Arc<Respond>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (note, seen) = watch::channel(Seen::default());
        let note = Arc::new(note);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                note.send_modify(|seen| seen.connections += 1);
                let number = note.borrow().connections;
                let (acceptor, note, respond) = (acceptor.clone(), note.clone(), respond.clone());
                tokio::spawn(async move {
                    // An error is a client that has gone, which is for the client to tell.
                    let _ = welcome(stream, acceptor, number, &note, &*respond).await;
                    note.send_modify(|seen| seen.ended += 1);
                });
            }
        });
        Self { address, seen, task }
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until it has seen what is looked for.
    pub async fn wait_for(&self, wanted: impl FnMut(&Seen) -> bool) -> Seen {
        in_time(self.seen.clone().wait_for(wanted)).await.unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn welcome(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    number: usize,
    note: &watch::Sender<Seen>,
    respond: &Respond,
) -> io::Result<()> {
    match acceptor {
        None => converse(stream, number, note, respond).await,
        Some(acceptor) => {
            let stream = acceptor.accept(stream).await?;
            note.send_modify(|seen| seen.handshakes += 1);
            converse(stream, number, note, respond).await
        }
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    note: &watch::Sender<Seen>,
    respond: &Respond,
) -> io::Result<()> {
    let mut stream = Noted { stream, note };
    let mut unread = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut unread).await? {
        let answer = respond(&request);
        note.send_modify(|seen| seen.requests.push((number, request)));
        stream.stream.write_all(&answer).await?;
        stream.stream.flush().await?;
    }
    Ok(())
}

/// A stream whose every byte is written down as it is read.
struct Noted<'a, S> {
    stream: S,
    note: &'a watch::Sender<Seen>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<'_, S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = std::pin::Pin::new(&mut self.stream).poll_read(context, buffer);
        let new = &buffer.filled()[before..];
        if !new.is_empty() {
            self.note.send_modify(|seen| seen.bytes.extend_from_slice(new));
        }
        polled
    }
}
