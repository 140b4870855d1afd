//! What clients can do to a collector, done to one on loopback.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::support::{Collector, PATIENCE, ask, capture};

/// A collector of a network that is there whole.
async fn collector(options: &[&str]) -> Collector {
    let file = capture("router-3.5.jsonl");
    let replay = ["--replay", file.to_str().expect("UTF-8"), "--speed", "max"];
    let collector = Collector::start(replay.into_iter().chain(options.iter().copied())).await;
    collector.ready().await;
    collector
}

/// A connection from that address of this machine.
async fn connected(collector: &Collector, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("all of 127.0.0.0/8 is this machine's");
    socket.connect(collector.address()).await.expect("connects")
}

/// The status of an answer.
async fn status(stream: TcpStream, path: &str) -> u16 {
    timeout(PATIENCE, ask(stream, path)).await.expect("it is answered").0.status.as_u16()
}

#[tokio::test]
async fn clients_that_take_all_connections_keep_nobody_from_asking() {
    // faults 31
    let collector = collector(&["--connections", "16", "--metrics-listen", "127.0.0.1:0"]).await;
    let mut clients = Vec::new();
    for last in 2..=5 {
        for number in 0..16 {
            let mut stream = connected(&collector, [127, 0, 0, last]).await;
            let begun: &[u8] = match number % 4 {
                0 => b"",
                1 => b"GET / HTTP/1.1\r\nhost: loc",
                2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
                _ => b"GET /api/v1alpha1/routers?watch=1 HTTP/1.1\r\nhost: localhost\r\n\r\n",
            };
            // Some find no place.
            let _ = stream.write_all(begun).await;
            clients.push(stream);
        }
    }
    for path in ["/api/v2alpha1/sites", "/healthz", "/readyz"] {
        assert_eq!(status(connected(&collector, [127, 0, 0, 1]).await, path).await, 200, "{path}");
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        let stream = TcpStream::connect(collector.metrics_address()).await.expect("connects");
        assert_eq!(status(stream, path).await, 200, "{path}, where nothing else is answered");
    }
    collector.leave().await;
}

#[tokio::test]
async fn scrapes_and_lists_that_are_not_read_keep_nobody_from_asking() {
    // faults 31
    let collector = collector(&["--metrics-listen", "127.0.0.1:0"]).await;
    let mut unread = Vec::new();
    for number in 0..40 {
        let (address, path) = match number % 2 {
            0 => (collector.address(), "/api/v2alpha1/connections"),
            _ => (collector.metrics_address(), "/metrics"),
        };
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("writes");
        unread.push(stream);
    }
    let (parts, text) = collector.answer("/metrics").await;
    assert_eq!(parts.status, 200);
    assert!(text.ends_with(b"\n") && text.starts_with(b"# HELP "), "it is whole");
    // Those that are read in the end are as whole.
    let mut late = Vec::new();
    let mut stream = unread.swap_remove(1);
    timeout(PATIENCE, stream.read_to_end(&mut late)).await.expect("in time").expect("reads");
    assert!(late.starts_with(b"HTTP/1.1 200 OK\r\n") && late.ends_with(b"\r\n0\r\n\r\n"));
    collector.leave().await;
}

#[tokio::test]
async fn costly_questions_do_not_outlive_their_time_and_probes_are_answered_meanwhile() {
    // faults 31
    let collector = collector(&["--query-timeout", "100ms"]).await;
    let mut asked = Vec::new();
    for number in 0..100 {
        let mut stream = connected(&collector, [127, 0, 0, 2]).await;
        let path = format!(
            "/api/v2alpha1/connections?groupBy=sourceProcessName&aggregate=sum(octets)&offset={number}"
        );
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("writes");
        asked.push(stream);
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(status(connected(&collector, [127, 0, 0, 2]).await, path).await, 200, "{path}");
    }
    for mut stream in asked {
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time").expect("reads");
        let answer = String::from_utf8_lossy(&answer);
        // How many there was time for is up to the machine.
        let is_late = answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 5\r\n");
        assert!(is_late || answer.starts_with("HTTP/1.1 ") && !answer.starts_with("HTTP/1.1 5"), "{answer}");
    }
    collector.leave().await;
}
