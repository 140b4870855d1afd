//! The HTTP server: sockets, TLS and limits around a function from requests to responses.
//!
//! A client is owed its answer for as long as it takes some of it. One that asks nothing, or takes nothing of what
//! there is for it, is cut off: connections are few, and memory for each is bounded (faults 19).

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Level, debug, info, warn};

use crate::{
    config,
    tls::{Certificate, TlsError},
};

/// How long a client has to ask: from its connection to its first request, and for the head of any later one.
const ASK_WITHIN: Duration = Duration::from_secs(30);

/// How long answers that were begun may take when the server shuts down.
const DRAIN: Duration = Duration::from_secs(3);

/// What is buffered for a connection, in octets: the head of a request, and what is written ahead.
const BUFFER: usize = 64 * 1024;

/// Requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 64;

/// What lines of the access log are distinguished by: `--log info,access=debug` shows them.
const ACCESS: &str = "access";

const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\n\
    content-length: 43\r\nconnection: close\r\n\r\n{\"error\": \"too many connections at a time\"}";

/// Why there is no server.
#[derive(Debug, Error)]
pub enum HttpError {
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address, as it was given.
        address: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A certificate that cannot be used.
    #[error("cannot serve HTTPS: {0}")]
    Tls(#[from] TlsError),
}

/// A server that listens, and does not answer yet.
pub(crate) struct Server {
    listeners: Vec<TcpListener>,
    certificate: Option<Arc<Certificate>>,
    connections: Arc<Semaphore>,
    stall_timeout: Duration,
}

impl Server {
    /// Listens on every address of `settings`.
    pub(crate) async fn bind(settings: &config::Http) -> Result<Self, HttpError> {
        let certificate = match &settings.tls {
            Some((certificate, key)) => Some(Arc::new(Certificate::load(certificate, key)?)),
            None => None,
        };
        let mut listeners = Vec::new();
        for address in &settings.listen {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| HttpError::Listen { address: address.clone(), error })?;
            listeners.push(listener);
        }
        Ok(Self {
            listeners,
            certificate,
            connections: Arc::new(Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS))),
            stall_timeout: settings.stall_timeout,
        })
    }

    /// The addresses that are listened on, with the ports that were found where 0 was asked for.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Answers by `respond` until `shutdown`; then ends the answers that were begun, within a few seconds. An answer
    /// whose body fails is cut off, so that nobody takes it for whole.
    pub(crate) async fn serve<R, F, B>(self, respond: R, shutdown: CancellationToken)
    where
        R: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Failure>> + Send + Unpin + 'static,
    {
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            let acceptor = Acceptor {
                certificate: self.certificate.clone(),
                connections: self.connections.clone(),
                limits: Limits { ask_within: ASK_WITHIN, take_within: self.stall_timeout },
                respond: respond.clone(),
                shutdown: shutdown.clone(),
            };
            tasks.spawn(acceptor.run(listener));
        }
        let renewing = self.certificate.map(|certificate| tokio::spawn(certificate.keep_renewing()));
        while tasks.join_next().await.is_some() {}
        if let Some(renewing) = renewing {
            renewing.abort();
        }
    }
}

/// Whatever went wrong on a connection, or with a body.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct Acceptor<R> {
    certificate: Option<Arc<Certificate>>,
    connections: Arc<Semaphore>,
    limits: Limits,
    respond: R,
    shutdown: CancellationToken,
}

