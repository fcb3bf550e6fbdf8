//! Balances are exact decimals. What could not be held exactly is refused, never rounded.

use kazawallet::Amount;
use rust_decimal::Decimal;

/// Digits after the point that a balance keeps; the smallest crypto unit in use needs eight.
const MAX_SCALE: u32 = 8;

/// The largest balance or amount, as a power of ten. With `MAX_SCALE` a sum needs at most 27 of
/// the 28 digits that a `Decimal` holds, so neither adding nor subtracting can ever round.
const LIMIT: Decimal = Decimal::from_parts(2_808_348_672, 232_830_643, 0, false, 0);

/// Reads an amount as a decimal; `None` when it does not fit exactly.
pub(crate) fn decimal(amount: &Amount) -> Option<Decimal> {
    balance(amount.as_str())
}

/// Reads plain decimal text, which may be zero or negative; `None` when it does not fit exactly.
pub(crate) fn balance(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.ends_with(|last: char| last.is_ascii_digit());
    if !plain {
        return None;
    }
    Decimal::from_str_exact(text).ok().and_then(fitting)
}

/// `left + right`, or `None` where the sum does not fit.
pub(crate) fn add(left: Decimal, right: Decimal) -> Option<Decimal> {
    left.checked_add(right).and_then(fitting)
}

/// `left - right`, or `None` where that is less than nothing.
pub(crate) fn take(left: Decimal, right: Decimal) -> Option<Decimal> {
    left.checked_sub(right).and_then(fitting).filter(|rest| !rest.is_sign_negative())
}

fn fitting(value: Decimal) -> Option<Decimal> {
    // Zeros at the end are digits too, but not money: only then is the text's form given up.
    let value = if value.scale() > MAX_SCALE { value.normalize() } else { value };
    (value.scale() <= MAX_SCALE && value.abs() < LIMIT).then_some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_ten_to_the_eighteenth() {
        assert_eq!(LIMIT.to_string(), "1000000000000000000");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for text in ["0.000000001", "1000000000000000000", "1e3", "", ".", "1.", ".1", "+1", "--1"]
        {
            assert_eq!(balance(text), None, "{text}");
        }
        let largest = balance("999999999999999999.99999999").unwrap();
        assert_eq!(add(largest, balance("0.00000001").unwrap()), None);
        assert_eq!(take(balance("1").unwrap(), balance("1.00000001").unwrap()), None);
    }

    #[test]
    fn sums_are_exact() {
        let sum = add(balance("0.1").unwrap(), balance("0.20").unwrap()).unwrap();
        assert_eq!(sum.to_string(), "0.30");
        assert_eq!(take(sum, sum).unwrap().to_string(), "0.00");
        assert_eq!(balance("-2.50").unwrap().to_string(), "-2.50");
    }
}
