//! Exact decimal amounts, kept as text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::error::Error;

/// The most digits an amount may have, the point not counted.
const MAX_DIGITS: usize = 40;

/// The most decimals of a text that the provider may have signed: a payment link is made with no more.
pub(crate) const MOST_SIGNED_DECIMALS: usize = 8;

/// An exact, positive decimal amount of money, kept as the text it was given as.
///
/// The signature of a webhook covers the amount's text, so `10.50` and `10.5` are not the same
/// bytes, although they are the same money. An `Amount` keeps the text and sends it as it is;
/// it compares, orders and hashes by value: `10.5 == 10.50`. No float is involved anywhere.
///
/// ```
/// use kazawallet::Amount;
///
/// let amount: Amount = "10.50".parse()?;
/// assert_eq!(amount.as_str(), "10.50");
/// assert_eq!(amount, "10.5".parse::<Amount>()?);
/// assert!("10,50".parse::<Amount>().is_err());
/// # Ok::<(), kazawallet::Error>(())
/// ```
///
/// # Where it comes from
/// - Text, with [`FromStr`]: plain digits `0`-`9`, at most 40, with at most one point that has
///   digits on both sides, and more than zero. Anything else is an [`Error`] of kind
///   [`Validation`](crate::ErrorKind::Validation) on field `amount` that says what to write.
/// - An integer, with `TryFrom<u64>`.
/// - A `rust_decimal::Decimal`, with the crate feature `rust_decimal`.
/// - A webhook or a balance that was read. These may be zero, and a balance may be negative. For
///   tests, [`from_delivery`](Self::from_delivery) reads an amount as a webhook carries it.
#[derive(Clone)]
pub struct Amount {
    text: Box<str>,
}

impl Amount {
    /// The amount's text, as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the amount is zero. Only an amount that was read can be: a link that timed out,
    /// or an empty wallet.
    pub fn is_zero(&self) -> bool {
        let value = self.value();
        value.whole.is_empty() && value.fraction.is_empty()
    }

    /// Reads an amount as a webhook carries it: plain digits, and it may be zero, as that of a link that
    /// timed out. For [`Webhook::sign`](crate::Webhook::sign) in tests.
    ///
    /// ```
    /// use kazawallet::Amount;
    ///
    /// assert!(Amount::from_delivery("0.00")?.is_zero());
    /// assert!("0.00".parse::<Amount>().is_err());
    /// # Ok::<(), kazawallet::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Validation`](crate::ErrorKind::Validation) on field `amount` if it is not plain digits.
    pub fn from_delivery(text: &str) -> Result<Self, Error> {
        Self::from_webhook(text).map_err(invalid)
    }

    /// As [`from_delivery`](Self::from_delivery), with the bare reason.
    pub(crate) fn from_webhook(text: &str) -> Result<Self, String> {
        check_digits(text)?;
        Ok(Self { text: text.into() })
    }

    /// Reads a balance, as [`Wallet::amount`](crate::Wallet#structfield.amount) holds one. It may be
    /// zero, and besides plain digits a minus sign is read, and an exponent, because a service written
    /// in JavaScript prints a very small number so (`1e-7`). `None` for anything else.
    ///
    /// ```
    /// let balance = kazawallet::Amount::from_balance("-1e-7").unwrap();
    /// assert_eq!(balance.as_str(), "-0.0000001");
    /// ```
    #[cfg(feature = "client")]
    pub fn from_balance(text: &str) -> Option<Self> {
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (unsigned, 0),
        };
        check_digits(mantissa).ok()?;
        let plain = shift_point(mantissa, exponent)?;
        check_digits(&plain).ok()?;
        Some(Self { text: format!("{sign}{plain}").into() })
    }

    /// The shortest text of the same number, for the ledger, which compares amounts in a database.
    #[doc(hidden)]
    pub fn shortest(&self) -> String {
        let Value { negative, whole, fraction } = self.value();
        let sign = if negative { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }

    /// The exactly equal texts that a signature may have been made over, after the literal one: the
    /// shortest form, then each longer one with up to eight decimals. A shop's number of decimals is its
    /// own.
    pub(crate) fn equal_forms(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let Value { whole, fraction, .. } = self.value();
        let whole = if whole.is_empty() { "0" } else { whole };
        let shortest = if fraction.is_empty() {
            Cow::Borrowed(whole)
        } else {
            Cow::Owned(format!("{whole}.{fraction}"))
        };
        let longer = (fraction.len() + 1..=MOST_SIGNED_DECIMALS)
            .map(move |decimals| Cow::Owned(format!("{whole}.{fraction:0<decimals$}")));
        std::iter::once(shortest).chain(longer).filter(|form| form.as_ref() != self.as_str())
    }

    fn value(&self) -> Value<'_> {
        let (negative, unsigned) = match self.text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, &*self.text),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let zero = whole.is_empty() && fraction.is_empty();
        Value { negative: negative && !zero, whole, fraction }
    }
}

/// An amount's number, free of the zeros that do not change it.
#[derive(PartialEq, Eq, Hash)]
struct Value<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl Eq for Amount {}

impl Hash for Amount {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value().hash(state);
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.value(), other.value());
        let magnitude = a
            .whole
            .len()
            .cmp(&b.whole.len())
            .then_with(|| a.whole.cmp(b.whole))
            .then_with(|| a.fraction.cmp(b.fraction));
        match (a.negative, b.negative) {
            (false, false) => magnitude,
            (true, true) => magnitude.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Width and alignment, but no precision: that would cut digits off.
        match self.text.strip_prefix('-') {
            Some(digits) => f.pad_integral(false, "", digits),
            None => f.pad_integral(true, "", &self.text),
        }
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Amount({})", self.text)
    }
}

