//! What stands for a Skupper router: collectors attach to it, and sources send through it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fe2o3_amqp::acceptor::{
    ConnectionAcceptor, LinkAcceptor, LinkEndpoint, ListenerConnectionHandle, ListenerSessionHandle,
    SaslAcceptor, SessionAcceptor, sasl_acceptor::SaslServerFrame,
};
use fe2o3_amqp_types::{
    definitions::{AmqpError, Error, Role},
    performatives::Attach,
    primitives::{Array, Symbol},
    sasl::{SaslCode, SaslInit, SaslOutcome, SaslResponse},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Outgoing, outbox::Outbox, socket::Socket};
use crate::{
    BEACON_ADDRESS, Body, Message,
    amqp::{BareStream, Incoming, Limits, MAX_FRAME_SIZE, Outcome, Parked, Receiver, Sender},
};

/// How an [`Exchange`] behaves.
#[derive(Clone, Debug)]
pub struct ExchangeOptions {
    /// Where to listen. The default is a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// With TLS, if given. Clients may have certificates or not, as it says.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Frames sent to collectors are no larger than this many octets, at least 512, whatever they would take.
    pub largest_frame: Option<u32>,
    /// Messages that may wait for a receiver that gives no credit. When there are more, the oldest are dropped.
    pub backlog: usize,
}

impl Default for ExchangeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            largest_frame: None,
            backlog: 10_000,
        }
    }
}

/// What collectors do at an [`Exchange`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeEvent {
    /// Somebody listens on an address, where nobody did.
    Listened {
        /// The address.
        address: String,
    },
    /// Nobody listens on an address any more.
    Deserted {
        /// The address.
        address: String,
    },
    /// A FLUSH was sent to a source, and accepted.
    Flush {
        /// The source's [direct](super::Source::direct) address.
        direct: String,
    },
}

/// What becomes of a FLUSH instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushFault {
    /// It is accepted, and nobody sees it (faults 1).
    Swallowed,
    /// It is released: there is nobody (faults 2).
    Released,
    /// It is rejected (faults 2).
    Rejected,
}

/// A small AMQP listener that behaves towards collectors as a Skupper router does.
///
/// Collectors attach receivers to multicast addresses and get what is [published](Exchange::publish) there, each at the
/// pace of its credit. They send FLUSH to the direct addresses of [known](Exchange::introduce) sources. Whoever runs the
/// sources learns of all that from [`Events`]. Messages that clients send to other addresses go to the clients that listen
/// there, and are released if there are none; so a [`Client`](super::Client) can be a source, too.
///
/// It also does what goes wrong in real networks, when it is asked to: the methods that do say so.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use vanflow_proto::source::{Exchange, ExchangeEvent, ExchangeOptions, Source};
///
/// let (exchange, mut events) = Exchange::listen(ExchangeOptions::default()).await?;
/// let mut router = Source::router("gv_ZW:0");
/// exchange.introduce(router.direct());
/// println!("collectors attach to {}", exchange.url());
///
/// while let Some(event) = events.next().await {
///     match event {
///         ExchangeEvent::Flush { .. } => router.flush_answer().iter().for_each(|message| exchange.publish(message)),
///         ExchangeEvent::Listened { .. } => exchange.publish(&router.beacon()),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Exchange {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: tokio::task::JoinHandle<()>,
}

/// What collectors do at an [`Exchange`], as it happens. They wait for it to be read.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<ExchangeEvent>);

impl Events {
    /// The next event; `None` once the exchange is shut down.
    pub async fn next(&mut self) -> Option<ExchangeEvent> {
        self.0.recv().await
    }
}

impl Exchange {
    /// Listens for collectors.
    ///
    /// # Errors
    ///
    /// Where the address cannot be listened on.
    pub async fn listen(options: ExchangeOptions) -> io::Result<(Self, Events)> {
        Self::accepting(TcpListener::bind(options.listen).await?, options)
    }

