//! Who there is in the emulated VAN and who talks to whom: an online shop.
//!
//! Customers meet the frontend, which runs in a public cloud. Carts, the catalogue, payments and the inventory are
//! kept in the company's own data centre. A factory packs what was ordered and sends what its machines measure. A
//! warehouse still runs Skupper 1 with routers of the 2.x series. Seeds change identities, addresses and traffic;
//! the story stays.

use super::Generation::{self, V2, V3};

pub(super) struct Site {
    pub(super) name: &'static str,
    pub(super) namespace: &'static str,
    pub(super) platform: &'static str,
    pub(super) provider: &'static str,
    pub(super) location: &'static str,
    pub(super) version: &'static str,
    /// The first three octets of the addresses of its pods and hosts.
    pub(super) network: &'static str,
    /// Whether a router reports the SITE record too, not the controller alone (faults 13).
    pub(super) reported_by_router: bool,
    /// Whether its controller is one of Skupper 1, which reports hosts, process groups and itself.
    pub(super) old_controller: bool,
}

pub(super) const CLOUD: usize = 0;
pub(super) const DATA_CENTRE: usize = 1;
pub(super) const FACTORY: usize = 2;
pub(super) const WAREHOUSE: usize = 3;

pub(super) const SITES: [Site; 4] = [
    Site {
        name: "public-cloud",
        namespace: "shop",
        platform: "kubernetes",
        provider: "aws",
        location: "Frankfurt",
        version: "2.1.1",
        network: "10.128.4",
        reported_by_router: false,
        old_controller: false,
    },
    Site {
        name: "data-centre",
        namespace: "backoffice",
        platform: "linux",
        provider: "on-premises",
        location: "Nuremberg",
        version: "2.1.1",
        network: "172.16.20",
        reported_by_router: false,
        old_controller: false,
    },
    Site {
        name: "factory",
        namespace: "line-1",
        platform: "podman",
        provider: "edge",
        location: "Leipzig",
        version: "2.0.3",
        network: "192.168.40",
        reported_by_router: true,
        old_controller: false,
    },
    Site {
        name: "warehouse",
        namespace: "logistics",
        platform: "kubernetes",
        provider: "openshift",
        location: "Hamburg",
        version: "1.8.3",
        network: "10.217.0",
        reported_by_router: false,
        old_controller: true,
    },
];

pub(super) struct Router {
    pub(super) name: &'static str,
    pub(super) site: usize,
    pub(super) edge: bool,
    pub(super) generation: Generation,
    /// Whether it is a pod: its identity then is the end of the pod's name.
    pub(super) pod: bool,
}

pub(super) const CLOUD_1: usize = 0;
pub(super) const CLOUD_2: usize = 1;
pub(super) const DC_1: usize = 2;
pub(super) const FACTORY_EDGE: usize = 3;
pub(super) const WAREHOUSE_1: usize = 4;
pub(super) const DOCK_1: usize = 5;

pub(super) const ROUTERS: [Router; 6] = [
    Router { name: "cloud-1", site: CLOUD, edge: false, generation: V3, pod: true },
    Router { name: "cloud-2", site: CLOUD, edge: false, generation: V3, pod: true },
    Router { name: "dc-1", site: DATA_CENTRE, edge: false, generation: V3, pod: false },
    Router { name: "factory-edge", site: FACTORY, edge: true, generation: V3, pod: false },
    Router { name: "warehouse-1", site: WAREHOUSE, edge: false, generation: V2, pod: true },
    Router { name: "dock-1", site: WAREHOUSE, edge: false, generation: V2, pod: true },
];

/// A link, reported by the router that connects; between two 2.x routers by both.
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) cost: u64,
    /// How long a packet takes one way, in microseconds.
    pub(super) delay: u64,
}

pub(super) const LINKS: [Link; 5] = [
    Link { name: "cloud-1", from: DC_1, to: CLOUD_1, cost: 1, delay: 8_600 },
    Link { name: "cloud-2", from: DC_1, to: CLOUD_2, cost: 1, delay: 9_100 },
    Link { name: "data-centre", from: FACTORY_EDGE, to: DC_1, cost: 1, delay: 13_500 },
    Link { name: "data-centre", from: WAREHOUSE_1, to: DC_1, cost: 2, delay: 11_000 },
    Link { name: "warehouse", from: DOCK_1, to: WAREHOUSE_1, cost: 1, delay: 900 },
];

