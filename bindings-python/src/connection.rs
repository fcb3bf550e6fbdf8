//! A client of the core, as `Client` and `AsyncClient` use it. It lives on in a forked child.

use std::mem;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kazawallet::{ClientBuilder, CreateDeposit, CreatePaymentLink, CreateWithdrawal, Method};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::value::RawValue;

use crate::arguments::{
    count, exact_amount, option_text, optional_text, seconds, text, wrong_type,
};
use crate::calls::Call;
use crate::errors;
use crate::payment_method::PaymentMethod;
use crate::process::Process;
use crate::runtime::ProcessRuntime;

/// A client of the core, as `Client` and `AsyncClient` use it.
#[pyclass(frozen, module = "kazawallet._kazawallet")]
pub(crate) struct Connection {
    options: ClientBuilder,
    client: Mutex<Option<OwnClient>>,
}

/// The core's client of one process.
struct OwnClient {
    process: Process,
    client: kazawallet::Client,
}

impl OwnClient {
    fn is_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    /// Gives up a client, without a word on the connections of a parent process.
    fn let_go(own: Option<Self>) -> Option<kazawallet::Client> {
        match own {
            Some(own) if own.is_of_this_process() => Some(own.client),
            Some(of_the_parent) => {
                mem::forget(of_the_parent);
                None
            }
            None => None,
        }
    }
}

