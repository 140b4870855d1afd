//! The HTTP server: sockets, TLS and limits around a function from requests to responses.
//!
//! A client is owed its answer for as long as it takes some of it. One that asks nothing, or takes nothing of what
//! there is for it, is cut off: connections are few, and memory for each is bounded (faults 19). Where all are taken,
//! [`places`] says who gives way; clients that find no place are told so, and may ask how the collector is doing nevertheless.

mod places;
mod stall;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::watch,
    task::{JoinHandle, JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Level, debug, info, warn};
use vanflow_api::{
    Client,
    metrics::{Health, TurnedAway},
};

pub(crate) use self::places::client_of;
use self::{
    places::{Place, Places},
    stall::{Asked, Cut, Limits, Owed, Progress, Watched},
};
use crate::{
    access_log::shown,
    config::{self, Addresses},
    front::is_probe,
    occasion::Occasion,
    subject::common_name,
    tls::{Certificate, TlsError},
};

/// How long a client has to ask: from its connection to the end of the head of its first request, and from the end of an
/// answer to that of the next one.
const ASK_WITHIN: Duration = Duration::from_secs(30);

/// The same where there is no place for it, and it may ask how the collector is doing.
const PROBE_WITHIN: Duration = Duration::from_secs(5);

/// Places for clients that find no other, and for one of them.
const PROBES: (usize, usize) = (64, 16);

/// After how long without a word from a client's machine, though it is asked, the client is gone.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// How long answers that were begun may take when the server shuts down.
const DRAIN: Duration = Duration::from_secs(3);

/// What is buffered for a connection, in octets: the head of a request, and what is written ahead.
const BUFFER: usize = 64 * 1024;

/// Requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 64;

/// What lines of the access log are distinguished by: `--log info,access=debug` shows them.
const ACCESS: &str = "access";

const TOO_MANY_TEXT: &str = "{\"error\": \"too many connections at a time\"}\n";

/// The same as a whole, where nothing was asked.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\n\
    content-length: 44\r\nconnection: close\r\n\r\n{\"error\": \"too many connections at a time\"}\n";

/// Why there is no server.
#[derive(Debug, Error)]
pub enum HttpError {
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {}", why_not(option, error))]
    Listen {
        /// The option that names it.
        option: &'static str,
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

/// Why an address cannot be listened on, and what would be right.
pub(crate) fn why_not(option: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "another program listens there; give {option} another port, or port 0 for any that is free"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine has no such address; give {option} one that it has, or 0.0.0.0 for all of them"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("that is not allowed to this user; give {option} a port from 1024 on")
        }
        _ => format!("{error}; {option} names the address"),
    }
}

/// Listens on `host:port`, or, where there is no host, on every address of this machine, IPv6 where it has that.
async fn listen_on(address: &str) -> io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else { return TcpListener::bind(address).await };
    match TcpListener::bind(format!("[::]:{port}")).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(format!("0.0.0.0:{port}")).await
        }
        bound => bound,
    }
}

/// A server that listens, and does not answer yet.
pub(crate) struct Server {
    listeners: Vec<std::net::TcpListener>,
    certificate: Option<Arc<Certificate>>,
    places: Arc<Places>,
    probes: Arc<Places>,
    stall_timeout: Duration,
    health: Arc<Health>,
    /// When to look at the certificate at once.
    renewed: Option<watch::Receiver<()>>,
}

impl Server {
    /// Listens on every address of `settings`, which that option named.
    pub(crate) async fn bind(settings: &config::Http, option: &'static str) -> Result<Self, HttpError> {
        let certificate = match &settings.tls {
            Some((certificate, key)) => {
                Some(Arc::new(Certificate::load(certificate, key, settings.client_ca.as_deref())?))
            }
            None => None,
        };
        let mut listeners = Vec::new();
        for address in &settings.listen {
            let listener = listen_on(address).await.and_then(TcpListener::into_std);
            listeners.push(listener.map_err(|error| HttpError::Listen {
                option,
                address: address.clone(),
                error,
            })?);
        }
        Ok(Self {
            listeners,
            certificate,
            places: Places::new(settings.limits.connections, settings.limits.client_connections),
            probes: Places::new(PROBES.0, PROBES.1),
            stall_timeout: settings.limits.stall_timeout,
            health: Arc::default(),
            renewed: None,
        })
    }

