//! The collector's tasks: how they are started, and how they leave.
//!
//! Records come in at one end, from a router, the emulated VAN or a capture, and are merged into the store by one task.
//! The HTTP server answers from snapshots of the store, and the keeper writes what changed to disk; neither holds up
//! the merging. When it is time to leave, merging ends first: then watches end by themselves, and the keeper's last
//! write has everything.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;
use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;
use vanflow_api::{
    Api, AuthType, Network, Status,
    metrics::{self, Health},
};
use vanflow_history::Scope;
#[cfg(feature = "archive")]
use vanflow_history::rows::Rows;
use vanflow_proto::{
    discovery::{self, Known},
    router::{self, Tap},
    source::ExchangeOptions,
};
use vanflow_store::Store;

use crate::{
    access_log::{AccessLog, AccessLogError, noting},
    announce,
    answer::Answers,
    auth::{AuthError, Guard},
    capture::{CaptureError, Recorder},
    clock,
    config::{self, Router, Settings, Source, Speed},
    console::{Console, ConsoleError},
    demo,
    flow_log::{FlowLog, FlowLogError},
    front::{Front, answer_monitor},
    http::{HttpError, Server, why_not},
    ingest::{Ingest, Replayed},
    live,
    memory::{self, Budget},
    outbound::OutboundError,
    pool::Pool,
    prometheus::Prometheus,
    replay::{Capture, ReplayError},
    starting::{Door, Progress},
    state::{Keeper, StateError},
    ui,
};
#[cfg(feature = "archive")]
use crate::{
    archive::Archivist,
    beyond::Beyond,
    clickhouse::{ClickHouseError, Exporter},
};
#[cfg(feature = "bucket")]
use {
    crate::bucket::{BucketError, Uploader},
    tokio::runtime::Handle,
};

/// How long all of it may take to leave (faults 22): within five seconds nothing is left, threads and memory included.
const LEAVE_WITHIN: Duration = Duration::from_millis(3_900);

/// How often events take note of what happened: what is within a second has to be there.
const OBSERVE_EVENTS_EVERY: Duration = Duration::from_millis(500);

/// How many times more seldom the metrics do, which takes longer. The store keeps what has to be noted for a minute.
const OBSERVE_ALL_EACH: u64 = 4;

