//! What counters of the network come to over restarts, of a collector that is told to end and of one that is killed.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::support::{Process, free_port};

const OPENED: &str = "skupper_connections_opened_total";

/// The counters of the network, by series.
fn counters(address: SocketAddr) -> BTreeMap<String, f64> {
    // Of the version of HTTP that has no chunks.
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: localhost\r\n\r\n").expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let lines = answer.lines().filter(|line| line.starts_with("skupper_"));
    let series = lines.filter_map(|line| line.rsplit_once(' '));
    let counted =
        series.filter(|(name, _)| name.split('{').next().is_some_and(|name| name.ends_with("_total")));
    counted.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

/// What the series of each counter come to together.
fn sums(counters: &BTreeMap<String, f64>) -> BTreeMap<&str, f64> {
    let mut sums = BTreeMap::new();
    for (series, value) in counters {
        *sums.entry(series.split('{').next().unwrap_or_default()).or_default() += value;
    }
    sums
}

fn opened(address: SocketAddr) -> f64 {
    sums(&counters(address)).get(OPENED).copied().unwrap_or(0.0)
}

#[test]
fn no_counter_falls_where_a_collector_is_told_to_end_and_none_has_more_than_there_was_after_a_kill() {
    // faults 36
    let listen = format!("127.0.0.1:{}", free_port());
    // One that stays knows what there was.
    let demo = ["--demo", "--demo-rate", "100", "--demo-listen", &listen, "--listen", "127.0.0.1:0"];
    let mut whole = Process::start(&demo);
    let truth = whole.address();
    whole.says("the first site is known");
    let router = format!("amqp://{listen}");
    for has_state in [false, true] {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let [history, state] = folders.each_ref().map(|folder| folder.path().to_str().expect("UTF-8"));
        let mut arguments = vec!["--router", &router, "--listen", "127.0.0.1:0", "--history-dir", history];
        if has_state {
            arguments.extend(["--state", state, "--state-interval", "100ms"]);
        }
        let (mut before, mut was_killed) = (BTreeMap::<String, f64>::new(), true);
        for signal in ["-TERM", "-TERM", "-KILL", "-KILL"] {
            let mut process = Process::start(&arguments);
            let address = process.address();
            // It goes on from there, series by series as they are there again, or begins anew.
            let begun = if was_killed { 0.0 } else { sums(&before)[OPENED] };
            while opened(address) < begun + 100.0 {
                process.still_runs();
            }
            let now = counters(address);
            // What it has seen the other has seen by then, and not much more.
            let seen = opened(truth);
            while opened(truth) < seen + 1.0 {
                process.still_runs();
            }
            let all = counters(truth);
            let all = sums(&all);
            for (name, value) in sums(&now) {
                let most = all.get(name).copied().unwrap_or(0.0);
                assert!(
                    value <= most,
                    "{name} is {value}, of {most}, before {signal}, with state: {has_state}"
                );
            }
            if !was_killed {
                // What is of nobody yet goes on under the labels of whom it turns out to be of.
                let known = before.iter().filter(|(series, _)| !series.contains("\"unknown\""));
                for (series, value) in known {
                    let after = now.get(series).copied().unwrap_or(f64::INFINITY);
                    assert!(after >= *value, "{series} fell to {after}, with state: {has_state}");
                }
            }
            process.signal(signal);
            was_killed = signal == "-KILL";
            assert_eq!(process.ended().0, (!was_killed).then_some(0));
            before = now;
        }
    }
}
