//! Checks and encoding that the requests of several resources share.

use bytes::Bytes;
use serde::Serialize;

use crate::amount::Amount;
use crate::error::Error;

/// The webhook refuses a longer ref, so a link must not be made with one.
const MAX_REFERENCE: usize = 1024;

/// An amount that was read from a wallet or a webhook may be one that cannot be paid.
pub(crate) fn check_money(amount: &Amount, currency: &str) -> Result<(), Error> {
    amount.as_str().parse::<Amount>()?;
    check_filled("currency", currency)
}

fn check_filled(field: &str, text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::validation(field, "it is blank"));
    }
    Ok(())
}

pub(crate) fn check_reference(reference: &str) -> Result<(), Error> {
    check_filled("ref", reference)?;
    if reference.len() > MAX_REFERENCE {
        let length = reference.len();
        return Err(Error::validation(
            "ref",
            format!("it has {length} bytes; at most {MAX_REFERENCE} come back in a webhook"),
        ));
    }
    if reference.contains('\0') {
        return Err(Error::validation("ref", "it holds a NUL character"));
    }
    Ok(())
}

pub(crate) fn json(body: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| {
        Error::validation("json", "it cannot be written as JSON").with_source(error)
    })
}