/// Processes of one kind, at one site.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) site: usize,
    pub(super) processes: usize,
    pub(super) image: &'static str,
    pub(super) version: &'static str,
}

pub(super) const GROUPS: [Group; 13] = [
    Group { name: "frontend", site: CLOUD, processes: 3, image: "shop.example/frontend", version: "4.2.0" },
    Group { name: "checkout", site: CLOUD, processes: 2, image: "shop.example/checkout", version: "2.9.1" },
    Group { name: "cart", site: DATA_CENTRE, processes: 2, image: "shop.example/cart", version: "1.14.0" },
    Group {
        name: "catalog",
        site: DATA_CENTRE,
        processes: 2,
        image: "shop.example/catalog",
        version: "3.3.2",
    },
    Group {
        name: "payment",
        site: DATA_CENTRE,
        processes: 1,
        image: "shop.example/payment",
        version: "5.0.4",
    },
    Group {
        name: "inventory-db",
        site: DATA_CENTRE,
        processes: 1,
        image: "library/postgres",
        version: "16.4",
    },
    Group {
        name: "metrics",
        site: DATA_CENTRE,
        processes: 1,
        image: "shop.example/metrics",
        version: "0.8.0",
    },
    Group {
        name: "loyalty",
        site: DATA_CENTRE,
        processes: 1,
        image: "shop.example/loyalty",
        version: "0.1.0",
    },
    Group { name: "packing", site: FACTORY, processes: 1, image: "shop.example/packing", version: "1.6.0" },
    Group { name: "scanner", site: FACTORY, processes: 2, image: "shop.example/scanner", version: "1.2.7" },
    Group {
        name: "stock-api",
        site: WAREHOUSE,
        processes: 1,
        image: "shop.example/stock-api",
        version: "0.9.8",
    },
    Group {
        name: "label-printer",
        site: WAREHOUSE,
        processes: 1,
        image: "shop.example/labels",
        version: "0.3.1",
    },
    Group {
        name: "dispatcher",
        site: WAREHOUSE,
        processes: 2,
        image: "shop.example/dispatcher",
        version: "1.0.2",
    },
];

/// The group whose pods are replaced by a newer version now and then.
pub(super) const ROLLED_OUT: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Http1,
    Http2,
}

pub(super) struct Service {
    /// Its routing key.
    pub(super) address: &'static str,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    /// Where it can be reached.
    pub(super) listeners: &'static [usize],
    /// Which routers have connectors to the processes of `group`, one for each process.
    pub(super) connectors: &'static [usize],
    pub(super) group: Option<&'static str>,
    /// Nobody listens where the connectors connect to.
    pub(super) server_down: bool,
    pub(super) load: Load,
}

/// What goes through one connection.
pub(super) struct Load {
    /// Requests, or exchanges of octets where there are no requests: at least, at most.
    pub(super) steps: (u32, u32),
    /// Microseconds between them, on average.
    pub(super) pause: u64,
    /// Microseconds that the server takes, typically.
    pub(super) work: u64,
    /// Octets from client to server: at least, at most. For requests, what a POST or PUT carries.
    pub(super) octets: (u64, u64),
    /// Octets from server to client: at least, at most.
    pub(super) octets_reverse: (u64, u64),
    /// Request methods, as often as they stand here.
    pub(super) methods: &'static [&'static str],
    /// Of a thousand requests, so many end in 404, and so many in 500.
    pub(super) failures: (u32, u32),
}

const fn load(
    steps: (u32, u32),
    pause: u64,
    work: u64,
    octets: (u64, u64),
    octets_reverse: (u64, u64),
    methods: &'static [&'static str],
    failures: (u32, u32),
) -> Load {
    Load { steps, pause, work, octets, octets_reverse, methods, failures }
}

