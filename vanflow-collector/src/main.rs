//! The collector's process: arguments, logs, signals and exit codes.

mod log;

use std::{
    io::{IsTerminal, Write, stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use anyhow::anyhow;
use clap::error::ErrorKind;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use vanflow_collector::{
    config::{Command, CommandLine, Settings},
    ensure_secret::{EnsureSecret, Ensured},
    line::Line,
    open_files, run,
    supervisor::Supervisor,
    terminal::StatusLine,
};

/// Exits with 0 after SIGTERM or SIGINT, with 2 where the arguments make no sense, with 1 where something else fails.
/// `--check` exits with 2 where files do not fit the arguments either.
fn main() -> ExitCode {
    let line = CommandLine::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let refuse = |kind, message: String| -> ! { line.error(kind, message).exit() };
    let args = line.args.clone();
    if let Some(Command::EnsureSecret(command)) = &args.command {
        return ended(ensure_secret(command));
    }
    // Where a person watches and has not asked for a log, one line says how the start goes.
    let status = (stderr().is_terminal() && args.log.is_none()).then(|| StatusLine::new(stderr()));
    let log = args.log.clone().unwrap_or_else(|| if status.is_some() { "warn" } else { "info" }.to_owned());
    let filter = EnvFilter::try_new(&log)
        .unwrap_or_else(|error| refuse(ErrorKind::InvalidValue, format!("--log is `{log}`: {error}")));
    let is_check = args.check;
    let mut settings = Settings::new(args, |path| path.exists())
        .unwrap_or_else(|error| refuse(ErrorKind::ArgumentConflict, error.to_string()));
    if is_check {
        let wrong = vanflow_collector::check(&settings);
        if !wrong.is_empty() {
            refuse(ErrorKind::Io, wrong.join("\nerror: "));
        }
        let _ =
            writeln!(stdout(), "the options make sense together, and the files that they name can be read");
        return ExitCode::SUCCESS;
    }
    log::to_stderr(filter, status.clone());
    if settings.shows_password(std::env::args_os().map(|argument| argument.to_string_lossy().into_owned())) {
        warn!(
            "the password in --router can be read in a list of processes: leave it out there, and name a file that has it with \
             --router-password-file"
        );
    }
    for note in &line.notes {
        info!("{note}");
    }
    settings.line = status;
    open_files::allow_for(&mut settings);
    ended(collect(settings))
}

/// The exit code, and the error where there is one.
fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Errors of this crate name what they come from; anyhow would have their sources a second time. Where nobody
            // reads it, the exit code has to do.
            let _ = writeln!(stderr(), "error: {}", Line(error));
            ExitCode::FAILURE
        }
    }
}

/// Has the secret made that a job is to make.
fn ensure_secret(command: &EnsureSecret) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow!("cannot start a runtime: {error}"))?;
    let (ensured, namespace) = runtime.block_on(command.run())?;
    let what = match ensured {
        Ensured::Created => "made secret",
        Ensured::Exists => "there is a secret",
    };
    writeln!(stdout(), "{what} {} in namespace {namespace}", command.name)?;
    Ok(())
}

/// The signal that asks to leave.
async fn asked([terminate, interrupt]: &mut [Signal; 2]) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
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
        let mut hangups = signal(SignalKind::hangup())?;
        let running = tokio::select! {
            running = run(settings, shutdown.clone()) => running?,
            signal = asked(&mut signals) => {
                info!("leaving before all that was kept is read, as {signal} asks");
                return Ok(());
            }
        };
        let reloading = running.reloading();
        let supervisor = Supervisor::of_environment();
        supervisor.ready();
        tokio::spawn(async move {
            let signal = loop {
                tokio::select! {
                    signal = asked(&mut signals) => break signal,
                    _ = hangups.recv() => {
                        reloading.now();
                        info!("looking at the certificate and at who may look again, as SIGHUP asks");
                    }
                    () = supervisor.live() => return,
                }
            };
            supervisor.stopping();
            shutdown.cancel();
            info!("leaving, as {signal} asks");
        });
        running.ended().await.map_err(anyhow::Error::from)
    });
    // A write to a disk that hangs is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}
