//! The exchange as collectors and clients see it.

use std::{sync::Arc, time::Duration};

use fe2o3_amqp::{Connection, Session, connection::ConnectionHandle, session::SessionHandle};
use rustls::{
    RootCertStore,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{socket::Stream, *};
use crate::{
    Attribute, BEACON_ADDRESS, Body, Dialect, Encoder, Message, RecordKind, Timestamp, UpdateBuf,
    amqp::{BareStream, Incoming, Limits, LinkError, Outcome, Parked, Receiver, Sender},
};

/// A collector that does nothing of its own accord.
struct Collector {
    connection: ConnectionHandle<()>,
    session: SessionHandle<()>,
    parked: Parked,
}

impl Collector {
    async fn attach(exchange: &Exchange) -> Self {
        Self::over(TcpStream::connect(exchange.address()).await.expect("connects"), Limits::default()).await
    }

    async fn over(stream: impl Stream, limits: Limits) -> Self {
        let parked = Parked::default();
        let stream = BareStream::new(stream, parked.clone(), limits);
        let builder = Connection::builder().container_id("collector").max_frame_size(65_536);
        let mut connection = builder.open_with_stream(stream).await.expect("opens");
        let session = Session::begin(&mut connection).await.expect("begins");
        Self { connection, session, parked }
    }

    async fn listen(&mut self, address: &str, credit: u32) -> Receiver {
        Receiver::attach(&mut self.session, address, credit, &self.parked).await.expect("attaches")
    }

    /// Sends FLUSH.
    async fn flush(&mut self, direct: &str) -> Outcome {
        let mut sender = Sender::attach(&mut self.session, direct, &self.parked).await.expect("attaches");
        let outcome = sender.send(Encoder::new(Dialect::Controller).flush(direct, 0)).await.expect("sends");
        sender.close().await;
        outcome
    }
}

async fn exchange() -> (Exchange, Events) {
    Exchange::listen(ExchangeOptions::default()).await.expect("listens")
}

async fn next(receiver: &mut Receiver) -> Vec<u8> {
    match timeout(Duration::from_secs(30), receiver.recv()).await.expect("a message comes").expect("receives")
    {
        Incoming::Message(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

async fn listened(events: &mut Events, wanted: &str) {
    assert_eq!(events.next().await, Some(ExchangeEvent::Listened { address: wanted.into() }));
}

fn message(address: &str, text: &str) -> Outgoing {
    Outgoing { address: address.into(), message: text.to_owned().into() }
}

#[tokio::test]
async fn everybody_who_listens_on_an_address_gets_what_is_sent_there_and_nothing_else() {
    let (exchange, mut events) = exchange().await;
    let (mut one, mut other) = (Collector::attach(&exchange).await, Collector::attach(&exchange).await);
    let mut all = one.listen(BEACON_ADDRESS, 10).await;
    listened(&mut events, BEACON_ADDRESS).await;
    let mut both = (one.listen("mc/sfe.a:0", 10).await, other.listen("mc/sfe.a:0", 2).await);
    listened(&mut events, "mc/sfe.a:0").await;
    // The second receiver of an address is no news; a third address reports that it has been there.
    other.listen("mc/sfe.a:0.flows", 10).await;
    listened(&mut events, "mc/sfe.a:0.flows").await;

    let mut source = Source::router("a:0");
    let beacon = source.beacon();
    exchange.publish(&beacon);
    exchange.publish(&message("mc/sfe.nobody", "hello"));
    for number in 0..100 {
        exchange.publish(&message("mc/sfe.a:0", &number.to_string()));
    }
    for number in 0..100 {
        assert_eq!(next(&mut both.0).await, number.to_string().as_bytes());
        assert_eq!(next(&mut both.1).await, number.to_string().as_bytes());
    }
    // As the routers write it, which AMQP does not allow, to the byte.
    assert_eq!(next(&mut all).await, beacon.message);
    assert_eq!(exchange.dropped(), 0);
    exchange.shut_down().await;
}

#[tokio::test]
async fn whoever_runs_the_sources_hears_who_listens_and_who_does_not_any_more() {
    let (exchange, mut events) = exchange().await;
    let mut collector = Collector::attach(&exchange).await;
    let receiver = collector.listen("mc/sfe.a:0", 10).await;
    listened(&mut events, "mc/sfe.a:0").await;
    assert!(exchange.is_listened("mc/sfe.a:0") && !exchange.is_listened(BEACON_ADDRESS));
    receiver.close().await;
    assert_eq!(events.next().await, Some(ExchangeEvent::Deserted { address: "mc/sfe.a:0".into() }));
    assert!(!exchange.is_listened("mc/sfe.a:0"));
    // The same by a connection that is lost.
    collector.listen("mc/sfe.a:0", 10).await;
    listened(&mut events, "mc/sfe.a:0").await;
    exchange.sever();
    assert_eq!(events.next().await, Some(ExchangeEvent::Deserted { address: "mc/sfe.a:0".into() }));
    exchange.shut_down().await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_flush_reaches_the_source_unless_it_is_reported_to_fail() {
    // faults 1 and 2
    let (exchange, mut events) = exchange().await;
    let mut collector = Collector::attach(&exchange).await;
    assert_eq!(collector.flush("sfe.a:0").await, Outcome::Released);
    exchange.introduce("sfe.a:0");
    exchange.introduce("sfe.b:0");
    exchange.fail_flushes("sfe.a:0", FlushFault::Swallowed, 2);
    exchange.fail_flushes("sfe.a:0", FlushFault::Released, 1);
    exchange.fail_flushes("sfe.a:0", FlushFault::Rejected, 1);
    assert_eq!(collector.flush("sfe.a:0").await, Outcome::Accepted);
    assert_eq!(collector.flush("sfe.a:0").await, Outcome::Accepted);
    assert_eq!(collector.flush("sfe.a:0").await, Outcome::Released);
    let rejected = Outcome::Rejected("not now (amqp:precondition-failed)".into());
    assert_eq!(collector.flush("sfe.a:0").await, rejected);
    assert_eq!(collector.flush("sfe.b:0").await, Outcome::Accepted);
    assert_eq!(collector.flush("sfe.a:0").await, Outcome::Accepted);
    for direct in ["sfe.b:0", "sfe.a:0"] {
        assert_eq!(events.next().await, Some(ExchangeEvent::Flush { direct: direct.into() }));
    }
    exchange.dismiss("sfe.a:0");
    assert_eq!(collector.flush("sfe.a:0").await, Outcome::Released);
    exchange.shut_down().await;
}

#[tokio::test]
async fn a_receiver_without_credit_loses_the_oldest_messages_and_nobody_else_does() {
    let options = ExchangeOptions { backlog: 10, ..ExchangeOptions::default() };
    let (exchange, mut events) = Exchange::listen(options).await.expect("listens");
    let (mut one, mut other) = (Collector::attach(&exchange).await, Collector::attach(&exchange).await);
    let mut stuck = one.listen("mc/sfe.a:0", 2).await;
    listened(&mut events, "mc/sfe.a:0").await;
    let mut well = other.listen("mc/sfe.a:0", 10).await;
    other.listen(BEACON_ADDRESS, 10).await;
    listened(&mut events, BEACON_ADDRESS).await;
    for number in 0..100 {
        exchange.publish(&message("mc/sfe.a:0", &number.to_string()));
        assert_eq!(next(&mut well).await, number.to_string().as_bytes());
    }
    // Two were sent on credit, one waits in the sender, ten in the backlog.
    assert_eq!(exchange.dropped(), 100 - 13);
    let mut got = Vec::new();
    for _ in 0..13 {
        got.push(String::from_utf8(next(&mut stuck).await).expect("text").parse::<u32>().expect("a number"));
    }
    assert_eq!(got, [0, 1, 2].into_iter().chain(90..100).collect::<Vec<_>>());
    exchange.shut_down().await;
}

#[tokio::test]
async fn who_publishes_patiently_loses_nothing() {
    let options = ExchangeOptions { backlog: 10, ..ExchangeOptions::default() };
    let (exchange, mut events) = Exchange::listen(options).await.expect("listens");
    let mut collector = Collector::attach(&exchange).await;
    let mut receiver = collector.listen("mc/sfe.a:0", 4).await;
    listened(&mut events, "mc/sfe.a:0").await;
    let publish = async {
        for number in 0..1000 {
            exchange.publish_patiently(&message("mc/sfe.a:0", &number.to_string())).await;
        }
        exchange.drained().await;
    };
    let receive = async {
        for number in 0..1000 {
            assert_eq!(next(&mut receiver).await, number.to_string().as_bytes());
        }
    };
    tokio::join!(publish, receive);
    assert_eq!(exchange.dropped(), 0);
    exchange.shut_down().await;
}

#[tokio::test]
async fn a_severed_connection_is_lost_at_once_and_can_be_made_again() {
    // faults 3
    let (exchange, mut events) = exchange().await;
    let mut collector = Collector::attach(&exchange).await;
    let mut receiver = collector.listen(BEACON_ADDRESS, 10).await;
    listened(&mut events, BEACON_ADDRESS).await;
    exchange.sever();
    assert!(matches!(receiver.recv().await, Err(LinkError::Stopped(_))));
    let mut collector = Collector::attach(&exchange).await;
    events.next().await;
    let mut receiver = collector.listen(BEACON_ADDRESS, 10).await;
    listened(&mut events, BEACON_ADDRESS).await;
    exchange.publish(&message(BEACON_ADDRESS, "again"));
    assert_eq!(next(&mut receiver).await, b"again");
    exchange.shut_down().await;
}

#[tokio::test]
async fn large_messages_come_in_small_frames_if_they_shall() {
    let options = ExchangeOptions { largest_frame: Some(512), ..ExchangeOptions::default() };
    let (exchange, mut events) = Exchange::listen(options).await.expect("listens");
    let stream = TcpStream::connect(exchange.address()).await.expect("connects");
    // Says that it takes frames of 64 KiB, and fails at any that is larger than 512 octets.
    let mut collector = Collector::over(stream, Limits { frame: 512, ..Limits::default() }).await;
    let mut receiver = collector.listen("mc/sfe.a:0", 10).await;
    listened(&mut events, "mc/sfe.a:0").await;
    let large = "records ".repeat(16_000);
    exchange.publish(&message("mc/sfe.a:0", &large));
    assert!(next(&mut receiver).await == large.as_bytes());
    exchange.shut_down().await;
}

#[tokio::test]
async fn it_repeats_silences_pauses_refuses_and_talks_nonsense_as_it_is_reported() {
    let (exchange, mut events) = exchange().await;
    let mut collector = Collector::attach(&exchange).await;
    let mut receiver = collector.listen("mc/sfe.a:0", 10).await;
    listened(&mut events, "mc/sfe.a:0").await;
    let mut beacons = collector.listen(BEACON_ADDRESS, 10).await;
    listened(&mut events, BEACON_ADDRESS).await;

    // faults 9
    exchange.repeat(2);
    exchange.publish(&message("mc/sfe.a:0", "thrice"));
    for _ in 0..3 {
        assert_eq!(next(&mut receiver).await, b"thrice");
    }
    exchange.repeat(0);

    // faults 4
    exchange.silence("a:0", true);
    exchange.publish(&message("mc/sfe.a:0", "unheard"));
    exchange.publish(&Source::router("a:0").beacon());
    exchange.publish(&Source::router("b:0").beacon());
    let heard = next(&mut beacons).await;
    assert!(
        matches!(Message::decode(&heard).expect("decodes").body, Body::Beacon(beacon) if beacon.id == "b:0")
    );
    exchange.silence("a:0", false);

    exchange.pause(true);
    exchange.publish(&message("mc/sfe.a:0", "late"));
    assert!(timeout(Duration::ZERO, receiver.recv()).await.is_err());
    exchange.pause(false);
    assert_eq!(next(&mut receiver).await, b"late");

    // faults 2
    exchange.refuse("mc/sfe.b:0", true);
    let refused = Receiver::attach(&mut collector.session, "mc/sfe.b:0", 10, &collector.parked).await;
    let error = match refused {
        Ok(mut receiver) => receiver.recv().await.expect_err("is refused"),
        Err(error) => error,
    };
    assert!(error.to_string().contains("link disallowed (amqp:unauthorized-access)"), "{error}");
    exchange.refuse("mc/sfe.b:0", false);
    collector.listen("mc/sfe.b:0", 10).await;

    // faults 17
    exchange.publish(&Outgoing { address: "mc/sfe.a:0".into(), message: (&[0xff, 0x00, 0x53][..]).into() });
    exchange.publish(&message("mc/sfe.a:0", ""));
    assert_eq!(next(&mut receiver).await, [0xff, 0x00, 0x53]);
    assert_eq!(next(&mut receiver).await, b"");
    exchange.shut_down().await;
}

#[tokio::test]
async fn it_shuts_down_whoever_does_not_answer() {
    let (exchange, mut events) = exchange().await;
    // One that never says a word, and one that is attached and then reads no more.
    let mut silent = TcpStream::connect(exchange.address()).await.expect("connects");
    let mut collector = Collector::attach(&exchange).await;
    let _receiver = collector.listen("mc/sfe.a:0", 10).await;
    listened(&mut events, "mc/sfe.a:0").await;
    exchange.shut_down().await;
    assert_eq!(silent.read(&mut [0; 8]).await.unwrap_or(0), 0);
    let closed = collector.connection.on_close().await.expect_err("the exchange closed it");
    assert_eq!(closed.to_string(), "Remote peer closed");
}

#[tokio::test]
async fn a_client_is_a_source_that_beacons_beats_reports_and_answers() {
    let (exchange, mut events) = exchange().await;
    let mut collector = Collector::attach(&exchange).await;
    let mut beacons = collector.listen(BEACON_ADDRESS, 10).await;
    let mut records = collector.listen("mc/sfe.site", 10).await;
    let mut heartbeats = collector.listen("mc/sfe.site.heartbeats", 10).await;
    for address in [BEACON_ADDRESS, "mc/sfe.site", "mc/sfe.site.heartbeats"] {
        listened(&mut events, address).await;
    }

    let mut source = Source::controller("site");
    let mut client = Client::connect(exchange.address(), &source).await.expect("connects");
    listened(&mut events, "sfe.site").await;
    let (report, mut updates) = mpsc::channel(10);
    let site = UpdateBuf::new(RecordKind::Site, "site").with(Attribute::Name, "west");
    let run = tokio::spawn(async move {
        let ran = client.run(&mut source, &mut updates, || Timestamp::from_micros(42)).await;
        client.close().await;
        ran
    });
    let bytes = next(&mut beacons).await;
    let Body::Beacon(beacon) = Message::decode(&bytes).expect("decodes").body else { panic!("no beacon") };
    assert_eq!((beacon.address, beacon.direct), ("mc/sfe.site", "sfe.site"));
    let bytes = next(&mut heartbeats).await;
    let Body::Heartbeat(heartbeat) = Message::decode(&bytes).expect("decodes").body else {
        panic!("no heartbeat")
    };
    assert_eq!(heartbeat.now, Timestamp::from_micros(42));
    report.send(site.clone()).await.expect("takes it");
    for flushes in 0..3 {
        if flushes > 0 {
            assert_eq!(collector.flush("sfe.site").await, Outcome::Accepted);
        }
        let bytes = next(&mut records).await;
        let Body::Records(updates) = Message::decode(&bytes).expect("decodes").body else {
            panic!("no records")
        };
        let updates: Vec<_> = updates.map(|update| update.expect("decodes").to_owned()).collect();
        assert_eq!(updates, std::slice::from_ref(&site));
    }
    drop(report);
    run.await.expect("does not panic").expect("ends well");
    exchange.shut_down().await;
}

#[tokio::test]
async fn a_client_loses_nothing_but_time_where_nobody_is() {
    let (exchange, _events) = exchange().await;
    let source = Source::controller("site");
    let mut client = Client::connect(exchange.address(), &source).await.expect("connects");
    client.send(&message("mc/sfe.site", "unheard")).await.expect("sends");
    client.close().await;
    let address = exchange.address();
    exchange.shut_down().await;
    assert!(matches!(Client::connect(address, &source).await, Err(ClientError::Connect(_))));
}

#[tokio::test]
async fn collectors_come_by_tls_with_certificates_and_sasl_external() {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("signs");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let issue = || {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let certificate = parameters.signed_by(&key, &issuer).expect("signs");
        (vec![certificate.der().clone()], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())))
    };
    let mut roots = RootCertStore::empty();
    roots.add(ca_certificate.der().clone()).expect("a certificate");
    let roots = Arc::new(roots);
    let provider = Arc::new(rustls::crypto::ring::default_provider());

    let (chain, key) = issue();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a certificate");
    let options = ExchangeOptions { tls: Some(Arc::new(server)), ..ExchangeOptions::default() };
    let (exchange, mut events) = Exchange::listen(options).await.expect("listens");
    assert!(exchange.url().starts_with("amqps://127.0.0.1:"));

    let (chain, key) = issue();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .expect("a certificate");
    let stream = TcpStream::connect(exchange.address()).await.expect("connects");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.expect("connects");
    sasl_external(&mut stream).await;
    let mut collector = Collector::over(stream, Limits::default()).await;
    let mut receiver = collector.listen(BEACON_ADDRESS, 10).await;
    listened(&mut events, BEACON_ADDRESS).await;
    exchange.publish(&message(BEACON_ADDRESS, "in private"));
    assert_eq!(next(&mut receiver).await, b"in private");
    exchange.shut_down().await;
}

/// The client's side of SASL EXTERNAL, byte by byte: fe2o3-amqp refuses to do it over a stream that it did not encrypt itself.
async fn sasl_external(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(b"AMQP\x03\x01\x00\x00").await.expect("writes");
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.expect("reads");
    assert_eq!(&header, b"AMQP\x03\x01\x00\x00");
    let mechanisms = sasl_frame(stream).await;
    assert!(mechanisms.windows(8).any(|window| window == b"EXTERNAL"));
    let init = b"\x00\x00\x00\x18\x02\x01\x00\x00\x00\x53\x41\xc0\x0b\x01\xa3\x08EXTERNAL";
    stream.write_all(init).await.expect("writes");
    let outcome = sasl_frame(stream).await;
    // The code `ok`.
    assert!(outcome.ends_with(&[0x50, 0x00]), "{outcome:02x?}");
}

async fn sasl_frame(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let size = stream.read_u32().await.expect("reads");
    let mut frame = vec![0; size as usize - 4];
    stream.read_exact(&mut frame).await.expect("reads");
    frame
}
