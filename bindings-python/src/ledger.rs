//! The ledger, as `Ledger` and `AsyncLedger` use it. All of it runs on the thread for awaited calls,
//! since it works between calls, too. It lives on in a forked child, which opens it anew.

use std::ffi::OsString;
use std::fmt::Display;
use std::future::Future;
use std::mem;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use kazawallet::{ClientBuilder, CreatePaymentLink, CreateWithdrawal, Error, ErrorKind, Outcome};
use kazawallet_ledger::{Ledger, OpenLedger, Resolution, Settlement};
use pyo3::exceptions::{PyAttributeError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};
use tokio::runtime::Builder;
use tokio::sync::{OnceCell, RwLock, RwLockWriteGuard};

use crate::arguments::{
    count, exact_amount, flag, option_text, optional_text, seconds, text, wrong_type,
};
use crate::calls::Answered;
use crate::connection::{Connection, method};
use crate::errors;
use crate::event_loops::AwaitedCall;
use crate::handover::Handover;
use crate::imported::imported;
use crate::ledger_records::{
    Conflict, OrderLink, OrderRecord, Payment, Payout, PersonDecision, Receipt, Summary, Told,
};
use crate::process::Process;
use crate::reports::Reports;
use crate::results::{Answer, OfLedger};
use crate::route::{Route, RouteAnswer};
use crate::runtime::ProcessRuntime;
use crate::webhook::{Webhook, with_raw_body};

// ---------------------------------------------------------------- the ledgers of a process

/// Where a person sees what waits for them.
const TERMINAL: &str = "python -m kazawallet ledger";

/// The ledgers that a process has open. SQLite must not have a connection open while the process
/// forks, so all of them step back for that moment.
#[derive(Default)]
pub(crate) struct Ledgers {
    open: Mutex<Vec<(u64, Ledger)>>,
    opened_so_far: AtomicU64,
    /// Read while one is opened; written while the process forks.
    forks: RwLock<()>,
    forking: Mutex<Option<Forking>>,
}

/// From before a fork until it is done.
struct Forking {
    stepped_back: Vec<Ledger>,
    _no_other: RwLockWriteGuard<'static, ()>,
}

