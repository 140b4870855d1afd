//! Which processes are at which host of which site, and which connectors connect to which host.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use crate::{ends::Host, identity::Key, row::RecordRef};

/// The PROCESS records of each host of each site, as a reader sees them.
pub(crate) type ProcessesByHost = imbl::GenericHashMap<
    (Key, Host),
    SmallVec<[RecordRef; 1]>,
    FixedState,
    imbl::shared_ptr::DefaultSharedPtr,
>;

/// Processes and connectors by their hosts, and the hosts of each.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    processes: ProcessesByHost,
    place_of: HashMap<RecordRef, (Key, Host)>,
    connectors: HashMap<Host, SmallVec<[RecordRef; 1]>>,
    target_of: HashMap<RecordRef, Host>,
}

impl Hosts {
    pub(super) fn processes(&self) -> &ProcessesByHost {
        &self.processes
    }

    /// The site and host of a process.
    pub(super) fn place_of(&self, process: RecordRef) -> Option<(Key, Host)> {
        self.place_of.get(&process).copied()
    }

    /// The connectors that connect to a host, of whichever site.
    pub(super) fn connectors_to(&self, host: Host) -> &[RecordRef] {
        self.connectors.get(&host).map_or(&[], |connectors| connectors)
    }

    /// A process is at that host of that site, and no longer where it was.
    pub(super) fn set_place(&mut self, process: RecordRef, place: Option<(Key, Host)>) {
        if self.place_of(process) == place {
            return;
        }
        if let Some(old) = self.place_of.remove(&process)
            && let Some(processes) = self.processes.get_mut(&old)
        {
            processes.retain(|other| *other != process);
            if processes.is_empty() {
                self.processes.remove(&old);
            }
        }
        if let Some(place) = place {
            self.processes.entry(place).or_default().push(process);
            self.place_of.insert(process, place);
        }
    }

    /// A connector connects to that host, and no longer to another.
    pub(super) fn set_target(&mut self, connector: RecordRef, host: Option<Host>) {
        if self.target_of.get(&connector).copied() == host {
            return;
        }
        if let Some(old) = self.target_of.remove(&connector)
            && let Some(connectors) = self.connectors.get_mut(&old)
        {
            connectors.retain(|other| *other != connector);
            if connectors.is_empty() {
                self.connectors.remove(&old);
            }
        }
        if let Some(host) = host {
            self.connectors.entry(host).or_default().push(connector);
            self.target_of.insert(connector, host);
        }
    }

    /// A record is there no more.
    pub(super) fn remove(&mut self, at: RecordRef) {
        self.set_place(at, None);
        self.set_target(at, None);
    }
}
