//! A shop: its account at the provider, and its ledger.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kazawallet::{Client, Error, Webhook};
use kazawallet_ledger::{Ledger, OpenLedger};
use serde::{Deserialize, Serialize};

/// All that a process needs to know of a shop. Child processes are given it as JSON.
#[derive(Clone, Serialize, Deserialize)]
pub struct Shop {
    /// Where the ledger is.
    pub ledger: String,
    /// The ledger's spool; `None` for none.
    pub spool: Option<PathBuf>,
    /// The provider's address.
    pub provider: String,
    /// The API key.
    pub key: String,
    /// The API secret.
    pub secret: String,
    /// The merchant's email.
    pub email: String,
    /// The time for a whole call of the provider.
    pub timeout: Duration,
    /// The ledger's clock margin.
    pub clock_margin: Duration,
}

impl Shop {
    /// A client of the shop's account.
    ///
    /// # Errors
    /// Where the client cannot be built.
    pub fn client(&self) -> Result<Client, Error> {
        Client::builder(self.key.as_str())
            .api_secret(self.secret.as_str())
            .merchant_email(&self.email)
            .base_url(&self.provider)
            .timeout(self.timeout)
            .build()
    }

    /// What verifies, and in tests signs, the shop's deliveries.
    ///
    /// # Errors
    /// Where the key or the secret cannot be one.
    pub fn webhook(&self) -> Result<Webhook, Error> {
        Webhook::new(self.key.as_str(), self.secret.as_str())
    }

    /// The shop's ledger, to be opened.
    ///
    /// # Errors
    /// Where the client cannot be built.
    pub fn opening(&self) -> Result<OpenLedger, Error> {
        let opening =
            Ledger::open(&self.ledger).client(self.client()?).clock_margin(self.clock_margin);
        Ok(match &self.spool {
            Some(folder) => opening.spool(folder),
            None => opening.no_spool(),
        })
    }
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}
