//! One connection to the router: how it comes about, and its links.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use bytes::Bytes;
use fe2o3_amqp::{
    Connection, Session,
    connection::{ConnectionHandle, OpenError},
    session::SessionHandle,
    transport,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    config::{Clock, Config, Credentials},
    sasl::Mechanism,
    tls::Contents,
};
use crate::{
    Dialect, Encoder, Timestamp,
    amqp::{
        BareStream, Incoming, Limits, LinkError, MAX_FRAME_SIZE, Outcome, Parked, Receiver, Sender, words,
    },
    discovery::FlushOutcome,
};

/// A connection may take so long to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// The router may take so long to answer an attach. One that does not is not well, and neither is the connection.
const ATTACH: Duration = Duration::from_secs(30);
/// A FLUSH may take so long, most of it waiting for somebody to be there to take it.
const FLUSH: Duration = Duration::from_secs(10);
/// A router that says nothing at all for so long is gone.
const IDLE: Duration = Duration::from_secs(30);
/// For all that closing a connection takes together.
const CLOSE: Duration = Duration::from_millis(1500);
/// Messages that a router may have under way on one link.
const CREDIT: u32 = 100;
/// Frames that may wait between sending and receiving on a session; the other end sees it at half of them.
const WINDOW: u32 = 8192;
/// Messages that wait for the driver, of all links together.
const WAITING: usize = 64;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is up.
pub(super) struct Open {
    pub(super) connection: ConnectionHandle<()>,
    parked: Parked,
    orders: mpsc::UnboundedSender<Order>,
    linker: oneshot::Receiver<()>,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) reports: mpsc::UnboundedReceiver<Report>,
    /// The certificates that it came about with.
    pub(super) contents: Contents,
}

/// What is to be done about links.
#[derive(Debug)]
pub(super) enum Order {
    Listen(Arc<str>),
    Leave(Arc<str>),
    Flush { source: Arc<str>, to: Arc<str> },
}

/// What became of links.
#[derive(Debug)]
pub(super) enum Report {
    /// A receiver could not be attached, or was detached.
    LinkFailed { address: Arc<str>, why: String },
    /// What became of a FLUSH.
    Flushed { source: Arc<str>, outcome: FlushOutcome, why: Option<String> },
    /// There is nothing to be done any more with this connection.
    Broken(String),
}

/// What was received on a link.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) at: Timestamp,
    pub(super) link: Arc<str>,
    /// The bytes, or how many octets there were too many to take them.
    pub(super) bytes: Result<Bytes, usize>,
}

impl Open {
    /// Connects, or says in words why not.
    pub(super) async fn open(config: &Config, container: &str) -> Result<Self, String> {
        let endpoint = &config.endpoint;
        timeout(CONNECT, Self::try_open(config, container)).await.unwrap_or_else(|_| {
            Err(format!("the router at {endpoint} did not answer within {} s", CONNECT.as_secs()))
        })
    }

    async fn try_open(config: &Config, container: &str) -> Result<Self, String> {
        let endpoint = &config.endpoint;
        let (tls, contents) = match endpoint.tls {
            true => config
                .tls
                .load()
                .map(|(tls, contents)| (Some(tls), contents))
                .map_err(|error| error.to_string())?,
            false => (None, Contents::default()),
        };
        let socket =
            dial(config).await.map_err(|error| format!("cannot reach the router at {endpoint}: {error}"))?;
        let mut stream: Box<dyn Stream> = match tls {
            None => socket,
            Some(tls) => {
                let name = ServerName::try_from(endpoint.host.clone())
                    .map_err(|_| format!("{:?} is no name that a certificate can have", endpoint.host))?;
                let stream = TlsConnector::from(tls).connect(name, socket).await;
                Box::new(stream.map_err(|error| format!("no TLS with the router at {endpoint}: {error}"))?)
            }
        };
        let parked = Parked::default();
        let limits = Limits { message: config.max_message_size, ..Limits::default() };
        let certificate = endpoint.tls && config.tls.certificate.is_some();
        let mechanism = match &config.credentials {
            Credentials::Password { user, password } => Mechanism::Plain { user, password },
            Credentials::Certificate if certificate => Mechanism::External,
            Credentials::Certificate | Credentials::Anonymous => Mechanism::Anonymous,
        };
        mechanism
            .negotiate(&mut stream, &endpoint.host)
            .await
            .map_err(|error| format!("the router at {endpoint} {error}"))?;
        let mut connection = Connection::builder()
            .container_id(container)
            .hostname(endpoint.host.as_str())
            .max_frame_size(MAX_FRAME_SIZE as u32)
            .idle_time_out(IDLE.as_millis() as u32)
            .open_with_stream(BareStream::new(stream, parked.clone(), limits))
            .await
            .map_err(|error| format!("the router at {endpoint} {}", refusal(error)))?;
        let session = Session::builder()
            .incoming_window(WINDOW)
            .begin(&mut connection)
            .await
            .map_err(|error| format!("the router at {endpoint} began no session: {error}"))?;

        let (orders, taken) = mpsc::unbounded_channel();
        let (sender, messages) = mpsc::channel(WAITING);
        let (reporter, reports) = mpsc::unbounded_channel();
        let (done, linker) = oneshot::channel();
        let links = Linker {
            session,
            parked: parked.clone(),
            clock: Arc::clone(&config.clock),
            messages: sender,
            reports: reporter,
            pumps: HashMap::new(),
            tasks: JoinSet::new(),
        };
        tokio::spawn(async move {
            links.run(taken).await;
            let _ = done.send(());
        });
        Ok(Self { connection, parked, orders, linker, messages, reports, contents })
    }