/// Why the collector does not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// There is no server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It cannot be said who may look.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Requests cannot be logged.
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
    /// There is no console to serve.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// A server that was named cannot be asked.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The records cannot be kept where they should.
    #[error(transparent)]
    State(#[from] StateError),
    /// What has ended cannot be kept where it should.
    #[cfg(feature = "archive")]
    #[error(transparent)]
    Archive(#[from] vanflow_history::ArchiveError),
    /// Files cannot be sent to the bucket.
    #[cfg(feature = "bucket")]
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// What has ended cannot be sent to the ClickHouse.
    #[cfg(feature = "archive")]
    #[error(transparent)]
    ClickHouse(#[from] ClickHouseError),
    /// What has ended cannot be logged where it should.
    #[error(transparent)]
    FlowLog(#[from] FlowLogError),
    /// There is nothing to replay.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A capture cannot be written.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The router cannot be attached to as it was said.
    #[error("cannot attach to a router: {0}")]
    Router(#[from] router::ConfigError),
    /// There is no password for the user whom the URL of the router names.
    #[error("--router-password-file {}: {why}", file.display())]
    RouterPassword {
        /// The file that should have it.
        file: PathBuf,
        /// Why it has not.
        why: String,
    },
    /// The namespace of Skupper that was named has no router to attach to.
    #[error(transparent)]
    Skupper(#[from] config::SkupperError),
    /// What Skupper mounts is not there whole.
    #[error(
        "{} names {}, which cannot be read: {error}; mount all of the secret there, with ca.crt, tls.crt and tls.key \
         beside connect.json",
        connect_json.display(),
        file.display()
    )]
    Secret {
        /// The connect.json.
        connect_json: PathBuf,
        /// The file that it names.
        file: PathBuf,
        /// Why it cannot be read.
        error: std::io::Error,
    },
    /// The emulated router has no address to be attached to.
    #[error(
        "cannot start the emulated network: cannot listen on {address}: {}",
        why_not("--demo-listen", error)
    )]
    Demo {
        /// The address.
        address: String,
        /// Why not.
        error: std::io::Error,
    },
    /// There are no threads for what has to be done.
    #[error("cannot start threads that compute answers: {0}")]
    Threads(std::io::Error),
    /// A part of the collector failed in a way that nobody thought of.
    #[error("a part of the collector failed: {0}")]
    Part(#[from] JoinError),
    /// Collecting came to an end that nobody asked for.
    #[error("the connection to the router was given up by itself")]
    Stopped,
}

/// A collector that runs. It leaves when it is asked to, or dropped.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    metrics_addresses: Vec<SocketAddr>,
    status: watch::Receiver<Status>,
    reload: watch::Sender<()>,
    parts: JoinHandle<Result<(), RunError>>,
    _leave: DropGuard,
}

/// Has a collector look again at its certificate and at the files that say who may look.
#[derive(Clone, Debug)]
pub struct Reloading(watch::Sender<()>);

impl Reloading {
    /// Now, rather than in a few seconds. Nothing that goes on ends for it.
    pub fn now(&self) {
        self.0.send_replace(());
    }
}

impl Running {
    /// The addresses at which the API answers, in the order in which they were given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses at which those who watch over the collector are answered, beside those of the API.
    pub fn metrics_addresses(&self) -> &[SocketAddr] {
        &self.metrics_addresses
    }

    /// How the collector is doing, and whenever that changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What has it look again at its certificate and at the files that say who may look.
    pub fn reloading(&self) -> Reloading {
        Reloading(self.reload.clone())
    }

    /// Waits until the collector has left.
    ///
    /// # Errors
    ///
    /// Where it left because a part of it failed.
    pub async fn ended(mut self) -> Result<(), RunError> {
        (&mut self.parts).await?
    }
}

/// Starts a collector, which runs until `shutdown`.
///
/// # Errors
///
/// Where something of what was asked for cannot be had from the start: an address to listen on, a file, a directory.
/// What fails later is logged, and tried again.
///
/// The future is boxed, so that all that the collector consists of is compiled once, here: the body of an asynchronous
/// function is compiled anew in each program that awaits it.
pub fn run(
    settings: Settings,
    shutdown: CancellationToken,
) -> Pin<Box<dyn Future<Output = Result<Running, RunError>> + Send>> {
    Box::pin(start(settings, shutdown))
}

async fn start(settings: Settings, shutdown: CancellationToken) -> Result<Running, RunError> {
    let console = settings.console.as_deref().map(Console::open).transpose()?;
    let prometheus = settings.prometheus.as_ref().map(Prometheus::new).transpose()?;
    let health = Arc::new(Health::default());
    let guard = {
        let (access, http) = (settings.access.clone(), settings.http.clone());
        // Files on a network can take their time.
        let opened = spawn_blocking(move || Guard::open(&access, &http)).await??;
        opened.map(|guard| Arc::new(guard.counted_in(health.clone())))
    };
    let leave = shutdown.child_token();
    let leaving = leave.clone().drop_guard();
    let (reload, reloaded) = watch::channel(());
    let server = Server::bind(&settings.http, "--listen")
        .await?
        .renewed_at(reloaded.clone())
        .counted_in(health.clone())
        .behind(settings.access.proxies().collect());
    let addresses = server.addresses();
    let monitors = match &settings.metrics_listen {
        Some(address) => Some(
            Server::bind(
                &config::Http {
                    listen: vec![address.clone()],
                    tls: None,
                    client_ca: None,
                    ..settings.http.clone()
                },
                "--metrics-listen",
            )
            .await?
            .counted_in(health.clone()),
        ),
        None => None,
    };
    let metrics_addresses = monitors.as_ref().map(Server::addresses).unwrap_or_default();
    let source = settings.source.clone();
    let upstream = Upstream::open(settings.source, settings.demo_listen.as_deref(), &settings.waits).await?;
    let router = upstream.emulated_router();

    // From here on requests come in; they are answered for good when there is something to answer from.
    let progress = Progress::default();
    let [door, monitors_door] = [(); 2].map(|()| Door::new(&progress, health.clone()));
    let serving = {
        let door = door.clone();
        server.serve_apart(move |request| door.answer(request), leave.clone())
    };
    let monitoring = monitors.map(|server| {
        let door = monitors_door.clone();
        server.serve_apart(move |request| door.answer(request), leave.clone())
    });
    let mut options = settings.store;
    let mut budget = settings.memory.map(Budget::of);
    // What was kept comes back within it.
    options.memory_bound = budget.as_mut().map(|budget| budget.of_records(0));
    let retention = Duration::from_micros(options.retention_micros);
    let mut store = Store::new(options);
    let mut kept = None;
    let mut known = Vec::new();
    if let Some(state) = settings.state {
        let saying = tokio::spawn(progress.clone().say(settings.line.clone()));
        let opening = spawn_blocking(move || {
            let opened = Keeper::open(&state.directory, &mut store, (retention, &progress), clock::now());
            (store, opened.map(|(keeper, restored)| (keeper, restored, state.interval)))
        });
        let opened = opening.await;
        saying.abort();
        let (restored_store, opened) = opened?;
        let (keeper, sources, interval) = opened?;
        store = restored_store;
        kept = Some((keeper, interval));
        known = sources;
    }
    #[cfg(feature = "archive")]
    let archivist = {
        let (health, of_demo) = (health.clone(), matches!(source, Source::Demo(_)));
        let archive = settings.archive.clone();
        let opening = spawn_blocking(move || match archive {
            Some(archive) => Archivist::open(&archive, retention, clock::now(), health).map(Some),
            None if of_demo => Ok(Archivist::of_demo(retention, clock::now(), health)),
            None => Ok(None),
        });
        opening.await??
    };
    #[cfg(feature = "bucket")]
    let uploader = match (settings.bucket, &archivist, settings.archive) {
        (Some(bucket), Some(archivist), Some(kept)) => {
            let (archive, health) = (archivist.archive(), health.clone());
            let runtime = Handle::current();
            let opening =
                spawn_blocking(move || Uploader::new(bucket, archive, &kept.directory, health, runtime));
            Some(opening.await??)
        }
        _ => None,
    };
    #[cfg(feature = "archive")]
    let exporter = match settings.clickhouse {
        Some(clickhouse) => {
            let health = health.clone();
            Some(spawn_blocking(move || Exporter::open(clickhouse, health)).await??)
        }
        None => None,
    };
    let flow_log = match settings.flow_log {
        Some(flow_log) => {
            let health = health.clone();
            let opening = spawn_blocking(move || FlowLog::open(flow_log, retention, clock::now(), health));
            Some(opening.await??)
        }
        None => None,
    };
    let (network, publisher) = Network::new(store);
    publisher.update_status(|status| status.ready = !known.is_empty());
    let ingest = Ingest::new(publisher).counted_in(health.clone()).within(budget);
    let status = network.status();

    // What takes records in leaves first; what keeps them leaves when that is done.
    let keep_until = CancellationToken::new();
    // Made when nothing else can be wrong any more: whoever tries again finds no file in the way.
    let recorder = settings.capture.as_deref().map(Recorder::create).transpose()?;
    let (tap, capturing) = recorder.map(|recorder| recorder.tap(clock::now())).unzip();
    let keeping = kept
        .map(|(keeper, interval)| tokio::spawn(keeper.keep(network.clone(), interval, keep_until.clone())));
    let scheme = if settings.http.tls.is_some() { "https" } else { "http" };
    let mut options = vanflow_api::ApiOptions::default();
    options.cors = settings.http.cors.clone();
    options.metrics = settings.metrics;
    options.network = settings.network.clone();
    let scope = settings.network.map(|network| Scope { network, is_series: metrics::is_series });
    options.events = settings.events;
    options.watches = settings.http.limits.for_watches();
    options.health = health;
    options.console = console.is_some();
    // Of use with a Prometheus too: for when that does not answer.
    options.history = settings.history;
    #[cfg(feature = "archive")]
    {
        let began = clock::now().as_micros();
        options.rows = archivist.as_ref().map(|archivist| {
            let archive = archivist.archive();
            if let Some(exporter) = &exporter {
                return Arc::new(Beyond::new(archive, exporter.rows(), began)) as Arc<dyn Rows>;
            }
            #[cfg(feature = "bucket")]
            if let Some(uploader) = &uploader {
                return Arc::new(Beyond::new(archive, uploader.rows(), began));
            }
            archive
        });
    }
    let remember_every = options.history.as_ref().map(|history| history.interval);
    let api = Api::new(network.clone(), options);
    #[cfg(feature = "archive")]
    if let Some(archivist) = &archivist {
        archivist.take_back_counters(&api);
    }
    #[cfg(feature = "archive")]
    let archiving = archivist.map(|archivist| tokio::spawn(archivist.keep(api.clone(), keep_until.clone())));
    #[cfg(feature = "archive")]
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.keep(api.clone(), keep_until.clone())));
    #[cfg(feature = "bucket")]
    let uploading = uploader.map(|uploader| tokio::spawn(uploader.keep(keep_until.clone())));
    #[cfg(not(feature = "bucket"))]
    let uploading = None;
    #[cfg(not(feature = "archive"))]
    let (archiving, exporting) = (None, None);
    let flow_logging = flow_log.map(|mut flow_log| {
        flow_log.begin(&api);
        tokio::spawn(flow_log.keep(api.clone(), keep_until.clone()))
    });
    // A replay measures in the time of the capture.
    let (remember_every, remember_replayed) = match upstream {
        Upstream::Replay(..) => (None, remember_every),
        _ => (remember_every, None),
    };
    let replaying = (api.clone(), remember_replayed);
    let collecting = tokio::spawn(upstream.collect(ingest, known, tap, replaying, leave.clone()));
    let (log, access_logging) = settings.access_log.as_ref().map(AccessLog::open).transpose()?.unzip();
    let pool = Pool::new(settings.http.limits.query_timeout).map_err(RunError::Threads)?;
    let monitored = {
        let (api, pool) = (api.clone(), pool.clone());
        move |request| answer_monitor(api.clone(), pool.clone(), request)
    };
    weigh(&api);
    monitors_door.open(noting(log.clone(), monitored));
    let observing = tokio::spawn(observe(api.clone()));
    let remembering = remember_every.map(|interval| tokio::spawn(remember(api.clone(), interval)));
    let anybody = if settings.access.is_insecure { AuthType::None } else { AuthType::Local };
    let front =
        Front::new(&settings.http, guard.clone(), anybody, Answers { api, console, prometheus, scope });
    door.open(noting(log, move |request| front.clone().answer_by(pool.clone(), request)));
    let guarding = guard.map(|guard| tokio::spawn(guard.keep(reloaded)));
    announce::access(&settings.http, &settings.access);
    let page = ui::path(settings.console.is_some());
    let announcing = match settings.line {
        Some(line) => {
            announce::page(&line, &addresses, scheme, page, router.as_deref());
            tokio::spawn(announce::progress(line, network, source))
        }
        None => {
            announce::addresses(&addresses, scheme, page);
            let advising = announce::advise(network.clone(), source);
            tokio::spawn(async { tokio::join!(announce::first_records(network), advising).0 })
        }
    };

    let parts = Parts {
        leave: leave.clone(),
        keep_until,
        collecting,
        capturing,
        keeping,
        archiving,
        exporting,
        uploading,
        flow_logging,
        serving,
        monitoring,
        access_logging,
    };
    let parts = tokio::spawn(async move {
        let outcome = parts.ended().await;
        announcing.abort();
        observing.abort();
        if let Some(guarding) = guarding {
            guarding.abort();
        }
        if let Some(remembering) = remembering {
            remembering.abort();
        }
        outcome
    });
    Ok(Running { addresses, metrics_addresses, status, reload, parts, _leave: leaving })
}

