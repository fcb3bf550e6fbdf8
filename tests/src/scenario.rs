//! A scenario as it stands in its file. A key that is not known is an error.

use std::collections::BTreeMap;
use std::fmt;

use kazawallet::PaymentMethod;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// One file of `tests/scenarios/`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without `.json`.
    pub name: String,
    /// The behaviour that it pins down.
    pub why: String,
    /// What the client is built from.
    pub client: ClientOptions,
    /// Calls that are made before, one after the other, and must succeed.
    #[serde(default)]
    pub earlier_calls: Vec<Call>,
    /// The call that is looked at.
    pub call: Call,
    /// The script of the server, which reads it itself.
    pub server: Value,
    /// What must be seen.
    pub expect: Expect,
}

/// What a client is built from. What is absent is not given to the client either.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientOptions {
    /// The API key.
    pub api_key: String,
    /// The API secret.
    pub api_secret: Option<String>,
    /// The merchant's email.
    pub merchant_email: Option<String>,
    /// What is put behind the server's address to make the base URL.
    pub base_path: Option<String>,
    /// The base URL, in place of the server's address.
    pub base_url: Option<String>,
    /// The time for a whole call.
    pub timeout_ms: Option<u64>,
    /// The time for one connection.
    pub connect_timeout_ms: Option<u64>,
    /// Tries after the first.
    pub max_retries: Option<u32>,
}

/// One call.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// What is called.
    pub operation: Operation,
    /// Its arguments; which ones depends on the operation.
    pub arguments: Box<RawValue>,
    /// The time for this call.
    pub timeout_ms: Option<u64>,
    /// The pause after an earlier call.
    pub pause_after_ms: Option<u64>,
}

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum Operation {
    /// A payment link is created.
    #[serde(rename = "payment_links.create")]
    PaymentLinksCreate,
    /// A withdrawal is created.
    #[serde(rename = "withdrawals.create")]
    WithdrawalsCreate,
    /// The balances are listed.
    #[serde(rename = "wallets.list")]
    WalletsList,
    /// A deposit is created.
    #[serde(rename = "deposits.create")]
    DepositsCreate,
    /// A raw request.
    #[serde(rename = "request")]
    Request,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkArguments {
    pub(crate) amount: AmountArgument,
    pub(crate) currency: String,
    #[serde(rename = "ref")]
    pub(crate) reference: Option<String>,
    pub(crate) redirect_url: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WithdrawalArguments {
    pub(crate) amount: AmountArgument,
    pub(crate) currency: String,
    pub(crate) payment_method: PaymentMethodArguments,
    pub(crate) note: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DepositArguments {
    pub(crate) amount: AmountArgument,
    pub(crate) currency: String,
    pub(crate) user_email: String,
    pub(crate) payment_method: PaymentMethodArguments,
    pub(crate) note: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestArguments {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) json: Option<Value>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoArguments {}

/// An amount as text, or as the language's integer.
#[derive(serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum AmountArgument {
    Text(String),
    Integer(u64),
}

/// A payment method, by its kind.
#[derive(Debug, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PaymentMethodArguments {
    /// Haram below three million.
    #[serde(rename = "haram_under_3m")]
    HaramUnder3m {
        /// The recipient's name.
        name: String,
        /// The recipient's phone.
        phone: String,
        /// The recipient's governorate.
        governorate: String,
    },
    /// Haram above three million.
    #[serde(rename = "haram_over_3m")]
    HaramOver3m {
        /// The recipient's name.
        name: String,
        /// The recipient's phone.
        phone: String,
        /// The recipient's governorate.
        governorate: String,
    },
    /// SY Cash.
    SyCash {
        /// The recipient's phone.
        phone: String,
    },
    /// Any other.
    Custom {
        /// The provider's id.
        id: String,
        /// Its fields, in the order in which they stand.
        fields: OrderedFields,
    },
}

impl From<PaymentMethodArguments> for PaymentMethod {
    fn from(arguments: PaymentMethodArguments) -> Self {
        use PaymentMethodArguments as Given;
        match arguments {
            Given::HaramUnder3m { name, phone, governorate } => {
                Self::haram_under_3m(name, phone, governorate)
            }
            Given::HaramOver3m { name, phone, governorate } => {
                Self::haram_over_3m(name, phone, governorate)
            }
            Given::SyCash { phone } => Self::sy_cash(phone),
            Given::Custom { id, fields } => Self::custom(id, fields.0),
        }
    }
}

/// Fields in the order in which they stand in the file.
#[derive(Debug)]
pub struct OrderedFields(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for OrderedFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = OrderedFields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OrderedFields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(OrderedFields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// What must be seen.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The requests, in order: no more and no fewer.
    pub requests: Vec<RequestSeen>,
    /// How many connections were made, where that tells something.
    pub connections: Option<u32>,
    /// Fields of the result.
    pub result: Option<Map<String, Value>>,
    /// Properties of the error.
    pub error: Option<Map<String, Value>>,
}

/// A request that must have been seen.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestSeen {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers that must be there with this value; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Headers that must not be there.
    #[serde(default)]
    pub absent_headers: Vec<String>,
    /// The body, byte for byte.
    pub body: String,
}
