//! `--replay`: what a collector received once, received again, in the time of then.
//!
//! A capture says when each message came, counted from its start; the first HEARTBEAT in it says what the clock showed.
//! From there on time is the capture's: it passes as fast as `--speed` says, and stands still at the end.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use vanflow_proto::{
    Timestamp,
    capture::{CaptureError, Captured, OpenError, PassedOver},
};

use crate::{clock, config::Speed};

/// Messages that are read ahead of the one that is replayed.
const AHEAD: usize = 1024;

/// How often, in the time of the capture, the listener is called with the time: in microseconds.
const TICK: u64 = 1_000_000;

/// How often it is called at most between one message and the next: longer silence passes in longer steps.
const MOST_TICKS: u64 = 100_000;

/// A capture that cannot be opened.
#[derive(Debug, Error)]
#[error("cannot replay {path}: {reason}")]
pub struct ReplayError {
    path: PathBuf,
    reason: OpenError,
}

/// Who hears a capture replayed.
pub(crate) trait Listener {
    /// The capture begins.
    fn begin(&mut self, now: Timestamp);

    /// A message came.
    fn hear(&mut self, message: &Captured, now: Timestamp);

    /// Time passed.
    fn tick(&mut self, now: Timestamp);
}

/// A capture that is there to be replayed.
#[derive(Debug)]
pub(crate) struct Capture {
    path: PathBuf,
    messages: vanflow_proto::capture::Capture,
}

impl Capture {
    /// Opens a capture.
    pub(crate) fn open(path: &Path) -> Result<Self, ReplayError> {
        match vanflow_proto::capture::Capture::open(path) {
            Ok(messages) => Ok(Self { path: path.to_owned(), messages }),
            Err(reason) => Err(ReplayError { path: path.to_owned(), reason }),
        }
    }

    /// Replays the capture to its end, or until `shutdown`.
    pub(crate) async fn replay(
        self,
        speed: Speed,
        listener: &mut impl Listener,
        shutdown: &CancellationToken,
    ) {
        let (sender, messages) = mpsc::channel(AHEAD);
        let began = self.messages.began().unwrap_or_else(|| {
            warn!("no HEARTBEAT says what time it was in the capture: taking it to begin now");
            clock::now()
        });
        let file = self.messages;
        // Files are read by a thread of their own, which ends when nobody takes what it reads.
        let reading = tokio::task::spawn_blocking(move || {
            for message in file {
                if sender.blocking_send(message).is_err() {
                    return;
                }
            }
        });
        info!("replaying {} {speed}", self.path.display());
        let mut messages = Messages { messages, passed_over: PassedOver::default() };
        tokio::select! {
            () = shutdown.cancelled() => return,
            replayed = replay(&mut messages, began, speed, listener) => {
                if let Some(said) = messages.passed_over.summary() {
                    warn!("{said}");
                }
                info!("replayed {replayed} messages; time stands still from here on");
            }
        }
        if let Err(error) = reading.await {
            error!("{}: {error}", self.path.display());
        }
    }
}

/// Answers how many messages were replayed.
async fn replay(
    messages: &mut Messages,
    began: Timestamp,
    speed: Speed,
    listener: &mut impl Listener,
) -> u64 {
    listener.begin(began);
    let mut pace = Pace { speed, started: Instant::now() };
    let mut replayed = 0;
    let mut now = 0;
    while let Some(message) = messages.next().await {
        // Captures of several links need not be in order to the microsecond.
        let at = message.micros.max(now);
        let step = TICK.max((at - now) / MOST_TICKS);
        while at - now >= step {
            now += step;
            pace.reach(now).await;
            listener.tick(began.plus_micros(now));
        }
        pace.reach(at).await;
        listener.hear(&message, began.plus_micros(at));
        replayed += 1;
        if at / TICK > now / TICK {
            listener.tick(began.plus_micros(at));
        }
        now = at;
    }
    listener.tick(began.plus_micros(now));
    replayed
}

/// The messages of a capture. Lines that cannot be read are said and passed over.
struct Messages {
    messages: mpsc::Receiver<Result<Captured, CaptureError>>,
    passed_over: PassedOver,
}

impl Messages {
    async fn next(&mut self) -> Option<Captured> {
        loop {
            match self.messages.recv().await? {
                Ok(message) => return Some(message),
                Err(error) => {
                    if let Some(said) = self.passed_over.note(&error, "the replay ends there") {
                        warn!("{said}");
                    }
                }
            }
        }
    }
}

/// How the time of the capture passes.
struct Pace {
    speed: Speed,
    started: Instant,
}

