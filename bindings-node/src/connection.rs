//! A client of the core, as `Client` uses it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use kazawallet::{
    Amount, Client, ClientBuilder, CreateDeposit, CreatePaymentLink, CreateWithdrawal, Method,
};
use napi::bindgen_prelude::*;
use napi_derive::napi;
use serde_json::value::RawValue;

use crate::answers::Answer;
use crate::calls::Calls;
use crate::errors::CoreError;
use crate::payment_method::PaymentMethod;
use crate::runtime;

/// A client of the core.
#[napi]
pub struct Connection {
    client: RefCell<Option<Client>>,
}

/// The client's options.
#[napi(object, object_to_js = false)]
pub struct ConnectionOptions {
    /// The API key.
    pub api_key: Option<String>,
    /// The API secret.
    pub api_secret: Option<String>,
    /// The merchant's email.
    pub merchant_email: Option<String>,
    /// Another address than the provider's.
    pub base_url: Option<String>,
    /// Milliseconds.
    pub timeout: Option<f64>,
    /// Milliseconds.
    pub connect_timeout: Option<f64>,
    /// Tries after the first.
    pub max_retries: Option<u32>,
    /// A proxy's URL.
    pub proxy: Option<String>,
    /// PEM.
    pub root_certificates: Option<Uint8Array>,
    /// The application's name.
    pub app_name: Option<String>,
}

/// Makes a client. `environment` holds the variables that count.
#[napi(catch_unwind)]
pub fn connect(
    options: ConnectionOptions,
    environment: HashMap<String, String>,
) -> Either<Connection, CoreError> {
    let mut builder = match options.api_key {
        Some(key) => Client::builder(key),
        None => ClientBuilder::default(),
    };
    if let Some(secret) = options.api_secret {
        builder = builder.api_secret(secret);
    }
    if let Some(email) = options.merchant_email {
        builder = builder.merchant_email(email);
    }
    if let Some(url) = options.base_url {
        builder = builder.base_url(url);
    }
    if let Some(timeout) = options.timeout {
        builder = builder.timeout(milliseconds(timeout));
    }
    if let Some(timeout) = options.connect_timeout {
        builder = builder.connect_timeout(milliseconds(timeout));
    }
    if let Some(retries) = options.max_retries {
        builder = builder.max_retries(retries);
    }
    if let Some(url) = options.proxy {
        builder = builder.proxy(url);
    }
    if let Some(pem) = options.root_certificates {
        builder = builder.root_certificates(&pem[..]);
    }
    if let Some(name) = options.app_name {
        builder = builder.app_name(name);
    }
    let builder = builder.env_defaults_from(|name| environment.get(name).cloned()).language("node");
    match builder.build() {
        Ok(client) => Either::A(Connection { client: RefCell::new(Some(client)) }),
        Err(error) => Either::B(error.into()),
    }
}

#[napi]
impl Connection {
    /// Starts the call; what is given back was refused at once.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as JavaScript gives them")]
    pub fn create_payment_link(
        &self,
        calls: &Calls,
        id: u32,
        recorded: bool,
        timeout: Option<f64>,
        amount: String,
        currency: String,
        reference: Option<String>,
        redirect_url: Option<String>,
    ) -> Result<Option<CoreError>> {
        let client = self.client()?;
        let call = Amount::from_str(&amount).map(|amount| {
            let mut link = CreatePaymentLink::new(amount, currency);
            if let Some(reference) = reference {
                link = link.reference(reference);
            }
            if let Some(url) = redirect_url {
                link = link.redirect_url(url);
            }
            client.payment_links().create(link)
        });
        start(calls, id, recorded, timeout, call)
    }

    /// Starts the call; what is given back was refused at once.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as JavaScript gives them")]
    pub fn create_withdrawal(
        &self,
        calls: &Calls,
        id: u32,
        recorded: bool,
        timeout: Option<f64>,
        amount: String,
        currency: String,
        payment_method: &PaymentMethod,
        note: Option<String>,
    ) -> Result<Option<CoreError>> {
        let client = self.client()?;
        let call = Amount::from_str(&amount).map(|amount| {
            let method = payment_method.core.clone();
            let mut withdrawal = CreateWithdrawal::new(amount, currency, method);
            if let Some(note) = note {
                withdrawal = withdrawal.note(note);
            }
            client.withdrawals().create(withdrawal)
        });
        start(calls, id, recorded, timeout, call)
    }

    /// Starts the call; what is given back was refused at once.
    #[napi(catch_unwind)]
    pub fn list_wallets(
        &self,
        calls: &Calls,
        id: u32,
        recorded: bool,
        timeout: Option<f64>,
    ) -> Result<Option<CoreError>> {
        start(calls, id, recorded, timeout, Ok(self.client()?.wallets().list()))
    }

    /// Starts the call; what is given back was refused at once.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as JavaScript gives them")]
    pub fn create_deposit(
        &self,
        calls: &Calls,
        id: u32,
        recorded: bool,
        timeout: Option<f64>,
        amount: String,
        currency: String,
        user_email: String,
        payment_method: &PaymentMethod,
        note: Option<String>,
    ) -> Result<Option<CoreError>> {
        let client = self.client()?;
        let call = Amount::from_str(&amount).map(|amount| {
            let method = payment_method.core.clone();
            let mut deposit = CreateDeposit::new(amount, currency, user_email, method);
            if let Some(note) = note {
                deposit = deposit.note(note);
            }
            client.deposits().create(deposit)
        });
        start(calls, id, recorded, timeout, call)
    }

    /// Starts the call; what is given back was refused at once.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as JavaScript gives them")]
    pub fn request(
        &self,
        calls: &Calls,
        id: u32,
        recorded: bool,
        timeout: Option<f64>,
        method: String,
        path: String,
        json: Option<String>,
    ) -> Result<Option<CoreError>> {
        let Ok(method) = Method::from_str(&method) else {
            return Ok(Some(CoreError::refused("method", "it is no HTTP method")));
        };
        let mut request = self.client()?.request(method, path);
        if let Some(json) = json {
            match RawValue::from_string(json) {
                Ok(json) => request = request.json(&json),
                Err(error) => return Ok(Some(CoreError::refused("json", error))),
            }
        }
        start(calls, id, recorded, timeout, Ok(request.send()))
    }

    /// Lets the connections go. Calls that run come to their end.
    #[napi(catch_unwind)]
    pub fn close(&self) -> Result<()> {
        let _inside = runtime::handle()?.enter();
        drop(self.client.take());
        Ok(())
    }

    pub(crate) fn client(&self) -> Result<Client> {
        self.client.borrow().clone().ok_or_else(|| Error::from_reason("the client is closed"))
    }
}

fn start<T>(
    calls: &Calls,
    id: u32,
    recorded: bool,
    timeout: Option<f64>,
    call: std::result::Result<kazawallet::Call<T>, kazawallet::Error>,
) -> Result<Option<CoreError>>
where
    T: Into<Answer> + Send + 'static,
{
    let mut call = match call {
        Ok(call) => call,
        Err(error) => return Ok(Some(error.into())),
    };
    if let Some(timeout) = timeout {
        call = call.timeout(milliseconds(timeout));
    }
    calls.start(id, recorded, call)?;
    Ok(None)
}

/// More than there can be is as good as for ever.
pub(crate) fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1000.0).unwrap_or(Duration::MAX)
}
