//! The ways in which the simulator misbehaves when it is told to.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Error;

/// One way to misbehave, as real services and networks do.
///
/// The first eight change the answer to an API request; the rest change a webhook delivery. A
/// fault has a text form, which the other languages and the control API use: its name, and for
/// two of them a value after a colon (`answer_late:1500` is in milliseconds,
/// `answer_status:503`).
///
/// ```
/// use std::time::Duration;
/// use kazawallet_simulator::Fault;
///
/// let fault: Fault = "answer_late:1500".parse()?;
/// assert_eq!(fault, Fault::AnswerLate(Duration::from_millis(1500)));
/// assert_eq!(fault.as_str(), "answer_late");
/// assert_eq!(Fault::AnswerStatus(503).to_string(), "answer_status:503");
/// # Ok::<(), kazawallet_simulator::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Act at once, and answer only after this time.
    AnswerLate(Duration),
    /// Read the request, do nothing, and cut the connection.
    CloseBeforeActing,
    /// Do what was asked, and cut the connection instead of answering.
    CloseAfterActing,
    /// Do nothing, and answer with this status (400 to 599) and an error in JSON.
    AnswerStatus(u16),
    /// Do nothing, and answer 502 with a page in HTML, as a proxy in front does.
    HtmlAnswer,
    /// Do what was asked, send half of the answer, and cut the connection.
    HalfBody,
    /// Do nothing, and answer 200 with an error in the body.
    ErrorInside200,
    /// Answer a new payment link with its id under the name `order_id` instead of `id`. It waits
    /// for the next request that creates one.
    OrderIdAnswer,
    /// Deliver the amount as a JSON number, as JavaScript writes it: `10.5` of a link over `10.50`. The
    /// signature is over the text that the link was made with, and still holds.
    AmountAsNumber,
    /// Deliver form fields instead of JSON.
    FormEncoded,
    /// Deliver the other status (`fulfilled` for `timed_out` and the other way round). The
    /// signature still holds: it does not cover the status.
    StatusChanged,
    /// Deliver another currency. The signature still holds: it does not cover the currency.
    CurrencyChanged,
    /// Deliver the same body twice.
    DeliveredTwice,
    /// Deliver nothing.
    NeverDelivered,
}

/// How long `answer_late` waits where the text gives no time.
const DEFAULT_DELAY: Duration = Duration::from_secs(2);
/// A longer delay would outlast any client; refusing it catches a slip in the unit.
const MAX_DELAY: Duration = Duration::from_secs(600);

impl Fault {
    /// One of each, in the order of the documentation, with default values.
    pub const ALL: [Fault; 14] = [
        Fault::AnswerLate(DEFAULT_DELAY),
        Fault::CloseBeforeActing,
        Fault::CloseAfterActing,
        Fault::AnswerStatus(500),
        Fault::HtmlAnswer,
        Fault::HalfBody,
        Fault::ErrorInside200,
        Fault::OrderIdAnswer,
        Fault::AmountAsNumber,
        Fault::FormEncoded,
        Fault::StatusChanged,
        Fault::CurrencyChanged,
        Fault::DeliveredTwice,
        Fault::NeverDelivered,
    ];

    /// The fault's stable name, without a value.
    pub fn as_str(&self) -> &'static str {
        match self {
            Fault::AnswerLate(_) => "answer_late",
            Fault::CloseBeforeActing => "close_before_acting",
            Fault::CloseAfterActing => "close_after_acting",
            Fault::AnswerStatus(_) => "answer_status",
            Fault::HtmlAnswer => "html_answer",
            Fault::HalfBody => "half_body",
            Fault::ErrorInside200 => "error_inside_200",
            Fault::OrderIdAnswer => "order_id_answer",
            Fault::AmountAsNumber => "amount_as_number",
            Fault::FormEncoded => "form_encoded",
            Fault::StatusChanged => "status_changed",
            Fault::CurrencyChanged => "currency_changed",
            Fault::DeliveredTwice => "delivered_twice",
            Fault::NeverDelivered => "never_delivered",
        }
    }

    /// Whether the fault concerns a webhook delivery, not the answer to a request.
    pub fn is_of_delivery(&self) -> bool {
        matches!(
            self,
            Fault::AmountAsNumber
                | Fault::FormEncoded
                | Fault::StatusChanged
                | Fault::CurrencyChanged
                | Fault::DeliveredTwice
                | Fault::NeverDelivered
        )
    }

    /// Holds the fault's value to its limits.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        match self {
            Fault::AnswerStatus(status) if !(400..=599).contains(&status) => {
                Err(Error::Configuration(format!("answer_status takes 400 to 599, not {status}")))
            }
            Fault::AnswerLate(delay) if delay > MAX_DELAY => {
                Err(Error::Configuration("answer_late takes at most ten minutes".to_owned()))
            }
            fault => Ok(fault),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::AnswerLate(delay) => write!(f, "{}:{}", self.as_str(), delay.as_millis()),
            Fault::AnswerStatus(status) => write!(f, "{}:{status}", self.as_str()),
            _ => f.write_str(self.as_str()),
        }
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || {
            let names = Fault::ALL.map(|fault| fault.as_str()).join(", ");
            Error::Configuration(format!("no fault is called {text:?}; there are {names}"))
        };
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let fault =
            Fault::ALL.into_iter().find(|fault| fault.as_str() == name).ok_or_else(unknown)?;
        let wrong = |takes: &str| Error::Configuration(format!("{name} takes {takes}"));
        let fault = match (fault, value) {
            (fault, None) => fault,
            (Fault::AnswerLate(_), Some(value)) => {
                let delay =
                    value.parse().map_err(|_| wrong("milliseconds, as answer_late:1500"))?;
                Fault::AnswerLate(Duration::from_millis(delay))
            }
            (Fault::AnswerStatus(_), Some(value)) => Fault::AnswerStatus(
                value
                    .parse()
                    .map_err(|_| wrong("a status from 400 to 599, as answer_status:503"))?,
            ),
            (_, Some(_)) => return Err(wrong("no value")),
        };
        fault.checked()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_survives_its_text_form() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse::<Fault>().unwrap(), fault);
            assert_eq!(fault.as_str().parse::<Fault>().unwrap(), fault);
        }
    }

    #[test]
    fn text_that_names_no_fault_is_refused() {
        for text in ["", "answer_status:200", "answer_late:x", "half_body:1", "answer_late:9999999"]
        {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