impl FromStr for Amount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        check_digits(text).map_err(invalid)?;
        let amount = Self { text: text.into() };
        if amount.is_zero() {
            return Err(invalid("it must be more than zero".to_owned()));
        }
        Ok(amount)
    }
}

impl TryFrom<&str> for Amount {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<u64> for Amount {
    type Error = Error;

    fn try_from(number: u64) -> Result<Self, Error> {
        number.to_string().parse()
    }
}

#[cfg(feature = "rust_decimal")]
impl TryFrom<rust_decimal::Decimal> for Amount {
    type Error = Error;

    fn try_from(decimal: rust_decimal::Decimal) -> Result<Self, Error> {
        decimal.to_string().parse()
    }
}

/// Fails where the amount does not fit a `Decimal` without rounding.
#[cfg(feature = "rust_decimal")]
impl TryFrom<&Amount> for rust_decimal::Decimal {
    type Error = Error;

    fn try_from(amount: &Amount) -> Result<Self, Error> {
        rust_decimal::Decimal::from_str_exact(amount.as_str()).map_err(|_| {
            Error::validation("amount", format!("`{amount}` does not fit rust_decimal's 96 bits"))
        })
    }
}

fn invalid(reason: String) -> Error {
    Error::validation("amount", reason)
}

/// Plain digits with at most one point between digits; the reason where it is not.
fn check_digits(text: &str) -> Result<(), String> {
    let mut digits = 0;
    let mut points = 0;
    let mut after_digit = false;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                after_digit = true;
            }
            b'.' if after_digit && points == 0 => {
                points = 1;
                after_digit = false;
            }
            _ => return Err(explain(text)),
        }
    }
    if !after_digit {
        return Err(explain(text));
    }
    if digits > MAX_DIGITS {
        return Err(format!("it has {digits} digits; at most {MAX_DIGITS} are allowed"));
    }
    Ok(())
}

/// Says what is wrong with a text that is not plain digits, and what to write in its place.
fn explain(text: &str) -> String {
    const FORM: &str = "write plain digits such as `10.50`";
    let offender = text.chars().find(|c| !c.is_ascii_digit() && *c != '.');
    let problem = match offender {
        _ if text.is_empty() => "it is empty",
        None => "the point must stand once, between digits",
        Some(c) if c.is_numeric() => {
            return "its digits are not the ASCII digits: write it with the digits 0-9, such as \
                    `10.50`"
                .to_owned();
        }
        Some('-' | '+' | '\u{2212}') if text.starts_with(['-', '+', '\u{2212}']) => {
            "it has a sign; an amount is positive and has none"
        }
        Some('e' | 'E') => "it has an exponent",
        Some(',' | '\'' | '\u{2019}' | '\u{66b}' | '\u{66c}' | '\u{60c}') => {
            "it has a separator; the decimal sign is a point, and thousands are not separated"
        }
        Some('_') => "it has an underscore",
        Some(c) if c.is_whitespace() => "it has white space in or around it",
        Some('x' | 'X') => "it is hexadecimal",
        Some(c) if c.is_control() => "it has a control character",
        Some(_) => "it is not a number",
    };
    format!("{problem}; {FORM}")
}

/// Moves the decimal point of plain digits by `exponent` places.
#[cfg(feature = "client")]
fn shift_point(digits: &str, exponent: i16) -> Option<String> {
    if exponent == 0 {
        return Some(digits.to_owned());
    }
    let places = usize::from(exponent.unsigned_abs());
    if places > MAX_DIGITS {
        return None;
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = if exponent > 0 {
        let padded = format!("{fraction:0<places$}");
        let (moved, rest) = padded.split_at_checked(places)?;
        (format!("{whole}{moved}"), rest.to_owned())
    } else {
        let padded = format!("{whole:0>width$}", width = places + 1);
        let (rest, moved) = padded.split_at_checked(padded.len() - places)?;
        (rest.to_owned(), format!("{moved}{fraction}"))
    };
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        trimmed => trimmed,
    };
    Some(if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") })
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;

    #[test]
    fn a_balance_may_be_negative_or_have_an_exponent() {
        for (wire, text) in [
            ("1e-7", "0.0000001"),
            ("1.5e-7", "0.00000015"),
            ("1e21", "1000000000000000000000"),
            ("1.25E+1", "12.5"),
            ("-5.00", "-5.00"),
            ("0", "0"),
        ] {
            assert_eq!(Amount::from_balance(wire).map(|a| a.to_string()).as_deref(), Some(text));
        }
        for wire in ["", "-", "e5", "1e", "1e99", "NaN", "--1", "1e-99"] {
            assert!(Amount::from_balance(wire).is_none(), "{wire}");
        }
    }

    #[test]
    fn a_precision_cuts_nothing_off() -> Result<(), Error> {
        assert_eq!(format!("{:.2}", "1234.505".parse::<Amount>()?), "1234.505");
        assert_eq!(format!("{:>8}", "10.50".parse::<Amount>()?), "   10.50");
        assert_eq!(
            Amount::from_balance("-5.00").map(|a| format!("{a:>7.1}")).as_deref(),
            Some("  -5.00")
        );
        Ok(())
    }

    #[test]
    fn amounts_order_by_value() {
        let ordered = ["-2", "-1.5", "0", "0.09", "0.1", "9", "10", "10.05", "10.5"];
        let amounts: Vec<_> = ordered.iter().filter_map(|t| Amount::from_balance(t)).collect();
        assert_eq!(amounts.len(), ordered.len());
        assert!(amounts.is_sorted_by(|a, b| a < b));
        assert_eq!(Amount::from_balance("-0"), Amount::from_balance("0.00"));
    }
}
