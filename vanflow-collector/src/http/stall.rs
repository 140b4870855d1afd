//! The guard against clients that stall: what a connection owes its client, and since when the client took nothing.
//!
//! [`Watched`] sees what the client takes of the socket, [`Owed`] what there is for it, and [`Progress`] puts the two
//! together. Whoever serves the connection asks it from time to time whether the connection should end.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use vanflow_api::metrics::TurnedAway;

/// Octets that a client has to take at a time for it to count: answers to the pings of HTTP/2 do not.
const SOME: usize = 64;

/// How long a client has.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// To ask, from its connection on, and from the end of what it was last answered.
    pub(super) ask_within: Duration,
    /// To take some of what there is for it.
    pub(super) take_within: Duration,
}

/// Why a connection is cut off.
#[derive(Debug, PartialEq)]
pub(super) enum Cut {
    /// The client asked nothing for so long.
    AsksNothing(Duration),
    /// The client took nothing of its answer for so long.
    TakesNothing(Duration),
    /// Others need its place.
    GivesWay,
}

impl Cut {
    /// What it is counted by.
    pub(super) fn reason(&self) -> TurnedAway {
        match self {
            Self::AsksNothing(_) => TurnedAway::Idle,
            Self::TakesNothing(_) => TurnedAway::Stalled,
            Self::GivesWay => TurnedAway::Room,
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsksNothing(time) => {
                write!(f, "it asked nothing for {}", humantime::format_duration(*time))
            }
            Self::TakesNothing(time) => {
                write!(f, "it took nothing of its answer for {}", humantime::format_duration(*time))
            }
            Self::GivesWay => {
                f.write_str("all connections are taken, and its client asked nothing, or has the most")
            }
        }
    }
}

/// What a connection owes its client, and since when the client took nothing of it.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests that are not answered to their end.
    asked: usize,
    /// Since when there are none, or the rest of the last answer was taken.
    idle_since: Instant,
    /// The socket takes no more.
    blocked: bool,
    /// Bodies that handed out a frame and were not asked for the next one yet.
    owed: usize,
    /// Since when there is something for the client, and it took nothing.
    since: Option<Instant>,
}

impl Progress {
    /// Of a connection that begins now.
    pub(super) fn new() -> Self {
        let state = State { asked: 0, idle_since: Instant::now(), blocked: false, owed: 0, since: None };
        Self { state: Mutex::new(state) }
    }

    /// The client has asked something, and is not answered to the end as long as that is held.
    pub(super) fn asked(this: &Arc<Self>) -> Asked {
        this.with(|state| state.asked += 1);
        Asked(Arc::clone(this))
    }

    /// Since when the client has asked nothing, if nothing is on its way to it.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.with(|state| state.idle_since())
    }

    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            Poll::Pending => self.with(|state| state.blocked = true),
            Poll::Ready(Ok(octets)) if *octets > 0 => self.with(|state| {
                // Pings are answered without being asked for anything.
                if std::mem::take(&mut state.blocked) {
                    state.idle_since = Instant::now();
                }
                if *octets >= SOME {
                    state.since = None;
                }
            }),
            Poll::Ready(_) => {}
        }
    }

    /// Why the connection should end now, if it should.
    pub(super) fn complaint(&self, now: Instant, limits: Limits) -> Option<Cut> {
        self.with(|state| {
            if state.idle_since().is_some_and(|since| now.duration_since(since) >= limits.ask_within) {
                return Some(Cut::AsksNothing(limits.ask_within));
            }
            let stalled = state.since.is_some_and(|since| now.duration_since(since) >= limits.take_within);
            stalled.then_some(Cut::TakesNothing(limits.take_within))
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut state);
        if !state.blocked && state.owed == 0 {
            state.since = None;
        } else if state.since.is_none() {
            state.since = Some(Instant::now());
        }
        outcome
    }
}

impl State {
    fn idle_since(&self) -> Option<Instant> {
        (self.asked == 0 && !self.blocked).then_some(self.idle_since)
    }
}

/// A request that is not answered to its end.
#[derive(Debug)]
pub(super) struct Asked(Arc<Progress>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.with(|state| {
            state.asked -= 1;
            state.idle_since = Instant::now();
        });
    }
}

/// A stream that says what its client takes.
pub(super) struct Watched<S> {
    stream: S,
    progress: Arc<Progress>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.progress.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, octets);
        self.progress.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A body that says when it is owed: after a frame, until the next one is asked for.
pub(super) struct Owed<B> {
    body: B,
    owed: bool,
    asked: Asked,
}

impl<B> Owed<B> {
    pub(super) fn new(body: B, asked: Asked) -> Self {
        Self { body, owed: false, asked }
    }

    fn mark(&mut self, owed: bool) {
        if self.owed != owed {
            self.owed = owed;
            self.asked.0.with(|state| if owed { state.owed += 1 } else { state.owed -= 1 });
        }
    }
}

impl<B> Drop for Owed<B> {
    fn drop(&mut self) {
        self.mark(false);
    }
}

impl<B: Body + Unpin> Body for Owed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.mark(matches!(frame, Poll::Ready(Some(Ok(_)))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
