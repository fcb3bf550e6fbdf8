//! One connection: reading its requests and doing to each what the script says.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::script::{Parts, Pieces, Step};
use super::{LAST_LOOK, Log, ObservedRequest, finished};

const LARGEST_HEAD: usize = 64 * 1024;
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// Tells a connection that the server is to finish.
type Finish = watch::Receiver<bool>;

pub(super) async fn serve(
    stream: TcpStream,
    number: u32,
    acceptor: Option<TlsAcceptor>,
    log: Arc<Log>,
    mut finish: Finish,
) {
    // Each piece of an answer is to arrive as a piece.
    let _ = stream.set_nodelay(true);
    match log.take_connection_step() {
        Some(Step::CloseInHandshake {}) => return close_in_handshake(stream).await,
        Some(Step::StallInHandshake {}) => return stall(stream, finish).await,
        _ => {}
    }
    let wire = match acceptor {
        None => Wire::Plain(stream),
        Some(acceptor) => {
            tokio::select! {
                shaken = acceptor.accept(stream) => match shaken {
                    Ok(stream) => Wire::Tls(Box::new(stream)),
                    // The client did not like the certificate, or has gone: that is for the client to tell.
                    Err(_) => return,
                },
                () = finished(&mut finish) => return,
            }
        }
    };
    let mut connection = Connection { wire, number, log, finish, unread: Vec::new() };
    // An error here means that the client has gone in the middle of something, and there is nobody to tell.
    let _ = connection.run().await;
}

async fn close_in_handshake(mut stream: TcpStream) {
    let mut hello = [0; 4096];
    // What was read is dropped with the connection, so that it ends with a close and not with a reset.
    let _ = stream.read(&mut hello).await;
}

async fn stall(mut stream: TcpStream, mut finish: Finish) {
    let mut ignored = [0; 4096];
    loop {
        tokio::select! {
            read = stream.read(&mut ignored) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            },
            () = finished(&mut finish) => return,
        }
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Says that no more will be written: with TLS that is a message of its own.
    async fn end_in_peace(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    /// Makes the coming close a reset.
    fn reset_when_dropped(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_zero_linger(),
            Self::Tls(stream) => stream.get_ref().0.set_zero_linger(),
        }
    }
}

struct Connection {
    wire: Wire,
    number: u32,
    log: Arc<Log>,
    finish: Finish,
    /// Bytes that came after the end of the last request.
    unread: Vec<u8>,
}

