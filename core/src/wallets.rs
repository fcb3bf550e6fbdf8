//! The merchant's balances: `GET /get-merchant-wallets`.

use std::ops::Deref;
use std::sync::Arc;

use reqwest::Method;

use crate::amount::Amount;
use crate::response::{Object, Response};
use crate::session::Session;
use crate::transport::{Call, Credentials, Policy, Request};

/// Reads balances; see [`Client::wallets`](crate::Client::wallets).
#[derive(Debug, Clone, Copy)]
pub struct Wallets<'a> {
    session: &'a Arc<Session>,
}

impl<'a> Wallets<'a> {
    pub(crate) fn new(session: &'a Arc<Session>) -> Self {
        Self { session }
    }

    /// Lists the merchant's wallets, one a currency. Needs the client's API secret and merchant
    /// email. Any failure but a refusal is tried again: reading moves no money.
    ///
    /// ```no_run
    /// # async fn example(client: kazawallet::Client) -> Result<(), kazawallet::Error> {
    /// for wallet in &client.wallets().list().await? {
    ///     println!("{} {}", wallet.amount, wallet.currency);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Validation`](crate::ErrorKind::Validation), before anything is sent: no secret, no
    ///   merchant email, a time limit of zero.
    /// - [`Connection`](crate::ErrorKind::Connection), [`Timeout`](crate::ErrorKind::Timeout),
    ///   [`UnexpectedResponse`](crate::ErrorKind::UnexpectedResponse): no answer, or none that can
    ///   be read.
    /// - The classes of a refusal, as for [`PaymentLinks::create`](crate::PaymentLinks::create).
    pub fn list(&self) -> Call<WalletList> {
        let request = Request {
            method: Method::GET,
            path: "/get-merchant-wallets".into(),
            endpoint: "/get-merchant-wallets".into(),
            policy: Policy::Read,
            credentials: Credentials::KeySecretAndEmail,
            json: None,
        };
        Call::new(self.session, Ok(request), |response, _| WalletList::read(response))
    }
}

/// The balance in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wallet {
    /// The currency's code.
    pub currency: String,
    /// What is in it, exactly as the provider says. May be zero, or negative.
    pub amount: Amount,
}

/// The merchant's wallets. It is a slice of [`Wallet`], and can be iterated over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WalletList {
    /// One a currency, in the provider's order.
    pub wallets: Vec<Wallet>,
    /// The whole answer.
    pub raw: Response,
}

impl WalletList {
    fn read(response: &Response) -> Result<Self, &'static str> {
        let answer = response.object().ok_or("it is not a JSON object")?;
        let listed = answer.objects("wallets").ok_or("it holds no list of wallets")?;
        let wallets = listed
            .iter()
            .map(Wallet::read)
            .collect::<Option<_>>()
            .ok_or("it holds a wallet without a currency or a plain amount")?;
        Ok(Self { wallets, raw: response.clone() })
    }
}

impl Wallet {
    fn read(wallet: &Object<'_>) -> Option<Self> {
        let amount = Amount::from_balance(&wallet.text_or_number("amount")?)?;
        Some(Self { currency: wallet.text("currency")?, amount })
    }
}

impl Deref for WalletList {
    type Target = [Wallet];

    fn deref(&self) -> &[Wallet] {
        &self.wallets
    }
}

impl IntoIterator for WalletList {
    type Item = Wallet;
    type IntoIter = std::vec::IntoIter<Wallet>;

    fn into_iter(self) -> Self::IntoIter {
        self.wallets.into_iter()
    }
}

impl<'a> IntoIterator for &'a WalletList {
    type Item = &'a Wallet;
    type IntoIter = std::slice::Iter<'a, Wallet>;

    fn into_iter(self) -> Self::IntoIter {
        self.wallets.iter()
    }
}
