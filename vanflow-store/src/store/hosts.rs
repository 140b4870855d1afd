//! Which processes are at which host of which site.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use crate::{identity::Key, row::RecordRef, text::Symbol};

/// The PROCESS records of each host of each site, as a reader sees them.
pub(crate) type ProcessesByHost = imbl::GenericHashMap<
    (Key, Symbol),
    SmallVec<[RecordRef; 1]>,
    FixedState,
    imbl::shared_ptr::DefaultSharedPtr,
>;

/// The PROCESS records of each host of each site, and the way back.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    by_host: ProcessesByHost,
    by_process: HashMap<RecordRef, (Key, Symbol)>,
}

impl Hosts {
    pub(super) fn by_host(&self) -> &ProcessesByHost {
        &self.by_host
    }

    /// A process is at that host of that site, and no longer where it was.
    pub(super) fn insert(&mut self, at: RecordRef, site: Key, host: Symbol) {
        if self.by_process.get(&at) == Some(&(site, host)) {
            return;
        }
        self.remove(at);
        self.by_host.entry((site, host)).or_default().push(at);
        self.by_process.insert(at, (site, host));
    }

    /// A process, if it is one, is nowhere.
    pub(super) fn remove(&mut self, at: RecordRef) {
        let Some(place) = self.by_process.remove(&at) else { return };
        if let Some(processes) = self.by_host.get_mut(&place) {
            processes.retain(|process| *process != at);
            if processes.is_empty() {
                self.by_host.remove(&place);
            }
        }
    }
}
