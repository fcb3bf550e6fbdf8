//! What a test asks of the program `make_one_call`, and what that program reports.

use serde::{Deserialize, Serialize};

/// One call to make, with a client to make it with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Errand {
    pub base_url: String,
    pub payout: bool,
    pub proxy: Option<String>,
    pub root_certificates: Option<String>,
    pub max_retries: u32,
    pub connect_timeout_ms: Option<u64>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Whether there was a client at all.
    pub built: bool,
    /// The error's code; none where the call went well.
    pub code: Option<String>,
    pub outcome: Option<String>,
    /// All that was shown of the client, of the error and in the log.
    pub shown: String,
}