    pub(super) fn order(&self, order: Order) {
        // A linker that is gone has said so in a report.
        let _ = self.orders.send(order);
    }

    /// Why the connection is broken, if it knows better than `why`.
    pub(super) async fn broken(&mut self, why: String) -> String {
        timeout(Duration::from_millis(100), ended(&mut self.connection)).await.unwrap_or(why)
    }

    /// Detaches, ends and closes, as far as the router goes along with it in time.
    pub(super) async fn close(self) {
        let Self { mut connection, parked, orders, mut linker, mut messages, .. } = self;
        // The linker takes it for the end, and the pumps too; they must not wait for room.
        drop(orders);
        messages.close();
        let _ = timeout(CLOSE, async {
            let _ = (&mut linker).await;
            let _ = connection.close().await;
        })
        .await;
        // Whoever still waits for the router waits in vain.
        parked.cut();
    }
}

/// Waits for the end of a connection, and says in words what it was.
pub(super) async fn ended(connection: &mut ConnectionHandle<()>) -> String {
    match connection.on_close().await {
        Ok(()) => "the router closed the connection".into(),
        Err(error) => ending(error),
    }
}

async fn dial(config: &Config) -> io::Result<Box<dyn Stream>> {
    #[cfg(test)]
    if let Some(dial) = &config.dial {
        return Ok(Box::new(dial().await?));
    }
    let socket = TcpStream::connect((config.endpoint.host.as_str(), config.endpoint.port)).await?;
    // Frames are flushed one by one, and each is worth sending.
    socket.set_nodelay(true)?;
    Ok(Box::new(socket))
}

/// Why the router did not open a connection, to follow upon its name.
fn refusal(error: OpenError) -> String {
    match error {
        OpenError::ProtocolHeaderMismatch(bytes) => {
            format!("does not speak AMQP 1.0: it said \"{}\"", bytes.escape_ascii())
        }
        OpenError::RemoteClosedWithError(error) => format!("refused the connection: {}", words(&error)),
        OpenError::RemoteClosed => "refused the connection without a reason".into(),
        OpenError::Io(error) | OpenError::TransportError(transport::Error::Io(error)) => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "closed the connection before it was open".into()
            }
            _ => format!("cannot be spoken to: {error}"),
        },
        other => format!("cannot be spoken to: {other}"),
    }
}

/// What ended a connection.
fn ending(error: fe2o3_amqp::connection::Error) -> String {
    use fe2o3_amqp::connection::Error;
    match error {
        Error::RemoteClosed => "the router closed the connection".into(),
        Error::RemoteClosedWithError(error) => format!("the router closed the connection: {}", words(&error)),
        Error::TransportError(transport::Error::IdleTimeoutElapsed) => {
            format!("the router was silent for {} s", IDLE.as_secs())
        }
        // That is what fe2o3-amqp makes of a stream that ends.
        Error::IllegalState => "the router went away".into(),
        Error::TransportError(transport::Error::Io(error)) => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "the router went away".into()
            }
            _ => format!("the connection broke: {error}"),
        },
        other => format!("the connection broke: {other}"),
    }
}

