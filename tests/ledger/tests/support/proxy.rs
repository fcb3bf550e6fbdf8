//! A way to a server that can be cut, or fall silent.

use std::sync::Arc;

use kazawallet_ledger_tests::postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing gets through, and nobody is told.
    Silent,
    /// What is asked gets through, and its connection is cut when the answer comes.
    AnswersAreLost,
    /// Connections are cut, and new ones refused.
    Cut,
}

pub struct Proxy {
    pub port: u16,
    way: Arc<watch::Sender<Way>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let way = Arc::new(watch::Sender::new(Way::Open));
        let ways = way.clone();
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if *ways.borrow() == Way::Cut {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(carry(from_client, to_server, ways.subscribe(), false));
                tokio::spawn(carry(from_server, to_client, ways.subscribe(), true));
            }
        });
        Self { port: own_port, way, task }
    }

    /// The URL of a server's database, by this way.
    pub fn in_place_of(&self, server: &Postgres, url: &str) -> String {
        // With what stands around it: the database's name may hold the same digits.
        url.replace(&format!(":{}/", server.port()), &format!(":{}/", self.port))
    }

    pub fn open(&self) {
        self.way.send_replace(Way::Open);
    }

    pub fn fall_silent(&self) {
        self.way.send_replace(Way::Silent);
    }

    pub fn lose_answers(&self) {
        self.way.send_replace(Way::AnswersAreLost);
    }

    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut way: watch::Receiver<Way>,
    answers: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or_default(),
            _ = way.wait_for(|way| *way == Way::Cut) => return,
        };
        let Ok(now) = way.wait_for(|way| *way != Way::Silent).await.map(|way| *way) else { return };
        if now == Way::AnswersAreLost && answers {
            // The server is to come to its end, as if the client had heard it.
            drop(to);
            while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            return;
        }
        let goes_on = now != Way::Cut;
        if read == 0 || !goes_on || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