    // No part of `listen`, so that all that a router consists of is compiled once, here: the body of an asynchronous
    // function is compiled anew in each crate that awaits it.
    fn accepting(listener: TcpListener, options: ExchangeOptions) -> io::Result<(Self, Events)> {
        let address = listener.local_addr()?;
        let (events, received) = mpsc::channel(1024);
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            paused: watch::Sender::new(false),
            dropped: AtomicU64::new(0),
            closing: CancellationToken::new(),
        });
        let listener = tokio::spawn(accept(Arc::clone(&shared), listener, events));
        Ok((Self { shared, address, listener }, Events(received)))
    }

    /// Where collectors attach.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where collectors attach, as `amqp://` or `amqps://` URL.
    pub fn url(&self) -> String {
        let scheme = if self.shared.options.tls.is_some() { "amqps" } else { "amqp" };
        format!("{scheme}://{}", self.address)
    }

    /// From now on, FLUSH may be sent to that direct address.
    pub fn introduce(&self, direct: &str) {
        self.shared.state().known.insert(direct.to_owned());
    }

    /// From now on, messages to that direct address are released.
    pub fn dismiss(&self, direct: &str) {
        self.shared.state().known.remove(direct);
    }

    /// Whether somebody listens on that address.
    pub fn is_listened(&self, address: &str) -> bool {
        self.shared.state().receivers.contains_key(address)
    }

    /// Gives a message to everybody who listens on its address. Never waits: see [`ExchangeOptions::backlog`].
    ///
    /// The message may be any bytes; what is no message is delivered all the same (faults 17).
    pub fn publish(&self, outgoing: &Outgoing) {
        self.shared.publish(&outgoing.address, &outgoing.message);
    }

    /// As [`publish`](Exchange::publish), but waits where that would drop something.
    pub async fn publish_patiently(&self, outgoing: &Outgoing) {
        loop {
            let full = {
                let state = self.shared.state();
                let receivers = state.receivers.get(&*outgoing.address).into_iter().flatten();
                receivers.clone().find(|receiver| receiver.len() >= self.shared.options.backlog).cloned()
            };
            let Some(full) = full else { break };
            full.room(self.shared.options.backlog).await;
        }
        self.publish(outgoing);
    }

    /// Waits until every receiver was sent what was published before.
    pub async fn drained(&self) {
        let receivers: Vec<_> = self.shared.state().receivers.values().flatten().cloned().collect();
        for receiver in receivers {
            receiver.room(1).await;
        }
    }

    /// How many messages were dropped because receivers gave no credit.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// The next so many FLUSHes to that direct address come to nothing (faults 1, 2).
    pub fn fail_flushes(&self, direct: &str, fault: FlushFault, times: usize) {
        self.shared.state().flush_faults.entry(direct.to_owned()).or_default().extend(vec![fault; times]);
    }

    /// Links to that address are refused from now on (faults 2), or no more.
    pub fn refuse(&self, address: &str, refused: bool) {
        let mut state = self.shared.state();
        if refused {
            state.refused.insert(address.to_owned());
        } else {
            state.refused.remove(address);
        }
    }

    /// Nothing of the source with that identity is passed on from now on (faults 4), or it is again.
    pub fn silence(&self, id: &str, silenced: bool) {
        let mut state = self.shared.state();
        if silenced {
            state.silenced.insert(id.to_owned());
        } else {
            state.silenced.remove(id);
        }
    }

    /// Every message is delivered so many times more than once (faults 9).
    pub fn repeat(&self, repeats: usize) {
        self.shared.state().repeats = repeats;
    }

    /// Nothing is sent to collectors from now on, though they stay attached, or it is again.
    pub fn pause(&self, paused: bool) {
        self.shared.paused.send_replace(paused);
    }

    /// Severs all connections without a word (faults 3). Collectors may come back at once.
    pub fn sever(&self) {
        self.shared.sever();
    }

    /// Closes all connections and stops listening. Waits until that is done.
    pub async fn shut_down(self) {
        self.shared.closing.cancel();
        // It can only have panicked, and then there is nothing left to wait for.
        let _ = self.listener.await;
    }
}