/// Everything that has to be waited for.
struct Parts {
    leave: CancellationToken,
    keep_until: CancellationToken,
    collecting: JoinHandle<()>,
    capturing: Option<JoinHandle<()>>,
    keeping: Option<JoinHandle<()>>,
    archiving: Option<JoinHandle<()>>,
    exporting: Option<JoinHandle<()>>,
    uploading: Option<JoinHandle<()>>,
    flow_logging: Option<JoinHandle<()>>,
    serving: JoinHandle<()>,
    monitoring: Option<JoinHandle<()>>,
    access_logging: Option<JoinHandle<()>>,
}

impl Parts {
    /// Waits until it is time to leave, or until a part fails; then until all have left.
    async fn ended(mut self) -> Result<(), RunError> {
        let failed = tokio::select! {
            biased;
            () = self.leave.cancelled() => None,
            // Nobody stops collecting before it is time to leave, unless it fails.
            outcome = &mut self.collecting => Some(outcome.map_err(RunError::Part).and(Err(RunError::Stopped))),
        };
        self.leave.cancel();
        let leaving = async {
            let collected = match failed {
                Some(outcome) => outcome,
                None => self.collecting.await.map_err(RunError::Part),
            };
            self.keep_until.cancel();
            let mut outcome = self.serving.await;
            let parts = [
                self.capturing,
                self.keeping,
                self.archiving,
                self.exporting,
                self.uploading,
                self.flow_logging,
                self.monitoring,
                self.access_logging,
            ];
            for part in parts.into_iter().flatten() {
                outcome = outcome.and(part.await);
            }
            collected.and(outcome.map_err(RunError::Part))
        };
        match timeout(LEAVE_WITHIN, leaving).await {
            Ok(outcome) => outcome,
            Err(_) => {
                warn!("left before everything had ended: a disk or a client took too long");
                Ok(())
            }
        }
    }
}

