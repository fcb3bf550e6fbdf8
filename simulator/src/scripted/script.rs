//! A script as it is read from JSON. Unknown keys are errors: a script that is understood by half tests nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;

use super::ScriptedError;

/// Everything that a scripted server does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Script {
    /// Speak TLS with a certificate made on the spot.
    #[serde(default)]
    pub tls: Option<TlsCertificate>,
    /// `false`: the port is taken, but nothing listens on it and a connection is refused.
    #[serde(default = "listening")]
    pub listening: bool,
    /// What is done with the connections and the requests, in the order in which they come.
    pub steps: Vec<Step>,
}

fn listening() -> bool {
    true
}

impl Script {
    /// Reads a script from its JSON text.
    ///
    /// # Errors
    /// [`ScriptedError::Script`] when the text is no script, or holds a key that is not known.
    pub fn from_json(text: &str) -> Result<Self, ScriptedError> {
        serde_json::from_str(text).map_err(ScriptedError::Script)
    }

    /// Reads a script from JSON that was parsed already.
    ///
    /// # Errors
    /// [`ScriptedError::Script`] when the value is no script, or holds a key that is not known.
    pub fn from_value(value: Value) -> Result<Self, ScriptedError> {
        serde_json::from_value(value).map_err(ScriptedError::Script)
    }
}

/// Which certificate a server with TLS shows.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TlsCertificate {
    /// A good one; its root is handed to the client.
    Trusted,
    /// A good one, whose root the client is not told about.
    UnknownRoot,
    /// One that is past its last day; its root is handed to the client.
    Expired,
    /// One for another host; its root is handed to the client.
    WrongName,
}

/// What is done with one connection or one request.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Step {
    /// Answers the request.
    Respond(Box<Respond>),
    /// Reads the request, writes these bytes as they are and closes.
    SendRaw(SendRaw),
    /// Reads the whole request and closes without a byte.
    CloseAfterRequest {},
    /// Reads the whole request and resets the connection.
    Reset {},
    /// Reads the whole request and never answers, until the client goes.
    Hang {},
    /// For a connection: reads the first bytes of the TLS handshake and closes.
    CloseInHandshake {},
    /// For a connection: never answers the TLS handshake, until the client goes.
    StallInHandshake {},
}

impl Step {
    pub(super) fn is_for_a_connection(&self) -> bool {
        matches!(self, Self::CloseInHandshake {} | Self::StallInHandshake {})
    }
}

/// Bytes to write as they are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SendRaw {
    /// The bytes, as text.
    pub text: String,
}

/// One HTTP answer, and the ways in which it can go wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Respond {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside `content-length`, `transfer-encoding` and `connection`, which the server writes itself.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; none is an empty one.
    #[serde(default)]
    pub body: Option<Body>,
    /// Spaces are put after the body until it has this many bytes.
    #[serde(default)]
    pub fill_to: usize,
    /// A pause before the first byte.
    #[serde(default)]
    pub delay_ms: u64,
    /// A pause between the head and the body.
    #[serde(default)]
    pub body_delay_ms: u64,
    /// How the client can tell where the body ends.
    #[serde(default)]
    pub framing: Framing,
    /// The answer is written in pieces.
    #[serde(default)]
    pub pieces: Option<Pieces>,
    /// Closes the connection after this many bytes of the body, though the head promises all of them.
    #[serde(default)]
    pub cut_after: Option<usize>,
    /// Closes the connection after the whole answer, without having announced it.
    #[serde(default)]
    pub close_after: bool,
}

/// A body in one of three notations.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Body {
    /// This text.
    Text(String),
    /// This value as compact JSON, with `content-type: application/json` unless the headers say otherwise.
    Json(Value),
    /// These bytes.
    #[serde(deserialize_with = "from_base64")]
    Base64(Vec<u8>),
}

fn from_base64<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text).map_err(serde::de::Error::custom)
}

/// How the client can tell where a body ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Framing {
    /// By `content-length`.
    #[default]
    Length,
    /// By chunks: the body is one chunk, and an empty one ends it.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// Writing an answer in pieces.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Pieces {
    /// How many bytes each piece has, 1 or more.
    pub bytes: usize,
    /// The pause after each piece.
    #[serde(default)]
    pub pause_ms: u64,
}

impl Pieces {
    pub(super) fn pause(self) -> Duration {
        Duration::from_millis(self.pause_ms)
    }
}