enum Next {
    KeepOpen,
    Close,
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        while let Some(request) = self.read_request().await? {
            let next = match self.log.take_request_step(request) {
                Some(step) => self.perform(step).await?,
                None => self.refuse_loudly().await?,
            };
            if matches!(next, Next::Close) {
                break;
            }
        }
        Ok(())
    }

    async fn perform(&mut self, step: Step) -> io::Result<Next> {
        match step {
            Step::Respond(respond) => {
                let parts = respond.parts();
                self.pause(Duration::from_millis(respond.delay_ms)).await?;
                let body_delay = Duration::from_millis(respond.body_delay_ms);
                return self.answer(&parts, respond.pieces, body_delay).await;
            }
            Step::SendRaw(raw) => {
                self.wire.write(raw.text.as_bytes()).await?;
                self.wire.end_in_peace().await?;
            }
            Step::Reset {} => self.wire.reset_when_dropped()?,
            Step::Hang {} => self.wait_for_the_client_to_go().await,
            Step::CloseAfterRequest {} | Step::CloseInHandshake {} | Step::StallInHandshake {} => {}
        }
        Ok(Next::Close)
    }

    async fn answer(
        &mut self,
        parts: &Parts,
        pieces: Option<Pieces>,
        body_delay: Duration,
    ) -> io::Result<Next> {
        match pieces {
            None if body_delay.is_zero() => {
                let mut whole = parts.head.clone();
                whole.extend_from_slice(&parts.body);
                self.wire.write(&whole).await?;
            }
            None => {
                self.wire.write(&parts.head).await?;
                self.pause(body_delay).await?;
                self.wire.write(&parts.body).await?;
            }
            Some(pieces) => {
                self.write_in_pieces(&parts.head, pieces).await?;
                self.pause(body_delay).await?;
                self.write_in_pieces(&parts.body, pieces).await?;
            }
        }
        if !parts.closes {
            return Ok(Next::KeepOpen);
        }
        if parts.closes_in_peace {
            self.wire.end_in_peace().await?;
        }
        Ok(Next::Close)
    }

    async fn write_in_pieces(&mut self, bytes: &[u8], pieces: Pieces) -> io::Result<()> {
        for piece in bytes.chunks(pieces.bytes.max(1)) {
            self.wire.write(piece).await?;
            self.pause(pieces.pause()).await?;
        }
        Ok(())
    }

    async fn refuse_loudly(&mut self) -> io::Result<Next> {
        let body = r#"{"success":false,"error":"the script has no step for this request"}"#;
        let answer = format!(
            "HTTP/1.1 599 Unexpected Request\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        self.wire.write(answer.as_bytes()).await?;
        self.wire.end_in_peace().await?;
        Ok(Next::Close)
    }

    /// Waits, unless the server is told to finish: then the connection ends where it is.
    async fn pause(&mut self, length: Duration) -> io::Result<()> {
        if length.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(length) => Ok(()),
            () = finished(&mut self.finish) => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    async fn wait_for_the_client_to_go(&mut self) {
        let mut ignored = [0; 4096];
        loop {
            tokio::select! {
                read = self.wire.read(&mut ignored) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                () = finished(&mut self.finish) => return,
            }
        }
    }

    /// The next request, or nothing when the client has closed the connection between two requests.
    async fn read_request(&mut self) -> io::Result<Option<ObservedRequest>> {
        match self.try_read_request().await {
            Ok(request) => Ok(request),
            Err(error) => {
                if !self.unread.is_empty() {
                    self.log.incomplete_request();
                }
                Err(error)
            }
        }
    }

    async fn try_read_request(&mut self) -> io::Result<Option<ObservedRequest>> {
        let head_length = loop {
            if let Some(at) = position(&self.unread, b"\r\n\r\n") {
                break at + 4;
            }
            if self.unread.len() > LARGEST_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !self.read_more().await? {
                if self.unread.is_empty() {
                    return Ok(None);
                }
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let head = String::from_utf8_lossy(self.unread.get(..head_length).unwrap_or_default())
            .into_owned();
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let mut request = ObservedRequest {
            connection: self.number,
            method: words.next().unwrap_or_default().to_owned(),
            path: words.next().unwrap_or_default().to_owned(),
            headers: lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: String::new(),
            unexpected: false,
        };
        let chunked = request
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let length = request
            .header("content-length")
            .and_then(|length| length.parse::<usize>().ok())
            .unwrap_or(0);
        let body = loop {
            let so_far = self.unread.get(head_length..).unwrap_or_default();
            let complete = if chunked {
                unchunk(so_far)
            } else {
                so_far.get(..length).map(|body| (body.to_vec(), length))
            };
            if let Some((body, used)) = complete {
                self.unread.drain(..head_length + used);
                break body;
            }
            if so_far.len() > LARGEST_BODY {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !self.read_more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        request.body = String::from_utf8_lossy(&body).into_owned();
        Ok(Some(request))
    }

    /// Reads on; `false` at the end. A server that is told to finish takes one last look.
    async fn read_more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let read = tokio::select! {
            read = self.wire.read(&mut buffer) => read?,
            () = finished(&mut self.finish) => {
                match tokio::time::timeout(LAST_LOOK, self.wire.read(&mut buffer)).await {
                    Ok(read) => read?,
                    Err(_) => 0,
                }
            }
        };
        self.unread.extend_from_slice(buffer.get(..read).unwrap_or_default());
        Ok(read > 0)
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The body in these chunks and how many bytes they took, or nothing while the last chunk is missing.
fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        let line_length = position(rest, b"\r\n")?;
        let line = std::str::from_utf8(rest.get(..line_length)?).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        at += line_length + 2;
        body.extend_from_slice(bytes.get(at..at.checked_add(size)?)?);
        at += size + 2;
        if bytes.len() < at {
            return None;
        }
        if size == 0 {
            return Some((body, at));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn chunks_are_put_together_once_the_last_one_is_there() {
        let whole = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nnext";
        assert_eq!(unchunk(whole), Some((b"abcde".to_vec(), whole.len() - 4)));
        for end in 0..whole.len() - 4 {
            assert_eq!(unchunk(whole.get(..end).unwrap()), None, "{end}");
        }
    }
}