/// Has the history of the metrics keep up with them.
async fn remember(api: Api, every: Duration) {
    let mut pace = interval(every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let api = api.clone();
        // Where there is very much to keep, it takes longer than others should wait.
        if spawn_blocking(move || api.remember(clock::now())).await.is_err() {
            warn!("the history of the metrics has a gap");
        }
    }
}

/// Has the events and the metrics keep up with the network, whether anybody asks for them or not.
async fn observe(api: Api) {
    let mut pace = interval(OBSERVE_EVENTS_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u64.. {
        pace.tick().await;
        match tick % OBSERVE_ALL_EACH {
            0 => {
                api.observe();
                weigh(&api);
            }
            _ => api.observe_events(),
        }
    }
}

/// Has the metrics say what the process takes of memory.
fn weigh(api: &Api) {
    if let Some(octets) = memory::resident() {
        api.health().resident(octets);
    }
    api.health().allocated(memory::allocated() as u64);
}

/// Where records come from, checked and opened.
enum Upstream {
    Router(router::Config),
    Demo(router::Config, demo::Demo),
    Replay(Capture, Speed),
}

impl Upstream {
    /// `listen` is where an emulated router listens.
    async fn open(
        source: Source,
        listen: Option<&str>,
        waits: &discovery::Settings,
    ) -> Result<Self, RunError> {
        Ok(match source {
            Source::Router(router) => Self::Router(router_config(router, waits)?),
            Source::Demo(options) => {
                let demo = emulated(options, listen).await?;
                let router = Router::Url { url: demo.url(), ca: None, identity: None, password: None };
                Self::Demo(router_config(router, waits)?, demo)
            }
            Source::Replay(replay) => Self::Replay(Capture::open(&replay.file)?, replay.speed),
        })
    }

    /// Where the emulated router can be attached to, if there is one.
    fn emulated_router(&self) -> Option<String> {
        match self {
            Self::Demo(_, demo) => Some(demo.url()),
            Self::Router(_) | Self::Replay(..) => None,
        }
    }

    /// Collects until it is time to leave. Of `known` sources the store holds records; `tap` sees what a router sends, and
    /// `api` what happens in a replay, however fast that is, and keeps what is measured so often.
    async fn collect(
        self,
        ingest: Ingest,
        known: Vec<Known>,
        tap: Option<Tap>,
        (api, remember_every): (Api, Option<Duration>),
        leave: CancellationToken,
    ) {
        match self {
            Self::Router(mut config) => {
                (config.known, config.tap) = (known, tap);
                live::collect(ingest, config, leave).await;
            }
            Self::Demo(mut config, demo) => {
                (config.known, config.tap) = (known, tap);
                live::collect(ingest, config, leave).await;
                demo.shut_down().await;
            }
            Self::Replay(capture, speed) => {
                let mut replayed = Replayed::new(ingest, &known, speed, api, remember_every);
                capture.replay(speed, &mut replayed, &leave).await;
                replayed.ended();
                // Time stands still from here on; watches go on as long as there is somebody who could report them.
                leave.cancelled().await;
            }
        }
    }
}

/// The emulated network, whose router listens at that address, or at any that is free.
async fn emulated(options: demo::DemoOptions, listen: Option<&str>) -> Result<demo::Demo, RunError> {
    let mut exchange = ExchangeOptions::default();
    let failed = |error| RunError::Demo { address: listen.unwrap_or("127.0.0.1:0").to_owned(), error };
    if let Some(address) = listen {
        let mut found = tokio::net::lookup_host(address).await.map_err(failed)?;
        exchange.listen = found.next().ok_or_else(|| failed(std::io::ErrorKind::AddrNotAvailable.into()))?;
    }
    demo::start_on(exchange, options, clock::now).await.map_err(failed)
}

/// The URL with the password that is in that file, for the user that it names.
fn with_password(url: &str, file: &Path) -> Result<String, RunError> {
    let failed = |why: String| RunError::RouterPassword { file: file.to_owned(), why };
    let password = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let password = password.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    let (user, host) = url.rsplit_once('@').ok_or_else(|| failed("--router names no user".to_owned()))?;
    Ok(format!("{user}:{}@{host}", utf8_percent_encode(password, NON_ALPHANUMERIC)))
}

/// What it takes to attach to a router, with all of its files read.
pub(crate) fn router_config(router: Router, waits: &discovery::Settings) -> Result<router::Config, RunError> {
    let clock: router::Clock = Arc::new(clock::now);
    let mut mounted = None;
    let mut config = match router {
        Router::ConnectJson(file) => {
            let config = router::Config::from_connect_json(&file, clock)?;
            mounted = Some(file);
            config
        }
        Router::Skupper(namespace) => {
            let reached = config::reach_skupper(&namespace)?;
            let mut config = router::Config::from_url(&reached.url, clock)?;
            config.tls.ca = Some(reached.ca);
            (config.tls.certificate, config.tls.key) = (Some(reached.certificate), Some(reached.key));
            config
        }
        Router::Url { url, ca, identity, password } => {
            let url = password.map(|file| with_password(&url, &file)).transpose()?.unwrap_or(url);
            let mut config = router::Config::from_url(&url, clock)?;
            config.tls.ca = ca;
            (config.tls.certificate, config.tls.key) = identity.unzip();
            config
        }
    };
    config.discovery = waits.clone();
    match (config.check(), mounted) {
        (Err(router::ConfigError::Read { path: file, why: error }), Some(connect_json)) => {
            Err(RunError::Secret { connect_json, file, error })
        }
        (checked, _) => checked.map(|()| config).map_err(RunError::Router),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_file_is_as_good_as_one_in_the_url() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("password");
        let config = |password: &str| {
            fs::write(&file, password).expect("writes");
            let (url, password) = ("amqp://ann@r:5672".into(), Some(file.clone()));
            router_config(
                Router::Url { url, ca: None, identity: None, password },
                &discovery::Settings::default(),
            )
        };
        let shown = config("a p@ss:/word%41\n").expect("it makes sense").credentials;
        let expected =
            router::Credentials::Password { user: "ann".into(), password: "a p@ss:/word%41".into() };
        assert!(shown == expected, "{shown:?}");
        let error = config("\n").expect_err("it is empty").to_string();
        assert_eq!(error, format!("--router-password-file {}: it is empty", file.display()));
    }
}
