//! The collector in the place of Skupper's network observer: with the arguments, the mounts and the probes that its chart
//! gives it (`charts/network-observer/templates/deployment.yaml` of Skupper).

use std::{fs, process::Command};

use crate::support::{Process, binary, command, free_port, get, identity, output, post};

/// What the chart gives the container of the observer, and what is mounted there.
const ARGUMENTS: [&str; 7] = [
    "-listen=127.0.0.1:8080",
    "-prometheus-api=http://127.0.0.1:9090",
    "-router-endpoint=amqps://skupper-router-local",
    "-router-tls-ca=/etc/messaging/ca.crt",
    "-router-tls-cert=/etc/messaging/tls.crt",
    "-router-tls-key=/etc/messaging/tls.key",
    "-listen-metrics=:9000",
];

/// A directory with what the secret of the client's certificate has in it.
fn messaging() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let (certificate, key) = identity("skupper-router-local");
    for (name, text) in [("ca.crt", &certificate), ("tls.crt", &certificate), ("tls.key", &key)] {
        fs::write(directory.path().join(name), text).expect("it can be written");
    }
    directory
}

#[test]
fn the_arguments_of_its_chart_start_a_collector_whose_probes_are_answered() {
    let mounted = messaging();
    let mounted = mounted.path().to_str().expect("UTF-8");
    let (api, metrics) = (free_port(), free_port());
    // Two of these could run on one machine at a time; in a pod these are its own.
    let arguments: Vec<_> = ARGUMENTS
        .iter()
        .map(|argument| {
            argument
                .replace("/etc/messaging", mounted)
                .replace(":8080", &format!(":{api}"))
                .replace(":9000", &format!(":{metrics}"))
        })
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut process = Process::start(&arguments);
    let said = process.says_all_to("answering on");
    assert!(
        said.contains("INFO")
            && said.contains("-prometheus-api: charts need no Prometheus here: while none answers,"),
        "{said}"
    );
    // The probes of the chart: every 30 seconds, whether there is a router or not.
    let answer = get(([127, 0, 0, 1], metrics).into(), "/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // What the proxy beside it asks, and what it would ask of a Prometheus that is not there any more.
    let api = ([127, 0, 0, 1], api).into();
    let sites = get(api, "/api/v2alpha1/sites");
    assert!(sites.starts_with("HTTP/1.1 200 OK\r\n"), "{sites}");
    let chart = post(api, "/api/v2alpha1/internal/prom/query", "query=skupper_site_info");
    assert!(chart.starts_with("HTTP/1.1 200 OK\r\n") && chart.contains("\"status\":\"success\""), "{chart}");
    let said = process.says("skupper-router-local");
    assert!(said.contains("skupper-router-local:5671"), "{said}");
    process.signal("-TERM");
    assert_eq!(process.ended().0, Some(0));
}

#[test]
fn in_a_container_it_starts_with_exactly_those() {
    // A network, users and mounts of its own, and nothing that can be written, as in a pod.
    let isolated = ["--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child"];
    let prepare = "mount -t tmpfs none /etc && mkdir /etc/messaging && cp \"$1\"/* /etc/messaging/ && \
         mount -o remount,bind,ro /etc && mount -o remount,bind,ro /";
    let mounted = messaging();
    let unshared = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(isolated).args(["sh", "-c", script, "sh"]).arg(mounted.path());
        command
    };
    if !unshared(prepare).output().is_ok_and(|tried| tried.status.success()) {
        println!("this machine isolates no processes for whoever runs the tests: not tried");
        return;
    }
    let mut start = unshared(&format!("{prepare} && shift && exec \"$@\""));
    start.arg(binary()).args(ARGUMENTS);
    let mut process = Process::of(start);
    let said = process.says_all_to("answering on");
    assert!(said.contains("http://127.0.0.1:8080"), "{said}");
    process.says("skupper-router-local:5671");
}

#[test]
fn flags_that_make_no_sense_end_it_with_2() {
    let (code, said) = output(&["-demo"]);
    assert_eq!(code, Some(2));
    assert!(
        said.starts_with("error: there is no flag -demo: options have two dashes, such as --listen."),
        "{said}"
    );
    let (code, said) = output(&["-router-tls-insecure"]);
    assert_eq!(code, Some(2));
    assert!(
        said.starts_with("error: -router-tls-insecure is not there: anybody could be the router then."),
        "{said}"
    );
    let version = command(&["-version"]).output().expect("it starts");
    assert!(version.status.success());
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("vanflow-collector "));
}

#[test]
fn a_port_alone_is_every_address_of_the_machine() {
    let port = free_port();
    let mut process = Process::start(&["--demo", "--insecure-no-auth", "-listen", &format!(":{port}")]);
    process.says("answering on");
    let answer = get(([127, 0, 0, 1], port).into(), "/healthz");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let again = output(&["--demo", "--insecure-no-auth", &format!("-listen=:{port}")]);
    assert_eq!(again.0, Some(1));
    assert!(
        again.1.ends_with(&format!(
            "error: cannot listen on :{port}: another program listens there; give --listen another port, or port 0 for any \
             that is free\n"
        )),
        "{}",
        again.1
    );
}
