//! What clients that mean harm do to others: the collector as a process with a network of very many connections, attacked on
//! loopback.
//!
//! ```sh
//! cargo bench -p vanflow-collector --bench under_attack            # 100,000 connections
//! cargo bench -p vanflow-collector --bench under_attack 1000000    # a million
//! ```
//!
//! Prints how long `/healthz` and `/readyz` take at most in 99 of 100 times while nobody else asks, while 300 costly questions
//! are asked at the same time, and while 1,024 clients hold connections; what 20 scrapes that are not read take of its
//! resident memory; how long it takes to leave, with all records kept on disk and with none; and how long to start with all of
//! them. Works with former collectors too: `COLLECTOR=path` names another binary. `start` after the number leaves the attacks
//! out. `rate` is another bench: what the process takes of memory every half minute, with an emulated network of so many
//! connections a second and a retention of two minutes, beside what it says of itself. `flood` is a third: what a process with
//! a history takes at most that may take 256 MiB, or what `MEMORY` says, while so many connections with two requests each come
//! at once and end, and while as many come and go on.

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use vanflow_collector::demo::{Load, LoadOptions};
use vanflow_proto::Timestamp;

/// How long probes are asked under each attack.
const ATTACK: Duration = Duration::from_secs(15);

fn main() {
    let connections: usize =
        env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    if env::args().any(|argument| argument == "rate") {
        return stay_at(connections);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if env::args().any(|argument| argument == "flood") {
        let memory = env::var("MEMORY").unwrap_or_else(|_| "256Mi".to_owned());
        for ends in [true, false] {
            runtime.block_on(flood(connections, ends, &memory));
        }
        return;
    }
    runtime.block_on(run(connections));
}

/// Has a process that may take so much memory collect so many connections as fast as it can.
async fn flood(connections: usize, ends: bool, memory: &str) {
    let start = Timestamp::from_micros(1_795_347_888_000_000);
    let updates = connections * if ends { LoadOptions::UPDATES } else { 1 };
    let mut load = Load::start(&LoadOptions { updates, start, ends }, move || start)
        .await
        .expect("loopback has a free port");
    let directory = env::temp_dir().join(format!("vanflow-under-attack-{}", std::process::id()));
    let history = directory.join("history");
    let options = ["--memory", memory, "--history-dir", history.to_str().expect("it is text")];
    let collector = Collector::start(&load.url(), &options, &directory.join("state"));
    load.begun().await;
    load.sent().await;
    let memory = memory.to_owned();
    tokio::task::spawn_blocking(move || {
        while collector.is_busy() {}
        print(&format!(
            "{connections} connections that {}, within {memory}: {} at most; {} by now, {} of it allocated, {} for {} records; \
             {} refused, {} evicted, {} lost to the history",
            if ends { "end, with two requests each" } else { "go on" },
            mebi(collector.peak()),
            mebi(collector.resident()),
            mebi(collector.measured("vanflow_collector_heap_bytes") as u64),
            mebi(collector.measured("vanflow_collector_store_bytes") as u64),
            collector.measured("vanflow_collector_store_records"),
            collector.measured("vanflow_collector_source_records_refused_total"),
            collector.measured("vanflow_collector_store_evicted_total"),
            collector.measured("vanflow_collector_ended_lost_total"),
        ));
    })
    .await
    .expect("no panic");
    load.shut_down().await;
    let _ = fs::remove_dir_all(directory);
}

async fn run(connections: usize) {
    let start = Timestamp::from_micros(1_795_347_888_000_000);
    let options = LoadOptions { updates: connections * LoadOptions::UPDATES, start, ends: true };
    let state = env::temp_dir().join(format!("vanflow-under-attack-{}", std::process::id()));
    let with_attacks = !env::args().any(|argument| argument == "start");
    for (interval, what) in [("5s", "all that it has is kept"), ("1h", "nothing of it is kept")] {
        if interval == "1h" && !with_attacks {
            continue;
        }
        let mut load = Load::start(&options, move || start).await.expect("loopback has a free port");
        let mut collector = Collector::start(&load.url(), &["--state-interval", interval], &state);
        load.begun().await;
        load.sent().await;
        // The network lives on meanwhile.
        let attacked = tokio::task::spawn_blocking(move || {
            while collector.is_busy() {}
            print(&format!(
                "{connections} connections with two requests each, {}; {what}",
                mebi(collector.resident())
            ));
            if interval == "5s" && with_attacks {
                attack(&mut collector);
            }
            collector.leave();
        });
        attacked.await.expect("no panic");
        load.shut_down().await;
    }
    tokio::task::spawn_blocking({
        let state = state.clone();
        move || start_again(&state)
    })
    .await
    .expect("no panic");
    let _ = fs::remove_dir_all(state);
}

/// Collects what a network of so many connections a second has, from another process, and prints what that takes.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn stay_at(rate: usize) {
    const RETENTION: Duration = Duration::from_secs(120);
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let router = free.local_addr().expect("it is bound").to_string();
    drop(free);
    let state = env::temp_dir().join(format!("vanflow-under-attack-{}", std::process::id()));
    let rate = rate.to_string();
    let network =
        ["--demo", "--demo-rate", &rate, "--demo-listen", &router, "--retention", "1s", "--history", "1s"];
    let network = Collector::start_with(&network, &state.join("network"));
    thread::sleep(Duration::from_secs(2));
    let router = format!("amqp://{router}");
    let options = ["--router", &router, "--retention", "2m"];
    let collector = Collector::start_with(&options, &state.join("collector"));
    let began = Instant::now();
    let (mut least, mut most) = (u64::MAX, 0);
    for number in 0..=16 {
        thread::sleep((number * Duration::from_secs(30)).saturating_sub(began.elapsed()));
        let of = |name: &str| collector.measured(name);
        let resident = collector.resident();
        print(&format!(
            "after {:3} s: {}; the store says {}, the history {}; allocated {}; {} records",
            began.elapsed().as_secs(),
            mebi(resident),
            mebi(of("vanflow_collector_store_bytes") as u64),
            mebi(of("vanflow_collector_history_bytes") as u64),
            mebi(of("vanflow_collector_heap_bytes") as u64),
            of("vanflow_collector_store_records")
        ));
        if began.elapsed() > 2 * RETENTION {
            (least, most) = (least.min(resident), most.max(resident));
        }
    }
    print(&format!(
        "{:.1} % more at most than at least, once what came first had left",
        (most as f64 / least as f64 - 1.0) * 100.0
    ));
    drop((network, collector));
    let _ = fs::remove_dir_all(state);
}

