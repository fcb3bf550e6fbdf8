//! What a webhook's route does, whatever the framework: from what arrived to what is answered, and to
//! what a person should hear of it. Without I/O: the adapters of all languages stand on it.

use std::borrow::Cow;
use std::io::{self, Read as _};
use std::time::Duration;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::payload::MAX_BODY;
use super::{PaymentEvent, WebhookAnswer};
use crate::error::{Error, ErrorKind};
use crate::report::{Report, ReportLimit};

/// What has become of a request's body on its way to the route.
#[derive(Clone, Copy, Debug)]
pub enum Arrived<'a> {
    /// All that there was to read. A body that is shorter than its `Content-Length` broke off, and one
    /// that is longer than [`WebhookAnswer::LONGEST_BODY`] is too long.
    Read {
        /// The bytes as they came.
        body: &'a [u8],
        /// The header `Content-Length`, if there is one.
        length: Option<u64>,
        /// The header `Content-Encoding`, if there is one.
        encoding: Option<&'a str>,
    },
    /// It has more bytes than the limit.
    TooLong,
    /// The sender went away in the middle of it.
    BrokeOff {
        /// So many bytes had come, if that is known.
        got: Option<usize>,
        /// The header `Content-Length`, if there is one.
        of: Option<u64>,
    },
    /// Something of the application read it before.
    ReadBefore {
        /// How to change that in this framework.
        way_out: &'a str,
    },
    /// It came in chunks, and the server handed on none of it.
    NotHandedOn,
    /// The route was given something else than a request.
    NoRequest {
        /// What it was given.
        given: &'a str,
        /// What it must be given.
        wanted: &'a str,
    },
}

/// What a request is answered, and what a person should hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reception {
    /// The answer.
    pub answer: WebhookAnswer,
    /// What to tell.
    pub report: Option<Report>,
}

impl Reception {
    /// The delivery is stored, or was dealt with.
    pub const RECEIVED: Self = Self { answer: WebhookAnswer::RECEIVED, report: None };

    /// The answer to an error of [`Webhook::verify`](super::Webhook::verify), or of a ledger.
    pub fn refused(error: &Error) -> Self {
        let answer = WebhookAnswer::to_error(error.kind());
        if answer == WebhookAnswer::NOT_PROCESSED {
            let text = format!("a delivery could not be stored, and will not come again: {error}");
            return Self::not_processed(Report::error(error.code(), text));
        }
        let text = format!("a delivery was refused: {error}");
        Self { answer, report: Some(Report::warning(error.code(), text)) }
    }

    fn not_processed(report: Report) -> Self {
        Self { answer: WebhookAnswer::NOT_PROCESSED, report: Some(report) }
    }

    fn too_long() -> Self {
        let text = format!("a delivery was refused: it has more than {MAX_BODY} bytes");
        let report = Some(Report::info("body_too_large", text));
        Self { answer: WebhookAnswer::BODY_TOO_LARGE, report }
    }

    fn broke_off(got: Option<usize>, of: Option<u64>) -> Self {
        let came = match (got, of) {
            (Some(got), Some(of)) => format!(": {got} of {of} bytes came"),
            _ => String::new(),
        };
        let text = format!("the sender of a delivery hung up in the middle of it{came}");
        let answer = WebhookAnswer::to_error(ErrorKind::WebhookPayload);
        Self { answer, report: Some(Report::info("body_broke_off", text)) }
    }
}

/// A webhook's route: what it answers and tells. What is told is limited; see [`ReportLimit`].
#[derive(Debug, Default)]
pub struct WebhookRoute {
    limit: ReportLimit,
}

impl WebhookRoute {
    /// The answer to a request that is refused by its head; `length` is its `Content-Length`.
    pub fn refused_by_head(
        &self,
        method: &str,
        length: Option<u64>,
        now: Duration,
    ) -> Option<Reception> {
        if method != "POST" {
            return Some(Reception { answer: WebhookAnswer::METHOD_NOT_ALLOWED, report: None });
        }
        let too_long = length.is_some_and(|length| length > MAX_BODY as u64);
        too_long.then(|| self.limited(Reception::too_long(), now))
    }

