//! Times as text, so that they read well in a table and sort as they are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The years that have four digits, in seconds since 1970.
const LAST: u64 = 253_402_300_799;

/// Such as `2026-05-01T09:30:00.250Z`. What is before 1970 or after 9999 becomes the nearest that is
/// not, since only so do they sort.
pub(crate) fn text(time: SystemTime) -> String {
    let last = UNIX_EPOCH.checked_add(Duration::from_secs(LAST)).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_millis(time.clamp(UNIX_EPOCH, last)).to_string()
}

pub(crate) fn read(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

pub(crate) fn now() -> String {
    text(SystemTime::now())
}

pub(crate) fn from_now(span: Duration) -> String {
    let then = SystemTime::now().checked_add(span.min(Duration::from_secs(LAST)));
    text(then.unwrap_or_else(SystemTime::now))
}

pub(crate) fn ago(span: Duration) -> String {
    text(SystemTime::now().checked_sub(span).unwrap_or(UNIX_EPOCH))
}
