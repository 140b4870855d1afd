//! Whether a collector would start, without starting it.

use std::{fs, path::Path};

use crate::{
    auth::Guard,
    config::{Access, Settings, Source},
    console::Console,
    prometheus::Prometheus,
    replay::Capture,
    run::{RunError, router_config},
    tls::Certificate,
};

/// What would keep a collector with these settings from starting, as far as files say: nothing is written, listened on or
/// connected to. Each is what the start would fail with.
pub fn check(settings: &Settings) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut look = |outcome: Result<(), RunError>| wrong.extend(outcome.err().map(|error| error.to_string()));
    look(match &settings.source {
        Source::Router(router) => router_config(router.clone(), &settings.waits).map(drop),
        Source::Demo(_) => Ok(()),
        Source::Replay(replay) => Capture::open(&replay.file).map(drop).map_err(RunError::from),
    });
    if let Some((certificate, key)) = &settings.http.tls {
        let loaded = Certificate::load(certificate, key, settings.http.client_ca.as_deref());
        look(loaded.map(drop).map_err(|error| RunError::Http(error.into())));
    }
    for kind in &settings.access.kinds {
        let alone = Access { kinds: vec![kind.clone()], ..settings.access.clone() };
        look(Guard::open(&alone, &settings.http).map(drop).map_err(RunError::from));
    }
    if let Some(directory) = &settings.console {
        look(Console::open(directory).map(drop).map_err(RunError::from));
    }
    if let Some(prometheus) = &settings.prometheus {
        look(Prometheus::new(prometheus).map(drop).map_err(RunError::from));
    }
    if let Some(state) = &settings.state {
        wrong.extend(directory("--state", &state.directory));
    }
    #[cfg(feature = "archive")]
    if let Some(archive) = &settings.archive {
        wrong.extend(directory("--history-dir", &archive.directory));
    }
    if let Some(file) = settings.access_log.as_ref().and_then(|log| log.file.as_deref()) {
        let above = file.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if file.is_dir() || !above.is_dir() {
            let what =
                if file.is_dir() { "it is a directory" } else { "there is no directory to make it in" };
            wrong.push(format!("--access-log {}: {what}", file.display()));
        }
    }
    if let Some(file) = settings.capture.as_deref().filter(|file| file.exists()) {
        wrong.push(format!("--capture {} is there already; it must be a new file", file.display()));
    }
    wrong
}

/// What keeps a path from being a directory to write to: there has to be one, or one above it that it can be made in.
fn directory(option: &str, path: &Path) -> Option<String> {
    let there = path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("."));
    match fs::metadata(there) {
        Ok(found) if !found.is_dir() => {
            Some(format!("{option} {}: {} is no directory", path.display(), there.display()))
        }
        Ok(found) if found.permissions().readonly() => {
            Some(format!("{option} {}: {} cannot be written to", path.display(), there.display()))
        }
        Ok(_) => None,
        Err(error) => Some(format!("{option} {}: {error}", path.display())),
    }
}