    /// The delivery's bytes, inflated if they came compressed.
    ///
    /// # Errors
    /// The answer, if no delivery arrived.
    pub fn delivery<'a>(
        &self,
        arrived: Arrived<'a>,
        now: Duration,
    ) -> Result<Cow<'a, [u8]>, Reception> {
        delivery(arrived).map_err(|refused| self.limited(refused, now))
    }

    /// The answer to an error of [`Webhook::verify`](super::Webhook::verify).
    pub fn refused(&self, error: &Error, now: Duration) -> Reception {
        self.limited(Reception::refused(error), now)
    }

    /// The answer if the handler failed, and nothing else remembers the event: the log does. `kind` is
    /// the kind of the handler's error, whose message may hold anybody's data.
    pub fn handler_failed(event: &PaymentEvent, kind: &str) -> Reception {
        let (status, amount) = (event.status(), event.amount());
        let currency = event.currency().map(|code| format!(" {code}")).unwrap_or_default();
        let text = format!(
            "the handler failed for the order id {} ({status}, {amount}{currency}), \
             which will not come again: {kind}",
            event.order_id(),
        );
        Reception::not_processed(Report::error("handler_failed", text).of_payment(event.order_id()))
    }

    /// The answer if what stores deliveries could not be opened. `problem` shows nobody's data.
    pub fn not_opened(&self, problem: &str, now: Duration) -> Reception {
        let text = format!(
            "a delivery could not be stored, and will not come again: the ledger could not be opened: \
             {problem}"
        );
        self.limited(Reception::not_processed(Report::error("ledger_not_opened", text)), now)
    }

    /// What is told if deliveries are stored, and no worker hands them to the handler.
    pub fn worker_not_started(problem: &str) -> Report {
        let text = format!("the worker could not be started, so payments wait: {problem}");
        Report::error("worker_not_started", text)
    }

    /// The reception with its report, if that is to be told now.
    pub fn limited(&self, reception: Reception, now: Duration) -> Reception {
        let Reception { answer, report } = reception;
        Reception { answer, report: report.and_then(|report| self.to_tell(report, now)) }
    }

    /// The report, if it is to be told now.
    pub fn to_tell(&self, report: Report, now: Duration) -> Option<Report> {
        self.limit.pass(report, now)
    }
}

fn delivery(arrived: Arrived<'_>) -> Result<Cow<'_, [u8]>, Reception> {
    match arrived {
        Arrived::Read { body, length, .. }
            if length.is_some_and(|length| (body.len() as u64) < length) =>
        {
            Err(Reception::broke_off(Some(body.len()), length))
        }
        Arrived::Read { body, .. } if body.len() > MAX_BODY => Err(Reception::too_long()),
        Arrived::Read { body, encoding, .. } => inflated(body, encoding),
        Arrived::TooLong => Err(Reception::too_long()),
        Arrived::BrokeOff { got, of } => Err(Reception::broke_off(got, of)),
        Arrived::ReadBefore { way_out } => Err(Reception::not_processed(Report::error(
            "body_read_before",
            format!(
                "a delivery is LOST: something of the application read its body before the webhook's \
                 route, and the signature is over the raw bytes. {way_out}"
            ),
        ))),
        Arrived::NotHandedOn => Err(Reception::not_processed(Report::error(
            "body_not_handed_on",
            "a delivery is LOST: it came in chunks, and the server handed on none of them: the server \
             in front must buffer requests, so that each has a Content-Length (nginx does, unless \
             `proxy_request_buffering` is off)",
        ))),
        Arrived::NoRequest { given, wanted } => Err(Reception::not_processed(Report::error(
            "not_a_request",
            format!("a delivery is LOST: the webhook's route was given {given}: give it {wanted}"),
        ))),
    }
}

/// The bytes as they were before they were compressed.
fn inflated<'a>(body: &'a [u8], encoding: Option<&str>) -> Result<Cow<'a, [u8]>, Reception> {
    /// How gzip begins: no form and no JSON does.
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    let read = match encoding.as_str() {
        // A proxy may have dropped the header.
        "" | "identity" if body.starts_with(&GZIP) => at_most(MultiGzDecoder::new(body)),
        "" | "identity" => return Ok(Cow::Borrowed(body)),
        "gzip" | "x-gzip" => at_most(MultiGzDecoder::new(body)),
        // With its header, or as some send it, without.
        "deflate" => {
            at_most(ZlibDecoder::new(body)).or_else(|_| at_most(DeflateDecoder::new(body)))
        }
        _ => {
            let said = "the body is compressed in a way that is not read: gzip and deflate are";
            return Err(Reception::refused(&Error::payload(said)));
        }
    };
    match read {
        Ok(body) if body.len() > MAX_BODY => Err(Reception::too_long()),
        Ok(body) => Ok(Cow::Owned(body)),
        Err(problem) => {
            let said = format!("the body's {encoding} cannot be read");
            Err(Reception::refused(&Error::payload(said).with_source(problem)))
        }
    }
}