    /// The same, which looks at its certificate whenever that is sent too.
    pub(crate) fn renewed_at(self, renewed: watch::Receiver<()>) -> Self {
        Self { renewed: Some(renewed), ..self }
    }

    /// The same, which counts there whom it turns away.
    pub(crate) fn counted_in(self, health: Arc<Health>) -> Self {
        Self { health, ..self }
    }

    /// The same, which is behind proxies at those addresses: clients share their connections, so that there are as many as
    /// proxies like.
    pub(crate) fn behind(self, proxies: Vec<Addresses>) -> Self {
        let Places { total, of_client, .. } = *self.places;
        Self { places: Places::behind(total, of_client, proxies), ..self }
    }

    /// The addresses that are listened on, with the ports that were found where 0 was asked for.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The same as [`serve`](Self::serve), on a thread of its own, where nothing else is done than reading requests and
    /// writing answers: whatever goes on elsewhere, requests are taken.
    pub(crate) fn serve_apart<R, F, B>(self, respond: R, shutdown: CancellationToken) -> JoinHandle<()>
    where
        R: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Failure>> + Send + Unpin + 'static,
    {
        spawn_blocking(move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.serve(respond, shutdown)),
            Err(error) => warn!("cannot answer requests: {error}"),
        })
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
            let listener = match TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => {
                    warn!("cannot listen any more: {error}");
                    continue;
                }
            };
            let acceptor = Acceptor {
                certificate: self.certificate.clone(),
                places: self.places.clone(),
                probes: self.probes.clone(),
                limits: Limits { ask_within: ASK_WITHIN, take_within: self.stall_timeout },
                health: self.health.clone(),
                respond: respond.clone(),
                shutdown: shutdown.clone(),
            };
            tasks.spawn(acceptor.run(listener));
        }
        let renewed = self.renewed;
        let renewing = self.certificate.map(|certificate| tokio::spawn(certificate.keep_renewing(renewed)));
        while tasks.join_next().await.is_some() {}
        if let Some(renewing) = renewing {
            renewing.abort();
        }
    }
}

/// Who is at the other end of a connection; requests have it as an extension.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whether nobody on the way can read along.
    pub(crate) is_tls: bool,
    /// The subject of the certificate that was shown, if it has a name.
    pub(crate) certificate: Option<Arc<str>>,
}

impl Peer {
    /// Somebody at that address, who shows nothing.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), is_tls: false, certificate: None }
    }

    /// Who sent a request.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        request.extensions().get().cloned().unwrap_or_else(|| Self::at(Ipv6Addr::UNSPECIFIED.into()))
    }
}