#[derive(Debug)]
struct Shared {
    options: ExchangeOptions,
    state: Mutex<State>,
    paused: watch::Sender<bool>,
    dropped: AtomicU64,
    closing: CancellationToken,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // What panics while it is held leaves it as good as before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a message to everybody who listens on that address. `false` if there is nobody.
    fn publish(&self, address: &str, message: &Bytes) -> bool {
        let state = self.state();
        let Some(receivers) = state.receivers.get(address) else { return false };
        if state.is_silenced(address, message) {
            return true;
        }
        let mut dropped = 0;
        for receiver in receivers {
            for _ in 0..=state.repeats {
                dropped += receiver.push(message.clone(), self.options.backlog);
            }
        }
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        true
    }

    fn sever(&self) {
        for parked in self.state().connections.values() {
            parked.cut();
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// By the address that they listen on; never an empty list.
    receivers: HashMap<String, Vec<Arc<Outbox>>>,
    known: HashSet<String>,
    connections: HashMap<u64, Parked>,
    next_connection: u64,
    flush_faults: HashMap<String, VecDeque<FlushFault>>,
    refused: HashSet<String>,
    silenced: HashSet<String>,
    repeats: usize,
}

impl State {
    fn is_silenced(&self, address: &str, message: &[u8]) -> bool {
        if self.silenced.is_empty() {
            return false;
        }
        if address == BEACON_ADDRESS {
            return match Message::decode(message).map(|message| message.body) {
                Ok(Body::Beacon(beacon)) => self.silenced.contains(beacon.id),
                _ => false,
            };
        }
        let name = address.strip_prefix("mc/sfe.").unwrap_or(address);
        self.silenced.contains(name.split_once('.').map_or(name, |(id, _)| id))
    }

    /// What becomes of a FLUSH to that address.
    fn flush(&mut self, direct: &str) -> Flush {
        match self.flush_faults.get_mut(direct).and_then(VecDeque::pop_front) {
            Some(fault) => Flush::Fails(fault),
            None if self.known.contains(direct) => Flush::Heard,
            None => Flush::Unknown,
        }
    }
}

enum Flush {
    Fails(FlushFault),
    /// Whoever runs the sources will see it.
    Heard,
    /// No source that they run has that address.
    Unknown,
}

type EventSender = mpsc::Sender<ExchangeEvent>;

/// How long collectors are waited for when the exchange shuts down.
const PATIENCE: Duration = Duration::from_secs(1);

async fn accept(shared: Arc<Shared>, listener: TcpListener, events: EventSender) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shared.closing.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (shared, events) = (Arc::clone(&shared), events.clone());
                    connections.spawn(async move {
                        if let Err(error) = serve(&shared, stream, &events).await {
                            debug!(%peer, %error, "a connection to the exchange failed");
                        }
                    });
                }
                // Nothing that would not be over by the next time.
                Err(error) => debug!(%error, "the exchange could not accept a connection"),
            },
        }
    }
    drop(listener);
    let all_gone = async { while connections.join_next().await.is_some() {} };
    if timeout(PATIENCE, all_gone).await.is_err() {
        // Somebody does not answer our goodbye.
        shared.sever();
        while connections.join_next().await.is_some() {}
    }
}

/// One connection, from its first byte to its last.
async fn serve(shared: &Arc<Shared>, stream: TcpStream, events: &EventSender) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let parked = Parked::default();
    let number = {
        let mut state = shared.state();
        state.next_connection += 1;
        let number = state.next_connection;
        state.connections.insert(number, parked.clone());
        number
    };
    let served = converse(shared, stream, parked, events).await;
    shared.state().connections.remove(&number);
    served
}

