//! The calls of one JavaScript thread: they run on the process's runtime, and what they come to is
//! handed over in batches.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, IntoFuture};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::{mem, thread};

use kazawallet::{CallWatch, Outcome};
use kazawallet_ledger::Listener;
use napi::bindgen_prelude::*;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use tokio::task::AbortHandle;

use crate::answers::{Answer, CallRecord};
use crate::errors::CoreError;
use crate::handover::OfThread;
use crate::ledger_answers::LedgerAnswer;
use crate::reports::Report;
use crate::runtime;
use crate::simulator::Delivery;

/// Wakes the JavaScript thread. It does not keep the thread's loop alive unless it is told to.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// The calls of one JavaScript thread.
#[napi]
pub struct Calls {
    queue: Arc<Queue>,
    env: Env,
    /// While somebody waits, it keeps the thread's loop alive.
    alive: RefCell<Wake>,
}

struct Queue {
    state: Mutex<State>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    running: HashMap<u32, Running>,
    ended: Vec<Ended>,
    heard: Vec<Heard>,
    /// What the thread's handlers have of a ledger.
    held: Vec<Weak<OfThread>>,
}

struct Running {
    task: AbortHandle,
    /// Of a call to the provider; the simulator's and the ledger's own have none.
    watch: Option<CallWatch>,
    recorded: bool,
    /// Whether the thread's loop goes on for it.
    keeps_alive: bool,
}

/// What a call has come to: one of these, and the record where one was asked for.
#[derive(Default)]
#[napi(object, object_from_js = false)]
pub struct Ended {
    /// The call's number.
    pub id: u32,
    /// The provider's answer.
    pub answer: Option<Answer>,
    /// Why there is none.
    pub error: Option<CoreError>,
    /// What there is to say of the call to logs and metrics.
    pub record: Option<CallRecord>,
    /// The simulator's deliveries.
    pub deliveries: Option<Vec<Delivery>>,
    /// Why the simulator refused.
    pub simulator_error: Option<String>,
    /// What the ledger tells.
    pub ledger: Option<LedgerAnswer>,
    /// A program has ended.
    pub exit_status: Option<u32>,
}

/// What a ledger tells by itself: one of these.
#[napi(object, object_from_js = false)]
pub struct Heard {
    /// The number of the call that opened the ledger.
    pub ledger: u32,
    /// Something that a person should hear.
    pub report: Option<Report>,
    /// It has called the provider.
    pub record: Option<CallRecord>,
}

/// What is to be told of a call that was given up.
#[napi(object, object_from_js = false)]
pub struct Abandoned {
    /// It goes on, and this is what the caller must know.
    pub error: Option<CoreError>,
    /// What there is to say of the call to logs and metrics.
    pub record: Option<CallRecord>,
}

#[napi]
impl Calls {
    /// `wake` is called when something has ended.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, wake: Function<'_, (), ()>) -> Result<Self> {
        let build = || {
            wake.build_threadsafe_function::<()>().callee_handled::<false>().weak::<true>().build()
        };
        let queue = Arc::new(Queue { state: Mutex::default(), wake: build()? });
        // Deno drops nothing of what a thread had that was terminated.
        env.add_env_cleanup_hook(queue.clone(), |queue| queue.end())?;
        Ok(Self { queue, env, alive: RefCell::new(build()?) })
    }

    /// What has ended since the last time.
    #[napi(catch_unwind)]
    pub fn take(&self) -> Result<Vec<Ended>> {
        let mut state = self.queue.lock();
        let ended = mem::take(&mut state.ended);
        self.keep_alive(&state)?;
        Ok(ended)
    }

    /// What the ledgers of this thread have told since the last time.
    #[napi(catch_unwind)]
    pub fn listen(&self) -> Vec<Heard> {
        mem::take(&mut self.queue.lock().heard)
    }

    /// Gives a call up; `null` where it has ended already.
    #[napi(catch_unwind)]
    pub fn abandon(&self, id: u32) -> Result<Option<Abandoned>> {
        let mut state = self.queue.lock();
        let Some(running) = state.running.get(&id) else { return Ok(None) };
        let Some(watch) = running.watch.clone().filter(|watch| watch.outcome().is_none()) else {
            return Ok(None);
        };
        let (task, recorded) = (running.task.clone(), running.recorded);
        let (error, outcome) = match watch.abandon() {
            Ok(()) => {
                task.abort();
                state.running.remove(&id);
                self.keep_alive(&state)?;
                (None, "cancelled")
            }
            // It goes on, and the thread's loop with it.
            Err(error) => (Some(error), Outcome::Unknown.as_str()),
        };
        let record = recorded.then(|| CallRecord::of(&watch, outcome)).flatten();
        Ok(Some(Abandoned { error: error.map(CoreError::from), record }))
    }
}

