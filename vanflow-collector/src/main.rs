//! The collector's process: arguments, logs, signals and exit codes.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use anyhow::Context;
use clap::{CommandFactory, Parser, error::ErrorKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;
use vanflow_collector::{
    config::{Args, Settings},
    run,
};

/// Exits with 0 after SIGTERM or SIGINT, with 2 where the arguments make no sense, with 1 where something else fails.
fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let refuse = |kind, message: String| -> ! { Args::command().error(kind, message).exit() };
    let filter = EnvFilter::try_new(&args.log)
        .unwrap_or_else(|error| refuse(ErrorKind::InvalidValue, format!("--log is `{}`: {error}", args.log)));
    let settings = Settings::new(args, |path| path.exists())
        .unwrap_or_else(|error| refuse(ErrorKind::ArgumentConflict, error.to_string()));
    log_to_stderr(filter);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let mut signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        let running = run(settings, shutdown.clone()).await?;
        tokio::spawn(async move {
            let [terminate, interrupt] = &mut signals;
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            shutdown.cancel();
            info!("leaving, as {signal} asks");
        });
        running.ended().await.map_err(anyhow::Error::from)
    });
    // A write to a disk that hangs is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

/// Plain lines; a person at a terminal knows what time it is, and who speaks. Where nobody reads them any more they are
/// lost, and nothing else: to complain of that on stderr would be a panic of whoever logged.
fn log_to_stderr(filter: EnvFilter) {
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).log_internal_errors(false);
    if stderr().is_terminal() {
        lines.without_time().with_target(false).init();
    } else {
        lines.with_ansi(false).init();
    }
}
