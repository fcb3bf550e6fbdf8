//! How a payout reaches its recipient.

use napi_derive::napi;

/// How a payout reaches its recipient.
#[napi]
pub struct PaymentMethod {
    pub(crate) core: kazawallet::PaymentMethod,
}

#[napi]
impl PaymentMethod {
    /// Haram, up to a limit.
    #[napi(js_name = "haramUnder3m", catch_unwind)]
    pub fn haram_under_3m(name: String, phone: String, governorate: String) -> Self {
        Self { core: kazawallet::PaymentMethod::haram_under_3m(name, phone, governorate) }
    }

    /// Haram, above that limit.
    #[napi(js_name = "haramOver3m", catch_unwind)]
    pub fn haram_over_3m(name: String, phone: String, governorate: String) -> Self {
        Self { core: kazawallet::PaymentMethod::haram_over_3m(name, phone, governorate) }
    }

    /// SY Cash.
    #[napi(catch_unwind)]
    pub fn sy_cash(phone: String) -> Self {
        Self { core: kazawallet::PaymentMethod::sy_cash(phone) }
    }

    /// Any other, with pairs of names and values, one behind the other.
    #[napi(catch_unwind)]
    pub fn custom(id: String, fields: Vec<String>) -> Self {
        Self { core: kazawallet::PaymentMethod::custom(id, pairs(fields)) }
    }
}

/// Takes the pairs apart that came over as one list.
pub(crate) fn pairs(list: Vec<String>) -> Vec<(String, String)> {
    let mut list = list.into_iter();
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (list.next(), list.next()) {
        pairs.push((name, value));
    }
    pairs
}
