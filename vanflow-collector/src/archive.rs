//! Keeps what has ended: takes it from the API once a second, and gives it to the archive.

use std::{
    io,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use vanflow_api::{
    Api, Due, Ended, TakenEvents, history_tables,
    metrics::{Health, Written},
    tables,
};
use vanflow_history::{
    Archive, ArchiveError, ArchiveOptions,
    rows::{Row, Rows as _, Span, Wanted},
};
use vanflow_proto::Timestamp;

use crate::{
    chore::{self, Turn},
    clock, config, leftovers,
    occasion::Occasion,
};

/// How often what ended is taken, and is on disk.
const EVERY: Duration = Duration::from_secs(1);

/// What of an emulated network is kept at most, in octets.
const MOST_OF_DEMO: u64 = 1 << 30;

/// What charts are drawn from is kept under this name.
const CHARTS: &str = "charts";

/// Where everything lies on the map is kept under this name.
const PLACES: &str = "places";

/// What counters came to is kept under this name, while no process goes on from it.
const COUNTERS: &str = "counters";

/// How often, in microseconds.
const DRAWN_EVERY: u64 = 5 * 60 * 1_000_000;

/// Clocks of sources can be behind ours by as much: what ended so long before is looked for, too, when it is a question of
/// what is there already.
const BEHIND: Duration = Duration::from_secs(60 * 60);

/// Gives the archive what has ended.
#[derive(Debug)]
pub(crate) struct Archivist {
    archive: Arc<Archive>,
    /// The directory, where it is removed with this.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is there to be dropped"))]
    temporary: Option<TempDir>,
    ended: Ended,
    events: TakenEvents,
    /// What could not be written yet.
    waiting: Vec<(usize, Row)>,
    written: u64,
    health: Arc<Health>,
    trouble: Occasion,
    sealing_trouble: Occasion,
    drawn_trouble: Occasion,
    /// When what charts and the map are drawn from was kept last, in microseconds since the epoch; none before it was taken back.
    drawn_kept: Option<u64>,
}

impl Archivist {
    /// Opens the archive. What has ended less than `retention` ago can be in the store, as it was restored: what of that is
    /// archived already is passed over. Blocks.
    pub(crate) fn open(
        settings: &config::Archive,
        retention: Duration,
        now: Timestamp,
        health: Arc<Health>,
    ) -> Result<Self, ArchiveError> {
        let directory = settings.directory.display();
        let (archive, remarks) =
            Archive::open(&settings.directory, history_tables(), settings.options.clone(), now.as_micros())?;
        remarks.iter().for_each(|remark| warn!("history in {directory}: {remark}"));
        let mut ended = Ended::replacing();
        let back = u64::try_from((retention + BEHIND).as_micros()).unwrap_or(u64::MAX);
        let lately = Span { from: now.as_micros().saturating_sub(back), until: u64::MAX };
        for table in tables() {
            let mut skip = |row: Row| {
                ended.skip(table.key(&row));
                ControlFlow::Continue(())
            };
            if let Err(error) = archive.visit(&Wanted::all(table.name, lately), &mut skip) {
                warn!("{error}; what is in it can be kept twice");
            }
        }
        for table in archive.tables() {
            let held = archive.held(table.name);
            if let Some(since) = held.since {
                let since = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_micros(since));
                info!("{} {} since {since} are kept in {directory}", held.rows, table.name);
            }
        }
        Ok(Self {
            temporary: None,
            archive: Arc::new(archive),
            ended,
            events: TakenEvents::default(),
            waiting: Vec::new(),
            written: 0,
            health,
            trouble: Occasion::default(),
            sealing_trouble: Occasion::default(),
            drawn_trouble: Occasion::default(),
            drawn_kept: None,
        })
    }

    /// An archive of an emulated network, in a directory that is removed when the collector leaves; none where there is no
    /// room for one. Blocks.
    pub(crate) fn of_demo(retention: Duration, now: Timestamp, health: Arc<Health>) -> Option<Self> {
        let open = |temporary: TempDir| {
            let mut options = ArchiveOptions::default();
            options.keep_octets = Some(MOST_OF_DEMO);
            let settings = config::Archive { directory: temporary.path().to_owned(), options };
            let opened = Self::open(&settings, retention, now, health)?;
            Ok::<_, ArchiveError>(Self { temporary: Some(temporary), ..opened })
        };
        let made = tempfile::Builder::new().prefix(leftovers::PREFIX).tempdir();
        if let Ok(made) = &made {
            leftovers::remove(made.path(), now);
        }
        match made
            .map_err(|error| error.to_string())
            .and_then(|temporary| open(temporary).map_err(|error| error.to_string()))
        {
            Ok(archivist) => Some(archivist),
            Err(error) => {
                warn!(
                    "what ends in the emulated network is not kept on disk: {error}; --history-dir names a directory"
                );
                None
            }
        }
    }

    /// The archive itself.
    pub(crate) fn archive(&self) -> Arc<Archive> {
        self.archive.clone()
    }

    /// Has counters go on from what the last process came to, before anybody is answered. That is there after a process that
    /// could end as it was told to: of any other nobody knows what scrapers have seen of its counters last, and
    /// they begin anew. Blocks.
    pub(crate) fn take_back_counters(&self, api: &Api) {
        let kept = match self.archive.get_checked(COUNTERS) {
            Ok(None) => return,
            Ok(Some(octets)) if octets.is_empty() => return,
            Ok(Some(octets)) => octets,
            Err(error) => return warn!("counters begin anew: what is kept of them cannot be read: {error}"),
        };
        // It is of use once: what is counted from now on is not in it.
        if let Err(error) = self.archive.put_checked(COUNTERS, &[]) {
            return warn!("counters begin anew: what is kept of them cannot be taken away: {error}");
        }
        if let Err(error) = api.restore_counters(&kept) {
            warn!("counters begin anew: what is kept of them cannot be read: {error}");
        }
    }

    /// Keeps what counters came to: nothing comes any more. Blocks.
    fn keep_counters(&self, api: &Api) {
        if let Err(error) = self.archive.put_checked(COUNTERS, &api.save_counters()) {
            error!("cannot keep what counters came to: {error}; they begin anew at the next start");
        }
    }

    /// Keeps what ends, until `shutdown`, and then the rest.
    pub(crate) async fn keep(self, api: Api, shutdown: CancellationToken) {
        let take = move |archivist: &mut Self, turn| {
            let is_last = turn == Turn::Last;
            if is_last {
                // There may be no time for all that ended: that waits in the state, and counters do not.
                archivist.keep_counters(&api);
            }
            archivist.take(&api, if is_last { Due::All } else { Due::Settled });
        };
        if let Err(error) = chore::repeat(self, EVERY, shutdown, take).await {
            error!("what ends is no longer kept: {error}");
        }
    }

    /// Keeps what charts and the map are drawn from, where that is due, or takes back what was kept when this process began.
    /// Blocks.
    fn keep_drawn(&mut self, api: &Api, due: Due, now: u64) {
        let Some(drawn_kept) = self.drawn_kept else {
            self.drawn_kept = Some(now);
            take_back(self.archive.get(CHARTS), "charts begin anew", |octets| {
                api.restore_charts(octets).map(drop).map_err(|error| error.to_string())
            });
            take_back(self.archive.get_checked(PLACES), "the map is laid out anew", |octets| {
                api.restore_places(octets).map_err(|error| error.to_string())
            });
            return;
        };
        if due == Due::Settled && now.saturating_sub(drawn_kept) < DRAWN_EVERY {
            return;
        }
        self.drawn_kept = Some(now);
        let charts = api.save_charts().map_or(Ok(()), |octets| self.archive.put(CHARTS, &octets));
        let places = self.archive.put_checked(PLACES, &api.save_places());
        match charts.and(places) {
            Ok(()) => drop(self.drawn_trouble.is_over()),
            Err(error) => {
                if self.drawn_trouble.arises().is_some() {
                    error!(
                        "cannot keep what charts and the map are drawn from: {error}; it is tried again in five minutes"
                    );
                }
            }
        }
    }

    /// Keeps what ended since the last time, in parts. What goes wrong is reported, and tried again: until then what ended
    /// waits in the store. Blocks.
    fn take(&mut self, api: &Api, due: Due) {
        let now = clock::now().as_micros();
        self.keep_drawn(api, due, now);
        let mut outcome = self.write(now);
        if outcome.is_ok() {
            self.waiting = api.take_events(&mut self.events);
            outcome = self.write(now);
        }
        while outcome.is_ok() {
            self.waiting = api.take_ended(&mut self.ended, due);
            if self.waiting.is_empty() {
                break;
            }
            outcome = self.write(now);
            // What is in the log is in memory, too.
            if self.archive.is_due(now) {
                self.seal(now);
            }
        }
        if outcome.is_err() {
            api.observe_ended(&mut self.ended);
        }
        let lost = self.ended.missed();
        self.health.wrote("history", Written { written: self.written, lost });
        match outcome {
            Ok(()) => {
                if self.trouble.is_over() {
                    info!("what ends is kept again; {lost} rows were lost by now");
                }
            }
            Err(error) => {
                if self.trouble.arises().is_some() {
                    error!(
                        "cannot keep what ends: {error}; collecting goes on, and what has ended waits until that works \
                         again, for as long as it is held"
                    );
                }
            }
        }
        self.seal(now);
    }

    /// Writes what waits. Blocks.
    fn write(&mut self, now: u64) -> io::Result<()> {
        self.archive.append(&self.waiting, now)?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Turns what is in the log into files where it is time to. Blocks.
    fn seal(&mut self, now: u64) {
        match self.archive.seal(now) {
            Ok(()) => drop(self.sealing_trouble.is_over()),
            Err(error) => {
                if self.sealing_trouble.arises().is_some() {
                    error!("{error}; what is in the log stays there, and it is tried again");
                }
            }
        }
    }
}

/// Takes back what was kept, or says what follows where that cannot be read.
fn take_back(
    kept: io::Result<Option<Vec<u8>>>,
    otherwise: &str,
    restore: impl FnOnce(&[u8]) -> Result<(), String>,
) {
    let restored = match kept {
        Ok(None) => return,
        Ok(Some(octets)) => restore(&octets),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = restored {
        warn!("{otherwise}: what is kept cannot be read: {error}");
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt;
    use vanflow_api::{ApiOptions, Network};
    use vanflow_proto::{Attribute, RecordKind, SourceType, UpdateBuf};
    use vanflow_store::{Store, StoreOptions};

    use super::*;

    fn api() -> Api {
        let (network, _) = Network::new(Store::new(StoreOptions::default()));
        let mut options = ApiOptions::default();
        options.history = Some(vanflow_history::HistoryOptions::default());
        Api::new(network, options)
    }

    /// How many series have a value then, of those that are kept.
    async fn series(api: &Api, at: Timestamp) -> String {
        let path = "/api/v2alpha1/internal/prom/query/?query=count(%7B__name__%3D~%22.%2B%22%7D)";
        let uri = format!("{path}&time={}", at.as_micros() / 1_000_000);
        let (request, ()) = Request::get(uri).body(()).expect("a request").into_parts();
        let body = api.respond(&request).into_body().collect().await.expect("it comes whole");
        String::from_utf8_lossy(&body.to_bytes()).into_owned()
    }

    fn opened(directory: &TempDir, now: Timestamp) -> Archivist {
        let settings =
            config::Archive { directory: directory.path().to_owned(), options: ArchiveOptions::default() };
        Archivist::open(&settings, Duration::from_secs(60), now, Arc::default()).expect("it opens")
    }

    /// One that has taken back what was kept, and whose API has it.
    fn started(directory: &TempDir, now: Timestamp) -> (Archivist, Api) {
        let (mut archivist, api) = (opened(directory, now), api());
        archivist.keep_drawn(&api, Due::Settled, now.as_micros());
        (archivist, api)
    }

    #[tokio::test]
    async fn places_on_the_map_live_over_restarts() {
        let directory = TempDir::new().expect("a directory");
        let now = Timestamp::from_micros(1_795_662_840_000_000);
        let start = || started(&directory, now);
        let (mut archivist, before) = start();
        // Whoever restores them finds places of sites that are not there now.
        let places = br#"[{"level":"component","open":[],"kept":{"areas":{"west":[7.0,9.0,208.0,92.0]},"slots":{"cart":3}}}]"#;
        before.restore_places(places).expect("they are places");
        archivist.keep_drawn(&before, Due::Settled, now.as_micros() + 1_000_000);
        drop(archivist);
        let (mut archivist, early) = start();
        assert_eq!(early.save_places(), b"[]", "it was not time yet");
        early.restore_places(places).expect("they are places");
        archivist.keep_drawn(&early, Due::All, now.as_micros() + 1_000_000);
        drop(archivist);
        let (archivist, after) = start();
        assert_eq!(after.save_places(), early.save_places());
        assert_ne!(after.save_places(), b"[]");
        archivist.archive.put_checked(PLACES, b"[{}]").expect("it can be written");
        drop(archivist);
        assert_eq!(start().1.save_places(), b"[]", "what is damaged is left");
    }

    #[tokio::test]
    async fn charts_live_over_restarts_and_begin_anew_where_what_is_kept_is_damaged() {
        let directory = TempDir::new().expect("a directory");
        let now = Timestamp::from_micros(1_795_662_840_000_000);
        let start = || started(&directory, now);
        let (mut archivist, before) = start();
        before.remember(now);
        let measured = series(&before, now).await;
        assert!(measured.contains("\"value\":["), "{measured}");
        archivist.keep_drawn(&before, Due::Settled, now.as_micros() + DRAWN_EVERY);
        drop(archivist);
        let (archivist, after) = start();
        assert_eq!(series(&after, now).await, measured);
        let octets = archivist.archive.get(CHARTS).expect("it is read").expect("it is there");
        archivist.archive.put(CHARTS, &octets[1..]).expect("it is written");
        drop(archivist);
        let (_, anew) = start();
        assert!(!series(&anew, now).await.contains("\"value\":["));
    }

    /// faults 36
    #[test]
    fn what_ends_while_the_disk_is_full_is_kept_when_there_is_room_again() {
        const CONNECTIONS: u64 = 5000;
        let directory = TempDir::new().expect("a directory");
        let now = clock::now();
        let (network, publisher) = Network::new(Store::new(StoreOptions::default()));
        let api = Api::new(network, ApiOptions::default());
        let mut archivist = opened(&directory, now);
        archivist.take(&api, Due::Settled);
        {
            let mut store = publisher.write();
            let source = store.source_seen("west:0", SourceType::Router, now);
            for number in 0..CONNECTIONS {
                let connection = UpdateBuf::new(RecordKind::BiflowTport, format!("west:{}", number + 1))
                    .with(Attribute::StartTime, now.as_micros())
                    .with(Attribute::EndTime, now.as_micros() + 1);
                store.apply(source, &connection, now);
            }
        }
        publisher.publish();
        // Where logs should be, nothing can be written.
        let (logs, away) = (directory.path().join("log"), directory.path().join("away"));
        std::fs::rename(&logs, &away).expect("it is there");
        for _ in 0..4 {
            archivist.take(&api, Due::Settled);
            assert!(archivist.waiting.len() < 4096, "the others wait where they are held");
        }
        assert_eq!((archivist.written, archivist.ended.missed()), (0, 0));
        std::fs::rename(&away, &logs).expect("it is there");
        // Nobody knows what is at their ends, and it may be reported.
        (0..20).for_each(|_| archivist.take(&api, Due::Settled));
        assert_eq!((archivist.archive.held("connections").rows, archivist.ended.missed()), (CONNECTIONS, 0));
        assert_eq!(archivist.written, CONNECTIONS + archivist.archive.held("events").rows);
    }

    #[test]
    fn what_an_emulated_network_left_is_removed_with_it() {
        let now = Timestamp::from_micros(1_795_662_840_000_000);
        let archivist = Archivist::of_demo(Duration::from_secs(60), now, Arc::default()).expect("room");
        let directory = archivist.temporary.as_ref().expect("a directory").path().to_owned();
        assert!(directory.join("lock").exists());
        drop(archivist);
        assert!(!directory.exists());
    }
}
