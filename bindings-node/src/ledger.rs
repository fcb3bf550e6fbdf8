//! The ledger, as `Ledger` uses it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::future::Future;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kazawallet::{Amount, CreatePaymentLink, CreateWithdrawal};
use kazawallet_ledger::{Resolution, Settlement};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::calls::{Calls, Ended};
use crate::connection::{Connection, milliseconds};
use crate::errors::CoreError;
use crate::handover::Handover;
use crate::ledger_answers::LedgerAnswer;
use crate::payment_method::PaymentMethod;
use crate::runtime;
use crate::webhook::Webhook;

/// A ledger that is open.
#[napi]
pub struct Ledger {
    pub(crate) core: kazawallet_ledger::Ledger,
}

/// How a ledger is opened.
#[napi(object, object_to_js = false)]
pub struct LedgerOptions {
    /// The database.
    pub url: Option<String>,
    /// The spool's folder.
    pub spool: Option<String>,
    /// Whether there is to be none.
    pub no_spool: bool,
    /// Milliseconds.
    pub clock_margin: Option<f64>,
}

/// Opens a ledger. `environment` holds the variables that count. What it tells is told with `id`.
#[napi(catch_unwind)]
pub fn open_ledger(
    calls: &Calls,
    id: u32,
    options: LedgerOptions,
    client: Option<&Connection>,
    webhook: Option<&Webhook>,
    environment: HashMap<String, String>,
) -> Result<Option<CoreError>> {
    let mut open = match options.url {
        Some(url) => kazawallet_ledger::Ledger::open(url),
        None => kazawallet_ledger::OpenLedger::default(),
    };
    if let Some(folder) = options.spool {
        open = open.spool(folder);
    }
    if options.no_spool {
        open = open.no_spool();
    }
    if let Some(margin) = options.clock_margin {
        open = open.clock_margin(milliseconds(margin));
    }
    if let Some(client) = client {
        open = open.client(client.client()?);
    }
    if let Some(webhook) = webhook {
        open = open.webhook(kazawallet::Webhook::clone(webhook));
    }
    let open = open.env_defaults_from(|name| environment.get(name).cloned());
    let open = open.listener(calls.listener(id), "npx kazawallet ledger");
    ask(calls, id, async move { Ok(Ledger { core: open.await? }) })
}

#[napi]
impl Ledger {
    /// What verifies its deliveries, where anything does.
    #[napi(catch_unwind)]
    pub fn webhook(&self) -> Option<Webhook> {
        self.core.webhook().ok().cloned().map(External::new)
    }

    /// An order's link.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as JavaScript gives them")]
    pub fn create_payment_link(
        &self,
        calls: &Calls,
        id: u32,
        timeout: Option<f64>,
        reference: Option<String>,
        amount: String,
        currency: String,
        redirect_url: Option<String>,
    ) -> Result<Option<CoreError>> {
        let amount = match Amount::from_str(&amount) {
            Ok(amount) => amount,
            Err(error) => return Ok(Some(error.into())),
        };
        let mut link = CreatePaymentLink::new(amount, currency);
        if let Some(reference) = reference {
            link = link.reference(reference);
        }
        if let Some(url) = redirect_url {
            link = link.redirect_url(url);
        }
        let mut call = self.core.create_payment_link(link);
        if let Some(timeout) = timeout {
            call = call.timeout(milliseconds(timeout));
        }
        ask(calls, id, call.into_future())
    }

