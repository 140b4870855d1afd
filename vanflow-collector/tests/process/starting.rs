//! What a collector does while it starts, and what it does not end for.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
};

use crate::{
    CAPTURE,
    support::{Process, ask, get},
};

#[test]
fn a_hangup_has_it_look_again_and_ends_nothing() {
    // faults 21
    let mut process = Process::start(&["--replay", CAPTURE, "--listen", "127.0.0.1:0"]);
    let address = process.address();
    let mut watcher = ask(address, "/api/v1alpha1/routers?watch=1");
    watcher.read_exact(&mut [0; 8]).expect("it answers");
    for _ in 0..2 {
        process.signal("-HUP");
        process.says("looking at the certificate and at who may look again, as SIGHUP asks");
    }
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
    process.signal("-TERM");
    let (code, said) = process.ended();
    assert_eq!(code, Some(0), "{said}");
    let mut rest = String::new();
    watcher.read_to_string(&mut rest).expect("UTF-8");
    assert!(rest.contains("the collector is going down: the watch is over"), "it went on until then: {rest}");
}

#[test]
fn while_it_reads_what_was_kept_probes_are_answered_and_it_leaves_when_it_is_asked_to() {
    // faults 22
    let directory = tempfile::tempdir().expect("a directory");
    // Something that is never read to its end, for nobody writes it.
    let log = directory.path().join("records.vanflow");
    rustix::fs::mkfifoat(rustix::fs::CWD, &log, 0o600.into()).expect("makes a FIFO");
    let free = |()| TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("an address");
    let [listen, metrics]: [SocketAddr; 2] = [(), ()].map(free);
    let state = directory.path().to_str().expect("UTF-8").to_owned();
    let (api, monitors) = (listen.to_string(), metrics.to_string());
    let process =
        Process::start(&["--demo", "--listen", &api, "--metrics-listen", &monitors, "--state", &state]);
    for address in [listen, metrics] {
        // Nothing but an answer says that it listens.
        while TcpStream::connect(address).is_err() {}
        assert!(get(address, "/healthz").ends_with("{\"status\":\"alive\"}\n"));
        let ready = get(address, "/readyz");
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("retry-after: 1\r\n"), "{ready}");
        assert!(ready.contains("\"detail\":\"reading the records that were kept: 0 %\""), "{ready}");
    }
    let list = get(listen, "/api/v2alpha1/sites");
    assert!(list.starts_with("HTTP/1.1 503 ") && list.contains("the collector is starting"), "{list}");
    process.signal("-TERM");
    let (code, said) = process.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("leaving before all that was kept is read, as SIGTERM asks"), "{said}");
}
