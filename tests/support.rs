//! Collectors within this process, and a client that asks them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use clap::Parser;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, body::Incoming, client::conn::http1, http::response::Parts};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;
use vanflow_collector::{
    Running,
    config::{Args, Settings},
    run,
};

/// How long anything may take before a test fails for it. Nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A capture in `tests/captures`.
pub(crate) fn capture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(file)
}

/// A collector that answers on a port of its own, and leaves when the test does.
pub(crate) struct Collector {
    running: Running,
    shutdown: CancellationToken,
}

impl Collector {
    /// Starts a collector with the arguments of a command line, and `--listen` with a free port.
    pub(crate) async fn start(arguments: impl IntoIterator<Item = &str>) -> Self {
        Self::start_with(arguments, |_| {}).await
    }

    /// The same, with settings that a command line does not have.
    pub(crate) async fn start_with(
        arguments: impl IntoIterator<Item = &str>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let line = ["vanflow-collector", "--listen", "127.0.0.1:0"].into_iter().chain(arguments);
        let args = Args::try_parse_from(line).expect("arguments");
        let mut settings = Settings::new(args, |_| false).expect("arguments that make sense");
        change(&mut settings);
        let shutdown = CancellationToken::new();
        let running = run(settings, shutdown.clone()).await.expect("the collector starts");
        Self { running, shutdown }
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.addresses()[0]
    }

    /// Where it answers those who watch over it, and nobody else.
    pub(crate) fn metrics_address(&self) -> SocketAddr {
        self.running.metrics_addresses()[0]
    }

    /// Waits until it has asked its network for all records, or replayed a capture to its end.
    pub(crate) async fn ready(&self) {
        let mut status = self.running.status();
        let ready = status.wait_for(|status| status.attached && status.flushed);
        timeout(PATIENCE, ready).await.expect("it is ready in time").expect("it is running");
    }

    /// Asks for a path, which is answered with 200 and JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (parts, body) = self.answer(path).await;
        assert_eq!(parts.status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Asks for a path again and again, until the answer is as it should be; answers it.
    pub(crate) async fn until(&self, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let asking = async {
            let mut pace = interval(Duration::from_millis(20));
            loop {
                pace.tick().await;
                last = self.get(path).await;
                if is_right(&last) {
                    return;
                }
            }
        };
        let is_in_time = timeout(PATIENCE, asking).await.is_ok();
        assert!(is_in_time, "{path} is still {last}");
        last
    }

    /// Asks for a path, and reads the answer to its end.
    pub(crate) async fn answer(&self, path: &str) -> (Parts, Bytes) {
        let (parts, body) = ask(self.connect().await, path).await;
        let body =
            timeout(PATIENCE, body.collect()).await.expect("it answers in time").expect("a whole answer");
        (parts, body.to_bytes())
    }

    /// Asks for a path that watches, which is answered line by line.
    pub(crate) async fn watch(&self, path: &str) -> Lines {
        self.watch_over(self.connect().await, path).await
    }

    /// The same over a connection of one's own.
    pub(crate) async fn watch_over(&self, stream: TcpStream, path: &str) -> Lines {
        let (parts, body) = ask(stream, path).await;
        assert_eq!(parts.status, StatusCode::OK, "{path}");
        Lines { body, read: BytesMut::new() }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.expect("it listens")
    }

    /// Has it leave, and waits until it has.
    pub(crate) async fn leave(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running.ended())
            .await
            .expect("it leaves in time")
            .expect("it leaves in peace");
    }
}

/// Asks over a connection, by TLS or not.
pub(crate) async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> (Parts, Incoming) {
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.expect("it speaks HTTP");
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new());
    let response = client.send_request(request.expect("a request"));
    timeout(PATIENCE, response).await.expect("it answers in time").expect("it answers").into_parts()
}

/// The lines of an answer that goes on.
pub(crate) struct Lines {
    body: Incoming,
    read: BytesMut,
}

impl Lines {
    /// The next line, or `None` where the answer is at its end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.iter().position(|octet| *octet == b'\n') {
                let line = String::from_utf8(self.read.split_to(end).to_vec()).expect("UTF-8");
                self.read.advance(1);
                return Some(line);
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("something comes in time")?;
            if let Ok(data) = frame.expect("a whole answer").into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }
}
