//! A source that attaches to a router as a client, as controllers do.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use fe2o3_amqp::{
    Connection, Session, connection::ConnectionHandle, sasl_profile::SaslProfile, session::SessionHandle,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, ToSocketAddrs},
    sync::mpsc,
    task::JoinHandle,
    time::{self, MissedTickBehavior, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Outgoing, Source, outbox::Outbox};
use crate::{
    Body, Message, Timestamp, UpdateBuf,
    amqp::{BareStream, Incoming, Limits, LinkError, MAX_FRAME_SIZE, Parked, Receiver, Sender},
};

/// How often a controller says that it is there.
pub const BEACON_INTERVAL: Duration = Duration::from_secs(10);

/// How often a source says that it is alive.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// How long a message waits for credit.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many messages wait for credit.
const BACKLOG: usize = 10_000;

/// Why a source cannot send to a router, or not any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The router cannot be reached.
    #[error("cannot connect to the router: {0}")]
    Connect(#[from] io::Error),
    /// The router did not want the connection, or it was lost while it was made.
    #[error("the router did not open the connection: {0}")]
    Open(String),
    /// A link was refused or lost.
    #[error("no link to {address}: {reason}")]
    Link {
        /// The address that it was to.
        address: String,
        /// What happened.
        reason: String,
    },
}

impl ClientError {
    fn link(address: &str, error: &LinkError) -> Self {
        Self::Link { address: address.into(), reason: error.to_string() }
    }
}

/// The connection of one [`Source`] to a router.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf, source::{Client, Source}};
///
/// let mut controller = Source::controller("11111111-aaaa-4000-8000-000000000001");
/// let mut client = Client::connect("127.0.0.1:5672", &controller).await?;
/// let (report, mut updates) = tokio::sync::mpsc::channel(100);
/// let site = UpdateBuf::new(RecordKind::Site, controller.id()).with(Attribute::Name, "west");
/// report.send(site).await?;
///
/// let clock = || {
///     let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
///     Timestamp::from_micros(now.as_micros() as u64)
/// };
/// client.run(&mut controller, &mut updates, clock).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Client {
    connection: ConnectionHandle<()>,
    session: SessionHandle<()>,
    parked: Parked,
    lanes: HashMap<Arc<str>, Lane>,
    closing: CancellationToken,
    direct: Arc<str>,
    flushes: Receiver,
}

