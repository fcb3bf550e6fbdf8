//! The native module of the Python package: the core's types, translated. It holds no rule of its
//! own; what it adds is Python's manners: the GIL, signals, event loops, fork.

mod arguments;
mod calls;
mod connection;
mod errors;
mod event_loops;
mod handover;
mod imported;
mod ledger;
mod ledger_records;
mod payment_method;
mod process;
mod reports;
mod results;
mod route;
mod runtime;
mod simulator;
mod webhook;

use pyo3::prelude::*;

/// The native module: what the core does, translated. Its public types are given on by `kazawallet`.
#[pymodule(gil_used = false)]
mod _kazawallet {
    use super::*;

    #[pymodule_export]
    use super::calls::Call;
    #[pymodule_export]
    use super::connection::Connection;
    #[pymodule_export]
    use super::ledger::{class_of_the_ledger, run_ledger};
    #[pymodule_export]
    use super::payment_method::PaymentMethod;
    #[pymodule_export]
    use super::results::{
        _restored, Deposit, PaymentLink, Response, Wallet, WalletList, Withdrawal,
    };
    #[pymodule_export]
    use super::simulator::{
        Delivery, RecordedRequest, RunningSimulator, SimulatorError, run_simulator,
    };
    #[pymodule_export]
    use super::webhook::{PaymentEvent, Webhook};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("LONGEST_WEBHOOK_BODY", kazawallet::WebhookAnswer::LONGEST_BODY)?;
        imported::remember_modules(module.py())?;
        errors::remember_exceptions(module.py())?;
        process::notice_forks(module)?;
        let at_exit = module.py().import("atexit")?;
        at_exit.call_method1("register", (wrap_pyfunction!(interpreter_ends, module)?,))?;
        Ok(())
    }
}

/// From here on no other thread may take hold of the interpreter.
#[pyfunction]
fn interpreter_ends(py: Python<'_>) {
    if let Some(runtime) = runtime::ProcessRuntime::existing() {
        runtime.reports().stop(py);
        runtime.event_loops().stop_waking(py);
    }
}