impl Pace {
    /// Waits until so many microseconds of the capture have passed.
    async fn reach(&mut self, micros: u64) {
        match self.speed {
            Speed::Max => tokio::task::consume_budget().await,
            Speed::Times(times) => {
                let seconds = Duration::try_from_secs_f64(micros as f64 / 1e6 / times);
                // What lies beyond all time never comes.
                let due = seconds.ok().and_then(|seconds| self.started.checked_add(seconds));
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use vanflow_proto::{Dialect, Encoder, Heartbeat, capture};

    use super::*;

    /// Notes what is heard, when in the capture, and how long after the start.
    struct Notes {
        began: Instant,
        heard: Vec<(u8, u64, Duration)>,
        ticks: Vec<u64>,
    }

    const THEN: u64 = 1_795_347_888_000_000;

    impl Notes {
        fn new() -> Self {
            Self { began: Instant::now(), heard: Vec::new(), ticks: Vec::new() }
        }
    }

    impl Listener for Notes {
        fn begin(&mut self, now: Timestamp) {
            assert_eq!(now, Timestamp::from_micros(THEN));
        }

        fn hear(&mut self, message: &Captured, now: Timestamp) {
            let name = message.link.as_bytes()[0];
            let now = now.micros_since(Timestamp::from_micros(THEN));
            self.heard.push((name, now, self.began.elapsed()));
        }

        fn tick(&mut self, now: Timestamp) {
            self.ticks.push(now.micros_since(Timestamp::from_micros(THEN)));
        }
    }

    fn message(micros: u64, link: &str) -> Captured {
        Captured { micros, link: link.into(), message: Encoder::new(Dialect::Router).flush("x", 1) }
    }

    fn heartbeat(micros: u64, link: &str) -> Captured {
        let beat = Heartbeat { id: "a:0", now: Timestamp::from_micros(THEN + micros) };
        Captured {
            message: Encoder::new(Dialect::Router).heartbeat("mc/sfe.a:0", 1, &beat),
            ..message(micros, link)
        }
    }

    fn capture(messages: &[Captured]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        for Captured { micros, link, message } in messages {
            capture::write(&mut file, *micros, link, message).expect("writes");
        }
        file
    }

    async fn replayed(file: &tempfile::NamedTempFile, speed: Speed) -> Notes {
        let mut notes = Notes::new();
        let capture = Capture::open(file.path()).expect("opens");
        capture.replay(speed, &mut notes, &CancellationToken::new()).await;
        notes
    }

    fn three() -> tempfile::NamedTempFile {
        capture(&[message(0, "a"), message(500_000, "b"), heartbeat(3_200_000, "c")])
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn a_capture_keeps_its_pace_and_its_time() {
        let notes = replayed(&three(), Speed::Times(1.0)).await;
        assert_eq!(
            notes.heard,
            [(b'a', 0, millis(0)), (b'b', 500_000, millis(500)), (b'c', 3_200_000, millis(3200))],
            "what comes before the first heartbeat has its time as well"
        );
        assert_eq!(notes.ticks, [1_500_000, 2_500_000, 3_200_000, 3_200_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_capture_can_be_replayed_faster() {
        let notes = replayed(&three(), Speed::Times(4.0)).await;
        assert_eq!(
            notes.heard,
            [(b'a', 0, millis(0)), (b'b', 500_000, millis(125)), (b'c', 3_200_000, millis(800))]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_capture_can_be_replayed_at_once_in_its_own_time() {
        let notes = replayed(&three(), Speed::Max).await;
        assert_eq!(notes.heard.iter().map(|(_, now, _)| *now).collect::<Vec<_>>(), [0, 500_000, 3_200_000]);
        assert!(notes.heard.iter().all(|(_, _, after)| after.is_zero()), "{:?}", notes.heard);
        assert_eq!(notes.ticks, [1_500_000, 2_500_000, 3_200_000, 3_200_000], "time passes all the same");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_cannot_be_read_costs_the_others_nothing() {
        let mut file = three();
        let late = "{\"us\": 18446744073709551615, \"link\": \"d\", \"message\": \"\"}";
        write!(file, "{late}\nnonsense\n").expect("writes");
        let Captured { micros, link, message } = message(3_300_000, "e");
        capture::write(&mut file, micros, &link, &message).expect("writes");
        file.write_all(b"{\"us\": 3400000, \"link\": \"f\", \"mess").expect("writes");
        let notes = replayed(&file, Speed::Max).await;
        assert_eq!(notes.heard.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), *b"abce");
    }

    #[tokio::test(start_paused = true)]
    async fn long_silence_passes_in_long_steps() {
        const DAY: u64 = 86_400_000_000;
        let file = capture(&[heartbeat(0, "a"), message(300 * DAY, "b")]);
        let notes = replayed(&file, Speed::Max).await;
        assert_eq!(notes.heard.last().map(|(_, now, _)| *now), Some(300 * DAY));
        assert!(notes.ticks.len() as u64 <= MOST_TICKS + 3, "{}", notes.ticks.len());
        assert!(notes.ticks.is_sorted());
    }

    #[tokio::test(start_paused = true)]
    async fn a_replay_can_be_left_at_any_time() {
        let shutdown = CancellationToken::new();
        let mut notes = Notes::new();
        let file = three();
        let capture = Capture::open(file.path()).expect("opens");
        tokio::select! {
            () = capture.replay(Speed::Times(1.0), &mut notes, &shutdown) => {}
            () = async { sleep_until(Instant::now() + millis(700)).await; shutdown.cancel(); std::future::pending().await } => {}
        }
        assert_eq!(notes.heard.len(), 2);
    }

    #[test]
    fn a_capture_that_is_not_there_is_named() {
        let error = Capture::open(Path::new("/no/such/file")).expect_err("it is not there").to_string();
        assert_eq!(error, "cannot replay /no/such/file: No such file or directory (os error 2)");
    }
}
