//! Base URLs, and which of them are this machine.

use std::net::IpAddr;

use reqwest::Url;

use crate::error::Error;

/// A base URL that a key may be sent to. A worthless key may travel in clear.
pub(crate) fn check_base_url(text: &str, worthless_key: bool) -> Result<Url, Error> {
    let refused = |problem: &str| {
        Error::configuration(format!(
            "the base URL {problem}: leave it out to talk to the provider, or give one such as \
             http://127.0.0.1:8787/wallet for a simulator on this machine"
        ))
    };
    let url = Url::parse(text).map_err(|error| refused("cannot be read").with_source(error))?;
    match url.scheme() {
        "https" => {}
        "http" if worthless_key || is_loopback(&url) => {}
        "http" => {
            return Err(refused("is not https, which would send the key in clear"));
        }
        _ => return Err(refused("is not https")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("holds a user name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("has a query or a fragment"));
    }
    Ok(url)
}

/// Whether a URL's host is this machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = host.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}