impl Client {
    /// Connects without TLS, as anonymous user, and listens for FLUSH at the source's direct address.
    ///
    /// # Errors
    ///
    /// Where the router is not there, or does not want us.
    pub async fn connect(router: impl ToSocketAddrs, source: &Source) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(router).await?;
        stream.set_nodelay(true)?;
        Self::open(stream, source).await
    }

    /// The same over a stream that is there already, such as one of TLS.
    ///
    /// # Errors
    ///
    /// Where the router does not want us.
    pub async fn open(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        source: &Source,
    ) -> Result<Self, ClientError> {
        let parked = Parked::default();
        let mut connection = Connection::builder()
            .container_id(format!("{}-{}", source.source_type().name().to_lowercase(), source.id()))
            .max_frame_size(u32::try_from(MAX_FRAME_SIZE).unwrap_or(u32::MAX))
            .sasl_profile(SaslProfile::Anonymous)
            .open_with_stream(BareStream::new(stream, parked.clone(), Limits::default()))
            .await
            .map_err(|error| ClientError::Open(error.to_string()))?;
        let mut session =
            Session::begin(&mut connection).await.map_err(|error| ClientError::Open(error.to_string()))?;
        let direct = source.direct().clone();
        let flushes = Receiver::attach(&mut session, &direct, 100, &parked)
            .await
            .map_err(|error| ClientError::link(&direct, &error))?;
        let (lanes, closing) = (HashMap::new(), CancellationToken::new());
        Ok(Self { connection, session, parked, lanes, closing, direct, flushes })
    }

    /// Sends a message of the source. Does not wait for what becomes of it: a router gives no credit for an address as long
    /// as nobody listens there, and what cannot be sent within a second is thrown away.
    ///
    /// # Errors
    ///
    /// Where the router does not take messages to that address.
    pub async fn send(&mut self, outgoing: &Outgoing) -> Result<(), ClientError> {
        let address = &outgoing.address;
        let failed = |error| ClientError::link(address, &error);
        let lane = match self.lanes.get_mut(address) {
            Some(lane) => lane,
            None => {
                let sender =
                    Sender::attach(&mut self.session, address, &self.parked).await.map_err(failed)?;
                let outbox = Arc::new(Outbox::default());
                let task = tokio::spawn(deliver(sender, Arc::clone(&outbox), self.closing.clone()));
                self.lanes.entry(address.clone()).or_insert(Lane { outbox, task })
            }
        };
        if lane.task.is_finished() {
            let lost = LinkError::Stopped("the link was lost".into());
            let ended = match self.lanes.remove(address) {
                Some(lane) => lane.task.await,
                None => Ok(Ok(())),
            };
            return Err(failed(ended.ok().and_then(Result::err).unwrap_or(lost)));
        }
        lane.outbox.push(outgoing.message.clone(), BACKLOG);
        Ok(())
    }

    /// Waits until a collector sends FLUSH. May be dropped and called again; nothing is lost by it.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub async fn flushed(&mut self) -> Result<(), ClientError> {
        loop {
            let incoming =
                self.flushes.recv().await.map_err(|error| ClientError::link(&self.direct, &error))?;
            let Incoming::Message(bytes) = incoming else { continue };
            if Message::decode(&bytes).is_ok_and(|message| matches!(message.body, Body::Flush)) {
                return Ok(());
            }
        }
    }

    /// Sends all that a source sends, as a controller does: beacons, heartbeats, what `updates` changes, and answers to
    /// FLUSH. Returns when the other end of `updates` is dropped.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub async fn run(
        &mut self,
        source: &mut Source,
        updates: &mut mpsc::Receiver<UpdateBuf>,
        clock: impl Fn() -> Timestamp,
    ) -> Result<(), ClientError> {
        let mut beacons = time::interval(BEACON_INTERVAL);
        let mut heartbeats = time::interval(HEARTBEAT_INTERVAL);
        beacons.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // On its beat whatever comes between: another would be another process's.
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let messages = tokio::select! {
                _ = beacons.tick() => vec![source.beacon()],
                _ = heartbeats.tick() => vec![source.heartbeat(clock())],
                flushed = self.flushed() => {
                    flushed?;
                    source.flush_answer()
                }
                update = updates.recv() => {
                    let Some(update) = update else { return Ok(()) };
                    source.update(update);
                    while let Ok(update) = updates.try_recv() {
                        source.update(update);
                    }
                    source.emit()
                }
            };
            for message in &messages {
                self.send(message).await?;
            }
        }
    }

    /// Sends what is left to send, detaches all links and closes the connection, as far as the router goes along with it
    /// in time.
    pub async fn close(self) {
        let Self { mut connection, mut session, parked, lanes, closing, flushes, .. } = self;
        closing.cancel();
        let _ = timeout(2 * PATIENCE, async {
            flushes.close().await;
            for (_, lane) in lanes {
                // What went wrong on a link that is to be closed does not matter any more.
                let _ = lane.task.await;
            }
            // Where the router is gone already, there is nothing left to close.
            let _ = session.end().await;
            let _ = connection.close().await;
        })
        .await;
        // Whoever still waits for the router waits in vain.
        parked.cut();
    }
}

/// Messages to one address, and the task that sends them.
#[derive(Debug)]
struct Lane {
    outbox: Arc<Outbox>,
    task: JoinHandle<Result<(), LinkError>>,
}

/// Sends what comes into the outbox; in the end, what is left there.
async fn deliver(
    mut sender: Sender,
    outbox: Arc<Outbox>,
    closing: CancellationToken,
) -> Result<(), LinkError> {
    loop {
        match outbox.pop() {
            Some(message) => match timeout(PATIENCE, sender.post(message.to_vec())).await {
                Ok(posted) => posted?,
                // Nobody listens; whoever comes to listen later does not want what is old by then.
                Err(_) => outbox.clear(),
            },
            None => tokio::select! {
                () = outbox.filled() => {}
                error = sender.detached() => return Err(error),
                () = closing.cancelled() => break,
            },
        }
    }
    sender.close().await;
    Ok(())
}
