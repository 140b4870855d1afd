//! Processes of the collector, and who asks them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
};

/// The program.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_vanflow-collector")
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

pub fn output(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(arguments).output().expect("it starts");
    (status.code(), String::from_utf8(stderr).expect("UTF-8"))
}

/// A collector that runs, and is killed with the test.
pub struct Process {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Process {
    pub fn start(arguments: &[&str]) -> Self {
        Self::of(command(arguments))
    }

    /// What it writes to the standard output, where that was piped.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("it is piped")
    }

    pub fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        Self { child, stderr }
    }

    /// Reads what it says up to a line with that text, which is answered.
    pub fn says(&mut self, text: &str) -> String {
        self.says_all_to(text).lines().next_back().map(str::to_owned).expect("a line")
    }

    /// Reads what it says up to a line with that text.
    pub fn says_all_to(&mut self, text: &str) -> String {
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
    pub fn address(&mut self) -> SocketAddr {
        let line = self.says("answering on");
        let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).expect("an address");
        url.trim_end_matches(':').parse().expect("an address")
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("it starts").success());
    }

    /// Its exit code, and the rest of what it says.
    pub fn ended(mut self) -> (Option<i32>, String) {
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

pub fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("it listens");
    stream
}

pub fn get(address: SocketAddr, path: &str) -> String {
    let mut answer = String::new();
    ask(address, path).read_to_string(&mut answer).expect("it answers");
    answer
}

/// What is answered to a form that is posted.
pub fn post(address: SocketAddr, path: &str, form: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: \
         application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    )
    .expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// A port that was free just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

/// A certificate for that name, which is its own authority, and its key.
pub fn identity(name: &str) -> (String, String) {
    let issued = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    (issued.cert.pem(), issued.signing_key.serialize_pem())
}
