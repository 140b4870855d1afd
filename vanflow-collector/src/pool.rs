//! Where answers are computed: on threads of their own, so that neither whoever asks how the collector is doing waits for
//! them, nor the records that come in.
//!
//! The server's thread reads requests and writes what there is to write. All else happens here, in a task for each request,
//! which ends when its client is gone. Tasks that compute take [`Turns`], as many at a time as there are processors.
//! One whose answer has not begun when its time is over is given up, and its client is told so. Answers that go on for
//! as long as their clients like wait for changes most of the time, and take no turns.

use std::{
    future::poll_fn,
    io,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    thread::available_parallelism,
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::timeout,
};
use vanflow_api::Interest;

use crate::{
    answer::{Body, empty, whole},
    http::Failure,
    turns::{Turn, Turns},
};

tokio::task_local! {
    /// Whose turns the task takes.
    static TURNS: (Arc<Turns>, IpAddr);
    /// Whether anybody waits for what the task computes.
    static INTEREST: Interest;
}

/// Computes something when it is the client's turn, where there are turns; at once where there are none.
pub(crate) async fn in_turn<T>(compute: impl FnOnce() -> T) -> T {
    let _turn = turn().await;
    while_somebody_waits(compute)
}

fn while_somebody_waits<T>(compute: impl FnOnce() -> T) -> T {
    match INTEREST.try_with(Clone::clone) {
        Ok(interest) => interest.compute(compute),
        Err(_) => compute(),
    }
}

async fn turn() -> Option<Turn> {
    let (turns, client) = TURNS.try_with(Clone::clone).ok()?;
    Some(turns.take(client).await)
}

/// How a body comes about; an extension of responses. Without it, by waiting for files or for other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Making {
    /// Piece by piece is computed.
    Computed,
    /// It goes on as long as the client likes, and may wait for its first piece.
    Endless,
}

/// Threads that compute answers.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    turns: Arc<Turns>,
    within: Duration,
}

/// An answer did not begin in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Late;

impl Pool {
    /// As many threads as there are processors, and one for what takes no turns. Answers have to begin within that time.
    pub(crate) fn new(within: Duration) -> io::Result<Self> {
        let processors = available_parallelism().map_or(2, usize::from);
        Self::of(processors, within)
    }

    /// The same, with so many turns at a time.
    pub(crate) fn of(turns: usize, within: Duration) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(turns + 1).thread_name("answers").enable_all().build()?;
        let shared = Shared { runtime: Some(runtime), turns: Turns::new(turns), within };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How long an answer may take to begin.
    pub(crate) fn within(&self) -> Duration {
        self.shared.within
    }

    /// Has an answer computed for a client, which may wait for so long for others meanwhile. Dropped before it is at its end,
    /// it is given up.
    pub(crate) async fn answer(
        &self,
        client: IpAddr,
        waits: Duration,
        answering: impl Future<Output = Response<Body>> + Send + 'static,
    ) -> Result<Response<Body>, Late> {
        let Some(runtime) = &self.shared.runtime else { return Err(Late) };
        let (head, begun) = oneshot::channel();
        let turns = (Arc::clone(&self.shared.turns), client);
        let interest = Interest::default();
        let task =
            runtime.spawn(INTEREST.scope(interest.clone(), TURNS.scope(turns, relay(answering, head))));
        let task = Task { handle: task.abort_handle(), interest };
        match timeout(self.shared.within + waits, begun).await {
            Err(_) => Err(Late),
            Ok(Ok((response, None))) => Ok(response),
            Ok(Ok((response, Some(rest)))) => {
                Ok(response.map(|first| Relayed { first: Some(first), rest, _task: task }.boxed_unsync()))
            }
            // It panicked, which the log has.
            Ok(Err(_)) => {
                let mut response = Response::new(whole("{\"error\": \"the answer failed\"}\n"));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                Ok(response)
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops it may be a task, which cannot wait for threads.
            runtime.shutdown_background();
        }
    }
}

/// A piece of a body, or nothing more at its end.
type Piece = Option<Result<Frame<Bytes>, Failure>>;

/// What an answer begins with, and where the rest of it comes from, if there is more.
type Begun = (Response<Body>, Option<mpsc::Receiver<Piece>>);

/// Computes an answer: what it begins with, and then piece by piece as they are taken.
async fn relay(answering: impl Future<Output = Response<Body>>, head: oneshot::Sender<Begun>) {
    let (parts, body) = answering.await.into_parts();
    let mut body = pin!(body);
    let making = parts.extensions.get::<Making>().copied();
    let next = async |body: Pin<&mut Body>| match making {
        Some(Making::Computed) => computed(body).await,
        _ => body.get_mut().frame().await,
    };
    let first = match making {
        Some(Making::Endless) => empty(),
        _ if body.is_end_stream() => empty(),
        _ => match next(body.as_mut()).await {
            None => empty(),
            Some(Ok(frame)) => frame.into_data().map_or_else(|_| empty(), whole),
            Some(Err(error)) => failed(error),
        },
    };
    let is_all = making != Some(Making::Endless) && body.is_end_stream();
    let response = Response::from_parts(parts, first);
    if is_all {
        let _ = head.send((response, None));
        return;
    }
    let (pieces, rest) = mpsc::channel(1);
    if head.send((response, Some(rest))).is_err() {
        return;
    }
    loop {
        // What is not taken yet is not followed by more.
        let Ok(place) = pieces.reserve().await else { return };
        let piece = tokio::select! {
            piece = next(body.as_mut()) => piece,
            () = pieces.closed() => return,
        };
        let is_last = !matches!(piece, Some(Ok(_)));
        place.send(piece);
        if is_last {
            return;
        }
    }
}

/// The next piece of a body that is computed. Each step towards it takes a turn, and none is held while others have theirs:
/// what it waits for may be computed by them.
async fn computed(mut body: Pin<&mut Body>) -> Piece {
    loop {
        let turn = turn().await;
        let step =
            poll_fn(|context| Poll::Ready(while_somebody_waits(|| body.as_mut().poll_frame(context)))).await;
        drop(turn);
        if let Poll::Ready(piece) = step {
            return piece;
        }
        let mut is_woken = false;
        poll_fn(|_| if std::mem::replace(&mut is_woken, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }
}

/// A body that fails.
fn failed(error: Failure) -> Body {
    let mut error = Some(error);
    let frames = futures_util::stream::poll_fn(move |_| Poll::Ready(error.take().map(Err)));
    http_body_util::StreamBody::new(frames).boxed_unsync()
}

/// A task that ends when nobody wants its outcome any more.
struct Task {
    handle: AbortHandle,
    interest: Interest,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.interest.end();
        self.handle.abort();
    }
}

/// The body of an answer that is computed elsewhere.
struct Relayed {
    first: Option<Body>,
    rest: mpsc::Receiver<Piece>,
    _task: Task,
}

impl http_body::Body for Relayed {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(first) = &mut self.first {
            match ready!(Pin::new(first).poll_frame(context)) {
                None => self.first = None,
                frame => return Poll::Ready(frame),
            }
        }
        match ready!(self.rest.poll_recv(context)) {
            Some(piece) => Poll::Ready(piece),
            None => Poll::Ready(Some(Err("the answer failed".into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests;
