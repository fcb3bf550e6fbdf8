//! One worker's payments: the one that its handler has, and its end.

use std::future::Future;
use std::sync::Arc;

use kazawallet_ledger::End;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::calls::{Calls, Ended};
use crate::connection::milliseconds;
use crate::errors::CoreError;
use crate::ledger::ask;
use crate::ledger_answers::{LedgerAnswer, Payment};
use crate::runtime;

/// Hands payments to a handler, one after the other.
#[napi]
pub struct Handover {
    core: Arc<OfThread>,
}

/// The payments of a worker whose handler runs on one thread.
pub(crate) struct OfThread(kazawallet_ledger::Handover);

impl OfThread {
    /// The thread has ended, perhaps because of the handler.
    pub(crate) fn thread_ended(&self) {
        if let Ok(runtime) = runtime::handle() {
            let core = self.0.clone();
            runtime.spawn(async move { core.give_up().await });
        }
    }
}

impl From<kazawallet_ledger::Claims> for Handover {
    fn from(claims: kazawallet_ledger::Claims) -> Self {
        Self { core: Arc::new(OfThread(kazawallet_ledger::Handover::new(claims))) }
    }
}

#[napi]
impl Handover {
    /// Waits for a payment, and holds it until its end; there is none once the worker is stopped or the
    /// ledger closed. Unless it is persistent, the thread's loop may end meanwhile.
    #[napi(catch_unwind)]
    pub fn next(&self, calls: &Calls, id: u32, persistent: bool) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        calls.tell_of_the_end(&core);
        // It may be broken off: that loses no payment.
        calls.start_waiting(id, persistent, async move {
            let payments = core.0.next().await.into_iter().map(Payment::from).collect();
            let answer = LedgerAnswer { payments: Some(payments), ..Default::default() };
            Ended { ledger: Some(answer), ..Ended::default() }
        })?;
        Ok(None)
    }

    /// The handler has dealt with it.
    #[napi(catch_unwind)]
    pub fn done(&self, calls: &Calls, id: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { Ok(told(core.0.end(End::Done)).await) })
    }

    /// The handler failed, with an error of this kind.
    #[napi(catch_unwind)]
    pub fn failed(
        &self,
        calls: &Calls,
        id: u32,
        kind: String,
        message: String,
    ) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move {
            Ok(told(core.0.end(End::Failed { kind: &kind, message: &message })).await)
        })
    }

    /// Takes no further payment.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.core.0.stop();
    }

    /// Stops, and waits for the handler that runs, at most for so many milliseconds.
    #[napi(catch_unwind)]
    pub fn stopped(
        &self,
        calls: &Calls,
        id: u32,
        timeout: Option<f64>,
    ) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move {
            let stopped = core.0.stopped(timeout.map(milliseconds)).await;
            Ok(LedgerAnswer { stopped: Some(stopped), ..LedgerAnswer::default() })
        })
    }

    /// The worker ends; a problem is why it does although nobody stopped it.
    #[napi(catch_unwind)]
    pub fn leave(&self, problem: Option<String>) -> Result<()> {
        let _inside = runtime::handle()?.enter();
        self.core.0.leave(problem.as_deref());
        Ok(())
    }
}

async fn told(end: impl Future<Output = Option<kazawallet::Report>>) -> LedgerAnswer {
    LedgerAnswer { report: end.await.map(Into::into), ..LedgerAnswer::default() }
}