/// Attaches links, one at a time as fe2o3-amqp wants it, and has them pumped.
struct Linker {
    session: SessionHandle<()>,
    parked: Parked,
    clock: Clock,
    messages: mpsc::Sender<Message>,
    reports: mpsc::UnboundedSender<Report>,
    /// By address; a pump stops when its end here is dropped.
    pumps: HashMap<Arc<str>, oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

impl Linker {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            while self.tasks.try_join_next().is_some() {}
            let done = match order {
                Order::Listen(address) => timeout(ATTACH, self.listen(address)).await,
                Order::Leave(address) => {
                    self.pumps.remove(&address);
                    Ok(())
                }
                Order::Flush { source, to } => timeout(ATTACH, self.flush(source, to)).await,
            };
            if done.is_err() {
                let why = format!("the router did not answer an attach within {} s", ATTACH.as_secs());
                let _ = self.reports.send(Report::Broken(why));
                break;
            }
        }
        self.pumps.clear();
        while self.tasks.join_next().await.is_some() {}
        let _ = self.session.end().await;
    }

    async fn listen(&mut self, address: Arc<str>) {
        match Receiver::attach(&mut self.session, &address, CREDIT, &self.parked).await {
            Ok(receiver) => {
                let (stop, stopped) = oneshot::channel();
                let pump = Pump {
                    receiver,
                    address: Arc::clone(&address),
                    clock: Arc::clone(&self.clock),
                    messages: self.messages.clone(),
                    reports: self.reports.clone(),
                };
                self.pumps.insert(address, stop);
                self.tasks.spawn(pump.run(stopped));
            }
            Err(error) => {
                let _ = self.reports.send(report(address, error));
            }
        }
    }

    async fn flush(&mut self, source: Arc<str>, to: Arc<str>) {
        let reports = self.reports.clone();
        match Sender::attach(&mut self.session, &to, &self.parked).await {
            Ok(mut sender) => {
                self.tasks.spawn(async move {
                    let message = Encoder::new(Dialect::Controller).flush(&to, 0);
                    let (outcome, why) = match timeout(FLUSH, sender.send(message)).await {
                        Ok(Ok(Outcome::Accepted)) => (FlushOutcome::Accepted, None),
                        Ok(Ok(Outcome::Released)) => (FlushOutcome::Refused, Some("nobody took it".into())),
                        Ok(Ok(Outcome::Rejected(why))) => (FlushOutcome::Refused, Some(why)),
                        Ok(Err(error)) => (FlushOutcome::Refused, Some(error.to_string())),
                        Err(_) => (FlushOutcome::Refused, Some("nobody was there to take it".into())),
                    };
                    let _ = reports.send(Report::Flushed { source, outcome, why });
                    sender.close().await;
                });
            }
            Err(LinkError::Stopped(why)) => {
                let _ = reports.send(Report::Broken(why));
            }
            Err(error) => {
                let (outcome, why) = (FlushOutcome::Refused, Some(error.to_string()));
                let _ = reports.send(Report::Flushed { source, outcome, why });
            }
        }
    }
}

fn report(address: Arc<str>, error: LinkError) -> Report {
    match error {
        LinkError::Stopped(why) => Report::Broken(why),
        error => Report::LinkFailed { address, why: error.to_string() },
    }
}

/// Takes what comes by one link to the driver.
struct Pump {
    receiver: Receiver,
    address: Arc<str>,
    clock: Clock,
    messages: mpsc::Sender<Message>,
    reports: mpsc::UnboundedSender<Report>,
}

impl Pump {
    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        loop {
            let received = tokio::select! {
                biased;
                _ = &mut stop => break,
                received = self.receiver.recv() => received,
            };
            let bytes = match received {
                Ok(Incoming::Message(bytes)) => Ok(bytes),
                Ok(Incoming::TooLarge(octets)) => Err(octets),
                Err(error) => {
                    let _ = self.reports.send(report(Arc::clone(&self.address), error));
                    break;
                }
            };
            let message = Message { at: (self.clock)(), link: Arc::clone(&self.address), bytes };
            tokio::select! {
                biased;
                _ = &mut stop => break,
                sent = self.messages.send(message) => if sent.is_err() { break },
            }
        }
        self.receiver.close().await;
    }
}