/// Reads to the end, or a little further than a body may be long.
fn at_most(from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    from.take(MAX_BODY as u64 + 1).read_to_end(&mut body)?;
    Ok(body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;
    use crate::report::ReportLevel::{self, Error as Alarm, Info, Warning};

    const BODY: &[u8] = b"order_id=pl_1&amount=10.50";

    fn read<'a>(body: &'a [u8], encoding: Option<&'a str>) -> Arrived<'a> {
        Arrived::Read { body, length: Some(body.len() as u64), encoding }
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_is_inflated() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(BODY).unwrap();
        let zlib = zlib.finish().unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(BODY).unwrap();
        let raw = raw.finish().unwrap();
        let gzip = gzip(BODY);
        for (body, encoding) in [
            (BODY, None),
            (BODY, Some("identity")),
            (&gzip, Some("gzip")),
            (&gzip, Some(" X-GZIP ")),
            (&gzip, None),
            (&zlib, Some("deflate")),
            (&raw, Some("deflate")),
        ] {
            let route = WebhookRoute::default();
            let delivery = route.delivery(read(body, encoding), Duration::ZERO);
            assert_eq!(delivery.unwrap(), BODY, "{encoding:?}");
        }
    }

    fn refusal(arrived: Arrived<'_>) -> (u16, ReportLevel, &'static str) {
        let refused = WebhookRoute::default().delivery(arrived, Duration::ZERO).unwrap_err();
        let report = refused.report.unwrap();
        (refused.answer.status, report.level, report.code)
    }

    #[test]
    fn what_anybody_can_cause_raises_no_alarm() {
        let broke_off = (400, Info, "body_broke_off");
        let short = Arrived::Read { body: BODY, length: Some(1000), encoding: None };
        assert_eq!(refusal(short), broke_off);
        assert_eq!(refusal(Arrived::BrokeOff { got: None, of: None }), broke_off);
        let too_large = (413, Info, "body_too_large");
        assert_eq!(refusal(Arrived::TooLong), too_large);
        assert_eq!(refusal(read(&[b' '; MAX_BODY + 1], None)), too_large);
        let bomb = gzip(&vec![b' '; 50_000_000]);
        assert!(bomb.len() < MAX_BODY);
        assert_eq!(refusal(read(&bomb, Some("gzip"))), too_large);
        let unreadable = (400, Warning, "webhook_payload");
        assert_eq!(refusal(read(BODY, Some("gzip"))), unreadable);
        assert_eq!(refusal(read(BODY, Some("br"))), unreadable);
        let mut half = gzip(BODY);
        half.truncate(half.len() / 2);
        assert_eq!(refusal(read(&half, Some("gzip"))), unreadable);
    }

    #[test]
    fn what_the_application_or_its_server_does_wrong_is_an_alarm() {
        let read_before = Arrived::ReadBefore { way_out: "Read it later." };
        assert_eq!(refusal(read_before), (500, Alarm, "body_read_before"));
        assert_eq!(refusal(Arrived::NotHandedOn), (500, Alarm, "body_not_handed_on"));
        let no_request = Arrived::NoRequest { given: "a Context", wanted: "its `req.raw`" };
        assert_eq!(refusal(no_request), (500, Alarm, "not_a_request"));
    }

    #[test]
    fn a_request_is_refused_by_its_head() {
        let route = WebhookRoute::default();
        let by_head = |method, length| {
            route.refused_by_head(method, length, Duration::ZERO).map(|refused| refused.answer)
        };
        assert_eq!(by_head("POST", None), None);
        assert_eq!(by_head("POST", Some(MAX_BODY as u64)), None);
        assert_eq!(by_head("POST", Some(MAX_BODY as u64 + 1)), Some(WebhookAnswer::BODY_TOO_LARGE));
        assert_eq!(by_head("GET", None), Some(WebhookAnswer::METHOD_NOT_ALLOWED));
    }
}
