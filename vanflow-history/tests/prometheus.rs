//! A real Prometheus on loopback, for as long as a test takes.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use crate::world::{Labels, Scrape};

/// The value that says that a series has ended.
const GONE: u64 = 0x7ff0_0000_0000_0002;

pub(crate) struct Prometheus {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it with an empty database. None, and a word about it, where it is not installed; but CI has to have it.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn start() -> Option<Self> {
        if Command::new("prometheus")
            .arg("--version")
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI has to have a Prometheus: apt-get install prometheus"
            );
            println!("skipped: there is no `prometheus` here to compare with");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        fs::write(&config, "global: {}\n").unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let prometheus = Self { process, address, _folder: folder };
        let mut said = String::new();
        loop {
            let line = log.next().unwrap_or_else(|| panic!("it ended before it was ready: {said}")).unwrap();
            if line.contains("ready to receive web requests") {
                break;
            }
            said += &line;
            said.push('\n');
        }
        // Whatever else it says must not block it.
        std::thread::spawn(move || log.for_each(drop));
        Some(prometheus)
    }

    /// Writes the same as a scrape would, with what reports that a series has ended.
    pub(crate) fn write(&self, scrapes: &[Scrape]) {
        let mut series: BTreeMap<&Labels, Vec<(i64, f64)>> = BTreeMap::new();
        for (place, scrape) in scrapes.iter().enumerate() {
            let present: BTreeMap<&Labels, f64> =
                scrape.samples.iter().map(|(labels, value)| (labels, *value)).collect();
            for (labels, value) in &present {
                series.entry(labels).or_default().push((scrape.at_ms, *value));
            }
            let before = place.checked_sub(1).map(|before| &scrapes[before]);
            for (labels, _) in before.into_iter().flat_map(|before| &before.samples) {
                if !present.contains_key(labels) {
                    series.entry(labels).or_default().push((scrape.at_ms, f64::from_bits(GONE)));
                }
            }
        }
        let mut request = Vec::new();
        for (labels, samples) in series {
            let mut message = Vec::new();
            for (name, value) in labels {
                let mut label = Vec::new();
                field(&mut label, 1, name.as_bytes());
                field(&mut label, 2, value.as_bytes());
                field(&mut message, 1, &label);
            }
            for (at, value) in samples {
                let mut sample = vec![1 << 3 | 1];
                sample.extend(value.to_bits().to_le_bytes());
                sample.push(2 << 3);
                varint(&mut sample, at as u64);
                field(&mut message, 2, &sample);
            }
            field(&mut request, 1, &message);
        }
        let (status, answer) = self.post(
            "/api/v1/write",
            "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
             X-Prometheus-Remote-Write-Version: 0.1.0\r\n",
            &snappy(&request),
        );
        assert_eq!(status, 204, "{answer}");
    }

    /// Asks a question; the status and the JSON of the answer.
    pub(crate) fn ask(&self, path: &str, form: &str) -> (u16, serde_json::Value) {
        let header = "Content-Type: application/x-www-form-urlencoded\r\n";
        let (status, answer) = self.post(&format!("/api/v1/{path}"), header, form.as_bytes());
        (status, serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }

    /// The status and the JSON of the answer to a request without a body.
    pub(crate) fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let (status, answer) = self.exchange(&format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"), &[]);
        (status, serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }

    fn post(&self, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n");
        self.exchange(&head, body)
    }

    /// Sends a request; the status and the body of the answer. With 1.0 that comes in one piece and ends with the
    /// connection.
    fn exchange(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A field of a protobuf message that has a length.
fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Snappy's format, with nothing compressed.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, bytes.len() as u64);
    for piece in bytes.chunks(1 << 16) {
        // A literal whose length, less one, is in the next two octets.
        out.push(61 << 2);
        out.extend(((piece.len() - 1) as u16).to_le_bytes());
        out.extend(piece);
    }
    out
}