/// Starts with what was kept, and leaves again.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn start_again(state: &Path) {
    let size = fs::metadata(state.join("records.vanflow")).map_or(0, |file| file.len());
    let began = Instant::now();
    let mut collector = Collector::start("amqp://127.0.0.1:1", &[], state);
    let (mut slowest, mut first) = (Duration::ZERO, None);
    let is = |path: &str, status: &[u8]| {
        collector.get(collector.port, path).is_some_and(|answer| answer.starts_with(status))
    };
    loop {
        let asked = Instant::now();
        if is("/healthz", b"HTTP/1.1 200") {
            let first = *first.get_or_insert_with(|| began.elapsed());
            if began.elapsed() > first {
                slowest = slowest.max(asked.elapsed());
            }
            if is("/api/v1alpha1/sites", b"HTTP/1.1 200") {
                break;
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), collector.cpu() as f64 / 100.0);
    print(&format!(
        "started with {} on disk after {seconds:.2} s, {cpu:.2} s of processor time; /healthz answered after {:.2} s and took \
         {:.0} ms at most from then on; {}",
        mebi(size),
        first.unwrap_or_default().as_secs_f64(),
        slowest.as_secs_f64() * 1e3,
        mebi(collector.resident())
    ));
    collector.leave();
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn attack(collector: &mut Collector) {
    let asked = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        collector.probes(scope, "nobody else asks", &|| {});
        for number in 0..300 {
            let (collector, asked, over) = (&*collector, &asked, &over);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let path = format!(
                        "/api/v2alpha1/connections?groupBy=sourceHost,routingKey&aggregate=count,p95(latency),max(endTime)&sortBy=count.desc&limit=3&octetCount!={number}&timeRangeStart=2026-11-01T00:00:00Z"
                    );
                    // Refused or cut off: all the same here.
                    let _ = collector.get(collector.port, &path);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        collector.probes(scope, "300 costly questions at a time", &|| over.store(true, Ordering::SeqCst));
        print(&format!("  {} of these were answered or refused", asked.load(Ordering::SeqCst)));
    });

    let before = collector.resident();
    let began = Instant::now();
    let unread: Vec<_> = (0..20).filter_map(|_| collector.ask(collector.port, "/metrics")).collect();
    let mut most = before;
    while began.elapsed() < ATTACK {
        most = most.max(collector.resident());
        thread::sleep(Duration::from_millis(50));
    }
    print(&format!("20 scrapes that are not read: {} more at most", mebi(most - before)));
    drop(unread);
    let began = Instant::now();
    let metrics = collector.get(collector.port, "/metrics");
    print(&format!(
        "  a scrape is {} and takes {:.2} s",
        mebi(metrics.map_or(0, |metrics| metrics.len() as u64)),
        began.elapsed().as_secs_f64()
    ));

    let idle: Vec<_> =
        (0..1024).filter_map(|_| TcpStream::connect(("127.0.0.1", collector.port)).ok()).collect();
    thread::scope(|scope| {
        collector.probes(scope, &format!("{} clients that ask nothing", idle.len()), &|| {})
    });
    drop(idle);
}

