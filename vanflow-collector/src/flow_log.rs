//! The flow log: a line for each connection and request that has ended, in a file that is rotated or on the standard output.
//!
//! What ended is taken from the API once a second, as the archive takes it. What was written before the process began is read
//! back off the files: what of it is held again is passed over, so that nothing is there twice.

mod file;
mod filter;
mod line;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write, stdout},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use vanflow_api::{
    Api, Due, Ended, Opened,
    metrics::{self, Health},
    tables,
};
use vanflow_history::rows::Row;
use vanflow_proto::Timestamp;

pub use self::file::{FlowLogError, Rotation};
use self::{
    file::{LogFile, Written},
    filter::Admission,
    line::{Entry, Lines, Phase},
};
pub(crate) use self::{
    filter::{FilterError, names as filter_names, parse as parse_filters},
    line::{names, unknown},
};
use crate::{
    chore::{self, Turn},
    clock,
    config::{self, FlowLogTarget},
    occasion::Occasion,
};

/// How often what ended is taken and written.
const EVERY: Duration = Duration::from_secs(1);

/// How many rows wait in memory for a disk that is full or a reader who does not read. Beyond that they are lost, and counted.
const MOST_WAITING: usize = 100_000;

/// Lines are written in parts of about so many octets.
const PART: usize = 1 << 20;

/// What was written longer ago than records are retained is not held any more, by far.
const TO_SPARE: Duration = Duration::from_secs(5 * 60);

/// Writes what has ended.
#[derive(Debug)]
pub(crate) struct FlowLog {
    target: Target,
    lines: Lines,
    /// The hash of the last line, where each carries that of the one before.
    chain: Option<String>,
    ended: Ended,
    /// What began and is open, where there are lines of that.
    opened: Option<Opened>,
    /// Whether there is a line that something began, and not only that it is open.
    says_opened: bool,
    admission: Admission,
    waiting: Vec<Entry>,
    written: u64,
    lost: u64,
    missed: u64,
    health: Arc<Health>,
    trouble: Occasion,
    rotation_trouble: Occasion,
}

#[derive(Debug)]
enum Target {
    Stdout,
    File(LogFile),
}

impl FlowLog {
    /// Opens the log. What of the last `retention` it has is not written again. Blocks.
    pub(crate) fn open(
        settings: config::FlowLog,
        retention: Duration,
        now: Timestamp,
        health: Arc<Health>,
    ) -> Result<Self, FlowLogError> {
        let mut ended = Ended::default();
        let every = settings.progress.map(|every| u64::try_from(every.as_micros()).unwrap_or(u64::MAX));
        let mut opened = (settings.has_opened || every.is_some()).then(|| Opened::new(every));
        let mut last = None;
        let target = match settings.target {
            FlowLogTarget::Stdout => Target::Stdout,
            FlowLogTarget::File(path) => {
                let (file, mut remarks) = LogFile::open(&path, settings.rotation)?;
                let since = time(now).checked_sub(retention + TO_SPARE).unwrap_or(SystemTime::UNIX_EPOCH);
                let failed = |error| FlowLogError::File { path: path.clone(), error };
                let has_all = settings.has_opened;
                let skip = |written, phase, key: &str| match (phase, written, &mut opened) {
                    (Phase::Open, _, Some(opened)) => opened.skip(key),
                    // It is not held any more.
                    (Phase::End, Written::LongAgo, Some(opened)) => opened.forget(key),
                    (Phase::End, Written::Lately, _) => ended.skip(key),
                    _ => {}
                };
                remarks.extend(file.keys(since, has_all, skip).map_err(failed)?);
                remarks.iter().for_each(|remark| warn!("flow log {}: {remark}", path.display()));
                if settings.is_chained {
                    last = file.last_line().map_err(failed)?;
                }
                Target::File(file)
            }
        };
        let fields = settings.fields.as_deref();
        Ok(Self {
            target,
            lines: Lines::new(settings.format, tables(), fields, settings.observer, opened.is_some()),
            chain: settings.is_chained.then(|| last.map_or_else(line::first, |last| line::hash(&last))),
            ended,
            opened,
            says_opened: settings.has_opened,
            admission: Admission::new(&settings.filters, tables()),
            waiting: Vec::new(),
            written: 0,
            lost: 0,
            missed: 0,
            health,
            trouble: Occasion::default(),
            rotation_trouble: Occasion::default(),
        })
    }

    /// Passes over what has ended so far where nobody can say what was written of it: what was on the standard output of a
    /// process that is over is not there to be read.
    pub(crate) fn begin(&mut self, api: &Api) {
        if matches!(self.target, Target::Stdout) {
            api.pass_over_ended(&mut self.ended);
            if let Some(opened) = &mut self.opened {
                api.pass_over_opened(opened);
            }
        }
    }