    /// An order.
    #[napi(catch_unwind)]
    pub fn order(&self, calls: &Calls, id: u32, reference: String) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.order(&reference).await })
    }

    /// Receives a delivery.
    #[napi(catch_unwind)]
    pub fn receive(&self, calls: &Calls, id: u32, body: &[u8]) -> Result<Option<CoreError>> {
        // Its own copy: JavaScript may change the bytes while this runs.
        let (core, body) = (self.core.clone(), body.to_vec());
        ask(calls, id, async move { core.receive(body).await })
    }

    /// A payment.
    #[napi(catch_unwind)]
    pub fn payment(&self, calls: &Calls, id: u32, order_id: String) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.payment(&order_id).await })
    }

    /// A person decides a payment.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as JavaScript gives them")]
    pub fn settle(
        &self,
        calls: &Calls,
        id: u32,
        order_id: String,
        decision: String,
        reference: Option<String>,
        by: String,
        note: Option<String>,
    ) -> Result<Option<CoreError>> {
        let Some(decision) = Settlement::from_text(&decision) else {
            return Ok(Some(no_decision(Settlement::ALL)));
        };
        let core = self.core.clone();
        ask(calls, id, async move {
            core.settle(&order_id, decision, reference.as_deref(), &by, note.as_deref()).await
        })
    }

    /// A person switches the check of link ids off, or on again.
    #[napi(catch_unwind)]
    pub fn set_link_id_check(
        &self,
        calls: &Calls,
        id: u32,
        check: bool,
        by: String,
        note: Option<String>,
    ) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.set_link_id_check(check, &by, note.as_deref()).await })
    }

    /// Verifies the quarantine again.
    #[napi(catch_unwind)]
    pub fn reverify(&self, calls: &Calls, id: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.reverify().await })
    }

    /// Payments for a handler, one by one.
    #[napi(catch_unwind)]
    pub fn handover(
        &self,
        max_tries: Option<u32>,
        first_pause: Option<f64>,
        poll_interval: Option<f64>,
        lease: Option<f64>,
    ) -> Handover {
        let mut claims = self.core.claims();
        if let Some(tries) = max_tries {
            claims = claims.max_tries(tries);
        }
        if let Some(pause) = first_pause {
            claims = claims.first_pause(milliseconds(pause));
        }
        if let Some(interval) = poll_interval {
            claims = claims.poll_interval(milliseconds(interval));
        }
        if let Some(lease) = lease {
            claims = claims.lease(milliseconds(lease));
        }
        claims.into()
    }

    /// The payments that are due.
    #[napi(catch_unwind)]
    pub fn pending(&self, calls: &Calls, id: u32, limit: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.pending(limit).await })
    }

    /// A payment has been dealt with.
    #[napi(catch_unwind)]
    pub fn mark_processed(
        &self,
        calls: &Calls,
        id: u32,
        order_id: String,
    ) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.mark_processed(&order_id).await })
    }

    /// Hands a parked payment out again.
    #[napi(catch_unwind)]
    pub fn retry(
        &self,
        calls: &Calls,
        id: u32,
        order_id: String,
        by: String,
        note: Option<String>,
    ) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.retry(&order_id, &by, note.as_deref()).await })
    }

    /// Pays out.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as JavaScript gives them")]
    pub fn withdraw(
        &self,
        calls: &Calls,
        id: u32,
        timeout: Option<f64>,
        reference: String,
        amount: String,
        currency: String,
        payment_method: &PaymentMethod,
        note: Option<String>,
    ) -> Result<Option<CoreError>> {
        let amount = match Amount::from_str(&amount) {
            Ok(amount) => amount,
            Err(error) => return Ok(Some(error.into())),
        };
        let mut withdrawal = CreateWithdrawal::new(amount, currency, payment_method.core.clone());
        if let Some(note) = note {
            withdrawal = withdrawal.note(note);
        }
        let mut call = self.core.withdraw(reference, withdrawal);
        if let Some(timeout) = timeout {
            call = call.timeout(milliseconds(timeout));
        }
        ask(calls, id, call.into_future())
    }

    /// A payout.
    #[napi(catch_unwind)]
    pub fn payout(&self, calls: &Calls, id: u32, reference: String) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.payout(&reference).await })
    }

    /// A person says what became of a payout.
    #[napi(catch_unwind)]
    pub fn resolve(
        &self,
        calls: &Calls,
        id: u32,
        reference: String,
        decision: String,
        by: String,
        note: Option<String>,
    ) -> Result<Option<CoreError>> {
        let Some(decision) = Resolution::from_text(&decision) else {
            return Ok(Some(no_decision(Resolution::ALL)));
        };
        let core = self.core.clone();
        ask(
            calls,
            id,
            async move { core.resolve(&reference, decision, &by, note.as_deref()).await },
        )
    }

    /// The orders with a link and no webhook.
    #[napi(catch_unwind)]
    pub fn overdue(
        &self,
        calls: &Calls,
        id: u32,
        older_than: f64,
        limit: u32,
    ) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.overdue(milliseconds(older_than), limit).await })
    }

    /// The payments that wait for a person.
    #[napi(catch_unwind)]
    pub fn unsettled(&self, calls: &Calls, id: u32, limit: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.unsettled(limit).await })
    }

    /// The payments whose handler failed too often.
    #[napi(catch_unwind)]
    pub fn parked(&self, calls: &Calls, id: u32, limit: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.parked(limit).await })
    }

    /// The payouts whose outcome is unknown.
    #[napi(catch_unwind)]
    pub fn unresolved(&self, calls: &Calls, id: u32, limit: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.unresolved(limit).await })
    }

    /// The deliveries that contradict.
    #[napi(catch_unwind)]
    pub fn conflicts(&self, calls: &Calls, id: u32, limit: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.conflicts(limit).await })
    }

    /// What people decided.
    #[napi(catch_unwind)]
    pub fn decisions(&self, calls: &Calls, id: u32, limit: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.decisions(limit).await })
    }

    /// How many there are of everything.
    #[napi(catch_unwind)]
    pub fn summary(&self, calls: &Calls, id: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.summary().await })
    }

    /// Erases people's data. `before` is in milliseconds since 1970.
    #[napi(catch_unwind)]
    pub fn forget(&self, calls: &Calls, id: u32, before: f64) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move { core.forget(moment(before)).await })
    }

    /// Closes it.
    #[napi(catch_unwind)]
    pub fn close(&self, calls: &Calls, id: u32) -> Result<Option<CoreError>> {
        let core = self.core.clone();
        ask(calls, id, async move {
            core.close().await;
            Ok(())
        })
    }
}