fn print(line: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").expect("stdout takes a line");
}

fn mebi(octets: u64) -> String {
    format!("{:.1} MiB", octets as f64 / f64::from(1 << 20))
}

struct Collector {
    child: Child,
    port: u16,
    metrics: u16,
}

impl Collector {
    fn start(router: &str, options: &[&str], state: &Path) -> Self {
        Self::start_with(&[&["--router", router], options].concat(), state)
    }

    fn start_with(options: &[&str], state: &Path) -> Self {
        let [port, metrics] = [(); 2].map(|()| {
            let free = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
            free.local_addr().expect("it is bound").port()
        });
        let binary = env::var_os("COLLECTOR")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_vanflow-collector")), PathBuf::from);
        let child = Command::new(binary)
            .args(["--listen", &format!("127.0.0.1:{port}"), "--log", "error"])
            .args(["--metrics-listen", &format!("127.0.0.1:{metrics}")])
            .arg("--state")
            .arg(state)
            .args(options)
            .stdin(Stdio::null())
            .spawn()
            .expect("the collector was built with this");
        Self { child, port, metrics }
    }

    /// Whether it does anything within a second.
    #[expect(clippy::disallowed_methods, reason = "there is no event to wait for in another process")]
    fn is_busy(&self) -> bool {
        let before = self.cpu();
        thread::sleep(Duration::from_secs(1));
        self.cpu() - before > 10
    }

    /// Processor time so far, in hundredths of a second.
    fn cpu(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the collector runs");
        let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    /// Resident memory in octets.
    fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it was.
    fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the collector runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is listed");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number") * 1024
    }

    /// What all samples of a metric come to.
    fn measured(&self, name: &str) -> f64 {
        let metrics = self.get(self.port, "/metrics").unwrap_or_default();
        let metrics = String::from_utf8_lossy(&metrics);
        let samples = metrics.lines().filter_map(|line| line.strip_prefix(name));
        samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn ask(&self, port: u16, path: &str) -> Option<TcpStream> {
        Self::ask_from(1, port, path)
    }

    /// Asks from 127.0.0.`from`.
    fn ask_from(from: u8, port: u16, path: &str) -> Option<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
        socket.bind(&SocketAddr::from(([127, 0, 0, from], 0)).into()).ok()?;
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).ok()?;
        let mut socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        Some(socket)
    }

    fn get(&self, port: u16, path: &str) -> Option<Vec<u8>> {
        self.get_from(1, port, path)
    }

    fn get_from(&self, from: u8, port: u16, path: &str) -> Option<Vec<u8>> {
        let mut answer = Vec::new();
        Self::ask_from(from, port, path)?.read_to_end(&mut answer).ok()?;
        Some(answer)
    }

    /// Asks probes at both addresses for a while, and prints how long that took.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn probes<'s>(&'s self, scope: &'s thread::Scope<'s, '_>, what: &str, over: &dyn Fn()) {
        let asked: [(u16, u8, &str, &[&str]); 3] = [
            (self.port, 1, "probes at --listen", &["/healthz", "/readyz"]),
            (self.metrics, 1, "probes at --metrics-listen", &["/healthz", "/readyz"]),
            (self.port, 2, "a list of sites, from another address,", &["/api/v2alpha1/sites"]),
        ];
        let probing = asked.map(|(port, from, name, paths)| {
            let probing = scope.spawn(move || {
                let (mut times, mut failed) = (Vec::new(), 0_usize);
                let end = Instant::now() + ATTACK;
                while Instant::now() < end {
                    for path in paths {
                        let began = Instant::now();
                        let answer = self.get_from(from, port, path).unwrap_or_default();
                        failed += usize::from(!answer.starts_with(b"HTTP/1.1 200"));
                        times.push(began.elapsed());
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                times.sort_unstable();
                (times, failed)
            });
            (name, probing)
        });
        for (name, probing) in probing {
            let (times, failed) = probing.join().expect("no panic");
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
            print(&format!(
                "{what}: {name} take {:.1} ms, 99 % up to {:.1} ms, at most {:.1} ms; {failed} of {} failed",
                at(0.5),
                at(0.99),
                at(1.0),
                times.len()
            ));
        }
        over();
    }

    /// Has it leave, and prints how long that took.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn leave(&mut self) {
        let began = Instant::now();
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if asked.is_ok_and(|status| status.success()) {
            let status = self.child.wait().expect("it is ours");
            print(&format!("SIGTERM: left after {:.2} s, {status}", began.elapsed().as_secs_f64()));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
