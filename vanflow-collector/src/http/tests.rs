//! The server over pipes in virtual time, and over sockets.

use std::{
    future::ready,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
};

use http_body::Frame;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
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

const LIMITS: Limits = Limits { ask_within: Duration::from_secs(10), take_within: Duration::from_secs(30) };

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
        places: Places::new(1, 1),
        probes: Places::new(1, 1),
        limits: LIMITS,
        health: Arc::default(),
        respond: move |_| ready(Response::new(body())),
        shutdown: shutdown.clone(),
    };
    let peer = SocketAddr::from(([192, 0, 2, 1], 1234));
    let seat = acceptor.seat(peer, &mut Occasion::default()).expect("there is a place");
    Connected { client, server: tokio::spawn(acceptor.connection(far, peer, seat)), shutdown }
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
    let mut connected = connect(move || Sent(receiver.lock().expect("no panic").take().expect("asked once")));
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
    let mut connected = connect(move || Sent(receiver.lock().expect("no panic").take().expect("asked once")));
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
    let (mut requests, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        // That the server answers these is no sign that anything of the answer is taken.
        .keep_alive_interval(Duration::from_secs(3))
        .handshake(TokioIo::new(client))
        .await
        .expect("greets");
    tokio::spawn(connection);
    let request = Request::new(Full::<Bytes>::default());
    let response = requests.send_request(request).await.expect("answers");
    // The answer is held, and none of its octets are released for more to come.
    assert_eq!(connected.cut().await, Cut::TakesNothing(LIMITS.take_within));
    drop((response, far));
}

/// A server of so many connections, as many of one client.
async fn server(connections: usize) -> (SocketAddr, CancellationToken, JoinHandle<()>, mpsc::Sender<Bytes>) {
    limited(connections, connections).await
}

async fn limited(
    connections: usize,
    client_connections: usize,
) -> (SocketAddr, CancellationToken, JoinHandle<()>, mpsc::Sender<Bytes>) {
    let mut limits = config::Limits::default();
    (limits.connections, limits.client_connections) = (connections, client_connections);
    let settings = config::Http {
        listen: vec!["127.0.0.1:0".into()],
        public_urls: Vec::new(),
        tls: None,
        client_ca: None,
        cors: vanflow_api::Cors::SameOrigin,
        limits,
    };
    let server = Server::bind(&settings, "--listen").await.expect("binds");
    let address = server.addresses()[0];
    let shutdown = CancellationToken::new();
    let (frames, receiver) = mpsc::channel(1);
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let respond = move |request: Request<Incoming>| {
        let body: Boxed = match request.uri().path() {
            "/watch" => Sent(receiver.lock().expect("no panic").take().expect("asked once")).boxed_unsync(),
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

/// Someone from that address who watches, and has heard something.
async fn watcher(server: SocketAddr, from: [u8; 4], frames: &mpsc::Sender<Bytes>) -> TcpStream {
    let mut watcher = connected(server, from).await;
    watcher.write_all(b"GET /watch HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("writes");
    frames.send("here".into()).await.expect("is there");
    let mut heard = [0; 16];
    watcher.read_exact(&mut heard).await.expect("is answered");
    watcher
}

async fn connected(server: SocketAddr, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("all of 127.0.0.0/8 is this machine's");
    socket.connect(server).await.expect("connects")
}

const HERE: [u8; 4] = [127, 0, 0, 1];
const THERE: [u8; 4] = [127, 0, 0, 2];

#[tokio::test]
async fn one_connection_too_many_is_turned_away_and_told_so_but_probes_are_answered() {
    let (address, shutdown, serving, frames) = server(1).await;
    let watcher = watcher(address, HERE, &frames).await;
    let answer = get(address, "/").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.contains("retry-after: 5\r\n"), "{head}");
    assert_eq!(body, TOO_MANY_TEXT);
    for probe in ["/healthz", "/readyz"] {
        let answer = get(address, probe).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{probe}: {answer}");
    }

    drop(watcher);
    // The place becomes free when the server has noticed; nothing but an answer says when that is.
    while !get(address, "/").await.ends_with("hello") {}
    shutdown.cancel();
    serving.await.expect("no panic");
}

#[test]
fn who_finds_no_place_at_all_is_told_the_same() {
    let whole = std::str::from_utf8(TOO_MANY).expect("text");
    let (head, body) = whole.split_once("\r\n\r\n").expect("a head and a body");
    assert_eq!(body, TOO_MANY_TEXT);
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
}

#[tokio::test]
async fn clients_that_ask_nothing_keep_nobody_from_asking() {
    let (address, shutdown, serving, _frames) = server(4).await;
    let mut idle = Vec::new();
    for number in 0..32 {
        let mut stream = connected(address, if number % 2 == 0 { HERE } else { THERE }).await;
        match number % 4 {
            // Nothing, half a request, the beginning of HTTP/2, a request that is answered.
            0 => {}
            1 => stream.write_all(b"GET / HTTP/1.1\r\nhost:").await.expect("writes"),
            2 => stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                .await
                .expect("writes"),
            _ => {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("writes");
                let mut heard = [0; 64];
                stream.read_exact(&mut heard).await.expect("is answered");
            }
        }
        idle.push(stream);
        let answer = get(address, "/").await;
        assert!(answer.ends_with("hello"), "with {number} that are idle: {answer}");
    }
    shutdown.cancel();
    serving.await.expect("no panic");
}

#[tokio::test]
async fn a_client_that_takes_all_its_connections_takes_none_of_another() {
    let (address, shutdown, serving, frames) = limited(2, 1).await;
    let watcher = watcher(address, THERE, &frames).await;
    let mut refused = String::new();
    let mut second = connected(address, THERE).await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("writes");
    second.read_to_string(&mut refused).await.expect("is answered");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(get(address, "/").await.ends_with("hello"), "from another address");
    drop(watcher);
    shutdown.cancel();
    serving.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_nothing_more_is_cut_off_also_of_http_2() {
    let mut connected = connect(|| Full::new(Bytes::from_static(b"hello")));
    connected.ask().await;
    connected.hear("hello").await;
    // The server's own guard of heads, or ours: whichever is first.
    assert!(matches!(connected.server.await.expect("no panic"), End::Cut(Cut::AsksNothing(_))));

    let mut connected = connect(|| Full::new(Bytes::from_static(b"hello")));
    let (near, _far) = tokio::io::duplex(4096);
    let client = std::mem::replace(&mut connected.client, near);
    let (mut requests, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
            .await
            .expect("greets");
    tokio::spawn(connection);
    let response = requests.send_request(Request::new(Full::<Bytes>::default())).await.expect("answers");
    response.into_body().collect().await.expect("comes whole");
    assert_eq!(connected.cut().await, Cut::AsksNothing(LIMITS.ask_within));
    drop(requests);
}

#[tokio::test]
async fn a_watcher_that_does_not_leave_does_not_keep_the_server() {
    // faults 22
    let (address, shutdown, serving, frames) = server(8).await;
    let _watcher = watcher(address, HERE, &frames).await;
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
        public_urls: Vec::new(),
        tls: None,
        client_ca: None,
        cors: vanflow_api::Cors::SameOrigin,
        limits: config::Limits::default(),
    };
    let error = Server::bind(&settings, "--listen").await.map(drop).expect_err("it is taken").to_string();
    assert!(
        error.starts_with(&format!("cannot listen on {taken}: another program listens there; give --listen")),
        "{error}"
    );
    drop(listener);
}
