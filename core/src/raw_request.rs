//! Requests to endpoints that this crate does not know.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;

use crate::error::Error;
use crate::request_fields;
use crate::response::Response;
use crate::session::Session;
use crate::transport::{Call, Credentials, Policy, Request};

const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// A request to any endpoint; see [`Client::request`](crate::Client::request).
#[must_use = "a request does nothing until it is sent"]
pub struct RawRequest {
    session: Arc<Session>,
    method: Method,
    path: String,
    json: Option<Result<Bytes, Error>>,
}

impl RawRequest {
    pub(crate) fn new(session: Arc<Session>, method: Method, path: String) -> Self {
        Self { session, method, path, json: None }
    }

    /// A JSON body. Put money into it as text, not as a float.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.json = Some(request_fields::json(body));
        self
    }

    /// Sends it, and gives the answer where it is a 2xx with a JSON body (or a 204 without one)
    /// that does not say that it failed.
    ///
    /// # Errors
    /// - [`Validation`](crate::ErrorKind::Validation) on `path`: it does not begin with exactly one
    ///   `/`, or could lead elsewhere (`..`, a backslash, a fragment, white space); on `method`:
    ///   another than GET, POST, PUT, PATCH and DELETE; on `json`: the body cannot be written as
    ///   JSON.
    /// - For `GET` those of [`Wallets::list`](crate::Wallets::list), for anything else those of
    ///   [`Withdrawals::create`](crate::Withdrawals::create); but it sends what credentials the
    ///   client has, and asks for none.
    pub fn send(self) -> Call<Response> {
        let session = self.session.clone();
        Call::new(&session, self.into_request(), |response, _| read(response))
    }

    fn into_request(self) -> Result<Request, Error> {
        check_path(&self.path)?;
        if !METHODS.contains(&self.method) {
            return Err(Error::validation(
                "method",
                "GET, POST, PUT, PATCH or DELETE was expected",
            ));
        }
        Ok(Request {
            policy: if self.method == Method::GET { Policy::Read } else { Policy::Payout },
            credentials: Credentials::Whatever,
            endpoint: endpoint(&self.path).into(),
            method: self.method,
            path: self.path.into(),
            json: self.json.transpose()?,
        })
    }
}

impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest")
            .field("method", &self.method)
            .field("endpoint", &endpoint(&self.path))
            .finish_non_exhaustive()
    }
}

fn read(response: &Response) -> Result<Response, &'static str> {
    let empty = response.status() == 204 && response.body().is_empty();
    if !empty && response.json::<serde::de::IgnoredAny>().is_err() {
        return Err("it is not JSON");
    }
    Ok(response.clone())
}

/// What a trace calls it: the first segment, which names a kind of thing. What follows may be an
/// id or a person's data.
fn endpoint(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
    let (first, below) = path.split_once('/').map_or((path, ""), |(first, _)| (first, "/…"));
    let names_a_kind = first.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '-' | '_'));
    if names_a_kind { format!("/{first}{below}") } else { "/…".to_owned() }
}

/// Keeps the request, and the key with it, below the base URL.
fn check_path(path: &str) -> Result<(), Error> {
    let refused = |problem| {
        Error::validation(
            "path",
            format!("{problem}: give it from the base URL on, such as `/wallet-cards/create`"),
        )
    };
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(refused("it does not begin with one `/`"));
    }
    if path.contains(['\\', '#']) || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(refused("it holds a backslash, a fragment or white space"));
    }
    let before_query = path.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let climbs = |segment: &str| matches!(segment.replace("%2e", ".").as_str(), "." | "..");
    if before_query.split('/').any(climbs) {
        return Err(refused("it holds a `.` or `..` segment"));
    }
    Ok(())
}