    /// Writes what ends, until `shutdown`, and then the rest.
    pub(crate) async fn keep(self, api: Api, shutdown: CancellationToken) {
        let take = move |log: &mut Self, turn| {
            log.take(&api, if turn == Turn::Last { Due::All } else { Due::Settled });
        };
        if let Err(error) = chore::repeat(self, EVERY, shutdown, take).await {
            error!("what ends is no longer logged: {error}");
        }
    }

    /// Writes what ended since the last time. What goes wrong is reported, and tried again. Blocks.
    fn take(&mut self, api: &Api, due: Due) {
        let now = clock::now();
        let mut outcome = self.write();
        loop {
            let (mut began, open) = match &mut self.opened {
                Some(opened) => api.take_opened(opened, due, now),
                None => Default::default(),
            };
            if began.is_empty() && open.is_empty() {
                break;
            }
            if !self.says_opened {
                began.clear();
            }
            self.wait(api, Phase::Open, began, now);
            self.wait(api, Phase::Progress, open, now);
            outcome = outcome.and_then(|()| self.write());
            if outcome.is_err() {
                let surplus = self.waiting.len().saturating_sub(MOST_WAITING);
                self.waiting.drain(..surplus);
                self.lost += surplus as u64;
            }
        }
        while outcome.is_ok() {
            let ended = api.take_ended(&mut self.ended, due);
            if ended.is_empty() {
                break;
            }
            self.wait(api, Phase::End, ended, now);
            outcome = self.write();
        }
        if outcome.is_err() {
            // In the store it takes less.
            api.observe_ended(&mut self.ended);
        }
        let missed = self.ended.missed() + self.opened.as_ref().map_or(0, Opened::missed);
        if missed > self.missed {
            warn!(
                "evicted before they could be logged: {} more connections and requests",
                missed - self.missed
            );
            self.missed = missed;
        }
        self.health
            .wrote("flow-log", metrics::Written { written: self.written, lost: self.lost + self.missed });
        match outcome {
            Ok(()) => {
                if self.trouble.is_over() {
                    info!("what ends is logged again; {} lines were lost by now", self.lost);
                }
            }
            Err(error) => {
                if self.trouble.arises().is_some() {
                    error!(
                        "cannot write the flow log: {error}; collecting goes on, and what has ended waits until that works \
                         again, for as long as it is held"
                    );
                }
            }
        }
    }

    /// Has lines of rows that are to have one wait to be written.
    fn wait(&mut self, api: &Api, phase: Phase, rows: Vec<(usize, Row)>, now: Timestamp) {
        if rows.is_empty() {
            return;
        }
        self.admission.learn(|| api.directory());
        let entries = rows.into_iter().map(|(table, row)| Entry { phase, table, row, at: now.as_micros() });
        let Self { waiting, admission, lines, .. } = self;
        waiting.extend(entries.filter(|entry| admission.admits(entry, lines)));
    }

    /// Writes what waits, in parts; what is written does not wait any more.
    fn write(&mut self) -> io::Result<()> {
        let mut written = 0;
        let mut outcome = Ok(());
        while outcome.is_ok() && written < self.waiting.len() {
            let room = match &self.target {
                Target::File(file) => usize::try_from(file.room()).unwrap_or(usize::MAX),
                Target::Stdout => usize::MAX,
            };
            let mut part = String::new();
            let mut chain = self.chain.clone();
            let mut next = written;
            while next < self.waiting.len() && part.len() < room.clamp(1, PART) {
                let line = self.lines.line(&self.waiting[next], chain.as_deref());
                if let Some(hash) = &mut chain {
                    *hash = line::hash(line.trim_end_matches('\n').as_bytes());
                }
                part.push_str(&line);
                next += 1;
            }
            outcome = match &mut self.target {
                Target::File(file) => file.append(part.as_bytes()),
                Target::Stdout => {
                    let mut stdout = stdout().lock();
                    stdout.write_all(part.as_bytes()).and_then(|()| stdout.flush())
                }
            };
            if outcome.is_ok() {
                (written, self.chain) = (next, chain);
                self.rotate();
            }
        }
        self.waiting.drain(..written);
        self.written += written as u64;
        if let Target::File(file) = &self.target
            && written > 0
        {
            outcome = outcome.and(file.sync());
        }
        self.rotate();
        outcome
    }

    fn rotate(&mut self) {
        let Target::File(file) = &mut self.target else { return };
        match file.rotate(time(clock::now())) {
            Ok(()) => _ = self.rotation_trouble.is_over(),
            Err(error) => {
                if self.rotation_trouble.arises().is_some() {
                    error!(
                        "cannot begin another file of the flow log: {error}; lines go on in the same, and it is tried again"
                    );
                }
            }
        }
    }
}

fn time(now: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(now.as_micros())
}
