//! The collector as a process: what it says, and how it leaves.

#[path = "../../../tests/manifest.rs"]
mod manifest;
mod observer;
mod operation;
mod protected;
mod starting;
mod support;

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    process::{Command, Stdio},
};

use support::{Process, ask, command, get, output};

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/captures/router-3.5.jsonl");

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
    let said = process.says_all_to("time stands still");
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
fn what_ended_is_on_the_standard_output_line_by_line_and_nothing_else() {
    let arguments = [
        "--replay",
        CAPTURE,
        "--speed",
        "max",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "info",
        "--flow-log",
        "-",
    ];
    let mut command = command(&arguments);
    command.stdout(Stdio::piped());
    let mut process = Process::of(command);
    let stdout = process.stdout();
    process.says("answering on");
    let mut lines = BufReader::new(stdout).lines();
    let first = lines.next().expect("a line").expect("UTF-8");
    process.signal("-TERM");
    for line in [Ok(first)].into_iter().chain(lines) {
        let line: serde_json::Value = serde_json::from_str(&line.expect("UTF-8")).expect("JSON");
        assert!(
            ["connection.end", "request.end"].contains(&line["event"].as_str().expect("an event")),
            "{line}"
        );
    }
    assert_eq!(process.ended().0, Some(0));
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

/// What a start with these arguments says that fails: one line, and nothing behind it.
fn refusal(arguments: &[&str]) -> String {
    let mut command = command(arguments);
    let output = command.env("RUST_BACKTRACE", "1").output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!said.contains("Caused by") && !said.contains("backtrace"), "{said}");
    said.lines().next_back().expect("a line").to_owned()
}

#[test]
fn a_port_that_is_taken_is_said_with_the_option_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has one").to_string();
    let why = "another program listens there; give";
    for (option, arguments) in [
        ("--listen", vec!["--demo", "--listen", &*address]),
        ("--metrics-listen", vec!["--demo", "--listen", "127.0.0.1:0", "--metrics-listen", &*address]),
    ] {
        let expected = format!(
            "error: cannot listen on {address}: {why} {option} another port, or port 0 for any that is free"
        );
        assert_eq!(refusal(&arguments), expected);
    }
    assert_eq!(
        refusal(&["--demo", "--listen", "127.0.0.1:0", "--demo-listen", &address]),
        format!(
            "error: cannot start the emulated network: cannot listen on {address}: {why} --demo-listen another port, or port \
             0 for any that is free"
        )
    );
}

#[test]
fn a_secret_without_its_files_is_said_with_what_has_to_be_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("connect.json");
    let json = r#"{"scheme": "amqps", "host": "r", "port": "5671", "tls": {"ca": "ca.crt", "cert": "tls.crt", "key": "tls.key"}}"#;
    std::fs::write(&file, json).expect("it can be written");
    let (file, directory) = (file.display(), directory.path().display());
    assert_eq!(
        refusal(&["--connect-json", &file.to_string(), "--listen", "127.0.0.1:0"]),
        format!(
            "error: {file} names {directory}/ca.crt, which cannot be read: No such file or directory (os error 2); mount all \
             of the secret there, with ca.crt, tls.crt and tls.key beside connect.json"
        )
    );
}

#[test]
fn a_connect_json_without_an_authority_is_said_with_what_to_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("connect.json");
    std::fs::write(&file, r#"{"scheme": "amqps", "host": "r", "port": "5671"}"#).expect("it can be written");
    let file = file.display();
    assert_eq!(
        refusal(&["--connect-json", &file.to_string(), "--listen", "127.0.0.1:0"]),
        format!(
            "error: cannot attach to a router: {file} is no connect.json as Skupper writes it: it is about amqps and does not \
             say whose certificates to trust: it needs \"tls\": {{\"ca\": \"ca.crt\"}}, the file with the certificate of the \
             authority that signed the router's"
        )
    );
}

#[test]
fn a_log_names_the_page_first() {
    let console = tempfile::tempdir().expect("a directory");
    std::fs::write(console.path().join("index.html"), "").expect("it can be written");
    let console = console.path().display().to_string();
    for (more, path) in [(&[][..], "/"), (&["--console", &console], "/view/")] {
        let mut process = Process::start(&[&["--demo", "--listen", "127.0.0.1:0"], more].concat());
        let said = process.says("answering on");
        let (before, page) = said.trim_end().split_once(": the page is at ").expect("it names the page");
        let address = before.rsplit(' ').next().expect("it names an address");
        assert_eq!(page, format!("{address}{path}"));
    }
}

#[test]
fn nobody_at_the_routers_address_is_said_with_what_to_do() {
    // A port that was free just now.
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let router = format!("amqp://{free}");
    let mut process = Process::start(&["--router", &router, "--listen", "127.0.0.1:0"]);
    let said = process.says("nobody listens there");
    assert!(
        said.ends_with(
            "nobody listens there: does the router run, and is that its AMQP port? --router names another; it is tried again"
        ),
        "{said}"
    );
    process.signal("-TERM");
    assert_eq!(process.ended().0, Some(0));
}

#[test]
fn the_emulated_router_listens_where_it_is_asked_to() {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let listen = free.to_string();
    let mut process = Process::start(&["--demo", "--demo-listen", &listen, "--listen", "127.0.0.1:0"]);
    process.says("attached to the router");
    TcpStream::connect(free).expect("it listens there");
}

#[test]
fn in_a_pipe_it_says_plain_lines() {
    let mut process = Process::start(&["--demo", "--listen", "127.0.0.1:0"]);
    let said = process.says_all_to("the first site is known");
    assert!(said.contains("INFO") && !said.contains(['\r', '\u{1b}']), "{said}");
}

#[test]
fn a_password_that_a_list_of_processes_shows_is_said() {
    let mut process =
        Process::start(&["--router", "amqp://ann:sesame@127.0.0.1:1", "--listen", "127.0.0.1:0"]);
    process.says("the password in --router can be read in a list of processes: leave it out there");
    let mut by_environment = command(&["--listen", "127.0.0.1:0"]);
    by_environment.env("VANFLOW_ROUTER", "amqp://ann:sesame@127.0.0.1:1");
    let mut process = Process::of(by_environment);
    let said = process.says_all_to("answering on");
    assert!(!said.contains("list of processes") && !said.contains("sesame"), "{said}");
}