async fn converse(
    shared: &Arc<Shared>,
    stream: TcpStream,
    parked: Parked,
    events: &EventSender,
) -> io::Result<()> {
    let opened = tokio::select! {
        () = shared.closing.cancelled() => return Ok(()),
        opened = open(shared, stream, parked.clone()) => opened,
    };
    let mut connection = opened?;
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            () = shared.closing.cancelled() => break,
            Some(_) = sessions.join_next() => {}
            session = connection.next_incoming_session() => {
                let Some(session) = session else { break };
                match SessionAcceptor::new().accept_incoming_session(session, &mut connection).await {
                    Ok(session) => {
                        sessions.spawn(attend(Arc::clone(shared), session, parked.clone(), events.clone()));
                    }
                    Err(error) => debug!(%error, "a session at the exchange failed"),
                }
            }
        }
    }
    while sessions.join_next().await.is_some() {}
    // Where the peer closed it, there is nothing left to close.
    let _ = connection.close().await;
    Ok(())
}

async fn open(shared: &Shared, stream: TcpStream, parked: Parked) -> io::Result<ListenerConnectionHandle> {
    let largest = shared.options.largest_frame;
    let (socket, sasl) = match &shared.options.tls {
        Some(tls) => Socket::meet(TlsAcceptor::from(Arc::clone(tls)).accept(stream).await?, largest).await?,
        None => Socket::meet(stream, largest).await?,
    };
    let stream = BareStream::new(socket, parked, Limits::default());
    let acceptor = ConnectionAcceptor::builder()
        .container_id("vanflow-exchange")
        .max_frame_size(u32::try_from(MAX_FRAME_SIZE).unwrap_or(u32::MAX))
        .build();
    // As routers do, it takes clients that authenticate and clients that do not.
    let connection = if sasl {
        acceptor.into_builder().sasl_acceptor(Anybody).build().accept(stream).await
    } else {
        acceptor.accept(stream).await
    };
    connection.map_err(io::Error::other)
}

/// Lets everybody in: whoever has a certificate was checked by TLS.
#[derive(Clone, Debug)]
struct Anybody;

impl SaslAcceptor for Anybody {
    fn mechanisms(&self) -> Array<Symbol> {
        Array::from(vec![Symbol::from("EXTERNAL"), Symbol::from("ANONYMOUS")])
    }

    fn on_init(&mut self, init: SaslInit) -> SaslServerFrame {
        let known = self.mechanisms().0.contains(&init.mechanism);
        let code = if known { SaslCode::Ok } else { SaslCode::Auth };
        SaslServerFrame::Outcome(SaslOutcome { code, additional_data: None })
    }

    fn on_response(&mut self, _: SaslResponse) -> SaslServerFrame {
        SaslServerFrame::Outcome(SaslOutcome { code: SaslCode::Auth, additional_data: None })
    }
}

/// One session, until it or its connection is over.
async fn attend(
    shared: Arc<Shared>,
    mut session: ListenerSessionHandle,
    parked: Parked,
    events: EventSender,
) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            () = shared.closing.cancelled() => break,
            Some(_) = links.join_next() => {}
            attach = session.next_incoming_attach() => {
                let Some(attach) = attach else { break };
                let address = address(&attach);
                match LinkAcceptor::new().accept_incoming_attach(attach, &mut session).await {
                    Ok(link) => {
                        links.spawn(link_up(Arc::clone(&shared), address, link, parked.clone(), events.clone()));
                    }
                    Err(error) => debug!(address, %error, "a link to the exchange failed"),
                }
            }
        }
    }
    while links.join_next().await.is_some() {}
    if !shared.closing.is_cancelled() {
        // Where the peer ended it, there is nothing left to end.
        let _ = session.end().await;
    }
}

/// The address that a link is to.
fn address(attach: &Attach) -> String {
    let address = match attach.role {
        Role::Receiver => attach.source.as_ref().and_then(|source| source.address.clone()),
        Role::Sender => match attach.target.as_deref() {
            Some(fe2o3_amqp_types::messaging::TargetArchetype::Target(target)) => target.address.clone(),
            _ => None,
        },
    };
    address.unwrap_or_default()
}

