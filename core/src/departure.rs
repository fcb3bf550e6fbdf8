//! Whether a request has left this machine: observed where it leaves, not guessed from an error.

use std::error::Error as StdError;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Whether anything of one try may have left this machine. It is settled where it leaves, since
/// an error looks the same before and after; and once only, since the connection writes on a
/// task of its own, perhaps at the very moment at which the caller's time is up.
#[derive(Clone, Default)]
pub(crate) struct Departure {
    settled: Arc<AtomicU8>,
    last_moment: Option<LastMoment>,
}

/// After it nothing may leave. By two clocks, since one stands still while the machine is suspended,
/// and the other may be set back.
#[derive(Clone, Copy)]
pub(crate) struct LastMoment {
    system: SystemTime,
    monotonic: Option<Instant>,
}

impl LastMoment {
    pub(crate) fn at(system: SystemTime) -> Self {
        let left = system.duration_since(SystemTime::now()).unwrap_or_default();
        Self { system, monotonic: Instant::now().checked_add(left) }
    }

    fn is_over(self) -> bool {
        SystemTime::now() >= self.system
            || self.monotonic.is_some_and(|monotonic| Instant::now() >= monotonic)
    }
}

const HERE: u8 = 0;
const LEFT: u8 = 1;
const CALLED_OFF: u8 = 2;

impl Departure {
    pub(crate) fn before(last_moment: Option<LastMoment>) -> Self {
        Self { settled: Arc::default(), last_moment }
    }

    /// Asked before the first byte is written; false where the try was called off, or comes too
    /// late.
    fn leaves(&self) -> bool {
        let wanted = match self.last_moment {
            Some(last_moment) if last_moment.is_over() => CALLED_OFF,
            _ => LEFT,
        };
        self.settle(wanted) == LEFT
    }

    /// Asked when the try has failed: whether it had left. If not, it never will.
    pub(crate) fn happened(&self) -> bool {
        self.settle(CALLED_OFF) == LEFT
    }

    /// Waits for what sends the request. If nothing has left within this time, the try is called off, and
    /// there is no output.
    ///
    /// A request that is given to a kept connection at the very moment at which that ends can be forgotten
    /// by both (hyper's issue 4122): nothing else would end the wait for it.
    pub(crate) async fn within<F: Future>(&self, limit: Duration, sending: F) -> Option<F::Output> {
        let mut sending = pin!(sending);
        if let Ok(output) = tokio::time::timeout(limit, &mut sending).await {
            return Some(output);
        }
        if self.happened() { Some(sending.await) } else { None }
    }

    fn called_off(&self) -> bool {
        self.settled.load(Ordering::SeqCst) == CALLED_OFF
    }

    fn settle(&self, wanted: u8) -> u8 {
        match self.settled.compare_exchange(HERE, wanted, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => wanted,
            Err(settled) => settled,
        }
    }
}

/// A request body that a connection takes up just before the first byte of the request is
/// written, and that stops the connection from writing where the try was called off.
pub(crate) struct ObservedBody {
    pub(crate) data: Option<Bytes>,
    pub(crate) left: Departure,
}

/// Why a connection is kept from writing.
#[derive(Debug)]
pub(crate) struct CalledOff;

impl fmt::Display for CalledOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the try was called off before it was sent")
    }
}

impl StdError for CalledOff {}

impl Body for ObservedBody {
    type Data = Bytes;
    type Error = CalledOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CalledOff>>> {
        if !self.left.leaves() {
            return Poll::Ready(Some(Err(CalledOff)));
        }
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        // An empty body is never polled: a connection only asks whether it has ended.
        self.data.is_none() && self.left.leaves()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.data {
            Some(data) => SizeHint::with_exact(data.len() as u64),
            // Of another length, so that the connection polls it, and fails before it writes.
            None if self.left.called_off() => SizeHint::with_exact(1),
            None => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn poll(body: ObservedBody) -> Option<Result<Frame<Bytes>, CalledOff>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Box::pin(body).as_mut().poll_frame(&mut context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => None,
        }
    }

    fn body(data: Option<&'static [u8]>) -> (ObservedBody, Departure) {
        let left = Departure::default();
        (ObservedBody { data: data.map(Bytes::from_static), left: left.clone() }, left)
    }

    #[test]
    fn what_was_taken_up_has_left() {
        let (with_data, left) = body(Some(b"{}"));
        assert!(!with_data.is_end_stream());
        assert!(matches!(poll(with_data), Some(Ok(_))));
        assert!(left.happened());

        let (empty, left) = body(None);
        assert!(empty.is_end_stream());
        assert!(left.happened());
    }

    #[test]
    fn what_comes_after_its_last_moment_never_leaves() {
        let now = SystemTime::now();
        for (last_moment, may_leave) in
            [(now + std::time::Duration::from_secs(3600), true), (now, false)]
        {
            for data in [Some(&b"{}"[..]), None] {
                let left = Departure::before(Some(LastMoment::at(last_moment)));
                let body = ObservedBody { data: data.map(Bytes::from_static), left: left.clone() };
                let nothing_is_written =
                    !body.is_end_stream() && matches!(poll(body), Some(Err(_)));
                assert_eq!(nothing_is_written, !may_leave);
                assert_eq!(left.happened(), may_leave);
            }
        }
    }

    #[test]
    fn what_nobody_takes_up_is_called_off() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(async {
            let limit = Duration::from_millis(1);
            let left = Departure::default();
            assert_eq!(left.within(limit, std::future::pending::<()>()).await, None);
            assert!(!left.happened());

            let left = Departure::default();
            let answered = async {
                assert!(left.leaves());
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            assert_eq!(left.within(limit, answered).await, Some(()));
            assert!(left.happened());
        });
    }

    /// The connection runs on a task of its own: it may come to the body just after the caller's
    /// time is up and `not_sent` was told.
    #[test]
    fn what_was_called_off_never_leaves() {
        let (with_data, left) = body(Some(b"{}"));
        assert!(!left.happened());
        assert!(matches!(poll(with_data), Some(Err(CalledOff))));
        assert!(!left.happened());

        let (empty, left) = body(None);
        assert!(!left.happened());
        assert!(!empty.is_end_stream());
        assert_ne!(empty.size_hint().exact(), Some(0));
        assert!(matches!(poll(empty), Some(Err(CalledOff))));
    }
}