pub(super) const SERVICES: [Service; 11] = [
    Service {
        address: "catalog:8080",
        protocol: Protocol::Http2,
        port: 8080,
        listeners: &[CLOUD_1, CLOUD_2, FACTORY_EDGE],
        connectors: &[DC_1],
        group: Some("catalog"),
        server_down: false,
        load: load((2, 12), 180_000, 3_500, (0, 0), (900, 64_000), &["GET"], (30, 4)),
    },
    Service {
        address: "cart:8080",
        protocol: Protocol::Http1,
        port: 8080,
        listeners: &[CLOUD_1, CLOUD_2],
        connectors: &[DC_1],
        group: Some("cart"),
        server_down: false,
        load: load(
            (1, 6),
            250_000,
            4_200,
            (90, 700),
            (120, 2_400),
            &["GET", "GET", "GET", "POST", "PUT", "DELETE"],
            (25, 8),
        ),
    },
    Service {
        address: "checkout:8080",
        protocol: Protocol::Http1,
        port: 8080,
        listeners: &[CLOUD_1, CLOUD_2, DC_1],
        connectors: &[CLOUD_1, CLOUD_2],
        group: Some("checkout"),
        server_down: false,
        load: load((1, 3), 400_000, 38_000, (400, 2_800), (300, 1_200), &["POST", "POST", "GET"], (10, 25)),
    },
    Service {
        address: "payment:8443",
        protocol: Protocol::Http1,
        port: 8443,
        listeners: &[CLOUD_1, CLOUD_2],
        connectors: &[DC_1],
        group: Some("payment"),
        server_down: false,
        load: load((1, 2), 300_000, 260_000, (600, 1_500), (200, 500), &["POST"], (0, 40)),
    },
    Service {
        address: "inventory-db:5432",
        protocol: Protocol::Tcp,
        port: 5432,
        listeners: &[CLOUD_1, CLOUD_2, FACTORY_EDGE],
        connectors: &[DC_1],
        group: Some("inventory-db"),
        server_down: false,
        load: load((3, 30), 300_000, 1_100, (60, 900), (80, 22_000), &[], (0, 0)),
    },
    Service {
        address: "packing:8080",
        protocol: Protocol::Http1,
        port: 8080,
        listeners: &[CLOUD_1, CLOUD_2],
        connectors: &[FACTORY_EDGE],
        group: Some("packing"),
        server_down: false,
        load: load((1, 2), 500_000, 22_000, (800, 6_000), (60, 300), &["POST", "GET"], (15, 12)),
    },
    Service {
        address: "telemetry:1883",
        protocol: Protocol::Tcp,
        port: 1883,
        listeners: &[FACTORY_EDGE],
        connectors: &[DC_1],
        group: Some("metrics"),
        server_down: false,
        load: load((5, 40), 500_000, 400, (200, 4_000), (4, 40), &[], (0, 0)),
    },
    Service {
        address: "loyalty:8080",
        protocol: Protocol::Http1,
        port: 8080,
        listeners: &[CLOUD_1, CLOUD_2],
        connectors: &[DC_1],
        group: Some("loyalty"),
        server_down: true,
        load: load((1, 1), 0, 0, (0, 0), (0, 0), &["GET"], (0, 0)),
    },
    // The team that was to run its server never did.
    Service {
        address: "gift-cards:8080",
        protocol: Protocol::Http1,
        port: 8080,
        listeners: &[CLOUD_1, CLOUD_2],
        connectors: &[],
        group: None,
        server_down: false,
        load: load((1, 1), 0, 0, (0, 0), (0, 0), &["GET"], (0, 0)),
    },
    Service {
        address: "stock-api",
        protocol: Protocol::Http1,
        port: 8080,
        listeners: &[DOCK_1],
        connectors: &[WAREHOUSE_1],
        group: Some("stock-api"),
        server_down: false,
        load: load((1, 5), 350_000, 6_000, (80, 900), (100, 5_000), &["GET", "GET", "POST"], (40, 10)),
    },
    Service {
        address: "label-printer:9100",
        protocol: Protocol::Tcp,
        port: 9100,
        listeners: &[WAREHOUSE_1],
        connectors: &[DOCK_1],
        group: Some("label-printer"),
        server_down: false,
        load: load((2, 8), 250_000, 2_500, (2_000, 60_000), (16, 64), &[], (0, 0)),
    },
];

