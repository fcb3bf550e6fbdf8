//! How a payout reaches its recipient, and what is surely wrong with one.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::amount::Amount;
use crate::error::Error;

const NAME: &str = "name";
const PHONE: &str = "phone";
/// The provider's own name of the field for the recipient's governorate (documented).
const GOVERNORATE: &str = "hawalahmauto-custom-field-withdraw-3";
/// The line between the two Haram methods, in Syrian pounds (documented).
const HARAM_LIMIT: &str = "3000000";

/// How a withdrawal or a deposit is paid, with the fields that the method wants.
///
/// The provider warns that repeated rejections can cost a merchant its account (documented), so
/// what is surely wrong is refused before anything is sent, as an error of kind
/// [`Validation`](crate::ErrorKind::Validation) on the field:
/// - a blank field;
/// - for [`sy_cash`](Self::sy_cash) a phone that is not a Syrian mobile number;
/// - for Haram a phone without 7 to 15 digits, or an amount in SYP on the wrong side of 3,000,000
///   (exactly 3,000,000 fits both).
///
/// These are the documentation's own lines. Should one no longer fit, [`custom`](Self::custom),
/// which refuses nothing but a blank id, is the way past it.
///
/// ```
/// use kazawallet::PaymentMethod;
///
/// let method = PaymentMethod::sy_cash("+963 933 123 456");
/// // Its Debug shows no one's data.
/// assert_eq!(format!("{method:?}"), r#"PaymentMethod { id: "38", .. }"#);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PaymentMethod {
    id: String,
    fields: Vec<(String, String)>,
    check: Check,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Check {
    HaramUnder,
    HaramOver,
    SyCash,
    Custom,
}

impl PaymentMethod {
    /// Haram, up to 3,000,000 SYP: method 37 (documented). The recipient's full name, phone and
    /// governorate.
    pub fn haram_under_3m(
        name: impl Into<String>,
        phone: impl Into<String>,
        governorate: impl Into<String>,
    ) -> Self {
        Self::haram("37", Check::HaramUnder, name.into(), phone.into(), governorate.into())
    }

    /// Haram, from 3,000,000 SYP on: method 35 (documented). The recipient's name, phone and
    /// governorate.
    pub fn haram_over_3m(
        name: impl Into<String>,
        phone: impl Into<String>,
        governorate: impl Into<String>,
    ) -> Self {
        Self::haram("35", Check::HaramOver, name.into(), phone.into(), governorate.into())
    }

    /// SY Cash: method 38 (documented). The recipient's Syrian mobile number: `09…`, `+9639…` or
    /// `009639…`, with or without spaces and dashes. The ten digits of the local form are sent.
    pub fn sy_cash(phone: impl Into<String>) -> Self {
        Self {
            id: "38".to_owned(),
            fields: vec![(PHONE.to_owned(), phone.into())],
            check: Check::SyCash,
        }
    }

    /// Any other method, by its id, with its fields in the order given. Nothing but a blank id is
    /// refused.
    pub fn custom<K: Into<String>, V: Into<String>>(
        id: impl Into<String>,
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            id: id.into(),
            fields: fields.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            check: Check::Custom,
        }
    }

    fn haram(id: &str, check: Check, name: String, phone: String, governorate: String) -> Self {
        let fields = [(NAME, name), (PHONE, phone), (GOVERNORATE, governorate)]
            .map(|(key, value)| (key.to_owned(), value))
            .into();
        Self { id: id.to_owned(), fields, check }
    }

    /// The provider's id of the method, such as `37`.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields(&self.fields)
    }

    /// Refuses what is surely wrong, and brings the fields into the form that is sent.
    pub(crate) fn checked(mut self, amount: &Amount, currency: &str) -> Result<Self, Error> {
        if self.id.trim().is_empty() {
            return Err(Error::validation("payment_method", "its id is blank"));
        }
        if self.check == Check::Custom {
            return Ok(self);
        }
        for (key, value) in &mut self.fields {
            let field = if key == GOVERNORATE { "governorate" } else { key.as_str() };
            if value.trim().is_empty() {
                return Err(Error::validation(field, "it is blank; the recipient's is needed"));
            }
            if key == PHONE {
                match self.check {
                    Check::SyCash => *value = syrian_mobile(value)?,
                    _ => check_phone(value)?,
                }
            }
        }
        if currency.eq_ignore_ascii_case("SYP") {
            self.check_side(amount)?;
        }
        Ok(self)
    }

    fn check_side(&self, amount: &Amount) -> Result<(), Error> {
        let limit: Amount = HARAM_LIMIT.parse()?;
        match self.check {
            Check::HaramUnder if *amount > limit => Err(Error::validation(
                "amount",
                "Haram under 3M pays at most 3,000,000 SYP; use Haram over 3M",
            )),
            Check::HaramOver if *amount < limit => Err(Error::validation(
                "amount",
                "Haram over 3M pays at least 3,000,000 SYP; use Haram under 3M",
            )),
            _ => Ok(()),
        }
    }
}

/// The fields as the wire wants them: an object, in the documentation's order.
pub(crate) struct Fields<'a>(&'a [(String, String)]);

impl Fields<'_> {
    pub(crate) fn if_any(self) -> Option<Self> {
        (!self.0.is_empty()).then_some(self)
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl fmt::Debug for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentMethod").field("id", &self.id).finish_non_exhaustive()
    }
}

fn check_phone(phone: &str) -> Result<(), Error> {
    let digits = phone.bytes().filter(u8::is_ascii_digit).count();
    if (7..=15).contains(&digits) {
        return Ok(());
    }
    Err(Error::validation(PHONE, format!("it has {digits} digits 0-9; 7 to 15 were expected")))
}

/// The local form, `09` and eight digits more.
fn syrian_mobile(phone: &str) -> Result<String, Error> {
    let compact: String = phone.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let national = ["+963", "00963", "0"].iter().find_map(|prefix| compact.strip_prefix(prefix));
    match national {
        Some(number)
            if number.len() == 9
                && number.starts_with('9')
                && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Ok(format!("0{number}"))
        }
        _ => Err(Error::validation(
            PHONE,
            "it is not a Syrian mobile number: write it as 09XXXXXXXX, +9639XXXXXXXX or \
             009639XXXXXXXX, with the digits 0-9",
        )),
    }
}
