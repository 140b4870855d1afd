//! The wire end to end: two ends of fe2o3-amqp, or one and a peer that follows a script byte by byte.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use fe2o3_amqp::{
    Connection, Session,
    acceptor::{ConnectionAcceptor, LinkAcceptor, LinkEndpoint, SessionAcceptor},
    connection::ConnectionHandle,
    session::SessionHandle,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    time::timeout,
};

use super::*;
use crate::{
    Attribute, Beacon, Dialect, Encoder, RecordKind, SourceType, UpdateBuf, Value,
    amqp::frame::{Frame, HEAD, Performative},
    codec::Writer,
};

/// A stream that takes and gives only so many bytes at once.
#[derive(Debug)]
struct Trickle(DuplexStream, usize);

impl AsyncRead for Trickle {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut few = out.take(this.1);
        let filled = match Pin::new(&mut this.0).poll_read(context, &mut few) {
            Poll::Ready(Ok(())) => few.filled().to_vec(),
            other => return other,
        };
        out.put_slice(&filled);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        Pin::new(&mut this.0).poll_write(context, &bytes[..bytes.len().min(this.1)])
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

/// A client and a server that are connected, with one session.
struct Pair {
    client: SessionHandle<()>,
    client_parked: Parked,
    server: fe2o3_amqp::acceptor::ListenerSessionHandle,
    server_parked: Parked,
    _connections: (ConnectionHandle<()>, fe2o3_amqp::acceptor::ListenerConnectionHandle),
}

/// `at_once`: how many bytes the wire takes at once. `frame`: the largest frame, in bytes.
async fn pair(at_once: usize, frame: usize, limits: Limits) -> Pair {
    let (near, far) = duplex(1 << 16);
    let (client_parked, server_parked) = (Parked::default(), Parked::default());
    let near = BareStream::new(Trickle(near, at_once), client_parked.clone(), Limits { frame, ..limits });
    let far = BareStream::new(Trickle(far, at_once), server_parked.clone(), Limits { frame, ..limits });
    let server = tokio::spawn(async move {
        let acceptor =
            ConnectionAcceptor::builder().container_id("server").max_frame_size(frame as u32).build();
        let mut connection = acceptor.accept(far).await.expect("accepts");
        let session = SessionAcceptor::new().accept(&mut connection).await.expect("accepts");
        (connection, session)
    });
    let mut connection = Connection::builder()
        .container_id("client")
        .max_frame_size(frame as u32)
        .open_with_stream(near)
        .await
        .expect("opens");
    let client = Session::begin(&mut connection).await.expect("begins");
    let (server_connection, server) = server.await.expect("does not panic");
    Pair { client, client_parked, server, server_parked, _connections: (connection, server_connection) }
}

impl Pair {
    /// A link from the server to the client.
    async fn down(&mut self, credit: u32) -> (Sender, Receiver) {
        let acceptor = LinkAcceptor::new();
        let (receiver, sender) = tokio::join!(
            Receiver::attach(&mut self.client, "mc/sfe.all", credit, &self.client_parked),
            acceptor.accept(&mut self.server)
        );
        let Ok(LinkEndpoint::Sender(sender)) = sender else { panic!("{sender:?}") };
        (Sender::accept(sender), receiver.expect("attaches"))
    }

