//! What a person should hear, as JavaScript is told it.

use napi_derive::napi;

/// Something that a person should hear: one line.
#[napi(object, object_from_js = false)]
pub struct Report {
    /// `info`, `warning` or `error`.
    pub level: &'static str,
    /// What it is about, for programs.
    pub code: &'static str,
    /// What happened, and what to do.
    pub text: String,
    /// The order id of the payment that it is about.
    pub order_id: Option<String>,
}

impl From<kazawallet::Report> for Report {
    fn from(report: kazawallet::Report) -> Self {
        let kazawallet::Report { level, code, text, payment, .. } = report;
        Self { level: level.as_str(), code, text, order_id: payment }
    }
}
