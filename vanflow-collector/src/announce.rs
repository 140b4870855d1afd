//! What a person who started the collector wants to know first: where it answers, and when there is something to see.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::time::sleep;
use tracing::info;
use vanflow_api::Network;
use vanflow_proto::{Attribute, RecordKind};
use vanflow_store::Snapshot;

/// Says where the API is, with an address to try.
pub(crate) fn addresses(addresses: &[SocketAddr], scheme: &str) {
    for address in addresses {
        let here = here(*address);
        info!("answering on {scheme}://{address}: try {scheme}://{here}/api/v1alpha1/routers");
    }
}

/// An address by which this machine reaches itself.
fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Says so when the first router and the first site are known, and returns then.
pub(crate) async fn first_records(mut network: Network) {
    for (kind, what) in [(RecordKind::Router, "router"), (RecordKind::Site, "site")] {
        loop {
            let snapshot = network.snapshot();
            if let Some(name) = first(&snapshot, kind) {
                info!("the first {what} is known: {name}");
                break;
            }
            if !network.changed().await {
                return;
            }
            // Whatever comes at once comes before this is over.
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn first(snapshot: &Snapshot, kind: RecordKind) -> Option<String> {
    let named = |record: vanflow_store::Record<'_>| Some(record.text(Attribute::Name)?.to_string());
    snapshot.live_of_kind(kind).find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_try_is_one_that_can_be_reached() {
        let tried = |address: &str| here(address.parse().expect("an address")).to_string();
        assert_eq!(tried("0.0.0.0:8010"), "127.0.0.1:8010");
        assert_eq!(tried("[::]:8010"), "[::1]:8010");
        assert_eq!(tried("192.0.2.7:8010"), "192.0.2.7:8010");
    }
}
