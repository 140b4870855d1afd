//! VAN_ADDRESS records: the addresses that services have in the network.
//!
//! The store knows a service by address and protocol; to the original API, an address is one whatever is spoken there.

use std::collections::BTreeMap;

use vanflow_proto::Timestamp;
use vanflow_store::{Revision, Snapshot};

use crate::json::Members;

/// The services at one address, taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) name: String,
    protocols: Vec<String>,
    listener_count: u64,
    connector_count: u64,
    total_flows: u64,
    current_flows: u64,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    pub(crate) is_live: bool,
    pub(crate) revision: Revision,
}

/// What comes before the address in the id of its record. Ids of routers' records have five characters before the
/// colon, and those of controllers have none.
const ID_PREFIX: &str = "vanaddr:";

impl Address {
    /// Every address, by name.
    pub(crate) fn all(snapshot: &Snapshot) -> Vec<Self> {
        let mut addresses = BTreeMap::<_, Self>::new();
        for service in snapshot.services() {
            let name = service.address().to_cow();
            let address = addresses.entry(name.clone()).or_insert_with(|| Self {
                name: name.into_owned(),
                protocols: Vec::new(),
                listener_count: 0,
                connector_count: 0,
                total_flows: 0,
                current_flows: 0,
                start: None,
                end: None,
                is_live: false,
                revision: Revision::default(),
            });
            address.protocols.extend(service.protocol().map(|protocol| protocol.to_cow().into_owned()));
            address.listener_count += service.listener_count();
            address.connector_count += service.connector_count();
            address.total_flows += service.total_flows();
            address.current_flows += service.current_flows();
            address.start = [address.start, service.start()].into_iter().flatten().min();
            address.end = address.end.max(service.end());
            address.is_live |= service.is_live();
            address.revision = address.revision.max(service.revision());
        }
        let mut addresses: Vec<_> = addresses.into_values().collect();
        for address in &mut addresses {
            address.protocols.sort_unstable();
            address.protocols.dedup();
        }
        addresses
    }

    /// Whether that is the id of a VAN_ADDRESS record.
    pub(crate) fn has_id(id: &str) -> bool {
        id.starts_with(ID_PREFIX)
    }

    pub(crate) fn id(&self) -> String {
        format!("{ID_PREFIX}{}", self.name)
    }

    /// Whether somebody listens or connects there now.
    pub(crate) fn is_exposed(&self) -> bool {
        self.listener_count + self.connector_count > 0
    }

    /// Gives the members of its record; `id` is [`Address::id`].
    pub(crate) fn show<'s>(&'s self, object: &mut impl Members<'s>, id: &'s str) {
        object.string("rtype", "VAN_ADDRESS");
        object.string("id", id);
        if let Some(start) = self.start {
            object.uint("startTime", start.as_micros());
        }
        if let Some(end) = self.end.filter(|_| !self.is_live) {
            object.uint("endTime", end.as_micros());
        }
        object.string("name", &self.name);
        object.strings("protocols", &self.protocols);
        object.uint("listenerCount", self.listener_count);
        object.uint("connectorCount", self.connector_count);
        object.uint("totalFlows", self.total_flows);
        object.uint("currentFlows", self.current_flows);
    }
}
