//! The API key and the API secret.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::Error;

macro_rules! credential {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Never shown: its `Debug` is redacted, it has no `Display`, and its memory is wiped
        /// when it is dropped. What the operating system or the network library copied is beyond
        /// its reach. A value that is blank, that holds a control character or an invisible one,
        /// or that begins or ends with white space is refused where it is used, by
        /// [`Webhook::new`](crate::Webhook::new) and the client's builder.
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// The text itself. Take care where it goes.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Zeroizing::new(text.to_owned()))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Zeroizing::new(text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

credential! {
    /// A merchant's API key. It names the merchant in every call, and is part of what a webhook's
    /// signature covers.
    ApiKey
}

credential! {
    /// A merchant's API secret: the HMAC key of every webhook's signature, and the second header
    /// of payouts, deposits and balances. The provider's support hands it out on request
    /// (documented).
    ApiSecret
}

/// Characters that come along unseen when text is copied from a page.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Refuses what could only be a slip of copying, which would otherwise fail every signature.
pub(crate) fn check(name: &str, text: &str) -> Result<(), Error> {
    let problem = if text.trim().is_empty() {
        "is blank"
    } else if text.trim() != text {
        "begins or ends with white space"
    } else if text.chars().any(|c| c.is_control() || is_invisible(c)) {
        "holds a control character or an invisible one"
    } else {
        return Ok(());
    };
    Err(Error::configuration(format!(
        "the {name} {problem}: copy it again from your Kazawallet profile, without spaces or line \
         breaks"
    )))
}
