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

/// How long a client has.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// To ask, from its connection on.
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
        }
    }
}

/// What a connection owes its client, and since when the client took nothing of it.
pub(super) struct Progress {
    state: Mutex<State>,
}

struct State {
    begun: Instant,
    asked: bool,
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
        let state = State { begun: Instant::now(), asked: false, blocked: false, owed: 0, since: None };
        Self { state: Mutex::new(state) }
    }

    /// The client has asked something.
    pub(super) fn asked(&self) {
        self.with(|state| state.asked = true);
    }

    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            Poll::Pending => self.with(|state| state.blocked = true),
            Poll::Ready(Ok(octets)) if *octets > 0 => self.with(|state| {
                state.blocked = false;
                state.since = None;
            }),
            Poll::Ready(_) => {}
        }
    }

    /// Why the connection should end now, if it should.
    pub(super) fn complaint(&self, now: Instant, limits: Limits) -> Option<Cut> {
        self.with(|state| {
            if !state.asked && now - state.begun >= limits.ask_within {
                return Some(Cut::AsksNothing(limits.ask_within));
            }
            let stalled = state.since.is_some_and(|since| now - since >= limits.take_within);
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
    progress: Arc<Progress>,
}

impl<B> Owed<B> {
    pub(super) fn new(body: B, progress: Arc<Progress>) -> Self {
        Self { body, owed: false, progress }
    }

    fn mark(&mut self, owed: bool) {
        if self.owed != owed {
            self.owed = owed;
            self.progress.with(|state| if owed { state.owed += 1 } else { state.owed -= 1 });
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
