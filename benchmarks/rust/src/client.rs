//! The same payment link, made with the SDK and with reqwest alone.
//!
//! The hand-written one does what reqwest's documentation shows: one client that is shared, headers
//! that are set once, serde on both sides, a failure for an HTTP error. It does not check what it
//! sends, repeats nothing, and knows no classes of errors.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use kazawallet::{Amount, CreatePaymentLink};
use reqwest::header::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Who calls, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Merchant {
    pub(crate) base_url: String,
    pub(crate) api_key: String,
    pub(crate) email: String,
}

/// As JSON: a process is told its merchant on its command line. The key is a simulator's, worth nothing.
impl fmt::Display for Merchant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Merchant {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

pub(crate) const OURS: &str = "kazawallet";
pub(crate) const REQWEST: &str = "reqwest";
/// Who is measured, in turns.
pub(crate) const BOTH: [&str; 2] = [OURS, REQWEST];

const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes payment links. A clone shares its connections.
#[derive(Clone)]
pub(crate) enum LinkMaker {
    Kazawallet(kazawallet::Client, Amount),
    Reqwest { http: reqwest::Client, url: Arc<str>, email: Arc<str> },
}

#[derive(Serialize)]
struct Link<'a> {
    amount: &'a str,
    currency: &'a str,
    email: &'a str,
    #[serde(rename = "ref")]
    reference: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    url: String,
}

impl LinkMaker {
    pub(crate) fn new(name: &str, merchant: &Merchant) -> Result<Self> {
        let Merchant { base_url, api_key, email } = merchant;
        match name {
            OURS => {
                let client = kazawallet::Client::builder(api_key.as_str())
                    .merchant_email(email)
                    .base_url(base_url)
                    .build()?;
                Ok(Self::Kazawallet(client, "10.50".parse()?))
            }
            REQWEST => Ok(Self::Reqwest {
                http: hand_made_client(api_key)?,
                url: format!("{base_url}/createPaymentLink").into(),
                email: email.as_str().into(),
            }),
            _ => Err(format!("no client is called {name}").into()),
        }
    }

    /// Makes a link, and gives its URL.
    pub(crate) async fn create(&self) -> Result<String> {
        match self {
            Self::Kazawallet(client, amount) => {
                let link = CreatePaymentLink::new(amount.clone(), "USD").reference("order-42");
                Ok(client.payment_links().create(link).await?.url)
            }
            Self::Reqwest { http, url, email } => {
                let link = Link { amount: "10.50", currency: "USD", email, reference: "order-42" };
                let answer = http.post(&**url).json(&link).send().await?.error_for_status()?;
                Ok(answer.json::<Answer>().await?.url)
            }
        }
    }
}

/// It trusts no certificate: a plain connection needs none, and the SDK reads none for it either.
fn hand_made_client(api_key: &str) -> Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let headers = HeaderMap::from_iter([
        (reqwest::header::ACCEPT, HeaderValue::from_static("application/json")),
        ("x-api-key".parse()?, HeaderValue::from_str(api_key)?),
    ]);
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls);
    Ok(builder.default_headers(headers).timeout(TIMEOUT).no_proxy().build()?)
}

/// The version that the lock file names.
pub(crate) fn reqwest_version() -> Result<String> {
    let lock = include_str!("../../../Cargo.lock");
    let (_, package) = lock.split_once("name = \"reqwest\"\nversion = \"").ok_or("no reqwest")?;
    Ok(package.split('"').next().ok_or("reqwest has no version")?.to_owned())
}
