//! What systemd, or whoever else started this process so, wants to know of it: that it answers, that it leaves, and that it
//! lives (`sd_notify(3)`).

use std::{env, ffi::OsStr, io, os::unix::ffi::OsStrExt, time::Duration};

use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixDatagram},
};

use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// Who wants to know, if anybody does.
#[derive(Debug)]
pub struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear that this process lives.
    alive_every: Option<Duration>,
}

impl Supervisor {
    /// Whom the environment names.
    pub fn of_environment() -> Self {
        let named = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty());
        let socket = named.and_then(|path| match open(&path) {
            Ok(socket) => Some(socket),
            Err(error) => {
                warn!("cannot tell NOTIFY_SOCKET {} anything: {error}", path.display());
                None
            }
        });
        let micros = env::var("WATCHDOG_USEC").ok().and_then(|micros| micros.parse().ok());
        let is_meant = env::var("WATCHDOG_PID").map_or(true, |id| id == std::process::id().to_string());
        let alive_every = micros.filter(|micros| is_meant && *micros > 1).map(Duration::from_micros);
        Self { socket, alive_every: alive_every.map(|within| within / 2) }
    }

    /// Says that requests are answered from now on.
    pub fn ready(&self) {
        self.say("READY=1\nSTATUS=Answering requests\n");
    }

    /// Says that the process leaves.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=Leaving\n");
    }

    /// Says that the process lives, as often as somebody wants to hear that: as long as this future is polled.
    pub async fn live(&self) {
        let Some(every) = self.alive_every.filter(|_| self.socket.is_some()) else {
            return std::future::pending().await;
        };
        let mut pace = interval(every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            self.say("WATCHDOG=1\n");
        }
    }

    fn say(&self, text: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(text.as_bytes(), address) {
            warn!("cannot tell NOTIFY_SOCKET anything: {error}");
        }
    }
}

/// A path, or, behind an @, a name that is no path.
fn open(path: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    Ok((UnixDatagram::unbound()?, address))
}
