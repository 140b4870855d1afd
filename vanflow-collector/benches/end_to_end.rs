//! What a record costs from the socket to the store: the collector as a process, fed over AMQP on loopback.
//!
//! ```sh
//! cargo bench -p vanflow-collector --bench end_to_end            # 400,000 updates
//! cargo bench -p vanflow-collector --bench end_to_end 4000000    # a million connections with two requests each
//! ```
//!
//! Updates come in batches of 50 in the shapes of real routers: the beginning of a connection, two requests that are
//! over, its end. Prints the processor time that the collector's process took for each, how many came through in a
//! second, and what a retained record takes of its resident memory.

use std::{
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use vanflow_collector::demo::{Load, LoadOptions};
use vanflow_proto::Timestamp;

fn main() {
    // Cargo passes `--bench`; a number says how much.
    let updates = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(400_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(updates));
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn run(updates: usize) {
    let start = Timestamp::from_micros(1_795_347_888_000_000);
    let mut load = Load::start(&LoadOptions { updates, start, ends: true }, move || start)
        .await
        .expect("loopback has a free port");
    let collector = Collector::start(&load.url());
    load.begun().await;
    let (before, resident) = (collector.cpu(), collector.resident());
    let began = Instant::now();
    load.sent().await;
    // What was sent may still be on its way; the collector is done when it does nothing any more.
    let mut ended = Instant::now();
    let mut cpu = collector.cpu();
    while ended.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = collector.cpu();
        if now - cpu > Duration::from_millis(10) {
            (cpu, ended) = (now, Instant::now());
        }
    }
    let connections = updates / LoadOptions::UPDATES;
    let grown = collector.resident() - resident;
    let reported = collector.get("/api/v1alpha1/addresses");
    let found: usize = reported
        .split("\"totalFlows\":")
        .skip(1)
        .filter_map(|rest| rest.split([',', '}']).next()?.parse::<usize>().ok())
        .sum();
    assert_eq!(found, connections, "the collector lost connections: {reported}");
    let per_update = (cpu - before).as_secs_f64() * 1e6 / updates as f64;
    let seconds = ended.duration_since(began).as_secs_f64();
    print(&format!("{updates} updates of {connections} connections with two requests each"));
    print(&format!("  {per_update:.2} µs of processor time an update in the collector"));
    print(&format!("  {:.0} updates a second", updates as f64 / seconds));
    print(&format!(
        "  {:.0} octets of resident memory a retained record",
        grown as f64 / (3 * connections) as f64
    ));
    load.shut_down().await;
}

fn print(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").expect("stdout takes a line");
}

struct Collector {
    child: Child,
    port: u16,
}

impl Collector {
    fn start(router: &str) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let child = Command::new(env!("CARGO_BIN_EXE_vanflow-collector"))
            .args(["--router", router, "--listen", &format!("127.0.0.1:{port}"), "--log", "error"])
            .stdin(Stdio::null())
            .spawn()
            .expect("the collector was built with this");
        Self { child, port }
    }

    /// Processor time so far, in user and system mode.
    fn cpu(&self) -> Duration {
        const TICK: Duration = Duration::from_millis(10);
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the collector runs");
        let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next().and_then(|ticks| ticks.parse::<u32>().ok()).expect("it is a number");
        (ticks() + ticks()) * TICK
    }

    /// Resident memory in octets.
    fn resident(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the collector runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is listed");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number") * 1024
    }

    fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("the collector answers");
        write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("it answers in UTF-8");
        answer
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
