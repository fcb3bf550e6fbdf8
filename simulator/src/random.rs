//! Keys, ids and tokens.

use crate::Error;

/// Upper-case hexadecimal text of `BYTES` random bytes, as the provider's keys look.
pub(crate) fn hex_upper<const BYTES: usize>() -> Result<String, Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Configuration(format!("no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}

/// The same in lower case, for ids and tokens.
pub(crate) fn hex<const BYTES: usize>() -> Result<String, Error> {
    hex_upper::<BYTES>().map(|text| text.to_ascii_lowercase())
}

/// Compares a token without telling by its time how much of it was right.
pub(crate) fn same(given: &str, wanted: &str) -> bool {
    given.len() == wanted.len()
        && given.bytes().zip(wanted.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}