impl Ledgers {
    async fn open(&self, options: Options, reports: &Reports) -> Result<Opened, Error> {
        let _no_fork = self.forks.read().await;
        let mut opening = options.ledger.listener(Arc::new(reports.clone()), TERMINAL);
        if let Some(client) = options.client {
            opening = opening.client(client.build()?);
        }
        let ledger = opening.await?;
        let number = self.opened_so_far.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).push((number, ledger.clone()));
        Ok(Opened { number, ledger })
    }

    async fn close(&self, opened: &Opened) {
        opened.ledger.close().await;
        // Until here it may hold a connection that a fork has to wait for.
        lock(&self.open).retain(|(number, _)| *number != opened.number);
    }

    pub(crate) fn before_fork(&'static self, py: Python<'_>) {
        if tokio::runtime::Handle::try_current().is_ok() {
            return; // No thread of ours runs Python that forks.
        }
        py.detach(|| {
            let no_other = self.forks.blocking_write();
            let all: Vec<Ledger> =
                lock(&self.open).iter().map(|(_, ledger)| ledger.clone()).collect();
            for ledger in &all {
                ledger.before_fork();
            }
            *lock(&self.forking) = Some(Forking { stepped_back: all, _no_other: no_other });
        });
    }

    pub(crate) fn after_fork_in_parent(&self, py: Python<'_>) {
        let Some(forking) = lock(&self.forking).take() else { return };
        py.detach(|| {
            for ledger in &forking.stepped_back {
                ledger.after_fork_in_parent();
            }
            drop(forking);
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// ---------------------------------------------------------------- one ledger

/// What a ledger is opened with, in each process anew.
#[derive(Clone)]
struct Options {
    ledger: OpenLedger,
    /// What its own client is built from.
    client: Option<ClientBuilder>,
}

struct Opened {
    number: u64,
    ledger: Ledger,
}

/// The ledger of one process, opened when it is first needed.
pub(crate) struct OwnLedger {
    process: Process,
    runtime: &'static ProcessRuntime,
    options: Options,
    opened: OnceCell<Opened>,
}

impl OwnLedger {
    fn new(options: Options) -> PyResult<Arc<Self>> {
        Ok(Arc::new(Self {
            process: Process::current(),
            runtime: ProcessRuntime::get()?,
            options,
            opened: OnceCell::new(),
        }))
    }

    pub(crate) async fn ledger(&self) -> Result<Ledger, Error> {
        let open = || self.runtime.ledgers().open(self.options.clone(), self.runtime.reports());
        Ok(self.opened.get_or_try_init(open).await?.ledger.clone())
    }

    pub(crate) fn reports(&self) -> &Reports {
        self.runtime.reports()
    }

    async fn close(&self) {
        if let Some(opened) = self.opened.get().filter(|_| self.process.is_current()) {
            self.runtime.ledgers().close(opened).await;
        }
    }
}

impl Drop for OwnLedger {
    fn drop(&mut self) {
        let Some(opened) = self.opened.take() else { return };
        if !self.process.is_current() {
            mem::forget(opened); // It is the parent's, with its connections.
        } else if let Ok(tokio) = self.runtime.awaited() {
            let ledgers = self.runtime.ledgers();
            tokio.spawn(async move { ledgers.close(&opened).await });
        }
    }
}

/// A ledger of the crate, as `Ledger` and `AsyncLedger` use it.
#[pyclass(frozen, module = "kazawallet._kazawallet")]
pub(crate) struct OpenedLedger {
    options: Options,
    closed: AtomicBool,
    own: Mutex<Arc<OwnLedger>>,
}

impl OpenedLedger {
    /// This process's. What a closed ledger still does is for the crate to say, where it was opened.
    pub(crate) fn own(&self, py: Python<'_>) -> PyResult<Arc<OwnLedger>> {
        let is_ours = lock(&self.own).process.is_current();
        if !is_ours {
            self.refuse_closed(py)?;
        }
        let mut own = lock(&self.own);
        if !own.process.is_current() {
            *own = OwnLedger::new(self.options.clone())?;
        }
        Ok(own.clone())
    }

    /// As [`own`](Self::own); a delivery to a ledger that was closed is answered, too.
    pub(crate) fn own_to_receive(&self, py: Python<'_>) -> PyResult<Arc<OwnLedger>> {
        let own = lock(&self.own).clone();
        if own.process.is_current() { Ok(own) } else { self.own(py) }
    }

    fn refuse_closed(&self, py: Python<'_>) -> PyResult<()> {
        if !self.closed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let closed = Error::of_ledger(
            ErrorKind::LedgerUnavailable,
            Outcome::NotSent,
            "the ledger is closed: open another, or close it later",
        );
        Err(errors::to_python(py, closed))
    }

    fn call<T: Told, F>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(Ledger) -> F + Send + 'static,
    ) -> PyResult<LedgerCall>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let own = self.own(py)?;
        Ok(LedgerCall::new(async move { work(own.ledger().await?).await }))
    }
}

#[pymethods]
impl OpenedLedger {
    #[new]
    fn new(
        py: Python<'_>,
        url: Option<&Bound<'_, PyAny>>,
        client: Option<&Bound<'_, Connection>>,
        webhook: Option<&Bound<'_, PyAny>>,
        spool: Option<&Bound<'_, PyAny>>,
        clock_margin: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut ledger = match url {
            Some(url) => Ledger::open(option_text("url", url)?),
            // The environment counts as it is now, in a child that is forked later, too.
            None => Ledger::from_env(),
        };
        let client = client.map(|client| client.get().options()).transpose()?;
        if let Some(webhook) = webhook {
            let Ok(webhook) = webhook.cast::<Webhook>() else {
                return Err(wrong_type("webhook", "a Webhook", webhook));
            };
            ledger = ledger.webhook(webhook.get().core.clone());
        }
        ledger = match spool {
            None => ledger,
            Some(spool) if spool.is_instance_of::<PyBool>() && !spool.is_truthy()? => {
                ledger.no_spool()
            }
            Some(spool) => match spool.extract::<PathBuf>() {
                Ok(folder) => ledger.spool(folder),
                Err(_) => return Err(wrong_type("spool", "a path, or False for none", spool)),
            },
        };
        if let Some(margin) = clock_margin {
            let problem = "`clock_margin` must not be negative";
            let margin = length("clock_margin", margin)?
                .ok_or_else(|| errors::misconfigured(py, problem))?;
            ledger = ledger.clock_margin(margin);
        }
        let options = Options { ledger, client };
        let own = Mutex::new(OwnLedger::new(options.clone())?);
        Ok(Self { options, closed: AtomicBool::new(false), own })
    }

    /// Opens it, so that what is wrong is told now.
    fn open(&self, py: Python<'_>) -> PyResult<LedgerCall> {
        self.call(py, |_| async { Ok(()) })
    }

    fn close(&self) -> LedgerCall {
        self.closed.store(true, Ordering::SeqCst);
        let own = lock(&self.own).clone();
        LedgerCall::new(async move {
            own.close().await;
            Ok(Closed)
        })
    }

    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as Python gives them")]
    fn create_payment_link(
        &self,
        py: Python<'_>,
        r#ref: &Bound<'_, PyAny>,
        amount: &Bound<'_, PyAny>,
        currency: &Bound<'_, PyAny>,
        redirect_url: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<LedgerCall> {
        let mut link =
            CreatePaymentLink::new(exact_amount("amount", amount)?, text("currency", currency)?)
                .reference(text("ref", r#ref)?);
        if let Some(url) = optional_text("redirect_url", redirect_url)? {
            link = link.redirect_url(url);
        }
        let timeout = seconds("timeout", timeout)?;
        self.call(py, move |ledger| async move {
            let call = ledger.create_payment_link(link);
            match timeout {
                Some(timeout) => call.timeout(timeout).await,
                None => call.await,
            }
        })
    }

    fn order(&self, py: Python<'_>, r#ref: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let reference = text("ref", r#ref)?;
        self.call(py, |ledger| async move { ledger.order(&reference).await })
    }

    fn receive(&self, body: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let bytes = with_raw_body(body, <[u8]>::to_vec)?;
        self.call(body.py(), |ledger| async move { ledger.receive(bytes).await })
    }

    fn payment(&self, py: Python<'_>, order_id: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let order_id = text("order_id", order_id)?;
        self.call(py, |ledger| async move { ledger.payment(&order_id).await })
    }

    fn settle(
        &self,
        py: Python<'_>,
        order_id: &Bound<'_, PyAny>,
        decision: &Bound<'_, PyAny>,
        r#ref: Option<&Bound<'_, PyAny>>,
        by: &Bound<'_, PyAny>,
        note: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<LedgerCall> {
        let order_id = text("order_id", order_id)?;
        let settlement = one_of("decision", decision, Settlement::from_text, Settlement::ALL)?;
        let reference = optional_text("ref", r#ref)?;
        let (by, note) = (text("by", by)?, optional_text("note", note)?);
        self.call(py, move |ledger| async move {
            let (reference, note) = (reference.as_deref(), note.as_deref());
            ledger.settle(&order_id, settlement, reference, &by, note).await
        })
    }

    fn set_link_id_check(
        &self,
        py: Python<'_>,
        check: &Bound<'_, PyAny>,
        by: &Bound<'_, PyAny>,
        note: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<LedgerCall> {
        let check = flag("check", check)?;
        let (by, note) = (text("by", by)?, optional_text("note", note)?);
        self.call(py, move |ledger| async move {
            ledger.set_link_id_check(check, &by, note.as_deref()).await
        })
    }

    fn reverify(&self, py: Python<'_>) -> PyResult<LedgerCall> {
        self.call(py, |ledger| async move { ledger.reverify().await })
    }

    fn handover(
        &self,
        py: Python<'_>,
        max_tries: &Bound<'_, PyAny>,
        first_pause: &Bound<'_, PyAny>,
        poll_interval: &Bound<'_, PyAny>,
        lease: &Bound<'_, PyAny>,
    ) -> PyResult<Handover> {
        self.refuse_closed(py)?;
        let own = self.own(py)?;
        let max_tries = count("max_tries", max_tries)?.filter(|tries| *tries > 0);
        let max_tries =
            max_tries.ok_or_else(|| errors::refused(py, "max_tries", "it must be at least 1"))?;
        let first_pause = pause("first_pause", first_pause)?;
        let poll_interval = pause("poll_interval", poll_interval)?;
        let lease = pause("lease", lease)?;
        let settings = move |ledger: &Ledger| {
            let claims = ledger.claims().max_tries(max_tries);
            claims.first_pause(first_pause).poll_interval(poll_interval).lease(lease)
        };
        Ok(Handover::new(own, Box::new(settings)))
    }

    fn pending(&self, py: Python<'_>, limit: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let limit = most(limit)?;
        self.call(py, move |ledger| async move { ledger.pending(limit).await })
    }

    fn mark_processed(&self, py: Python<'_>, order_id: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let order_id = text("order_id", order_id)?;
        self.call(py, |ledger| async move { ledger.mark_processed(&order_id).await })
    }

    fn retry(
        &self,
        py: Python<'_>,
        order_id: &Bound<'_, PyAny>,
        by: &Bound<'_, PyAny>,
        note: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<LedgerCall> {
        let order_id = text("order_id", order_id)?;
        let (by, note) = (text("by", by)?, optional_text("note", note)?);
        self.call(py, |ledger| async move { ledger.retry(&order_id, &by, note.as_deref()).await })
    }

    #[allow(clippy::too_many_arguments, reason = "the call's arguments, as Python gives them")]
    fn withdraw(
        &self,
        py: Python<'_>,
        reference: &Bound<'_, PyAny>,
        amount: &Bound<'_, PyAny>,
        currency: &Bound<'_, PyAny>,
        payment_method: &Bound<'_, PyAny>,
        note: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<LedgerCall> {
        let reference = text("reference", reference)?;
        let mut withdrawal = CreateWithdrawal::new(
            exact_amount("amount", amount)?,
            text("currency", currency)?,
            method(payment_method)?,
        );
        if let Some(note) = optional_text("note", note)? {
            withdrawal = withdrawal.note(note);
        }
        let timeout = seconds("timeout", timeout)?;
        self.call(py, move |ledger| async move {
            let call = ledger.withdraw(reference, withdrawal);
            match timeout {
                Some(timeout) => call.timeout(timeout).await,
                None => call.await,
            }
        })
    }

    fn payout(&self, py: Python<'_>, reference: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let reference = text("reference", reference)?;
        self.call(py, |ledger| async move { ledger.payout(&reference).await })
    }

    fn resolve(
        &self,
        py: Python<'_>,
        reference: &Bound<'_, PyAny>,
        decision: &Bound<'_, PyAny>,
        by: &Bound<'_, PyAny>,
        note: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<LedgerCall> {
        let reference = text("reference", reference)?;
        let resolution = one_of("decision", decision, Resolution::from_text, Resolution::ALL)?;
        let (by, note) = (text("by", by)?, optional_text("note", note)?);
        self.call(py, move |ledger| async move {
            ledger.resolve(&reference, resolution, &by, note.as_deref()).await
        })
    }

    fn overdue(
        &self,
        py: Python<'_>,
        older_than: &Bound<'_, PyAny>,
        limit: &Bound<'_, PyAny>,
    ) -> PyResult<LedgerCall> {
        let (older_than, limit) = (pause("older_than", older_than)?, most(limit)?);
        self.call(py, move |ledger| async move { ledger.overdue(older_than, limit).await })
    }

    fn unsettled(&self, py: Python<'_>, limit: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let limit = most(limit)?;
        self.call(py, move |ledger| async move { ledger.unsettled(limit).await })
    }

    fn parked(&self, py: Python<'_>, limit: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let limit = most(limit)?;
        self.call(py, move |ledger| async move { ledger.parked(limit).await })
    }

    fn unresolved(&self, py: Python<'_>, limit: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let limit = most(limit)?;
        self.call(py, move |ledger| async move { ledger.unresolved(limit).await })
    }

    fn conflicts(&self, py: Python<'_>, limit: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let limit = most(limit)?;
        self.call(py, move |ledger| async move { ledger.conflicts(limit).await })
    }

    fn decisions(&self, py: Python<'_>, limit: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let limit = most(limit)?;
        self.call(py, move |ledger| async move { ledger.decisions(limit).await })
    }

    fn summary(&self, py: Python<'_>) -> PyResult<LedgerCall> {
        self.call(py, |ledger| async move { ledger.summary().await })
    }

    fn forget(&self, py: Python<'_>, before: &Bound<'_, PyAny>) -> PyResult<LedgerCall> {
        let before = moment("before", before)?;
        self.call(py, move |ledger| async move { ledger.forget(before).await })
    }
}

/// What it told before it was closed is logged by then.
struct Closed;

impl Told for Closed {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        ProcessRuntime::get()?.reports().flush(py);
        Ok(py.None())
    }
}

// ---------------------------------------------------------------- its calls

type Running = Pin<Box<dyn Future<Output = Result<OfLedger, Error>> + Send>>;

/// A call of a ledger that is ready to be made, once. Nothing stops it half-way.
#[pyclass(frozen, generic, module = "kazawallet._kazawallet")]
pub(crate) struct LedgerCall {
    ready: Mutex<Option<Running>>,
}

impl LedgerCall {
    pub(crate) fn new<T: Told>(
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        let running: Running = Box::pin(async move {
            let answer = call.await?;
            Ok::<OfLedger, Error>(Box::new(move |py| answer.into_python(py)))
        });
        Self { ready: Mutex::new(Some(running)) }
    }

    fn take(&self) -> PyResult<Running> {
        let ready = lock(&self.ready).take();
        ready.ok_or_else(|| PyRuntimeError::new_err("the call was already made"))
    }
}

#[pymethods]
impl LedgerCall {
    /// Makes the call, and waits for its answer.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match ProcessRuntime::get()?.wait_for_task(py, self.take()?)? {
            Ok(make) => make(py),
            Err(error) => Err(errors::to_python(py, error)),
        }
    }

    /// Makes the call, and gives a future on the running event loop.
    fn start(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let runtime = ProcessRuntime::get()?;
        let tokio = runtime.awaited()?;
        let running = self.take()?;
        let awaited = AwaitedCall::new(py, runtime.event_loops(), tokio, None)?;
        let future = awaited.future(py);
        tokio.spawn(async move {
            let answer = running.await.map(Answer::OfLedger);
            awaited.answer(Answered(answer));
        });
        future.ok_or_else(|| PyRuntimeError::new_err("the call was already made"))
    }
}

/// Does what needs the runtime, such as to drop what belongs to it.
pub(crate) fn inside<T>(work: impl FnOnce() -> T) -> T {
    let tokio = ProcessRuntime::get().ok().and_then(|runtime| runtime.awaited().ok());
    let _inside = tokio.map(tokio::runtime::Handle::enter);
    work()
}

// ---------------------------------------------------------------- arguments

/// One of a set of texts.
fn one_of<T: Display>(
    name: &str,
    value: &Bound<'_, PyAny>,
    read: impl Fn(&str) -> Option<T>,
    all: &[T],
) -> PyResult<T> {
    read(&text(name, value)?).ok_or_else(|| {
        let texts: Vec<String> = all.iter().map(|each| format!("\"{each}\"")).collect();
        errors::refused(value.py(), name, &format!("it must be {}", texts.join(" or ")))
    })
}

/// The most that is listed.
fn most(limit: &Bound<'_, PyAny>) -> PyResult<u32> {
    count("limit", limit)?
        .ok_or_else(|| errors::refused(limit.py(), "limit", "it must not be negative"))
}

/// A length of time that may be zero.
fn pause(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    length(name, value)?.ok_or_else(|| errors::refused(value.py(), name, "it must not be negative"))
}

/// Seconds, or a `timedelta`; `None` for what is negative or no number.
fn length(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    let number = value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>();
    if number && !value.is_instance_of::<PyBool>() {
        return Ok(if value.ge(0)? { seconds(name, Some(value))? } else { None });
    }
    if is_of_datetime(value, "timedelta")? {
        return Ok(value.extract().ok());
    }
    Err(wrong_type(name, "a number of seconds, or a timedelta", value))
}

/// A moment, of which the time zone is known.
fn moment(name: &str, value: &Bound<'_, PyAny>) -> PyResult<SystemTime> {
    if !is_of_datetime(value, "datetime")? {
        return Err(wrong_type(name, "a datetime", value));
    }
    if value.call_method0("utcoffset")?.is_none() {
        let problem = "it has no time zone: write datetime(2026, 1, 31, tzinfo=timezone.utc)";
        return Err(errors::refused(value.py(), name, problem));
    }
    // Before 1970 there was nothing.
    Ok(value.extract().unwrap_or(SystemTime::UNIX_EPOCH))
}

/// Whether a value is of a class of `datetime`. Nobody can have one where that was not imported.
fn is_of_datetime(value: &Bound<'_, PyAny>, class: &str) -> PyResult<bool> {
    match imported(value.py(), "datetime")? {
        Some(module) => value.is_instance(&module.getattr(class)?),
        None => Ok(false),
    }
}

// ---------------------------------------------------------------- the module

/// The ledger's classes, made when they are first asked for: importing the package costs nothing for
/// what a program does not use.
#[pyfunction]
#[pyo3(name = "__getattr__", pass_module)]
pub(crate) fn class_of_the_ledger<'py>(
    module: &Bound<'py, PyModule>,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let py = module.py();
    let class = match name {
        "Conflict" => py.get_type::<Conflict>(),
        "Handover" => py.get_type::<Handover>(),
        "LedgerCall" => py.get_type::<LedgerCall>(),
        "OpenedLedger" => py.get_type::<OpenedLedger>(),
        "OrderLink" => py.get_type::<OrderLink>(),
        "OrderRecord" => py.get_type::<OrderRecord>(),
        "Payment" => py.get_type::<Payment>(),
        "Payout" => py.get_type::<Payout>(),
        "PersonDecision" => py.get_type::<PersonDecision>(),
        "Receipt" => py.get_type::<Receipt>(),
        "Route" => py.get_type::<Route>(),
        "RouteAnswer" => py.get_type::<RouteAnswer>(),
        "Summary" => py.get_type::<Summary>(),
        _ => {
            let problem = format!("module 'kazawallet._kazawallet' has no attribute '{name}'");
            return Err(PyAttributeError::new_err(problem));
        }
    };
    module.setattr(name, &class)?;
    Ok(class.into_any())
}

// ---------------------------------------------------------------- the program

/// Runs the ledger's program until it ends; returns the exit status.
#[pyfunction]
pub(crate) fn run_ledger(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    py.detach(|| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(kazawallet_ledger::program::run(arguments)))
    })
}
