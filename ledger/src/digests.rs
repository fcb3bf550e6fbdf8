//! Digests: what stays of terms for ever, when people's data is erased.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::ledger::hex;

/// The digest of bytes, to know them again.
pub(crate) fn of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The digest of terms, which nobody can guess without the ledger's key.
pub(crate) fn keyed(key: &[u8], terms: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return of(terms); // A key of any length will do.
    };
    mac.update(terms);
    hex(&mac.finalize().into_bytes())
}
