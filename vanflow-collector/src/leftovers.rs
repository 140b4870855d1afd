//! What emulated networks left behind that were killed: directories for what ended in them, which nobody holds any more.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

use tracing::{info, warn};
use vanflow_proto::Timestamp;

/// What the names of such directories begin with.
pub(crate) const PREFIX: &str = "vanflow-demo-";

/// What whoever uses a directory holds there.
const LOCK: &str = "lock";

/// For so long a directory is left alone: whoever makes one locks it a moment later.
const YOUNG: Duration = Duration::from_secs(60);

/// Removes those that lie beside `own` and are of the same user. What cannot be removed stays, and is said. Blocks.
pub(crate) fn remove(own: &Path, now: Timestamp) {
    let Some(parent) = own.parent() else { return };
    let outcome = fs::metadata(own).and_then(|mine| {
        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
            if is_one && entry.path() != own && is_left(&entry.path(), &mine, now) {
                match fs::remove_dir_all(entry.path()) {
                    Ok(()) => info!(
                        "removed {}, which an emulated network left that was killed",
                        entry.path().display()
                    ),
                    Err(error) => warn!("cannot remove {}: {error}", entry.path().display()),
                }
            }
        }
        Ok::<_, io::Error>(())
    });
    if let Err(error) = outcome {
        warn!("cannot look for what emulated networks left in {}: {error}", parent.display());
    }
}

/// Whether nobody holds a directory any more that this user made.
fn is_left(directory: &Path, mine: &Metadata, now: Timestamp) -> bool {
    let is_mine = |found: &Metadata| found.uid() == mine.uid();
    let path = directory.join(LOCK);
    let (Ok(found), Ok(lock)) = (fs::symlink_metadata(directory), fs::symlink_metadata(&path)) else {
        return false;
    };
    // Nothing of that is a link: others may write in the same place.
    if !(found.is_dir() && is_mine(&found) && lock.is_file() && is_mine(&lock)) {
        return false;
    }
    let age = now.as_micros() / 1_000_000;
    let age = age.saturating_sub(u64::try_from(lock.mtime()).unwrap_or(0));
    age >= YOUNG.as_secs() && File::open(&path).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_any_more_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a directory");
        let elsewhere = tempfile::tempdir().expect("a directory");
        let make = |name: &str| {
            let directory = parent.path().join(name);
            fs::create_dir(&directory).expect("it is new");
            fs::write(directory.join(LOCK), "").expect("writes");
            fs::write(directory.join("records"), "what ended").expect("writes");
            directory
        };
        let (own, held, left) =
            (make("vanflow-demo-own"), make("vanflow-demo-held"), make("vanflow-demo-left"));
        let other = make("somebody-else");
        let bare = parent.path().join("vanflow-demo-bare");
        fs::create_dir(&bare).expect("it is new");
        fs::write(elsewhere.path().join(LOCK), "").expect("writes");
        let link = parent.path().join("vanflow-demo-link");
        std::os::unix::fs::symlink(elsewhere.path(), &link).expect("it is new");
        let lock = File::open(held.join(LOCK)).expect("it is there");
        lock.lock().expect("nobody holds it");

        let made = fs::metadata(left.join(LOCK)).expect("it is there").mtime().unsigned_abs();
        let at = |seconds: u64| Timestamp::from_micros((made + seconds) * 1_000_000);
        remove(&own, at(59));
        assert!(left.exists(), "it may be locked in a moment");
        remove(&own, at(120));
        assert!(!left.exists());
        for there in [&own, &held, &other, &bare, &link] {
            assert!(there.exists(), "{}", there.display());
        }
        assert!(elsewhere.path().join(LOCK).exists());
        drop(lock);
        remove(&own, at(120));
        assert!(!held.exists(), "who held it is gone");
    }
}
