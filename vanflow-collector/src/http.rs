//! The HTTP server: sockets, TLS and limits around a function from requests to responses.
//!
//! A client is owed its answer for as long as it takes some of it. One that asks nothing, or takes nothing of what
//! there is for it, is cut off: connections are few, and memory for each is bounded (faults 19).

mod stall;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible, fmt, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Level, debug, info, warn};

use self::stall::{Cut, Limits, Owed, Progress, Watched};
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

/// A server that listens, and does not answer yet.
pub(crate) struct Server {
    listeners: Vec<TcpListener>,
    certificate: Option<Arc<Certificate>>,
    connections: Arc<Semaphore>,
    stall_timeout: Duration,
}

impl Server {
    /// Listens on every address of `settings`, which that option named.
    pub(crate) async fn bind(settings: &config::Http, option: &'static str) -> Result<Self, HttpError> {
        let certificate = match &settings.tls {
            Some((certificate, key)) => Some(Arc::new(Certificate::load(certificate, key)?)),
            None => None,
        };
        let mut listeners = Vec::new();
        for address in &settings.listen {
            let listener = TcpListener::bind(address).await.map_err(|error| HttpError::Listen {
                option,
                address: address.clone(),
                error,
            })?;
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
        let stream = Watched::new(stream, progress.clone());
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

enum End {
    Done,
    Failed(Failure),
    Cut(Cut),
}