impl Respond {
    /// The head and the body as they are written, chunks and the cut included.
    pub(super) fn parts(&self) -> Parts {
        let mut body = match &self.body {
            None => Vec::new(),
            Some(Body::Text(text)) => text.clone().into_bytes(),
            Some(Body::Json(value)) => value.to_string().into_bytes(),
            Some(Body::Base64(bytes)) => bytes.clone(),
        };
        if body.len() < self.fill_to {
            body.resize(self.fill_to, b' ');
        }
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let says_type = self.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        if matches!(self.body, Some(Body::Json(_))) && !says_type {
            head.push_str("content-type: application/json\r\n");
        }
        // These statuses have no body, and saying its length would be wrong too.
        let may_have_body = !matches!(self.status, 100..=199 | 204 | 304);
        match self.framing {
            Framing::Length if !may_have_body => {}
            Framing::Length => head.push_str(&format!("content-length: {}\r\n", body.len())),
            Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
            Framing::UntilClose => head.push_str("connection: close\r\n"),
        }
        head.push_str("\r\n");

        let chunk_size = body.len();
        let cut = self.cut_after.is_some();
        if let Some(kept) = self.cut_after {
            body.truncate(kept);
        }
        if self.framing == Framing::Chunked {
            let mut chunk = format!("{chunk_size:x}\r\n").into_bytes();
            if chunk_size == 0 {
                chunk.clear();
            }
            chunk.append(&mut body);
            if !cut {
                let end: &[u8] = if chunk_size == 0 { b"0\r\n\r\n" } else { b"\r\n0\r\n\r\n" };
                chunk.extend_from_slice(end);
            }
            body = chunk;
        }
        Parts {
            head: head.into_bytes(),
            body,
            closes: cut || self.close_after || self.framing == Framing::UntilClose,
            // A TLS client may not take an end without `close_notify` for the end of the body.
            closes_in_peace: !cut,
        }
    }
}

/// One answer, ready to be written.
pub(super) struct Parts {
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) closes: bool,
    pub(super) closes_in_peace: bool,
}

fn reason(status: u16) -> &'static str {
    match status {
        200..=299 => "OK",
        300..=399 => "Elsewhere",
        400..=499 => "Refused",
        500..=599 => "Failed",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn respond(json: &str) -> Parts {
        let Step::Respond(respond) = serde_json::from_str::<Step>(json).unwrap() else {
            unreachable!("the step answers")
        };
        respond.parts()
    }

    #[test]
    fn unknown_keys_are_refused_at_every_level() {
        for script in [
            r#"{"steps": [], "speed": 1}"#,
            r#"{"steps": [{"do": "dance"}]}"#,
            r#"{"steps": [{"do": "hang", "delay_ms": 1}]}"#,
            r#"{"steps": [{"do": "respond", "status": 200, "colour": "red"}]}"#,
            r#"{"steps": [{"do": "respond", "status": 200, "body": {"xml": "<a/>"}}]}"#,
            r#"{"steps": [{"do": "respond", "status": 200, "body": {"text": "a", "json": 1}}]}"#,
            r#"{"steps": [{"do": "respond", "status": 200, "pieces": {"bytes": 1, "speed": 1}}]}"#,
        ] {
            assert!(Script::from_json(script).is_err(), "{script}");
        }
    }

    #[test]
    fn a_cut_body_still_promises_all_of_it() {
        let parts = respond(
            r#"{"do": "respond", "status": 200, "body": {"text": "abcdef"}, "cut_after": 2}"#,
        );
        assert_eq!(parts.body, b"ab");
        assert!(String::from_utf8(parts.head).unwrap().contains("content-length: 6\r\n"));
        assert!(parts.closes && !parts.closes_in_peace);
    }

    #[test]
    fn a_chunked_body_has_an_end_unless_it_is_cut() {
        let whole = respond(
            r#"{"do": "respond", "status": 200, "body": {"text": "abc"}, "framing": "chunked"}"#,
        );
        assert_eq!(whole.body, b"3\r\nabc\r\n0\r\n\r\n");
        let empty = respond(r#"{"do": "respond", "status": 200, "framing": "chunked"}"#);
        assert_eq!(empty.body, b"0\r\n\r\n");
        let cut = respond(
            r#"{"do": "respond", "status": 200, "body": {"text": "abc"}, "framing": "chunked", "cut_after": 3}"#,
        );
        assert_eq!(cut.body, b"3\r\nabc");
    }

    #[test]
    fn a_body_is_filled_with_spaces() {
        let parts =
            respond(r#"{"do": "respond", "status": 200, "body": {"json": {}}, "fill_to": 5}"#);
        assert_eq!(parts.body, b"{}   ");
    }
}
