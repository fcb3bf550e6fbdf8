//! A ledger's URL: which database, where, and whether the way there is safe.

use std::borrow::Cow;
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

impl Server {
    /// What tells its databases apart.
    pub(super) fn identity(&self) -> String {
        let config = &self.config;
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            config.get_hosts(),
            config.get_hostaddrs(),
            config.get_ports(),
            config.get_dbname(),
            config.get_user(),
            config.get_options(),
        )
    }
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
    if path.contains(['?', '#']) {
        return Err(refused("has a query or a fragment; a file needs its path alone"));
    }
    let path = decoded(path)?;
    if path.contains('\0') {
        return Err(refused("holds a NUL character"));
    }
    // SQLite would take the latter for a URL of its own, with options that turn its locks off.
    if path.is_empty() || path.contains(":memory:") || path.starts_with("file:") {
        return Err(refused(&format!(
            "names no file, and a ledger must outlive its process; {EXAMPLES}"
        )));
    }
    // sqlite:///C:/shop/kazawallet.db
    let path = if cfg!(windows) { path.trim_start_matches('/').to_owned() } else { path };
    let path = PathBuf::from(path);
    if !path.is_absolute() {
        // It would be another ledger for each folder that a process is started in.
        return Err(refused(&format!(
            "names a file without the whole path of its folder; {EXAMPLES}"
        )));
    }
    Ok(path)
}

fn decoded(text: &str) -> Result<String, Error> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| refused("is not UTF-8"))
}

fn postgres(text: &str) -> Result<Server, Error> {
    let unreadable = |_| refused(&format!("cannot be read; {EXAMPLES}"));
    let mut url = Url::parse(text).map_err(|_| refused(&format!("cannot be read; {EXAMPLES}")))?;
    let mut sslmode = None;
    let mut root_certificates = None;
    let mut others = Vec::new();
    for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "sslmode" => sslmode = Some(decoded(value)?),
            "sslrootcert" => root_certificates = Some(PathBuf::from(decoded(value)?)),
            _ => others.push(pair), // As it stands, for those who read it.
        }
    }
    let others = others.join("&");
    url.set_query(Some(others.as_str()).filter(|others| !others.is_empty()));
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
