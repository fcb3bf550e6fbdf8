//! Keeps what the libraries below the SDK log outside of `tracing`, down to the finest level.

use std::sync::Mutex;

struct Log(Mutex<String>);

static LOG: Log = Log(Mutex::new(String::new()));

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

/// Begins to keep it, for the whole process. Once only.
pub fn keep() {
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
}

/// All that was logged since.
pub fn kept() -> String {
    LOG.0.lock().unwrap().clone()
}
