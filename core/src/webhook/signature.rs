//! The signature: base64( HMAC-SHA512( API secret, SHA-256( amount `:::` order id `:::` key ) ) ).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ctutils::CtEq as _;
use hmac::KeyInit as _;
use hmac::block_api::HmacCore;
use hmac::digest::Output;
use hmac::digest::block_api::{Buffer, FixedOutputCore as _};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::credentials::{self, ApiKey, ApiSecret};
use crate::error::Error;

const SEPARATOR: &str = ":::";

/// What base64 makes of the 64 bytes of an HMAC-SHA512.
const ENCODED_LENGTH: usize = 88;

/// The hmac crate's HMAC without its input buffer: there is but one short input, and copying and
/// wiping an empty buffer for each signature would cost more than base64 does.
type Mac = HmacCore<Sha512>;

/// One key and secret, with the HMAC's key schedule done.
#[derive(Clone)]
pub(super) struct Signer {
    /// What the key adds to every message.
    suffix: Zeroizing<String>,
    keyed: Mac,
}

impl Signer {
    pub(super) fn new(key: ApiKey, secret: ApiSecret) -> Result<Self, Error> {
        credentials::check("API key", key.expose())?;
        credentials::check("API secret", secret.expose())?;
        let keyed = Mac::new_from_slice(secret.expose().as_bytes())
            .map_err(|error| Error::configuration(format!("the API secret: {error}")))?;
        // `concat` allocates once, so that no half-made copy of the key is left unwiped.
        Ok(Self { suffix: Zeroizing::new([SEPARATOR, key.expose()].concat()), keyed })
    }

    pub(super) fn sign(&self, amount: &str, order_id: &str) -> String {
        STANDARD.encode(self.tag(amount, order_id))
    }

    /// Whether the claimed signature is this signer's, compared in constant time. The comparison
    /// is of the text: base64 has just one for each signature, and encoding ours is quicker than
    /// decoding theirs.
    pub(super) fn matches(&self, amount: &str, order_id: &str, claimed: &str) -> bool {
        let mut text = [0; ENCODED_LENGTH];
        STANDARD.encode_slice(self.tag(amount, order_id), &mut text).is_ok()
            && text.as_slice().ct_eq(claimed.as_bytes()).into()
    }

    fn tag(&self, amount: &str, order_id: &str) -> Output<Mac> {
        let mut digest = Sha256::new();
        for part in [amount, SEPARATOR, order_id, &self.suffix] {
            digest.update(part);
        }
        let mut tag = Output::<Mac>::default();
        self.keyed
            .clone()
            .finalize_fixed_core(&mut Buffer::<Mac>::new(&digest.finalize()), &mut tag);
        tag
    }
}
