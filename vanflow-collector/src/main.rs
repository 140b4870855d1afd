//! The collector's process: arguments, logs, signals and exit codes.

mod log;

use std::{
    io::{IsTerminal, Write, stderr},
    process::ExitCode,
    time::Duration,
};

use anyhow::anyhow;
use clap::{CommandFactory, Parser, error::ErrorKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;
use vanflow_collector::{
    config::{Args, Settings},
    open_files, run,
    terminal::StatusLine,
};

/// Exits with 0 after SIGTERM or SIGINT, with 2 where the arguments make no sense, with 1 where something else fails.
fn main() -> ExitCode {
    let args = Args::parse();
    let refuse = |kind, message: String| -> ! { Args::command().error(kind, message).exit() };
    // Where a person watches and has not asked for a log, one line says how the start goes.
    let line = (stderr().is_terminal() && args.log.is_none()).then(|| StatusLine::new(stderr()));
    let log = args.log.clone().unwrap_or_else(|| if line.is_some() { "warn" } else { "info" }.to_owned());
    let filter = EnvFilter::try_new(&log)
        .unwrap_or_else(|error| refuse(ErrorKind::InvalidValue, format!("--log is `{log}`: {error}")));
    let mut settings = Settings::new(args, |path| path.exists())
        .unwrap_or_else(|error| refuse(ErrorKind::ArgumentConflict, error.to_string()));
    log::to_stderr(filter, line.clone());
    settings.line = line;
    open_files::allow_for(&mut settings);
    match collect(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Errors of this crate name what they come from; anyhow would have their sources a second time. Where nobody
            // reads it, the exit code has to do.
            let _ = writeln!(stderr(), "error: {}", log::Line(error));
            ExitCode::FAILURE
        }
    }
}

/// Collects until a signal asks to leave.
fn collect(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow!("cannot start a runtime: {error}"))?;
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