/// Whatever went wrong on a connection, or with a body.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct Acceptor<R> {
    certificate: Option<Arc<Certificate>>,
    places: Arc<Places>,
    probes: Arc<Places>,
    limits: Limits,
    health: Arc<Health>,
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
        let mut refused = Occasion::default();
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
            let Some(seat) = self.seat(peer, &mut refused) else {
                if self.certificate.is_none() {
                    // Nothing was written to it before, so this fits; whether it arrives is up to the client.
                    let _ = stream.try_write(TOO_MANY);
                }
                continue;
            };
            // Answers are written whole or in large pieces; waiting for more would only delay watchers.
            let _ = stream.set_nodelay(true);
            notice_its_end(&stream);
            let this = self.clone();
            tasks.spawn(async move {
                match this.clone().connection(stream, peer, seat).await {
                    End::Cut(why) => {
                        this.health.turned_away(why.reason());
                        info!("cut off {peer}: {why}");
                    }
                    End::Failed(error) => debug!("{peer}: {error}"),
                    End::Done => debug!("{peer} is done"),
                }
            });
        }
        drop(listener);
        if timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            info!("cut off {} HTTP connections that did not end in time", tasks.len());
        }
    }

    /// A place for a client that connects: one of those that there are, or where it may ask how the collector is doing.
    fn seat(&self, peer: SocketAddr, refused: &mut Occasion) -> Option<Seat> {
        let progress = Arc::new(Progress::new());
        if let Some(place) = self.places.take(peer.ip(), &progress) {
            return Some(Seat { place, progress, limits: self.limits, is_spare: false });
        }
        self.health.turned_away(TurnedAway::Connections);
        if let Some(times) = refused.arises() {
            warn!(
                "{times} clients were turned away since this was said last, for all --connections are taken, or all \
                 --client-connections of theirs; now {peer}"
            );
        }
        let place = self.probes.take(peer.ip(), &progress)?;
        let limits = Limits { ask_within: PROBE_WITHIN, ..self.limits };
        Some(Seat { place, progress, limits, is_spare: true })
    }

    /// Serves one client for as long as it behaves.
    async fn connection(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: SocketAddr,
        seat: Seat,
    ) -> End {
        let stream = Watched::new(stream, seat.progress.clone());
        let Some(certificate) = &self.certificate else { return self.serve(stream, peer, None, seat).await };
        let ask_within = seat.limits.ask_within;
        let greeting = timeout(ask_within, certificate.acceptor().accept(stream));
        let greeted = tokio::select! {
            () = seat.place.gives_way.cancelled() => return End::Cut(Cut::GivesWay),
            greeted = greeting => greeted,
        };
        match greeted {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let name = shown.and_then(|shown| common_name(shown)).map(Arc::from);
                self.serve(stream, peer, name, seat).await
            }
            Ok(Err(error)) => End::Failed(error.into()),
            Err(_) => End::Cut(Cut::AsksNothing(ask_within)),
        }
    }

    async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: SocketAddr,
        certificate: Option<Arc<str>>,
        Seat { place, progress, limits, is_spare }: Seat,
    ) -> End {
        let from = Peer { is_tls: self.certificate.is_some(), certificate, ..Peer::at(peer.ip()) };
        let service = service_fn(|mut request: Request<Incoming>| {
            let asked = Progress::asked(&progress);
            request.extensions_mut().insert(from.clone());
            let line = tracing::enabled!(target: ACCESS, Level::DEBUG)
                .then(|| format!("{peer} {} {}", request.method(), shown(request.uri())));
            request.extensions_mut().insert(Client(client_of(peer.ip())));
            let is_answered = !is_spare || is_probe(request.uri().path());
            let answering = is_answered.then(|| (self.respond)(request));
            async move {
                let mut response = match answering {
                    Some(answering) => answering.await.map(|body| Either::Left(Owed::new(body, asked))),
                    None => no_place(asked),
                };
                if is_spare {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                if let Some(line) = line {
                    debug!(target: ACCESS, "{line} {}", response.status().as_u16());
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.ask_within).max_buf_size(BUFFER);
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
        let why = loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    return ended.map_or_else(|error| End::of(error, limits.ask_within), |()| End::Done);
                }
                () = self.shutdown.cancelled(), if !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = place.gives_way.cancelled() => break Cut::GivesWay,
                now = ticks.tick() => {
                    if let Some(why) = progress.complaint(now, limits) {
                        break why;
                    }
                }
            }
        };
        // HTTP/2 clients are told, those of HTTP/1 see the connection end.
        connection.as_mut().graceful_shutdown();
        let _ = timeout(Duration::from_millis(100), connection).await;
        End::Cut(why)
    }
}

/// Has the connection to a machine end that is gone without a word: a watch takes a place until then.
fn notice_its_end(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let alive = TcpKeepalive::new().with_time(GONE_AFTER / 2).with_interval(GONE_AFTER / 6).with_retries(3);
    // Where a system knows less of it, what it knows has to do.
    let _ = socket.set_tcp_keepalive(&alive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(GONE_AFTER));
}

/// What a connection has of the server.
struct Seat {
    place: Place,
    progress: Arc<Progress>,
    limits: Limits,
    /// It came where all places were taken: only probes are answered, and one of them.
    is_spare: bool,
}

/// The answer to a request on a connection for which there is no place.
fn no_place<B>(asked: Asked) -> Response<Either<Owed<B>, Owed<Full<Bytes>>>> {
    let text = Bytes::from_static(TOO_MANY_TEXT.as_bytes());
    let mut response = Response::new(Either::Right(Owed::new(Full::new(text), asked)));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

enum End {
    Done,
    Failed(Failure),
    Cut(Cut),
}

impl End {
    /// What an error comes to. hyper has its own eye on heads of HTTP/1, which can be sooner than ours.
    fn of(error: Failure, ask_within: Duration) -> Self {
        match error.downcast_ref::<hyper::Error>() {
            Some(error) if error.is_timeout() => Self::Cut(Cut::AsksNothing(ask_within)),
            _ => Self::Failed(error),
        }
    }
}
