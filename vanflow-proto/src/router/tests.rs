//! A driver and a router made of fe2o3-amqp's acceptor, in one runtime whose time stands still while there is something
//! to do.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use fe2o3_amqp::{
    acceptor::{ConnectionAcceptor, LinkAcceptor, LinkEndpoint, ListenerConnectionHandle, SessionAcceptor},
    types::{
        definitions::{AmqpError, Error},
        messaging::Data,
    },
};
use futures_util::future::BoxFuture;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    time::{Instant, interval, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{config::TlsFiles, *};
use crate::{
    Attribute, BEACON_ADDRESS, Beacon, Body, Dialect, Encoder, Message, RecordKind, SourceType, UpdateBuf,
    amqp::{BareStream, Limits, Parked, Sender},
    discovery::{Event as SourceEvent, Extent},
};

/// Makes a connection for the driver.
pub(super) type Dial = Arc<dyn Fn() -> BoxFuture<'static, io::Result<DuplexStream>> + Send + Sync>;

/// The network as the test plays it, with a driver attached to it or trying to.
struct Net {
    handle: Option<Handle>,
    events: Events,
    /// The router's ends of connections.
    dialled: mpsc::UnboundedReceiver<DuplexStream>,
    tapped: Tapped,
}

/// What the tap saw: link and message.
type Tapped = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// The router's side of a connection.
struct Router {
    connection: ListenerConnectionHandle,
    parked: Parked,
    accepted: mpsc::UnboundedReceiver<(String, LinkEndpoint)>,
    /// Links to the collector, by address.
    senders: HashMap<String, Sender>,
    /// Links of the collector, by address.
    receivers: HashMap<String, fe2o3_amqp::Receiver>,
}

fn clock() -> Clock {
    let start = Instant::now();
    Arc::new(move || Timestamp::from_micros(1_000_000_000 + start.elapsed().as_micros() as u64))
}

impl Net {
    fn new(url: &str, configure: impl FnOnce(&mut Config)) -> Self {
        let (dialler, dialled) = mpsc::unbounded_channel();
        let tapped = Tapped::default();
        let mut config = Config::from_url(url, clock()).expect("a URL");
        config.dial = Some(Arc::new(move || {
            let dialler = dialler.clone();
            Box::pin(async move {
                let (near, far) = duplex(1 << 16);
                dialler.send(far).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
                Ok(near)
            })
        }));
        let tap = Arc::clone(&tapped);
        config.tap = Some(Arc::new(move |_, link, bytes| {
            tap.lock().expect("not poisoned").push((link.to_owned(), bytes.to_vec()));
        }));
        configure(&mut config);
        let (handle, events) = connect(config);
        Self { handle: Some(handle), events, dialled, tapped }
    }

    /// A driver that is attached, and its router.
    async fn attached() -> (Self, Router) {
        let mut net = Self::new("amqp://router", |_| {});
        let router = net.accept().await;
        assert!(matches!(net.event().await, Event::Attached { .. }));
        (net, router)
    }

    async fn accept(&mut self) -> Router {
        let mut stream = self.dialled.recv().await.expect("a connection");
        sasl(&mut stream, "ANONYMOUS").await;
        Router::accept(stream).await
    }

    async fn event(&mut self) -> Event {
        timeout(Duration::from_secs(600), self.events.next()).await.expect("an event").expect("not closed")
    }

    /// The next records, and who reported them.
    async fn records(&mut self) -> (Arc<str>, Records) {
        loop {
            match self.event().await {
                Event::Records { source, records, .. } => return (source, records),
                Event::Source { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next event that is no heartbeat, without the time.
    async fn source_event(&mut self) -> SourceEvent {
        loop {
            match self.event().await {
                Event::Source { event, .. } => return event,
                Event::Heartbeat { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn handle(&self) -> &Handle {
        self.handle.as_ref().expect("not closed")
    }
}

/// Lets a client in by `mechanism`.
async fn sasl(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), mechanism: &str) {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.expect("reads");
    assert_eq!(header, *b"AMQP\x03\x01\x00\x00");
    stream.write_all(&header).await.expect("writes");
    let symbol = [&[0xa3, mechanism.len() as u8], mechanism.as_bytes()].concat();
    let body = [&[0x00, 0x53, 0x40, 0xc0, symbol.len() as u8 + 1, 1][..], &symbol].concat();
    stream
        .write_all(&[&[0, 0, 0, body.len() as u8 + 8, 2, 1, 0, 0][..], &body].concat())
        .await
        .expect("writes");
    let mut size = [0; 4];
    stream.read_exact(&mut size).await.expect("reads");
    let mut init = vec![0; u32::from_be_bytes(size) as usize - 4];
    stream.read_exact(&mut init).await.expect("reads");
    assert!(init.windows(mechanism.len()).any(|bytes| bytes == mechanism.as_bytes()), "{init:02x?}");
    stream
        .write_all(&[0, 0, 0, 16, 2, 1, 0, 0, 0x00, 0x53, 0x44, 0xc0, 3, 1, 0x50, 0])
        .await
        .expect("writes");
    stream.flush().await.expect("flushes");
}

impl Router {
    async fn accept(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let parked = Parked::default();
        let stream = BareStream::new(stream, parked.clone(), Limits::default());
        let mut connection = ConnectionAcceptor::new("router").accept(stream).await.expect("opens");
        let mut session = SessionAcceptor::new().accept(&mut connection).await.expect("begins");
        let (acceptor, accepted) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let links = LinkAcceptor::new();
            while let Ok(link) = links.accept(&mut session).await {
                let address = match &link {
                    LinkEndpoint::Sender(link) => {
                        link.source().as_ref().and_then(|source| source.address.clone())
                    }
                    LinkEndpoint::Receiver(link) => {
                        link.target().as_ref().and_then(|target| target.address.clone())
                    }
                };
                let _ = acceptor.send((address.expect("an address"), link));
            }
        });
        Self { connection, parked, accepted, senders: HashMap::new(), receivers: HashMap::new() }
    }

    /// Takes the next link that the collector attaches, and gives its address.
    async fn link(&mut self) -> (String, LinkEndpoint) {
        timeout(Duration::from_secs(600), self.accepted.recv()).await.expect("a link").expect("a session")
    }

    /// The link to the collector from that address. Others that come before it are kept.
    async fn sender(&mut self, address: &str) -> &mut Sender {
        while !self.senders.contains_key(address) {
            self.keep_link().await;
        }
        self.senders.get_mut(address).expect("it is there")
    }

    async fn keep_link(&mut self) {
        match self.link().await {
            (address, LinkEndpoint::Sender(link)) => drop(self.senders.insert(address, Sender::accept(link))),
            (address, LinkEndpoint::Receiver(link)) => drop(self.receivers.insert(address, link)),
        }
    }

    async fn send(&mut self, address: &str, message: Vec<u8>) {
        self.sender(address).await.post(message).await.expect("sends");
    }

    async fn beacon(&mut self, id: &str) {
        let (address, direct) = (format!("mc/sfe.{id}"), format!("sfe.{id}"));
        let beacon = Beacon { source_type: SourceType::Router, id, address: &address, direct: &direct };
        self.send(BEACON_ADDRESS, Encoder::new(Dialect::Router).beacon(1, &beacon)).await;
    }

    async fn heartbeat(&mut self, id: &str) {
        let address = format!("mc/sfe.{id}");
        let beat = crate::Heartbeat { id, now: Timestamp::from_micros(5) };
        let message = Encoder::new(Dialect::Router).heartbeat(&address, 2, &beat);
        self.send(&address, message).await;
    }

    /// Takes a FLUSH for that source, and accepts or releases it.
    async fn flush(&mut self, id: &str, accept: bool) {
        let address = format!("sfe.{id}");
        while !self.receivers.contains_key(&address) {
            self.keep_link().await;
        }
        let mut link = self.receivers.remove(&address).expect("it is there");
        let delivery = link.recv::<Data>().await.expect("receives");
        if accept {
            link.accept(&delivery).await.expect("accepts");
        } else {
            link.release(&delivery).await.expect("releases");
        }
        // Answers the detach.
        let _ = link.recv::<Data>().await;
    }
}

fn router_record(id: &str) -> Vec<u8> {
    let update = UpdateBuf::new(RecordKind::Router, id).with(Attribute::StartTime, 1_u64);
    Encoder::new(Dialect::Router).records(&format!("mc/sfe.{id}"), 3, &[update])
}

fn flow(number: u64) -> Vec<u8> {
    let update =
        UpdateBuf::new(RecordKind::BiflowTport, format!("a:{number}")).with(Attribute::Octets, number);
    Encoder::new(Dialect::Router).records("mc/sfe.a:0.flows", 3, &[update])
}

fn seen(id: &str) -> SourceEvent {
    SourceEvent::SourceSeen { source: id.into(), source_type: "ROUTER".into() }
}

#[tokio::test(start_paused = true)]
async fn a_source_is_found_listened_to_flushed_and_heard() {
    let (mut net, mut router) = Net::attached().await;
    router.beacon("a:0").await;
    assert_eq!(net.source_event().await, seen("a:0"));
    router.heartbeat("a:0").await;
    let Event::Heartbeat { source, clock, .. } = net.event().await else { panic!("no heartbeat") };
    assert_eq!((&*source, clock), ("a:0", Timestamp::from_micros(5)));
    router.flush("a:0", true).await;
    router.send("mc/sfe.a:0", router_record("a:0")).await;
    router.send("mc/sfe.a:0.flows", flow(7)).await;
    router.send("mc/sfe.a:0.logs", flow(8)).await;
    let mut received = Vec::new();
    for _ in 0..3 {
        let (source, records) = net.records().await;
        assert_eq!(&*source, "a:0");
        let Ok(Body::Records(updates)) = Message::decode(&records.message).map(|message| message.body) else {
            panic!("no records")
        };
        assert_eq!(format!("{updates:?}"), format!("{:?}", records.updates()));
        received.push(records.message.to_vec());
    }
    received.sort();
    let mut sent = [router_record("a:0"), flow(7), flow(8)];
    sent.sort();
    assert_eq!(received, sent);
    let stats = net.handle().stats();
    assert_eq!((stats.connections, stats.flushes, stats.flushes_refused), (1, 1, 0));
    assert_eq!((stats.on_all, stats.on_source, stats.on_flows, stats.on_logs), (1, 2, 1, 1));
    assert_eq!(net.tapped.lock().expect("not poisoned").len(), 5);
    assert_eq!(net.tapped.lock().expect("not poisoned")[0].0, BEACON_ADDRESS);
    let mut beat = interval(Duration::from_secs(2));
    let settled = loop {
        tokio::select! {
            event = net.source_event() => break event,
            _ = beat.tick() => router.heartbeat("a:0").await,
        }
    };
    assert_eq!(settled, SourceEvent::Settled { source: "a:0".into(), extent: Extent::All });
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_nobody_takes_is_sent_again() {
    // faults 2
    let (mut net, mut router) = Net::attached().await;
    router.beacon("a:0").await;
    assert_eq!(net.source_event().await, seen("a:0"));
    router.heartbeat("a:0").await;
    router.flush("a:0", false).await;
    let first = Instant::now();
    router.flush("a:0", true).await;
    assert!((1.5..=2.6).contains(&first.elapsed().as_secs_f64()), "{:?}", first.elapsed());
    assert_eq!(net.handle().stats().flushes_refused, 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_known_by_halves_is_asked_again() {
    // faults 1
    let (mut net, mut router) = Net::attached().await;
    router.beacon("a:0").await;
    router.heartbeat("a:0").await;
    router.flush("a:0", true).await;
    router.send("mc/sfe.a:0", router_record("a:0")).await;
    assert_eq!(net.source_event().await, seen("a:0"));
    net.handle().incomplete("a:0", true);
    router.flush("a:0", true).await;
    assert_eq!(net.handle().stats().flushes, 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_connection_there_is_another_and_sources_are_asked_again() {
    // faults 3
    let (mut net, mut router) = Net::attached().await;
    router.beacon("a:0").await;
    assert_eq!(net.source_event().await, seen("a:0"));
    router.sender("mc/sfe.a:0.logs").await;
    let lost = Instant::now();
    router.parked.cut();
    let Event::Detached { reason, .. } = net.event().await else { panic!("not detached") };
    assert_eq!(reason, "the router went away");
    let mut router = net.accept().await;
    assert!(lost.elapsed() <= Duration::from_millis(600), "{:?}", lost.elapsed());
    assert!(matches!(net.event().await, Event::Attached { .. }));
    assert_eq!(net.source_event().await, SourceEvent::EpochStarted { source: "a:0".into() });
    router.heartbeat("a:0").await;
    router.flush("a:0", true).await;
    assert_eq!(net.handle().stats().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn a_router_that_closes_the_connection_says_why() {
    let (mut net, mut router) = Net::attached().await;
    let error = Error::new(AmqpError::ResourceLimitExceeded, "too many of you".to_owned(), None);
    let _ = router.connection.close_with_error(error).await;
    let Event::Detached { reason, .. } = net.event().await else { panic!("not detached") };
    assert_eq!(reason, "the router closed the connection: too many of you (amqp:resource-limit-exceeded)");
}

#[tokio::test(start_paused = true)]
async fn a_router_that_cannot_be_reached_is_tried_again_later_and_later() {
    let mut net = Net::new("amqp://router:1", |config| {
        config.dial = Some(Arc::new(|| Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })));
    });
    let start = Instant::now();
    let mut pauses = Vec::new();
    let mut last = Duration::ZERO;
    for _ in 0..11 {
        let Event::Detached { reason, .. } = net.event().await else { panic!("not detached") };
        assert_eq!(reason, "cannot reach the router at router:1: connection refused");
        pauses.push((start.elapsed() - last).as_secs_f64());
        last = start.elapsed();
    }
    let expected = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0];
    for (pause, expected) in pauses[1..].iter().zip(expected) {
        assert!((expected * 0.75 - 0.01..=expected * 1.25 + 0.01).contains(pause), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_router_that_does_not_answer_is_given_up() {
    let mut net = Net::new("amqp://router", |_| {});
    let _silent = net.dialled.recv().await.expect("a connection");
    let Event::Detached { reason, .. } = net.event().await else { panic!("not detached") };
    assert_eq!(reason, "the router at router:5672 did not answer within 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_refused_link_costs_only_itself_and_is_tried_again() {
    // faults 17
    let (mut net, mut router) = Net::attached().await;
    router.beacon("a:0").await;
    assert_eq!(net.source_event().await, seen("a:0"));
    let refused = loop {
        match router.link().await {
            (address, LinkEndpoint::Sender(link)) if address == "mc/sfe.a:0.flows" => break link,
            (address, LinkEndpoint::Sender(link)) => {
                drop(router.senders.insert(address, Sender::accept(link)))
            }
            other => panic!("{other:?}"),
        }
    };
    let error = Error::new(AmqpError::UnauthorizedAccess, "not for you".to_owned(), None);
    let _ = refused.close_with_error(error).await;
    let Event::Refused { link, why, .. } = net.event().await else { panic!("not refused") };
    assert_eq!(
        (&*link, &*why),
        ("mc/sfe.a:0.flows", "the link was detached: not for you (amqp:unauthorized-access)")
    );
    router.send("mc/sfe.a:0", router_record("a:0")).await;
    net.records().await;
    router.send("mc/sfe.a:0.flows", flow(1)).await;
    net.records().await;
    assert_eq!(net.handle().stats().connections, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_taken_costs_its_neighbours_nothing() {
    // faults 17
    let mut net = Net::new("amqp://router", |config| config.max_message_size = 1000);
    let mut router = net.accept().await;
    net.event().await;
    router.beacon("a:0").await;
    assert_eq!(net.source_event().await, seen("a:0"));
    let large = UpdateBuf::new(RecordKind::Link, "x".repeat(1000));
    let large = Encoder::new(Dialect::Router).records("mc/sfe.a:0", 1, &[large]);
    let too_large = format!("a message of {} octets, where at most 1000 are taken", large.len());
    for message in
        [b"\x00\x53\x75\xa0\x04what".to_vec(), b"garbage".to_vec(), Vec::new(), large, router_record("a:0")]
    {
        router.send("mc/sfe.a:0", message).await;
    }
    for text in [
        "a message that cannot be read: expected a section, found format code 0x67 at byte 0",
        "a message that cannot be read: the message has no body section at byte 0",
        &too_large,
    ] {
        let Event::Refused { why, .. } = net.event().await else { panic!("not refused") };
        assert_eq!(why, text);
    }
    net.records().await;
    assert_eq!(net.handle().stats().refused, 3);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_falls_silent_is_lost_and_not_listened_to() {
    // faults 4
    let (mut net, mut router) = Net::attached().await;
    router.beacon("a:0").await;
    assert_eq!(net.source_event().await, seen("a:0"));
    let mut logs = {
        router.sender("mc/sfe.a:0.logs").await;
        router.senders.remove("mc/sfe.a:0.logs").expect("it is there")
    };
    assert!(matches!(net.source_event().await, SourceEvent::SourceLost { source, .. } if &*source == "a:0"));
    while logs.post(flow(1)).await.is_ok() {}
    // The same connection still finds others.
    router.beacon("b:0").await;
    assert_eq!(net.source_event().await, seen("b:0"));
}

#[tokio::test(start_paused = true)]
async fn when_nobody_takes_events_the_router_waits_and_nothing_is_lost() {
    // faults 18
    let (mut net, mut router) = Net::attached().await;
    router.beacon("a:0").await;
    assert_eq!(net.source_event().await, seen("a:0"));
    router.sender("mc/sfe.a:0.flows").await;
    let mut flows = router.senders.remove("mc/sfe.a:0.flows").expect("it is there");
    let sender = tokio::spawn(async move {
        for number in 0..3000 {
            flows.post(flow(number)).await.expect("sends");
        }
        flows
    });
    // Long enough for everybody to be taken for dead.
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(!sender.is_finished(), "the router has to wait");
    let received = net.handle().stats().on_flows;
    assert!((WAITING as u64..1000).contains(&received), "{received} messages were received");
    for number in 0..3000 {
        let event = net.event().await;
        let Event::Records { records, .. } = event else { panic!("{event:?}") };
        assert_eq!(records.message, flow(number));
    }
    sender.await.expect("does not panic");
}

#[tokio::test(start_paused = true)]
async fn closing_says_goodbye() {
    let (mut net, mut router) = Net::attached().await;
    router.beacon("a:0").await;
    net.source_event().await;
    router.sender("mc/sfe.a:0.logs").await;
    let start = Instant::now();
    let senders = std::mem::take(&mut router.senders);
    for (_, mut sender) in senders {
        tokio::spawn(async move { while sender.post(Vec::new()).await.is_ok() {} });
    }
    let handle = net.handle.take().expect("not closed");
    let (ended, ()) = tokio::join!(router.connection.on_close(), handle.close());
    // That is how fe2o3-amqp says that the other side closed without an error.
    assert!(matches!(ended, Err(fe2o3_amqp::connection::Error::RemoteClosed)), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(1));
    while net.events.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn closing_takes_no_longer_than_2_seconds_whatever_the_router_does() {
    let mut net = Net::new("amqp://router", |_| {});
    let stream = net.dialled.recv().await.expect("a connection");
    let (mut near, mut far) = duplex(1 << 16);
    let relay = tokio::spawn(async move {
        let mut stream = stream;
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
    });
    sasl(&mut near, "ANONYMOUS").await;
    let mut router = Router::accept(near).await;
    net.event().await;
    router.sender(BEACON_ADDRESS).await;
    // From here on nothing comes through, and the connection is up as far as anybody knows.
    relay.abort();
    let start = Instant::now();
    net.handle.take().expect("not closed").close().await;
    assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_or_the_events_closes_too() {
    let (mut net, mut router) = Net::attached().await;
    drop(net.handle.take());
    let _ = router.connection.on_close().await;
    assert!(net.events.next().await.is_none());

    let (net, mut router) = Net::attached().await;
    let Net { handle, events, .. } = net;
    drop(events);
    let _ = router.connection.on_close().await;
    handle.expect("not closed").close().await;
}

/// An authority, and certificates for `router` and for us.
struct Certificates {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");
        let certificates = Self { folder: tempfile::tempdir().expect("a folder"), authority };
        certificates.write("ca.crt", &certificates.authority.pem());
        certificates.renew();
        certificates
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("writes");
    }

    /// A new client certificate.
    fn renew(&self) {
        let (certificate, key) = self.signed("collector");
        self.write("tls.crt", &certificate);
        self.write("tls.key", &key);
    }

    fn signed(&self, name: &str) -> (String, String) {
        let key = key();
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.authority).expect("signs").pem(), key.serialize_pem())
    }

    fn files(&self) -> TlsFiles {
        let path = |name| Some(self.folder.path().join(name));
        TlsFiles { ca: path("ca.crt"), certificate: path("tls.crt"), key: path("tls.key"), insecure: false }
    }

    /// What a router with a certificate for that name does.
    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let (certificate, key) = self.signed(name);
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("adds");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .expect("verifies");
        let certificates = rustls::pki_types::CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .expect("certificates");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates, PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key"))
            .expect("a certificate");
        Arc::new(config).into()
    }

    fn error(&self, files: TlsFiles) -> String {
        let error = files.load().expect_err("an error").to_string();
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

#[tokio::test(start_paused = true)]
async fn with_tls_the_certificate_shows_who_we_are_and_a_renewed_one_is_taken_up() {
    // faults 21
    let certificates = Certificates::new();
    let mut net = Net::new("amqps://router", |config| config.tls = certificates.files());
    let stream = net.dialled.recv().await.expect("a connection");
    let mut stream = certificates.acceptor("router").accept(stream).await.expect("TLS");
    let first = stream.get_ref().1.peer_certificates().expect("a certificate")[0].clone().into_owned();
    sasl(&mut stream, "EXTERNAL").await;
    let mut router = Router::accept(stream).await;
    assert!(matches!(net.event().await, Event::Attached { .. }));
    router.beacon("a:0").await;
    assert_eq!(net.source_event().await, seen("a:0"));

    // Half of a renewal is none.
    let start = Instant::now();
    certificates.write("tls.key", &key().serialize_pem());
    tokio::time::sleep(Duration::from_secs(70)).await;
    certificates.renew();
    let reason = loop {
        match net.event().await {
            Event::Detached { reason, .. } => break reason,
            Event::Refused { .. } | Event::Source { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reason, "a certificate was renewed on disk");
    assert!((60..130).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let stream = net.dialled.recv().await.expect("a connection");
    let stream = certificates.acceptor("router").accept(stream).await.expect("TLS");
    assert_ne!(stream.get_ref().1.peer_certificates().expect("a certificate")[0], first);
}

#[tokio::test(start_paused = true)]
async fn a_router_with_a_wrong_certificate_is_not_talked_to() {
    let (certificates, strangers) = (Certificates::new(), Certificates::new());
    for (name, files, why) in [
        (
            "other",
            certificates.files(),
            Some("no TLS with the router at router:5671: invalid peer certificate: "),
        ),
        (
            "router",
            strangers.files(),
            Some("no TLS with the router at router:5671: invalid peer certificate: "),
        ),
        ("other", TlsFiles { insecure: true, ..certificates.files() }, None),
    ] {
        let mut net = Net::new("amqps://router", |config| config.tls = files);
        let acceptor = certificates.acceptor(name);
        let Net { events, dialled, .. } = &mut net;
        let outcome = tokio::select! {
            event = events.next() => match event.expect("not closed") {
                Event::Detached { reason, .. } => Some(reason),
                other => panic!("{other:?}"),
            },
            accepted = async {
                let stream = dialled.recv().await.expect("a connection");
                match acceptor.accept(stream).await {
                    Ok(mut stream) => {
                        sasl(&mut stream, "EXTERNAL").await;
                        stream
                    }
                    Err(_) => std::future::pending().await,
                }
            } => {
                drop(accepted);
                None
            }
        };
        match (why, outcome) {
            (Some(why), Some(reason)) => assert!(reason.starts_with(why), "{reason}"),
            (None, None) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn certificates_that_do_not_fit_say_why() {
    let certificates = Certificates::new();
    let files = certificates.files();
    assert!(files.load().is_ok());
    assert_eq!(
        certificates.error(TlsFiles { ca: None, ..files.clone() }),
        "TLS needs the certificate of the authority that signed the router's, and no file with it is given"
    );
    assert_eq!(
        certificates.error(TlsFiles { key: None, ..files.clone() }),
        "a client certificate, tls.crt, is given without its key"
    );
    assert_eq!(
        certificates.error(TlsFiles { certificate: None, ..files.clone() }),
        "a key, tls.key, is given without its certificate"
    );
    assert_eq!(
        certificates.error(TlsFiles { ca: files.key.clone(), ..files.clone() }),
        "tls.key has no certificate in PEM form in it"
    );
    assert_eq!(
        certificates.error(TlsFiles { key: files.ca.clone(), ..files.clone() }),
        "ca.crt has no private key in PEM form in it"
    );
    let other = certificates.signed("other").1;
    certificates.write("other.key", &other);
    let other = Some(certificates.folder.path().join("other.key"));
    let error = certificates.error(TlsFiles { key: other, ..files.clone() });
    assert!(
        error.starts_with("the certificate in tls.crt and the key in other.key do not go together: "),
        "{error}"
    );
    std::fs::remove_file(certificates.folder.path().join("ca.crt")).expect("removes");
    assert_eq!(certificates.error(files), "cannot read ca.crt: No such file or directory (os error 2)");
}