impl<R, F, B> Acceptor<R>
where
    R: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Failure>> + Send + Unpin + 'static,
{
    async fn run(self, listener: TcpListener) {
        let mut tasks = JoinSet::new();
        let mut refused = false;
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => break,
                Some(_) = tasks.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: some connection has to end first.
                    warn!("cannot accept connections: {error}");
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let Ok(permit) = self.connections.clone().try_acquire_owned() else {
                if !refused {
                    warn!("--connections are all taken: turning clients away, {peer} first");
                }
                refused = true;
                if self.certificate.is_none() {
                    // Nothing was written to it before, so this fits; whether it arrives is up to the client.
                    let _ = stream.try_write(TOO_MANY);
                }
                continue;
            };
            refused = false;
            // Answers are written whole or in large pieces; waiting for more would only delay watchers.
            let _ = stream.set_nodelay(true);
            let this = self.clone();
            tasks.spawn(async move {
                let end = this.connection(stream, peer).await;
                match end {
                    End::Cut(why) => info!("cut off {peer}: {why}"),
                    End::Failed(error) => debug!("{peer}: {error}"),
                    End::Done => debug!("{peer} is done"),
                }
                drop(permit);
            });
        }
        drop(listener);
        if timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            info!("cut off {} HTTP connections that did not end in time", tasks.len());
        }
    }

    /// Serves one client for as long as it behaves.
    async fn connection(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: impl fmt::Display,
    ) -> End {
        let progress = Arc::new(Progress::new());
        let stream = Watched { stream, progress: progress.clone() };
        match &self.certificate {
            None => self.serve(stream, progress, peer).await,
            Some(certificate) => {
                match timeout(self.limits.ask_within, certificate.acceptor().accept(stream)).await {
                    Ok(Ok(stream)) => self.serve(stream, progress, peer).await,
                    Ok(Err(error)) => End::Failed(error.into()),
                    Err(_) => End::Cut(Cut::AsksNothing(self.limits.ask_within)),
                }
            }
        }
    }

    async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        progress: Arc<Progress>,
        peer: impl fmt::Display,
    ) -> End {
        let service = service_fn(|request: Request<Incoming>| {
            progress.asked();
            let line = tracing::enabled!(target: ACCESS, Level::DEBUG)
                .then(|| format!("{peer} {} {}", request.method(), request.uri()));
            let answering = (self.respond)(request);
            let progress = progress.clone();
            async move {
                let response = answering.await;
                if let Some(line) = line {
                    debug!(target: ACCESS, "{line} {}", response.status().as_u16());
                }
                Ok::<_, Infallible>(response.map(|body| Owed::new(body, progress)))
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.ask_within)
            .max_buf_size(BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(16 * 1024)
            .max_send_buf_size(BUFFER);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut closing = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => return ended.map_or_else(End::Failed, |()| End::Done),
                () = self.shutdown.cancelled(), if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                now = ticks.tick() => {
                    if let Some(why) = progress.complaint(now, self.limits) {
                        // HTTP/2 clients are reported, those of HTTP/1 see the connection end.
                        connection.as_mut().graceful_shutdown();
                        let _ = timeout(Duration::from_millis(100), connection).await;
                        return End::Cut(why);
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Limits {
    ask_within: Duration,
    take_within: Duration,
}

enum End {
    Done,
    Failed(Failure),
    Cut(Cut),
}

#[derive(Debug, PartialEq)]
enum Cut {
    AsksNothing(Duration),
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
struct Progress {
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
    fn new() -> Self {
        let state = State { begun: Instant::now(), asked: false, blocked: false, owed: 0, since: None };
        Self { state: Mutex::new(state) }
    }

    fn asked(&self) {
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
    fn complaint(&self, now: Instant, limits: Limits) -> Option<Cut> {
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
struct Watched<S> {
    stream: S,
    progress: Arc<Progress>,
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
struct Owed<B> {
    body: B,
    owed: bool,
    progress: Arc<Progress>,
}

impl<B> Owed<B> {
    fn new(body: B, progress: Arc<Progress>) -> Self {
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

#[cfg(test)]
mod tests {
    use std::future::ready;

    use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        net::TcpStream,
        sync::mpsc,
        task::JoinHandle,
    };

    use super::*;

    type Boxed = UnsyncBoxBody<Bytes, Infallible>;

    /// A body of frames of 64 KiB without end.
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'.'; 64 * 1024])))))
        }
    }

    /// A body of what is sent to it.
    struct Sent(mpsc::Receiver<Bytes>);

    impl Body for Sent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.poll_recv(cx).map(|octets| octets.map(|octets| Ok(Frame::data(octets))))
        }
    }

    const LIMITS: Limits =
        Limits { ask_within: Duration::from_secs(10), take_within: Duration::from_secs(30) };

    struct Connected {
        client: DuplexStream,
        server: JoinHandle<End>,
        shutdown: CancellationToken,
    }

    /// A client of a server that answers every request with such a body.
    fn connect<B>(body: impl Fn() -> B + Clone + Send + Sync + 'static) -> Connected
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let (client, far) = tokio::io::duplex(4096);
        let shutdown = CancellationToken::new();
        let acceptor = Acceptor {
            certificate: None,
            connections: Arc::new(Semaphore::new(1)),
            limits: LIMITS,
            respond: move |_| ready(Response::new(body())),
            shutdown: shutdown.clone(),
        };
        Connected { client, server: tokio::spawn(acceptor.connection(far, "the client")), shutdown }
    }

    impl Connected {
        async fn ask(&mut self) {
            self.client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("writes");
        }

        /// Reads until `text` has come.
        async fn hear(&mut self, text: &str) {
            let mut heard = Vec::new();
            while !String::from_utf8_lossy(&heard).contains(text) {
                assert_ne!(self.client.read_buf(&mut heard).await.expect("reads"), 0, "{text:?} never came");
            }
        }

        async fn cut(self) -> Cut {
            let begun = Instant::now();
            match self.server.await.expect("no panic") {
                End::Cut(why) => why,
                End::Done => panic!("it was done after {:?}", begun.elapsed()),
                End::Failed(error) => panic!("it failed after {:?}: {error}", begun.elapsed()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off() {
        // faults 19
        let mut connected = connect(|| Endless);
        connected.ask().await;
        assert_eq!(connected.cut().await, Cut::TakesNothing(LIMITS.take_within));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_a_little_is_not_cut_off() {
        let mut connected = connect(|| Endless);
        connected.ask().await;
        for _ in 0..20 {
            sleep(Duration::from_secs(25)).await;
            let mut some = [0; 512];
            connected.client.read_exact(&mut some).await.expect("there is more");
        }
        assert!(!connected.server.is_finished());
        assert_eq!(connected.cut().await, Cut::TakesNothing(LIMITS.take_within));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_took_everything_there_was_is_not_cut_off() {
        let (changes, receiver) = mpsc::channel(1);
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        let mut connected =
            connect(move || Sent(receiver.lock().expect("no panic").take().expect("asked once")));
        connected.ask().await;
        changes.send("first".into()).await.expect("is there");
        connected.hear("first").await;
        sleep(Duration::from_secs(3600)).await;
        changes.send("second".into()).await.expect("is there");
        connected.hear("second").await;
        assert!(!connected.server.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_nothing_is_cut_off() {
        let connected = connect(|| Endless);
        assert_eq!(connected.cut().await, Cut::AsksNothing(LIMITS.ask_within));
        // Half of what makes HTTP/2 different from HTTP/1 is not asking either.
        let mut connected = connect(|| Endless);
        connected.client.write_all(b"PRI * HTTP").await.expect("writes");
        assert_eq!(connected.cut().await, Cut::AsksNothing(LIMITS.ask_within));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_begun_is_ended_before_the_server_leaves() {
        // faults 22
        let (rest, receiver) = mpsc::channel(1);
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        let mut connected =
            connect(move || Sent(receiver.lock().expect("no panic").take().expect("asked once")));
        connected.ask().await;
        rest.send("begun".into()).await.expect("is there");
        connected.hear("begun").await;
        connected.shutdown.cancel();
        rest.send("ended".into()).await.expect("is there");
        drop(rest);
        connected.hear("ended\r\n0\r\n\r\n").await;
        assert!(matches!(connected.server.await.expect("no panic"), End::Done));
    }

    #[tokio::test(start_paused = true)]
    async fn an_http_2_client_that_takes_nothing_is_cut_off() {
        // faults 19
        let mut connected = connect(|| Endless);
        let (near, far) = tokio::io::duplex(4096);
        let client = std::mem::replace(&mut connected.client, near);
        let (mut requests, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
                .await
                .expect("greets");
        tokio::spawn(connection);
        let request = Request::new(Full::<Bytes>::default());
        let response = requests.send_request(request).await.expect("answers");
        // The answer is held, and none of its octets are released for more to come.
        assert_eq!(connected.cut().await, Cut::TakesNothing(LIMITS.take_within));
        drop((response, far));
    }

    async fn server(
        connections: usize,
    ) -> (SocketAddr, CancellationToken, JoinHandle<()>, mpsc::Sender<Bytes>) {
        let settings = config::Http {
            listen: vec!["127.0.0.1:0".into()],
            tls: None,
            cors: Vec::new(),
            connections,
            stall_timeout: LIMITS.take_within,
        };
        let server = Server::bind(&settings).await.expect("binds");
        let address = server.addresses()[0];
        let shutdown = CancellationToken::new();
        let (frames, receiver) = mpsc::channel(1);
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        let respond = move |request: Request<Incoming>| {
            let body: Boxed = match request.uri().path() {
                "/watch" => {
                    Sent(receiver.lock().expect("no panic").take().expect("asked once")).boxed_unsync()
                }
                _ => Full::new(Bytes::from_static(b"hello")).boxed_unsync(),
            };
            ready(Response::new(body))
        };
        let serving = tokio::spawn(server.serve(respond, shutdown.clone()));
        (address, shutdown, serving, frames)
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        // Who is turned away while asking may see the connection reset.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn one_connection_too_many_is_turned_away_and_reported_so() {
        let (address, shutdown, serving, frames) = server(1).await;
        let mut watcher = TcpStream::connect(address).await.expect("connects");
        watcher.write_all(b"GET /watch HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("writes");
        frames.send("here".into()).await.expect("is there");
        let mut heard = [0; 16];
        watcher.read_exact(&mut heard).await.expect("is answered");

        let mut answer = String::new();
        TcpStream::connect(address)
            .await
            .expect("connects")
            .read_to_string(&mut answer)
            .await
            .expect("reads");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");

        drop(watcher);
        // The place becomes free when the server has noticed; nothing but an answer says when that is.
        while !get(address, "/").await.ends_with("hello") {}
        shutdown.cancel();
        serving.await.expect("no panic");
    }

    #[tokio::test]
    async fn a_watcher_that_does_not_leave_does_not_keep_the_server() {
        // faults 22
        let (address, shutdown, serving, frames) = server(8).await;
        let mut watcher = TcpStream::connect(address).await.expect("connects");
        watcher.write_all(b"GET /watch HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("writes");
        frames.send("here".into()).await.expect("is there");
        let mut heard = [0; 16];
        watcher.read_exact(&mut heard).await.expect("is answered");
        tokio::time::pause();
        let begun = Instant::now();
        shutdown.cancel();
        serving.await.expect("no panic");
        assert!(begun.elapsed() <= DRAIN + Duration::from_millis(100), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("binds").local_addr().expect("an address");
        let listener = TcpListener::bind(taken).await.expect("binds");
        let settings = config::Http {
            listen: vec![taken.to_string()],
            tls: None,
            cors: Vec::new(),
            connections: 1,
            stall_timeout: LIMITS.take_within,
        };
        let error = Server::bind(&settings).await.map(drop).expect_err("it is taken").to_string();
        assert!(error.starts_with(&format!("cannot listen on {taken}: Address already in use")), "{error}");
        drop(listener);
    }
}
