//! A ledger's URL: which database, where, and whether the way there is safe.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use kazawallet::Error;
use tokio_postgres::config::{Host, SslMode};
use url::Url;

pub(super) enum Location {
    Sqlite(PathBuf),
    Postgres(Box<Server>),
}

/// A PostgreSQL server.
pub(super) struct Server {
    pub(super) config: tokio_postgres::Config,
    /// The path of root certificates to trust besides the known ones.
    pub(super) root_certificates: Option<PathBuf>,
}

const EXAMPLES: &str = "write it as sqlite:///var/lib/shop/kazawallet.db or as \
                        postgres://user:password@host/database";

/// Reads a URL. No message shows it, since it may hold a password.
pub(super) fn read(text: &str) -> Result<Location, Error> {
    match text.split_once(':') {
        Some(("sqlite", rest)) => sqlite(rest).map(Location::Sqlite),
        Some(("postgres" | "postgresql", _)) => {
            postgres(text).map(Box::new).map(Location::Postgres)
        }
        _ => Err(refused(&format!("begins with neither sqlite: nor postgres:; {EXAMPLES}"))),
    }
}

fn sqlite(rest: &str) -> Result<PathBuf, Error> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.contains(":memory:") {
        return Err(refused(&format!(
            "names no file, and a ledger must outlive its process; {EXAMPLES}"
        )));
    }
    if path.contains(['?', '#', '\0']) {
        return Err(refused("has a query, a fragment or a NUL; a file needs its path alone"));
    }
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| refused("is not UTF-8"))?;
    Ok(PathBuf::from(path.as_ref()))
}

fn postgres(text: &str) -> Result<Server, Error> {
    let unreadable = |_| refused(&format!("cannot be read; {EXAMPLES}"));
    let mut url = Url::parse(text).map_err(|_| refused(&format!("cannot be read; {EXAMPLES}")))?;
    let mut sslmode = None;
    let mut root_certificates = None;
    let mut others = Vec::new();
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" => sslmode = Some(value.into_owned()),
            "sslrootcert" => root_certificates = Some(PathBuf::from(value.into_owned())),
            _ => others.push((name.into_owned(), value.into_owned())),
        }
    }
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    let mut config = tokio_postgres::Config::from_str(url.as_str()).map_err(unreadable)?;
    if config.get_hosts().is_empty() {
        return Err(refused(&format!("names no host; {EXAMPLES}")));
    }
    let here = config.get_hosts().iter().all(is_this_machine)
        && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    config.ssl_mode(match (sslmode.as_deref(), here) {
        (None | Some("disable" | "allow" | "prefer"), true) => SslMode::Disable,
        (Some("disable" | "allow" | "prefer"), false) => {
            return Err(refused(
                "turns TLS off, or lets it be off, to another machine: leave sslmode out. TLS is \
                 always verified there; sslrootcert=/path/of/root.pem adds a root certificate",
            ));
        }
        (None | Some("require" | "verify-ca" | "verify-full"), _) => SslMode::Require,
        (Some(_), _) => return Err(refused("has an sslmode that is not known; leave it out")),
    });
    if config.get_application_name().is_none() {
        config.application_name("kazawallet");
    }
    Ok(Server { config, root_certificates })
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => match name.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => name == "localhost",
        },
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn refused(problem: &str) -> Error {
    Error::no_ledger(format!("the ledger's URL {problem}"))
}