/// Runs the ledger's program to its end.
#[napi(catch_unwind)]
pub fn run_ledger_program(
    calls: &Calls,
    id: u32,
    arguments: Vec<String>,
) -> Result<Option<CoreError>> {
    calls.start_other(id, async move {
        let arguments = arguments.into_iter().map(OsString::from).collect();
        let status = kazawallet_ledger::program::run(arguments).await;
        Ended { exit_status: Some(u32::from(status)), ..Ended::default() }
    })?;
    Ok(None)
}

/// Starts something of the ledger's. It runs to its end also where the thread that asked ends first:
/// nothing of the ledger is broken off half-way.
pub(crate) fn ask<T>(
    calls: &Calls,
    id: u32,
    question: impl Future<Output = std::result::Result<T, kazawallet::Error>> + Send + 'static,
) -> Result<Option<CoreError>>
where
    T: Into<LedgerAnswer> + Send + 'static,
{
    let asked = runtime::handle()?.spawn(question);
    calls.start_other(id, async move {
        match asked.await {
            Ok(Ok(answer)) => Ended { ledger: Some(answer.into()), ..Ended::default() },
            Ok(Err(error)) => Ended { error: Some(error.into()), ..Ended::default() },
            Err(_) => Ended { error: Some(CoreError::stopped()), ..Ended::default() },
        }
    })?;
    Ok(None)
}

/// A decision that is none of those that a person can make.
fn no_decision(known: &[impl Display]) -> CoreError {
    let known: Vec<String> = known.iter().map(|one| format!("\"{one}\"")).collect();
    CoreError::refused("decision", format!("it must be {}", known.join(" or ")))
}

/// A moment, of milliseconds since 1970.
fn moment(milliseconds: f64) -> SystemTime {
    // A cast of what is out of range gives the nearest that there is.
    let distance = Duration::from_millis(milliseconds.abs() as u64);
    let moment = if milliseconds < 0.0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    moment.unwrap_or(UNIX_EPOCH)
}

impl From<Ledger> for LedgerAnswer {
    fn from(opened: Ledger) -> Self {
        Self { opened: Some(opened), ..Self::default() }
    }
}