async fn link_up(
    shared: Arc<Shared>,
    address: String,
    link: LinkEndpoint,
    parked: Parked,
    events: EventSender,
) {
    if shared.state().refused.contains(&address) {
        let refusal = || Error::new(AmqpError::UnauthorizedAccess, "link disallowed".to_owned(), None);
        let refused = match link {
            LinkEndpoint::Sender(sender) => sender.close_with_error(refusal()).await,
            LinkEndpoint::Receiver(receiver) => receiver.close_with_error(refusal()).await,
        };
        if let Err(error) = refused {
            debug!(address, %error, "a refused link did not end well");
        }
        return;
    }
    match link {
        LinkEndpoint::Sender(sender) => {
            let outbox = Arc::new(Outbox::default());
            let first = {
                let mut state = shared.state();
                let receivers = state.receivers.entry(address.clone()).or_default();
                receivers.push(Arc::clone(&outbox));
                receivers.len() == 1
            };
            // Nobody reads events when sources have gone already; collectors are served all the same.
            if first {
                let _ = events.send(ExchangeEvent::Listened { address: address.clone() }).await;
            }
            let mut sender = Sender::accept(sender);
            tokio::select! {
                () = shared.closing.cancelled() => {}
                () = deliver(&shared, &mut sender, &outbox) => {}
            }
            outbox.leave();
            let last = {
                let mut state = shared.state();
                let receivers = state.receivers.get_mut(&address);
                let left = receivers.map_or(0, |receivers| {
                    receivers.retain(|receiver| !Arc::ptr_eq(receiver, &outbox));
                    receivers.len()
                });
                if left == 0 {
                    state.receivers.remove(&address);
                }
                left == 0
            };
            if last && !shared.closing.is_cancelled() {
                let _ = events.send(ExchangeEvent::Deserted { address }).await;
            }
            // With the connection, the links go, too.
            if !shared.closing.is_cancelled() {
                sender.close().await;
            }
        }
        LinkEndpoint::Receiver(receiver) => {
            let Ok(mut receiver) = Receiver::accept(receiver, 100, &parked).await else { return };
            tokio::select! {
                () = shared.closing.cancelled() => {}
                () = take(&shared, &mut receiver, &address, &events) => {}
            }
            if !shared.closing.is_cancelled() {
                receiver.close().await;
            }
        }
    }
}

/// Sends what comes into the outbox, until the link is over.
async fn deliver(shared: &Shared, sender: &mut Sender, outbox: &Outbox) {
    let mut paused = shared.paused.subscribe();
    loop {
        if *paused.borrow_and_update() {
            tokio::select! {
                _ = paused.changed() => continue,
                _ = sender.detached() => return,
            }
        }
        match outbox.pop() {
            Some(message) => {
                if sender.post(message.to_vec()).await.is_err() {
                    return;
                }
            }
            None => tokio::select! {
                () = outbox.filled() => {}
                _ = paused.changed() => {}
                _ = sender.detached() => return,
            },
        }
    }
}

/// Takes what clients send to an address, until the link is over: FLUSHes, and what sources that are clients say.
async fn take(shared: &Shared, receiver: &mut Receiver, address: &str, events: &EventSender) {
    loop {
        let mut heard = false;
        let received = receiver.recv_deciding(|incoming| {
            let Incoming::Message(bytes) = incoming else { return Outcome::Released };
            let flush = shared.state().flush(address);
            match flush {
                Flush::Heard => {
                    heard = Message::decode(bytes).is_ok_and(|message| matches!(message.body, Body::Flush));
                    Outcome::Accepted
                }
                Flush::Fails(FlushFault::Swallowed) => Outcome::Accepted,
                Flush::Fails(FlushFault::Rejected) => Outcome::Rejected("not now".into()),
                Flush::Unknown if shared.publish(address, bytes) => Outcome::Accepted,
                Flush::Fails(FlushFault::Released) | Flush::Unknown => Outcome::Released,
            }
        });
        if received.await.is_err() {
            return;
        }
        if heard {
            let _ = events.send(ExchangeEvent::Flush { direct: address.to_owned() }).await;
        }
    }
}
