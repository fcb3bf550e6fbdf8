//! What a call needs of its client.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::connections::Connections;
use crate::error::Error;

/// Where a client's calls go, with what, and how long they may take.
pub(crate) struct Session {
    pub(crate) connections: Connections,
    pub(crate) base_url: Url,
    pub(crate) headers: CredentialHeaders,
    pub(crate) merchant_email: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_retries: u32,
}

/// The credentials as header values, made once.
pub(crate) struct CredentialHeaders {
    pub(crate) api_key: HeaderValue,
    pub(crate) api_secret: Option<HeaderValue>,
    pub(crate) merchant_email: Option<HeaderValue>,
}

impl Session {
    pub(crate) fn required_secret(&self) -> Result<&HeaderValue, Error> {
        self.headers.api_secret.as_ref().ok_or_else(|| {
            Error::missing(
                "api_secret",
                "this call needs it: give it when the client is built, or set KAZAWALLET_API_SECRET, \
                 which is read only where the key came from KAZAWALLET_API_KEY. The provider's support \
                 hands it out",
            )
        })
    }

    pub(crate) fn required_email_header(&self) -> Result<&HeaderValue, Error> {
        self.headers.merchant_email.as_ref().ok_or_else(missing_email)
    }

    /// The merchant's email, for the calls that name it.
    pub(crate) fn required_email(&self) -> Result<&str, Error> {
        self.merchant_email.as_deref().ok_or_else(missing_email)
    }

    pub(crate) fn show(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("base_url", &self.base_url.as_str())
            .field("has_api_secret", &self.headers.api_secret.is_some())
            .field("has_merchant_email", &self.headers.merchant_email.is_some())
            .field("timeout", &self.timeout)
            .field("max_retries", &self.max_retries)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show("Session", f)
    }
}

fn missing_email() -> Error {
    Error::missing(
        "merchant_email",
        "this call needs it: give the email of the merchant's Kazawallet account when the client is \
         built, or set KAZAWALLET_MERCHANT_EMAIL",
    )
}