impl Calls {
    /// Starts a call to the provider.
    pub(crate) fn start<T>(&self, id: u32, recorded: bool, call: kazawallet::Call<T>) -> Result<()>
    where
        T: Into<Answer> + Send + 'static,
    {
        let watch = call.watch();
        let ended = async move {
            match call.into_future().await {
                Ok(answer) => Ended { answer: Some(answer.into()), ..Ended::default() },
                Err(error) => Ended { error: Some(error.into()), ..Ended::default() },
            }
        };
        self.run(id, Some(watch), recorded, true, ended)
    }

    /// Starts something of the simulator's or the ledger's.
    pub(crate) fn start_other(
        &self,
        id: u32,
        other: impl Future<Output = Ended> + Send + 'static,
    ) -> Result<()> {
        self.run(id, None, false, true, other)
    }

    /// Starts something for which the thread's loop goes on only where that is wanted.
    pub(crate) fn start_waiting(
        &self,
        id: u32,
        keeps_alive: bool,
        other: impl Future<Output = Ended> + Send + 'static,
    ) -> Result<()> {
        self.run(id, None, false, keeps_alive, other)
    }

    /// Who hears what a ledger of this thread tells.
    pub(crate) fn listener(&self, ledger: u32) -> Arc<dyn Listener> {
        Arc::new(OfLedger { queue: self.queue.clone(), ledger })
    }

    /// What a handler has is told when the thread ends.
    pub(crate) fn tell_of_the_end(&self, held: &Arc<OfThread>) {
        let held = Arc::downgrade(held);
        let known = &mut self.queue.lock().held;
        if !known.iter().any(|one| one.ptr_eq(&held)) {
            known.retain(|one| one.strong_count() > 0);
            known.push(held);
        }
    }

    fn run(
        &self,
        id: u32,
        watch: Option<CallWatch>,
        recorded: bool,
        keeps_alive: bool,
        future: impl Future<Output = Ended> + Send + 'static,
    ) -> Result<()> {
        let runtime = runtime::handle()?;
        let queue = self.queue.clone();
        // It cannot end before it is among those that run.
        let mut state = self.queue.lock();
        let task = runtime.spawn(async move {
            let unanswered = Unanswered { queue, id };
            let ended = Ended { id, ..future.await };
            unanswered.queue.push(ended);
        });
        state
            .running
            .insert(id, Running { task: task.abort_handle(), watch, recorded, keeps_alive });
        self.keep_alive(&state)
    }

    /// The thread's loop goes on as long as there is something to wait for.
    #[allow(deprecated, reason = "a handle that is kept cannot be dropped in order to let go")]
    fn keep_alive(&self, state: &State) -> Result<()> {
        let mut alive =
            self.alive.try_borrow_mut().map_err(|_| Error::from_status(Status::Closing))?;
        let waited_for = state.running.values().any(|running| running.keeps_alive);
        if !waited_for && state.ended.is_empty() {
            alive.unref(&self.env)
        } else {
            alive.refer(&self.env)
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.queue.end();
    }
}

/// Sees to it that a call comes to an end even where it panics: else its caller would wait for ever.
struct Unanswered {
    queue: Arc<Queue>,
    id: u32,
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if thread::panicking() {
            let error = Some(CoreError::stopped());
            self.queue.push(Ended { id: self.id, error, ..Ended::default() });
        }
    }
}

/// Hears one ledger. What it tells waits for the thread that opened it, and keeps its loop alive no
/// longer.
struct OfLedger {
    queue: Arc<Queue>,
    ledger: u32,
}

impl Listener for OfLedger {
    fn told(&self, report: kazawallet::Report) {
        let report = Some(report.into());
        self.queue.tell(Heard { ledger: self.ledger, report, record: None });
    }

    fn called(&self, call: &CallWatch) {
        let record = CallRecord::of(call, call.outcome().unwrap_or_default());
        if record.is_some() {
            self.queue.tell(Heard { ledger: self.ledger, report: None, record });
        }
    }
}

impl Queue {
    fn tell(&self, heard: Heard) {
        let mut state = self.lock();
        state.heard.push(heard);
        let first = state.heard.len() == 1;
        drop(state);
        if first {
            let _ = self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    /// The thread has ended, or is about to. The core knows what must go on.
    fn end(&self) {
        let mut state = self.lock();
        for running in state.running.values() {
            running.task.abort();
        }
        for held in state.held.drain(..).filter_map(|held| held.upgrade()) {
            held.thread_ended();
        }
    }

    fn push(&self, mut ended: Ended) {
        let mut state = self.lock();
        let Some(running) = state.running.remove(&ended.id) else { return };
        if let Some(watch) = running.watch.filter(|_| running.recorded) {
            ended.record = CallRecord::of(&watch, watch.outcome().unwrap_or_default());
        }
        state.ended.push(ended);
        // Once for all that arrive before the thread comes to take them.
        let first = state.ended.len() == 1;
        drop(state);
        if first {
            // The thread may have ended: then nobody waits any more.
            let _ = self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
