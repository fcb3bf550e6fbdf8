//! What a person should hear of a webhook's route or of a ledger: one line each.

use std::collections::HashMap;
use std::fmt;
#[cfg(not(target_family = "wasm"))]
use std::sync::OnceLock;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
#[cfg(not(target_family = "wasm"))]
use std::time::Instant;

/// How often a person is told the same: once a minute.
const BETWEEN_TWO: Duration = Duration::from_secs(60);

/// The time that a [`ReportLimit`] is given, where there is a clock.
#[cfg(not(target_family = "wasm"))]
pub fn since_the_start() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// How urgent a [`Report`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportLevel {
    /// Anybody can cause it, and nothing is to be done.
    Info,
    /// Somebody should look at it.
    Warning,
    /// A payment may be lost, or waits, unless somebody acts.
    Error,
}

impl ReportLevel {
    /// `info`, `warning` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that a person should hear: one line, without a control character and without a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How urgent it is.
    pub level: ReportLevel,
    /// What it is about, for programs.
    pub code: &'static str,
    /// What happened and what to do, in one line.
    pub text: String,
    /// The order id of the payment that it is about, if it is about one. Each payment is told; what is
    /// about none is told once a minute.
    pub payment: Option<String>,
}

impl Report {
    /// Something that anybody can cause.
    pub fn info(code: &'static str, text: impl AsRef<str>) -> Self {
        Self::new(ReportLevel::Info, code, text.as_ref())
    }

    /// Something to look at.
    pub fn warning(code: &'static str, text: impl AsRef<str>) -> Self {
        Self::new(ReportLevel::Warning, code, text.as_ref())
    }

    /// Something to act on.
    pub fn error(code: &'static str, text: impl AsRef<str>) -> Self {
        Self::new(ReportLevel::Error, code, text.as_ref())
    }

    /// What is not signed, and what others say in an error, may hold line breaks, to look like other
    /// lines of the log.
    fn new(level: ReportLevel, code: &'static str, text: &str) -> Self {
        let text = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
        Self { level, code, text, payment: None }
    }

    /// The same, about a payment.
    pub fn of_payment(self, order_id: &str) -> Self {
        Self { payment: Some(order_id.to_owned()), ..self }
    }

    /// Gives it to [`tracing`].
    #[cfg(any(feature = "client", feature = "axum"))]
    pub fn trace(&self) {
        let Self { level, code, text, payment } = self;
        let order_id = payment.as_deref();
        match level {
            ReportLevel::Info => tracing::info!(code, order_id, "{text}"),
            ReportLevel::Warning => tracing::warn!(code, order_id, "{text}"),
            ReportLevel::Error => tracing::error!(code, order_id, "{text}"),
        }
    }
}

/// Lets each code pass once a minute, so that nobody can flood a log; what is about a payment always
/// passes, since it may be told nowhere else.
#[derive(Default)]
pub struct ReportLimit {
    told: Mutex<HashMap<&'static str, Told>>,
}

/// When a code was told, and how often it was not since then.
struct Told {
    at: Duration,
    kept_back: u64,
}

impl ReportLimit {
    /// The report, if it is to be told. What was kept back before is counted in its text. `now` is the
    /// time since any fixed moment.
    pub fn pass(&self, report: Report, now: Duration) -> Option<Report> {
        if report.payment.is_some() {
            return Some(report);
        }
        let mut told = self.lock();
        match told.get_mut(report.code) {
            Some(last) if now.saturating_sub(last.at) < BETWEEN_TWO => {
                last.kept_back = last.kept_back.saturating_add(1);
                None
            }
            Some(last) => {
                let kept_back = std::mem::take(&mut last.kept_back);
                last.at = now;
                drop(told);
                Some(if kept_back == 0 { report } else { report.after(kept_back) })
            }
            None => {
                told.insert(report.code, Told { at: now, kept_back: 0 });
                Some(report)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    fn after(self, kept_back: u64) -> Self {
        let text = format!("{} ({kept_back} more like it since it was told last)", self.text);
        Self { text, ..self }
    }
}

impl fmt::Debug for ReportLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportLimit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(limit: &ReportLimit, seconds: u64, report: Report) -> Option<String> {
        limit.pass(report, Duration::from_secs(seconds)).map(|report| report.text)
    }

    #[test]
    fn a_code_is_told_once_a_minute_and_says_how_often_it_was_not() {
        let limit = ReportLimit::default();
        let forged = || Report::warning("signature_verification", "refused");
        assert_eq!(at(&limit, 0, forged()).as_deref(), Some("refused"));
        assert_eq!(at(&limit, 1, forged()), None);
        assert_eq!(at(&limit, 59, forged()), None);
        assert_eq!(
            at(&limit, 59, Report::info("body_broke_off", "other")).as_deref(),
            Some("other")
        );
        let again = "refused (2 more like it since it was told last)";
        assert_eq!(at(&limit, 60, forged()).as_deref(), Some(again));
        assert_eq!(at(&limit, 61, forged()), None);
        assert_eq!(
            at(&limit, 300, forged()).as_deref(),
            Some("refused (1 more like it since it was told last)")
        );
    }

    #[test]
    fn each_payment_is_told() {
        let limit = ReportLimit::default();
        for order_id in ["pl_1", "pl_2", "pl_2"] {
            let report = Report::error("handler_failed", "failed").of_payment(order_id);
            assert_eq!(at(&limit, 0, report).as_deref(), Some("failed"));
        }
    }

    #[test]
    fn a_report_is_one_line() {
        let report = Report::warning("webhook_payload", "one\r\nERROR two\u{1b}[2J\u{85}three");
        assert_eq!(report.text, "one  ERROR two [2J three");
    }
}
