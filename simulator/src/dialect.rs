//! What the provider is known to say on the wire, in each of the forms that its sources tell of.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The name under which a webhook carries its payment link's id.
///
/// The provider's documentation and the provider's own plugin differ, and nothing outside tells
/// which of the two a merchant meets. A shop should do the same in each.
///
/// In every dialect `createPaymentLink` answers `{"success":true,"id":…,"url":…}`. A dialect has
/// a text form, which the other languages, the program and the control API use.
///
/// ```
/// use kazawallet_simulator::Dialect;
///
/// assert_eq!("plugin".parse::<Dialect>()?, Dialect::Plugin);
/// assert_eq!(Dialect::default().as_str(), "documented");
/// # Ok::<(), kazawallet_simulator::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// As the documentation has it: `order_id`.
    #[default]
    Documented,
    /// As the provider's own plugin reads it: `id`.
    Plugin,
    /// `order_id` and `id`, and both are the link's id.
    Both,
}

impl Dialect {
    /// Every dialect, the default first.
    pub const ALL: [Dialect; 3] = [Dialect::Documented, Dialect::Plugin, Dialect::Both];

    /// The dialect's stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Dialect::Documented => "documented",
            Dialect::Plugin => "plugin",
            Dialect::Both => "both",
        }
    }

    /// The fields of a delivery that hold the link's id.
    pub(crate) fn id_fields(self) -> &'static [&'static str] {
        match self {
            Dialect::Documented => &["order_id"],
            Dialect::Plugin => &["id"],
            Dialect::Both => &["order_id", "id"],
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Dialect::ALL.into_iter().find(|dialect| dialect.as_str() == text);
        found.ok_or_else(|| {
            let names = Dialect::ALL.map(|dialect| dialect.as_str()).join(", ");
            Error::Configuration(format!("no dialect is called {text:?}; there are {names}"))
        })
    }
}