impl Connection {
    /// What another client is built from, such as a ledger's: two runtimes cannot share connections.
    pub(crate) fn options(&self) -> PyResult<ClientBuilder> {
        match &*self.lock() {
            Some(_) => Ok(self.options.clone()),
            None => Err(closed()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnClient>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self, py: Python<'_>) -> PyResult<kazawallet::Client> {
        let mut own = self.lock();
        match &*own {
            Some(own) if own.is_of_this_process() => return Ok(own.client.clone()),
            Some(_) => OwnClient::let_go(own.take()),
            None => {
                return Err(closed());
            }
        };
        match self.options.clone().build() {
            Ok(client) => {
                *own = Some(OwnClient { process: Process::current(), client: client.clone() });
                Ok(client)
            }
            Err(error) => {
                drop(own); // Raising runs Python, and with it other threads.
                Err(errors::to_python(py, error))
            }
        }
    }
}

#[pymethods]
impl Connection {
    #[new]
    #[allow(clippy::too_many_arguments, reason = "the client's options, as Python gives them")]
    fn new(
        py: Python<'_>,
        api_key: Option<&Bound<'_, PyAny>>,
        api_secret: Option<&Bound<'_, PyAny>>,
        merchant_email: Option<&Bound<'_, PyAny>>,
        base_url: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        connect_timeout: Option<&Bound<'_, PyAny>>,
        max_retries: Option<&Bound<'_, PyAny>>,
        proxy: Option<&Bound<'_, PyAny>>,
        root_certificates: Option<&Bound<'_, PyAny>>,
        app_name: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let given = |name: &str, value: Option<&Bound<'_, PyAny>>| {
            value.map(|value| option_text(name, value)).transpose()
        };
        let mut options = match given("api_key", api_key)? {
            Some(key) => kazawallet::Client::builder(key),
            None => ClientBuilder::default(),
        };
        if let Some(secret) = given("api_secret", api_secret)? {
            options = options.api_secret(secret);
        }
        if let Some(email) = given("merchant_email", merchant_email)? {
            options = options.merchant_email(email);
        }
        if let Some(url) = given("base_url", base_url)? {
            options = options.base_url(url);
        }
        if let Some(timeout) = seconds("timeout", timeout)? {
            options = options.timeout(timeout);
        }
        if let Some(timeout) = seconds("connect_timeout", connect_timeout)? {
            options = options.connect_timeout(timeout);
        }
        if let Some(retries) = max_retries {
            let retries = count("max_retries", retries)?
                .ok_or_else(|| errors::misconfigured(py, "`max_retries` must not be negative"))?;
            options = options.max_retries(retries);
        }
        if let Some(url) = given("proxy", proxy)? {
            options = options.proxy(url);
        }
        if let Some(pem) = root_certificates {
            options = match pem.cast::<PyBytes>() {
                Ok(pem) => options.root_certificates(pem.as_bytes()),
                Err(_) => options.root_certificates(option_text("root_certificates", pem)?),
            };
        }
        if let Some(name) = given("app_name", app_name)? {
            options = options.app_name(name);
        }
        // The environment counts as it is now, in a child that is forked later, too.
        let options = options.env_defaults().language("python");
        // It may have the system's certificates to read.
        let client = py.detach(|| options.clone().build());
        let client = client.map_err(|error| errors::to_python(py, error))?;
        let own = OwnClient { process: Process::current(), client };
        Ok(Self { options, client: Mutex::new(Some(own)) })
    }

    fn create_payment_link(
        &self,
        py: Python<'_>,
        amount: &Bound<'_, PyAny>,
        currency: &Bound<'_, PyAny>,
        r#ref: Option<&Bound<'_, PyAny>>,
        redirect_url: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Call> {
        let mut link =
            CreatePaymentLink::new(exact_amount("amount", amount)?, text("currency", currency)?);
        if let Some(reference) = optional_text("ref", r#ref)? {
            link = link.reference(reference);
        }
        if let Some(url) = optional_text("redirect_url", redirect_url)? {
            link = link.redirect_url(url);
        }
        prepared(self.client(py)?.payment_links().create(link), timeout)
    }

    fn create_withdrawal(
        &self,
        py: Python<'_>,
        amount: &Bound<'_, PyAny>,
        currency: &Bound<'_, PyAny>,
        payment_method: &Bound<'_, PyAny>,
        note: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Call> {
        let mut withdrawal = CreateWithdrawal::new(
            exact_amount("amount", amount)?,
            text("currency", currency)?,
            method(payment_method)?,
        );
        if let Some(note) = optional_text("note", note)? {
            withdrawal = withdrawal.note(note);
        }
        prepared(self.client(py)?.withdrawals().create(withdrawal), timeout)
    }

    fn list_wallets(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Call> {
        prepared(self.client(py)?.wallets().list(), timeout)
    }

    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as Python gives them")]
    fn create_deposit(
        &self,
        py: Python<'_>,
        amount: &Bound<'_, PyAny>,
        currency: &Bound<'_, PyAny>,
        user_email: &Bound<'_, PyAny>,
        payment_method: &Bound<'_, PyAny>,
        note: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Call> {
        let mut deposit = CreateDeposit::new(
            exact_amount("amount", amount)?,
            text("currency", currency)?,
            text("user_email", user_email)?,
            method(payment_method)?,
        );
        if let Some(note) = optional_text("note", note)? {
            deposit = deposit.note(note);
        }
        prepared(self.client(py)?.deposits().create(deposit), timeout)
    }

    fn request(
        &self,
        py: Python<'_>,
        method: &Bound<'_, PyAny>,
        path: &Bound<'_, PyAny>,
        json: Option<&[u8]>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Call> {
        let name = text("method", method)?;
        let method = Method::from_str(&name)
            .map_err(|_| errors::refused(py, "method", "it is no HTTP method"))?;
        let mut request = self.client(py)?.request(method, text("path", path)?);
        if let Some(json) = json {
            let json: Box<RawValue> = serde_json::from_slice(json)
                .map_err(|error| errors::refused(py, "json", &error.to_string()))?;
            request = request.json(&json);
        }
        prepared(request.send(), timeout)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let own = self.lock().take();
        let client = OwnClient::let_go(own);
        if let Some(runtime) = ProcessRuntime::existing() {
            runtime.close(py, client);
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let own = self.lock().take();
        drop(OwnClient::let_go(own));
    }
}

fn prepared<T>(mut call: kazawallet::Call<T>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Call>
where
    T: Into<crate::results::Answer> + Send + 'static,
{
    if let Some(timeout) = seconds("timeout", timeout)? {
        call = call.timeout(timeout);
    }
    Ok(Call::new(call))
}

fn closed() -> PyErr {
    PyRuntimeError::new_err("the client is closed: make a new one, or close it later")
}

pub(crate) fn method(value: &Bound<'_, PyAny>) -> PyResult<kazawallet::PaymentMethod> {
    match value.cast::<PaymentMethod>() {
        Ok(method) => Ok(method.get().core.clone()),
        Err(_) => Err(wrong_type("payment_method", "a PaymentMethod", value)),
    }
}
