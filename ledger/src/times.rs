//! Times as text, so that they read well in a table and sort as they are.

use std::time::{Duration, SystemTime};

/// Such as `2026-05-01T09:30:00.250Z`.
pub(crate) fn text(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

pub(crate) fn read(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

pub(crate) fn now() -> String {
    text(SystemTime::now())
}

pub(crate) fn from_now(span: Duration) -> String {
    // What no calendar holds is as good as the last day that one does.
    let then = SystemTime::now().checked_add(span.min(Duration::from_secs(100 * 365 * 86_400)));
    text(then.unwrap_or_else(SystemTime::now))
}
