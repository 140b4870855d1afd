//! The collector as a process: what it says, and how it leaves.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/captures/router-3.5.jsonl");

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vanflow-collector"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(arguments).output().expect("it starts");
    (status.code(), String::from_utf8(stderr).expect("UTF-8"))
}

/// A collector that runs, and is killed with the test.
struct Process {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        Self { child, stderr }
    }

    /// Reads what it says up to a line with that text, which is answered.
    fn says(&mut self, text: &str) -> String {
        self.says_all_to(text).lines().next_back().map(str::to_owned).expect("a line")
    }

    /// Reads what it says up to a line with that text.
    fn says_all_to(&mut self, text: &str) -> String {
        let mut said = String::new();
        loop {
            let before = said.len();
            let octets = self.stderr.read_line(&mut said).expect("UTF-8");
            assert_ne!(octets, 0, "{text:?} was not said, but:\n{said}");
            if said[before..].contains(text) {
                return said;
            }
        }
    }

    /// Where it says that it answers.
    fn address(&mut self) -> SocketAddr {
        let line = self.says("answering on");
        let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).expect("an address");
        url.trim_end_matches(':').parse().expect("an address")
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("it starts").success());
    }

    /// Its exit code, and the rest of what it says.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("UTF-8");
        (self.child.wait().expect("it was started").code(), said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("it listens");
    stream
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut answer = String::new();
    ask(address, path).read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn arguments_that_make_no_sense_are_named_and_end_it_with_2() {
    let (code, said) = output(&["--replay", "a", "--demo"]);
    assert_eq!(code, Some(2));
    assert!(
        said.starts_with("error: --demo and --replay, or their environment variables, each name a source"),
        "{said}"
    );
    let (code, said) = output(&["--demo", "--log", "vanflow=loud"]);
    assert_eq!(code, Some(2));
    assert!(said.starts_with("error: --log is `vanflow=loud`: "), "{said}");
}

#[test]
fn it_leaves_when_asked_though_nobody_reads_what_it_says_any_more() {
    let mut child = command(&["--demo", "--listen", "127.0.0.1:0", "--log", "trace"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    assert!(lines.any(|line| line.expect("UTF-8").contains("answering on")));
    drop(lines);
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("it starts").success());
    assert_eq!(child.wait().expect("it was started").code(), Some(0));
}

#[test]
fn what_fails_from_the_start_is_named_and_ends_it_with_1() {
    let (code, said) = output(&["--replay", "/no/such/file", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(1));
    assert!(
        said.ends_with("error: cannot replay /no/such/file: No such file or directory (os error 2)\n"),
        "{said}"
    );
}

#[test]
fn what_the_network_sends_forges_no_line_of_the_log() {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases/log-injection.jsonl");
    let arguments = ["--replay", capture, "--speed", "max", "--listen", "127.0.0.1:0", "--log", "debug"];
    let mut process = Process::start(&arguments);
    let said = process.says_all_to("answering on");
    assert!(
        said.contains("ROUTER x is gone\\n2026-11-26T14:00:00.000000Z  INFO vanflow_collector: "),
        "{said}"
    );
    for line in said.lines() {
        let mut words = line.split_whitespace();
        let (time, level) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        assert!(time.ends_with('Z') && ["ERROR", "WARN", "INFO", "DEBUG"].contains(&level), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.chars().count() < 1_400, "{line}");
    }
}

#[test]
fn a_capture_is_not_begun_where_nothing_can_be_captured() {
    let directory = tempfile::tempdir().expect("a directory");
    let capture = directory.path().join("network.jsonl");
    let arguments =
        ["--router", "amqps://localhost", "--ca", "/no/such/ca", "--listen", "127.0.0.1:0", "--capture"];
    let (code, said) = output(&[&arguments[..], &[capture.to_str().expect("UTF-8")]].concat());
    assert_eq!(code, Some(1));
    assert!(said.ends_with("cannot read /no/such/ca: No such file or directory (os error 2)\n"), "{said}");
    assert!(!capture.exists());
}

#[test]
fn help_explains_and_says_where_it_can_be_set_as_well() {
    let help = command(&["--help"]).output().expect("it starts");
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    assert!(help.contains("--retention <TIME>"), "{help}");
    assert!(help.contains("[env: VANFLOW_RETENTION=]"), "{help}");
    assert!(help.contains("[default: 15m]"), "{help}");
}

#[test]
fn the_environment_is_read_where_the_command_line_says_nothing() {
    let mut command = command(&[]);
    command.env("VANFLOW_REPLAY", "/no/such/file").env("VANFLOW_LISTEN", "127.0.0.1:0,127.0.0.1:0");
    let output = command.output().expect("it starts");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.contains("cannot replay /no/such/file"), "{said}");
}

#[test]
fn it_leaves_in_peace_when_it_is_asked_to_whoever_listens() {
    // faults 22
    for (signal, name) in [("-TERM", "SIGTERM"), ("-INT", "SIGINT")] {
        let mut process = Process::start(&["--replay", CAPTURE, "--listen", "127.0.0.1:0"]);
        let address = process.address();
        let answer = get(address, "/healthz");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let mut watcher = ask(address, "/api/v1alpha1/routers?watch=1");
        watcher.read_exact(&mut [0; 8]).expect("it answers");
        process.signal(signal);
        let (code, said) = process.ended();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("leaving, as {name} asks")), "{said}");
    }
}

#[test]
fn what_was_persisted_survives_a_kill() {
    // faults 22
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("UTF-8");
    let log = directory.path().join("records.vanflow");
    let length = || std::fs::metadata(&log).map_or(0, |log| log.len());
    let persisting = ["--state", path, "--listen", "127.0.0.1:0"];

    let mut process = Process::start(&[&["--demo", "--state-interval", "100ms"], &persisting[..]].concat());
    let address = process.address();
    process.says("the first site is known");
    let sites = get(address, "/api/v1alpha1/sites");
    let known: Vec<_> = sites.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!known.is_empty(), "{sites}");
    // Twice: the first of these writes may have begun before the sites were known.
    for _ in 0..2 {
        let before = length();
        while length() == before {
            get(address, "/healthz");
        }
    }
    process.signal("-KILL");
    assert_eq!(process.ended().0, None, "it was killed");

    let mut process = Process::start(&[&["--router", "amqp://127.0.0.1:1"], &persisting[..]].concat());
    process.says("restored ");
    let address = process.address();
    let ready = get(address, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("\"attached\":false"), "{ready}");
    let sites = get(address, "/api/v1alpha1/sites");
    for id in known {
        assert!(sites.contains(id), "{id} is not in {sites}");
    }
    process.signal("-TERM");
    assert_eq!(process.ended().0, Some(0));
}
