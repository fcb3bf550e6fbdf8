//! What can go wrong in using the simulator itself.

use std::fmt;

/// An error of the simulator itself. What its pretended provider answers is not one of these.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A setting, a fault's name or an argument that cannot be used; the text says why.
    Configuration(String),
    /// The address could not be bound.
    Bind(std::io::Error),
    /// No payment link has this id or URL.
    UnknownLink(String),
    /// The link was paid or has timed out already; it does so once.
    LinkSettled(String),
    /// The payment would make the balance larger than the simulator can hold exactly.
    BalanceTooLarge,
    /// The simulator was stopped.
    Stopped,
    /// The SDK refused the simulator's own keys or address.
    Client(kazawallet::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Configuration(reason) => f.write_str(reason),
            Error::Bind(_) => f.write_str("the simulator's address could not be bound"),
            Error::UnknownLink(link) => write!(f, "no payment link {link:?} was created here"),
            Error::LinkSettled(id) => {
                write!(f, "payment link {id} was paid or has timed out already")
            }
            Error::BalanceTooLarge => {
                f.write_str("the balance would be larger than can be held exactly")
            }
            Error::Stopped => f.write_str("the simulator was stopped"),
            Error::Client(_) => f.write_str("the SDK could not be set up for the simulator"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Bind(error) => Some(error),
            Error::Client(error) => Some(error),
            _ => None,
        }
    }
}

impl From<kazawallet::Error> for Error {
    fn from(error: kazawallet::Error) -> Self {
        Error::Client(error)
    }
}