pub(super) enum Client {
    /// Processes of a group.
    Group(&'static str),
    /// Hosts of a site that no PROCESS record reports (faults 12): the last octets of their addresses.
    Hosts(usize, &'static [u8]),
}

pub(super) struct Route {
    pub(super) client: Client,
    pub(super) service: &'static str,
    /// How many of all connections are such: this many of the sum over all routes.
    pub(super) weight: u32,
}

const MACHINES: &[u8] = &[201, 202, 203, 204];
/// Two proxies of a call centre, which say for whom they ask.
const CALL_CENTRE: &[u8] = &[31, 32];

pub(super) const ROUTES: [Route; 13] = [
    Route { client: Client::Group("frontend"), service: "catalog:8080", weight: 26 },
    Route { client: Client::Group("frontend"), service: "cart:8080", weight: 20 },
    Route { client: Client::Group("frontend"), service: "checkout:8080", weight: 8 },
    Route { client: Client::Group("checkout"), service: "payment:8443", weight: 6 },
    Route { client: Client::Group("checkout"), service: "packing:8080", weight: 6 },
    Route { client: Client::Group("checkout"), service: "inventory-db:5432", weight: 5 },
    Route { client: Client::Group("checkout"), service: "loyalty:8080", weight: 3 },
    Route { client: Client::Group("scanner"), service: "catalog:8080", weight: 4 },
    Route { client: Client::Group("scanner"), service: "inventory-db:5432", weight: 4 },
    Route { client: Client::Hosts(FACTORY, MACHINES), service: "telemetry:1883", weight: 6 },
    Route { client: Client::Hosts(DATA_CENTRE, CALL_CENTRE), service: "checkout:8080", weight: 2 },
    Route { client: Client::Group("dispatcher"), service: "stock-api", weight: 6 },
    Route { client: Client::Group("dispatcher"), service: "label-printer:9100", weight: 4 },
];

/// The routes that also have connections which stay open for hours with next to nothing on them (faults 16), and how
/// many.
pub(super) const IDLE: [(usize, usize); 3] = [(5, 4), (8, 2), (9, 4)];

/// The position of a group, by name.
pub(super) fn group(name: &str) -> usize {
    GROUPS.iter().position(|group| group.name == name).expect("the story names groups that it has")
}

/// The position of a service, by routing key.
pub(super) fn service(address: &str) -> usize {
    SERVICES
        .iter()
        .position(|service| service.address == address)
        .expect("the story names services that it has")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_leads_from_a_site_with_a_listener_to_a_service_of_the_story() {
        for route in &ROUTES {
            let service = &SERVICES[service(route.service)];
            let site = match route.client {
                Client::Group(name) => GROUPS[group(name)].site,
                Client::Hosts(site, _) => site,
            };
            assert!(
                service.listeners.iter().any(|router| ROUTERS[*router].site == site),
                "{} has no listener at {}",
                service.address,
                SITES[site].name
            );
        }
    }

    #[test]
    fn connectors_stand_where_the_processes_of_the_service_run() {
        for service in &SERVICES {
            assert_eq!(service.group.is_none(), service.connectors.is_empty(), "{}", service.address);
            for router in service.connectors {
                let group = &GROUPS[group(service.group.expect("connectors lead to a group"))];
                assert_eq!(ROUTERS[*router].site, group.site, "{}", service.address);
            }
        }
    }

    #[test]
    fn services_stay_within_one_generation_of_routers() {
        // A 2.x router reports FLOW pairs, a 3.x router BIFLOW_TPORT: a connection between them would be reported by halves.
        for service in &SERVICES {
            let mut generations =
                service.listeners.iter().chain(service.connectors).map(|router| ROUTERS[*router].generation);
            let first = generations.next().expect("a service has a listener");
            assert!(generations.all(|generation| generation == first), "{}", service.address);
        }
    }
}