    /// A link from the client to the server.
    async fn up(&mut self, credit: u32) -> (Sender, Receiver) {
        let acceptor = LinkAcceptor::new();
        let (sender, receiver) = tokio::join!(
            Sender::attach(&mut self.client, "sfe.a:0", &self.client_parked),
            acceptor.accept(&mut self.server)
        );
        let Ok(LinkEndpoint::Receiver(receiver)) = receiver else { panic!("{receiver:?}") };
        let receiver = Receiver::accept(receiver, credit, &self.server_parked).await;
        (sender.expect("attaches"), receiver.expect("accepts"))
    }
}

fn beacon(dialect: Dialect, message_id: u64) -> Vec<u8> {
    let beacon = Beacon {
        source_type: SourceType::Router,
        id: "gv_ZW:0",
        address: "mc/sfe.gv_ZW:0",
        direct: "sfe.gv_ZW:0",
    };
    Encoder::new(dialect).beacon(message_id, &beacon)
}

/// A RECORD message of at least so many bytes.
fn records(octets: usize) -> Vec<u8> {
    let name = "n".repeat(200);
    let updates: Vec<_> = (0..octets / 200 + 1)
        .map(|number| {
            UpdateBuf::new(RecordKind::Link, format!("a:{number}")).with(Attribute::Name, name.as_str())
        })
        .collect();
    Encoder::new(Dialect::Router).records("mc/sfe.a:0", 1, &updates)
}

async fn message(receiver: &mut Receiver) -> Vec<u8> {
    match receiver.recv().await.expect("receives") {
        Incoming::Message(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_of_both_dialects_arrive_as_they_were_sent_in_both_directions() {
    for (at_once, frame) in
        [(usize::MAX, MAX_FRAME_SIZE), (1, MAX_FRAME_SIZE), (1, 512), (7, 512), (513, 512)]
    {
        let mut pair = pair(at_once, frame, Limits::default()).await;
        let (mut down, mut client) = pair.down(10).await;
        let (mut up, mut server) = pair.up(10).await;
        let messages = [
            beacon(Dialect::Router, 1),
            beacon(Dialect::Controller, 1),
            beacon(Dialect::Router, 300),
            records(130_000),
            records(600),
            Vec::new(),
            b"no message at all".to_vec(),
        ];
        for sent in &messages {
            let (outcome, received) = tokio::join!(down.send(sent.clone()), message(&mut client));
            assert_eq!(outcome, Ok(Outcome::Accepted));
            assert!(received == *sent, "{at_once} bytes at once, frames of {frame}: {} bytes", sent.len());
            let (outcome, received) = tokio::join!(up.send(sent.clone()), async {
                let received = message(&mut server).await;
                // The sender waits for the disposition, which is sent when there is nothing left to take.
                let _ = timeout(Duration::ZERO, server.recv()).await;
                received
            });
            assert_eq!(outcome, Ok(Outcome::Accepted));
            assert!(received == *sent, "{at_once} bytes at once, frames of {frame}: {} bytes", sent.len());
        }
    }
}

#[tokio::test]
async fn credit_never_runs_dry_however_little_of_it_there_is() {
    for credit in [0, 2, 3, 100] {
        let mut pair = pair(usize::MAX, 512, Limits::default()).await;
        let (mut down, mut client) = pair.down(credit).await;
        let sender = tokio::spawn(async move {
            for number in 0..1000 {
                down.post(beacon(Dialect::Router, number)).await.expect("sends");
            }
            down
        });
        for number in 0..1000 {
            assert_eq!(message(&mut client).await, beacon(Dialect::Router, number));
        }
        let down = sender.await.expect("does not panic");
        let (_, end) = tokio::join!(down.close(), client.recv());
        assert_eq!(end, Err(LinkError::Detached("no reason was given".into())));
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_its_neighbours_are_not() {
    // faults 17
    let limits = Limits { message: 10_000, ..Limits::default() };
    for frame in [512, MAX_FRAME_SIZE] {
        let mut pair = pair(usize::MAX, frame, limits).await;
        let (mut down, mut client) = pair.down(10).await;
        let (fits, large) = (records(8_000), records(11_000));
        for sent in [&fits, &large, &large, &fits] {
            down.post(sent.clone()).await.expect("sends");
        }
        assert_eq!(message(&mut client).await, fits);
        assert_eq!(client.recv().await, Ok(Incoming::TooLarge(large.len())));
        assert_eq!(client.recv().await, Ok(Incoming::TooLarge(large.len())));
        assert_eq!(message(&mut client).await, fits);
        assert_eq!(pair.client_parked.octets(), 0);
    }
}

#[tokio::test]
async fn with_too_much_parked_the_connection_is_not_read_and_nothing_is_lost() {
    // faults 18
    let limits = Limits { parked: 10_000, ..Limits::default() };
    let mut pair = pair(usize::MAX, 512, limits).await;
    let (mut down, mut client) = pair.down(1000).await;
    let sent = records(1_000);
    let copy = sent.clone();
    let sender = tokio::spawn(async move {
        for _ in 0..500 {
            down.post(copy.clone()).await.expect("sends");
        }
        down
    });
    let mut most = 0;
    for _ in 0..500 {
        assert_eq!(message(&mut client).await, sent);
        most = most.max(pair.client_parked.octets());
    }
    // The bytes of one read were on their way when the limit was reached.
    assert!(most <= 10_000 + 64 * 1024, "{most} octets were parked");
    assert!(most >= 10_000, "the limit was never reached: {most} octets");
    sender.await.expect("does not panic");
}

#[tokio::test]
async fn what_a_dropped_receiver_did_not_take_is_given_back() {
    let mut pair = pair(usize::MAX, 512, Limits::default()).await;
    let (mut down, mut client) = pair.down(10).await;
    for _ in 0..3 {
        down.post(records(5_000)).await.expect("sends");
    }
    message(&mut client).await;
    assert!(pair.client_parked.octets() >= 10_000);
    tokio::join!(client.close(), async {
        // Answers the detach.
        while down.post(Vec::new()).await.is_ok() {}
    });
    assert_eq!(pair.client_parked.octets(), 0);
}

#[tokio::test]
async fn a_refused_link_costs_only_itself() {
    // faults 17
    let mut script = Script::begin(MAX_FRAME_SIZE, Limits::default()).await;
    let mut session = script.session.take().expect("there");
    let parked = script.parked.clone();
    let client = tokio::spawn(async move {
        let refused = Receiver::attach(&mut session, "mc/sfe.secret", 10, &parked).await;
        let mut receiver = Receiver::attach(&mut session, "mc/sfe.all", 10, &parked).await.expect("attaches");
        (refused.expect_err("is refused"), receiver.recv().await)
    });
    let name = script.attach().await;
    script.attached(&name, 0, false).await;
    script
        .frame(0x16, 3, |writer| {
            writer.uint(0);
            writer.value(Value::Bool(true));
            writer.section(0x1d);
            writer.list(2, |writer| {
                writer.symbol("amqp:unauthorized-access");
                writer.string("link disallowed");
            });
        })
        .await;
    assert!(matches!(script.next(0x16).await, Performative::Detach { .. }));
    let name = script.attach().await;
    script.attached(&name, 0, true).await;
    script.next(0x13).await;
    script.transfer(0, Flags { settled: true, ..Flags::default() }, b"hello").await;
    let (refused, received) = client.await.expect("does not panic");
    assert_eq!(refused.to_string(), "the link was refused: link disallowed (amqp:unauthorized-access)");
    assert_eq!(received, Ok(Incoming::Message((&b"hello"[..]).into())));
}

#[tokio::test]
async fn an_aborted_delivery_leaves_no_trace() {
    let mut script = Script::begin(MAX_FRAME_SIZE, Limits::default()).await;
    let mut receiver = script.receiver(4).await;
    let more = Flags { more: true, ..Flags::default() };
    for number in 0..10_u32 {
        // Both ways to say that there is no more to come.
        script.transfer(2 * number, more, b"this will ").await;
        script
            .transfer(2 * number, Flags { aborted: true, more: number % 2 == 0, ..Flags::default() }, b"")
            .await;
        script.transfer(2 * number + 1, more, b"this ").await;
        script.transfer(2 * number + 1, Flags::default(), b"is").await;
        assert_eq!(message(&mut receiver).await, b"this is");
    }
    // Credit came back for the aborted ones, too.
    script.credit_reaches(20 + 4, &mut receiver).await;
    assert_eq!(script.parked.octets(), 0);
}

#[tokio::test]
async fn what_the_sender_did_not_settle_is_accepted_in_batches() {
    let mut script = Script::begin(MAX_FRAME_SIZE, Limits::default()).await;
    let mut receiver = script.receiver(100).await;
    for number in 0..5 {
        script.transfer(number, Flags { settled: number == 2, ..Flags::default() }, b"hello").await;
    }
    for _ in 0..5 {
        assert_eq!(message(&mut receiver).await, b"hello");
    }
    assert!(timeout(Duration::ZERO, receiver.recv()).await.is_err());
    let mut ranges = Vec::new();
    for _ in 0..2 {
        let frame = script.read().await;
        // role receiver, first, last, settled
        let mut reader = crate::codec::Reader::new(&frame[HEAD + 3..]);
        let mut items = reader.list().expect("a list").reader;
        let _role = items.value().expect("a role");
        let first = items.value().expect("first").as_uint().expect("a number");
        let last = items.value().expect("last").as_uint().unwrap_or(first);
        assert_eq!(items.value(), Ok(Value::Bool(true)));
        ranges.push((first, last));
    }
    assert_eq!(ranges, [(0, 1), (3, 4)]);
}

#[tokio::test]
async fn a_flow_of_the_sender_does_not_count_twice_what_waits() {
    let mut script = Script::begin(MAX_FRAME_SIZE, Limits::default()).await;
    let mut receiver = script.receiver(4).await;
    let settled = Flags { settled: true, ..Flags::default() };
    for number in 0..4 {
        script.transfer(number, settled, b"hello").await;
    }
    // next-incoming-id, incoming-window, next-outgoing-id, outgoing-window, handle, delivery-count, link-credit
    script
        .frame(0x13, 7, |writer| {
            [0, 2048, 4, 2048, 0, 4, 0].into_iter().for_each(|number| writer.uint(number))
        })
        .await;
    for _ in 0..4 {
        assert_eq!(message(&mut receiver).await, b"hello");
    }
    // Two flows: after the second and after the fourth. Credit reaches to message 8, not to 12.
    assert_eq!(script.credit().await, 2 + 4);
    assert_eq!(script.credit().await, 4 + 4);
}

#[tokio::test]
async fn a_malformed_frame_ends_the_connection_and_says_so() {
    // faults 17
    let mut script = Script::begin(512, Limits::default()).await;
    let mut receiver = script.receiver(4).await;
    script.transfer(0, Flags { settled: true, ..Flags::default() }, b"hello").await;
    script.wire.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("writes");
    assert_eq!(message(&mut receiver).await, b"hello");
    assert_eq!(receiver.recv().await, Err(LinkError::Stopped("the connection is closed".into())));
    let error = script.connection.on_close().await.expect_err("fails");
    let fe2o3_amqp::connection::Error::TransportError(fe2o3_amqp::transport::Error::Io(error)) = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        error.to_string(),
        "the peer sent a frame of 1195725856 bytes, where at least 8 and at most 512 are allowed"
    );
}

/// A peer of fe2o3-amqp that says what a test reports it to say.
struct Script {
    wire: DuplexStream,
    connection: ConnectionHandle<()>,
    session: Option<SessionHandle<()>>,
    parked: Parked,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    settled: bool,
    more: bool,
    aborted: bool,
}

impl Script {
    async fn begin(frame: usize, limits: Limits) -> Self {
        let (near, mut wire) = duplex(1 << 20);
        let parked = Parked::default();
        let stream = BareStream::new(near, parked.clone(), Limits { frame, ..limits });
        let client = tokio::spawn(async move {
            let mut connection = Connection::builder()
                .container_id("client")
                .max_frame_size(frame as u32)
                .open_with_stream(stream)
                .await
                .expect("opens");
            let session = Session::begin(&mut connection).await.expect("begins");
            (connection, session)
        });
        let mut header = [0; 8];
        wire.read_exact(&mut header).await.expect("reads");
        wire.write_all(&header).await.expect("writes");
        read(&mut wire).await;
        write(&mut wire, 0x10, 1, |writer| writer.string("peer")).await;
        read(&mut wire).await;
        write(&mut wire, 0x11, 4, |writer| {
            writer.value(Value::Encoded(&[0x60, 0, 0]));
            [0, 2048, 2048].into_iter().for_each(|number| writer.uint(number));
        })
        .await;
        let (connection, session) = client.await.expect("does not panic");
        Self { wire, connection, session: Some(session), parked }
    }

    /// A receiver on the first link, to which this peer sends on handle 0.
    async fn receiver(&mut self, credit: u32) -> Receiver {
        let mut session = self.session.take().expect("there");
        let parked = self.parked.clone();
        let client =
            tokio::spawn(
                async move { (Receiver::attach(&mut session, "here", credit, &parked).await, session) },
            );
        let name = self.attach().await;
        self.attached(&name, 0, true).await;
        let (receiver, session) = client.await.expect("does not panic");
        self.session = Some(session);
        assert_eq!(self.credit().await, u64::from(credit));
        receiver.expect("attaches")
    }

    /// Reads an attach, and gives the name of the link.
    async fn attach(&mut self) -> String {
        let frame = self.read().await;
        match Frame::parse(&frame).expect("parses").performative {
            Performative::Attach { name, sends: false, .. } => name.to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// Answers an attach; without a source, to say that there is a detach to follow.
    async fn attached(&mut self, name: &str, handle: u32, source: bool) {
        self.frame(0x12, 10, |writer| {
            writer.string(name);
            writer.uint(handle);
            writer.value(Value::Bool(false));
            writer.null();
            writer.null();
            if source {
                writer.section(0x28);
                writer.list(1, |writer| writer.string("here"));
            } else {
                writer.null();
            }
            writer.section(0x29);
            writer.list(0, |_| {});
            writer.null();
            writer.null();
            writer.uint(0);
        })
        .await;
    }

    async fn transfer(&mut self, delivery: u32, flags: Flags, payload: &[u8]) {
        let mut writer = Writer::new(false);
        writer.section(0x14);
        writer.list(11, |writer| {
            writer.uint(0);
            writer.uint(delivery);
            writer.value(Value::Bytes(&delivery.to_be_bytes()));
            writer.uint(0);
            writer.value(Value::Bool(flags.settled));
            // The long and the short way to write a boolean.
            writer.value(Value::Encoded(&[0x56, u8::from(flags.more)]));
            (0..3).for_each(|_| writer.null());
            writer.value(Value::Bool(flags.aborted));
            writer.value(Value::Bool(false));
        });
        self.wire
            .write_all(&frame([writer.into_bytes().as_slice(), payload].concat()))
            .await
            .expect("writes");
    }

    async fn frame(&mut self, performative: u8, fields: usize, write_fields: impl FnOnce(&mut Writer)) {
        write(&mut self.wire, performative, fields, write_fields).await;
    }

    async fn read(&mut self) -> Vec<u8> {
        read(&mut self.wire).await
    }

    /// Reads a frame with that performative.
    async fn next(&mut self, performative: u8) -> Performative<'static> {
        let frame = self.read().await;
        assert_eq!(frame[HEAD + 2], performative, "{frame:02x?}");
        match Frame::parse(&frame).expect("parses").performative {
            Performative::Detach { handle } => Performative::Detach { handle },
            _ => Performative::Other,
        }
    }

    /// Reads a flow, and gives how many messages may have been sent on the link, all in all.
    async fn credit(&mut self) -> u64 {
        let frame = self.read().await;
        assert_eq!(frame[HEAD + 2], 0x13, "{frame:02x?}");
        let mut reader = crate::codec::Reader::new(&frame[HEAD + 3..]);
        let mut items = reader.list().expect("a list").reader;
        let fields: Vec<_> = (0..7).map(|_| items.value().expect("a field").as_uint().unwrap_or(0)).collect();
        fields[5] + fields[6]
    }

    /// Reads flows until credit reaches that far, and passes over dispositions.
    async fn credit_reaches(&mut self, until: u64, receiver: &mut Receiver) {
        assert!(timeout(Duration::ZERO, receiver.recv()).await.is_err());
        loop {
            let frame = self.read().await;
            if frame[HEAD + 2] != 0x13 {
                continue;
            }
            let mut reader = crate::codec::Reader::new(&frame[HEAD + 3..]);
            let mut items = reader.list().expect("a list").reader;
            let fields: Vec<_> =
                (0..7).map(|_| items.value().expect("a field").as_uint().unwrap_or(0)).collect();
            if fields[5] + fields[6] == until {
                return;
            }
        }
    }
}

async fn write(
    wire: &mut DuplexStream,
    performative: u8,
    fields: usize,
    write_fields: impl FnOnce(&mut Writer),
) {
    let mut writer = Writer::new(false);
    writer.section(performative);
    writer.list(fields, write_fields);
    wire.write_all(&frame(writer.into_bytes())).await.expect("writes");
}

/// A frame on channel 0.
fn frame(body: Vec<u8>) -> Vec<u8> {
    let mut frame = Vec::from(u32::try_from(HEAD + body.len()).expect("small").to_be_bytes());
    frame.extend([2, 0, 0, 0]);
    frame.extend(body);
    frame
}

async fn read(wire: &mut DuplexStream) -> Vec<u8> {
    let mut frame = vec![0; 4];
    let read = async {
        wire.read_exact(&mut frame).await.expect("reads");
        let size = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        frame.resize(size, 0);
        wire.read_exact(&mut frame[4..]).await.expect("reads");
    };
    timeout(Duration::from_secs(10), read).await.expect("a frame");
    frame
}
