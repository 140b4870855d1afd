//! Sites, routers, links and pods: how they come, go and are reported.

use std::collections::VecDeque;

use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf, source::Source};

use super::{
    BEACON, Emitter, Event, Generation, HEARTBEAT, MILLISECOND, MINUTE, SECOND, SLOT, SLOTS, Van,
    story::{self, GROUPS, LINKS, Protocol, ROUTERS, SERVICES, SITES},
};

/// A router as it runs.
#[derive(Debug)]
pub(super) struct Router {
    generation: Generation,
    edge: bool,
    /// Its identity without `:0`; what its records' identities begin with.
    prefix: String,
    next_record: u64,
    hostname: String,
    accesses: Vec<Access>,
    pub(super) listeners: Vec<Listener>,
    pub(super) connectors: Vec<Connector>,
    /// Updates that wait for the slot in which everything is reported.
    pub(super) waiting: Vec<UpdateBuf>,
    /// Connections that changed since that slot.
    pub(super) changed: Vec<u64>,
    /// Ended connections, and when their end will be reported.
    pub(super) held: VecDeque<(Timestamp, u64)>,
    /// Connections that have a record which was not reported to have ended.
    pub(super) flows: usize,
}

impl Router {
    fn new(router: &story::Router) -> Self {
        Self {
            generation: router.generation,
            edge: router.edge,
            prefix: String::new(),
            next_record: 0,
            hostname: String::new(),
            accesses: Vec::new(),
            listeners: Vec::new(),
            connectors: Vec::new(),
            waiting: Vec::new(),
            changed: Vec::new(),
            held: VecDeque::new(),
            flows: 0,
        }
    }

    /// Whether it is of the 2.x series.
    pub(super) fn is_old(&self) -> bool {
        self.generation == Generation::V2
    }

    /// The identity of its next record.
    pub(super) fn record_id(&mut self) -> String {
        let id = format!("{}:{}", self.prefix, self.next_record);
        self.next_record += 1;
        id
    }

    fn id(&self) -> String {
        format!("{}:0", self.prefix)
    }
}

/// Where a 3.x router accepts links.
#[derive(Debug)]
struct Access {
    id: String,
    role: &'static str,
    links: u64,
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) id: String,
    pub(super) service: usize,
    pub(super) connections: u64,
}

#[derive(Debug)]
pub(super) struct Connector {
    pub(super) id: String,
    pub(super) service: usize,
    pub(super) pod: usize,
    pub(super) connections: u64,
    /// The FLOW under which a 2.x router reports the requests to an HTTP server, and its octets.
    pub(super) server_flow: Option<(String, u64)>,
}

/// A link as it is.
#[derive(Debug)]
pub(super) struct Link {
    /// Its record at the router that connects.
    id: String,
    /// Its record at the router that accepts, where that is reported.
    far_id: String,
    up: bool,
    octets: u64,
    octets_reverse: u64,
    times_down: u64,
}

/// A process.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) id: String,
    pub(super) group: usize,
    pub(super) host: String,
    last_octet: u8,
    pub(super) alive: bool,
    version: String,
    set: String,
}

/// The ways from router to router over the links that are up.
#[derive(Debug, Default)]
pub(super) struct Paths(Vec<Vec<Option<Path>>>);

/// Links from one router to another, each with whether it is passed in the direction in which it was made.
pub(super) type Path = Vec<(usize, bool)>;

impl Paths {
    /// The shortest way, if there is one.
    pub(super) fn get(&self, from: usize, to: usize) -> Option<&Path> {
        self.0.get(from)?.get(to)?.as_ref()
    }

    fn find(up: impl Fn(usize) -> bool) -> Self {
        let mut paths = Vec::new();
        for from in 0..ROUTERS.len() {
            let mut reached: Vec<Option<Path>> = vec![None; ROUTERS.len()];
            reached[from] = Some(Path::new());
            let mut queue = VecDeque::from([from]);
            while let Some(router) = queue.pop_front() {
                for (position, link) in LINKS.iter().enumerate().filter(|(position, _)| up(*position)) {
                    for (here, there, forward) in [(link.from, link.to, true), (link.to, link.from, false)] {
                        if here != router || reached[there].is_some() {
                            continue;
                        }
                        let mut path = reached[here].clone().unwrap_or_default();
                        path.push((position, forward));
                        reached[there] = Some(path);
                        queue.push_back(there);
                    }
                }
            }
            paths.push(reached);
        }
        Self(paths)
    }
}

const POD_NAME: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const ROUTER_ID: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+";

const INTER_ROUTER: &str = "inter-router";
const EDGE: &str = "edge";

impl Van {
    /// Builds the network as it came to be some hours before now.
    pub(super) fn build(&mut self) {
        let founded = self.now.minus_micros(self.dice.between(20, 40) * 24 * 60 * MINUTE);
        for _ in &SITES {
            let id = self.dice.uuid();
            self.site_ids.push(id);
        }
        for (position, router) in ROUTERS.iter().enumerate() {
            self.routers.push(Router::new(router));
            let identity = self.new_identity(position);
            self.routers[position].prefix = identity;
            self.emitters.push(Emitter::new(Source::router(format!("{}:0", self.routers[position].prefix))));
        }
        for site in 0..SITES.len() {
            self.emitters.push(Emitter::new(Source::controller(self.site_ids[site].as_str())));
            self.build_site(site, founded);
        }
        for _ in &LINKS {
            self.links.push(Link {
                id: String::new(),
                far_id: String::new(),
                up: false,
                octets: 0,
                octets_reverse: 0,
                times_down: 0,
            });
        }
        let mut booted = self.now.minus_micros(self.dice.between(180, 400) * MINUTE);
        for router in 0..ROUTERS.len() {
            self.boot(router, booted);
            booted = booted.plus_micros(self.dice.between(200, 900) * MILLISECOND);
        }
        for link in 0..LINKS.len() {
            let at = booted.plus_micros(self.dice.between(5, 80) * MILLISECOND);
            self.link_up(link, at);
        }
        for router in 0..ROUTERS.len() {
            self.report_waiting(router);
        }
    }

    /// Reports a site and its processes by its controller.
    fn build_site(&mut self, site: usize, founded: Timestamp) {
        let spec = &SITES[site];
        let controller = ROUTERS.len() + site;
        let id = self.site_ids[site].clone();
        let mut records = vec![site_record(spec, &id, founded)];
        if spec.old_controller {
            let child = |kind, id: String, name: &str| {
                UpdateBuf::new(kind, id)
                    .with(Attribute::Parent, id_of(&records[0]))
                    .with(Attribute::StartTime, founded)
                    .with(Attribute::Name, name)
            };
            let mut children = vec![
                child(RecordKind::Controller, self.dice.uuid(), "skupper-service-controller-7d9bcb8d5-x2vnk")
                    .with(Attribute::ImageName, "skupper-service-controller")
                    .with(Attribute::ImageVersion, spec.version)
                    .with(Attribute::BuildVersion, spec.version),
            ];
            for host in ["node-0", "node-1"] {
                children.push(
                    child(RecordKind::Host, self.dice.uuid(), host).with(Attribute::Provider, spec.provider),
                );
            }
            for group in GROUPS.iter().filter(|group| group.site == site) {
                // The only records of theirs that neither have a parent nor a beginning.
                children.push(
                    UpdateBuf::new(RecordKind::ProcessGroup, self.dice.uuid())
                        .with(Attribute::Name, group.name),
                );
            }
            records.extend(children);
        }
        for record in records {
            self.emitters[controller].source.update(record);
        }
        for (group, spec) in GROUPS.iter().enumerate().filter(|(_, group)| group.site == site) {
            for _ in 0..spec.processes {
                let age = self.dice.between(1, 96) * 15 * MINUTE;
                self.start_pod(group, spec.version.to_owned(), self.now.minus_micros(age));
            }
        }
        self.keep_rhythm(controller);
    }

    /// A pod starts, and the controller reports it.
    fn start_pod(&mut self, group: usize, version: String, at: Timestamp) -> usize {
        let spec = &GROUPS[group];
        let site = &SITES[spec.site];
        let last = (40..250).find(|last| self.pods.iter().all(|pod| pod.last_octet != *last)).unwrap_or(250);
        let kubernetes = site.platform == "kubernetes";
        // Pods of one version share the middle of their names.
        let sibling = self.pods.iter().find(|pod| pod.group == group && pod.version == version);
        let set = match sibling {
            Some(sibling) => sibling.set.clone(),
            None => self.dice.text(POD_NAME, 9),
        };
        let name = if kubernetes {
            format!("{}-{set}-{}", spec.name, self.dice.text(POD_NAME, 5))
        } else {
            format!("{}-{}", spec.name, self.pods.iter().filter(|pod| pod.group == group).count() + 1)
        };
        let node = format!("{}-{}", if kubernetes { "node" } else { site.name }, self.dice.between(0, 2));
        let pod = Pod {
            id: self.dice.uuid(),
            group,
            host: format!("{}.{last}", site.network),
            last_octet: last,
            alive: true,
            version,
            set,
        };
        let record = UpdateBuf::new(RecordKind::Process, pod.id.as_str())
            .with(Attribute::Parent, self.site_ids[spec.site].as_str())
            .with(Attribute::StartTime, at)
            .with(Attribute::Mode, "external")
            .with(Attribute::SourceHost, pod.host.as_str())
            .with(Attribute::ImageName, format!("{}:{}", spec.image, pod.version))
            .with(Attribute::Hostname, node)
            .with(Attribute::Name, name)
            .with(Attribute::Group, spec.name);
        self.emitters[ROUTERS.len() + spec.site].source.update(record);
        match self.pods.iter().position(|pod| !pod.alive) {
            Some(position) => {
                self.pods[position] = pod;
                position
            }
            None => {
                self.pods.push(pod);
                self.pods.len() - 1
            }
        }
    }

    /// Starts a router: with a new identity, unless it is a container that is restarted in its pod.
    pub(super) fn boot(&mut self, router: usize, at: Timestamp) {
        let spec = &ROUTERS[router];
        let emitter = &mut self.emitters[router];
        if emitter.epoch > 0 {
            emitter.source = Source::router(self.routers[router].id());
        }
        emitter.up = true;
        let site_id = self.site_ids[spec.site].clone();
        let (image_version, build) = match spec.generation {
            Generation::V3 => ("3.5.0", "3.5.1"),
            Generation::V2 => ("2.7.6", "2.7.6"),
        };

        let live = &mut self.routers[router];
        live.next_record = 0;
        live.accesses.clear();
        live.listeners.clear();
        live.connectors.clear();
        let id = live.record_id();
        let mut records = Vec::new();
        if SITES[spec.site].reported_by_router {
            records.push(
                site_record(&SITES[spec.site], &site_id, at.plus_micros(41_000))
                    .with(Attribute::Location, SITES[spec.site].location),
            );
        }
        records.push(
            UpdateBuf::new(RecordKind::Router, id.as_str())
                .with(Attribute::Parent, site_id)
                .with(Attribute::StartTime, at)
                .with(Attribute::Namespace, SITES[spec.site].namespace)
                .with(Attribute::Mode, if spec.edge { "edge" } else { "interior" })
                .with(Attribute::ImageName, "skupper-router")
                .with(Attribute::ImageVersion, image_version)
                .with(Attribute::Hostname, live.hostname.as_str())
                .with(Attribute::Name, format!("0/{}", spec.name))
                .with(Attribute::BuildVersion, build),
        );
        let mut moment = at.plus_micros(18_000);
        let mut child = |kind, id: &str, name: &str| {
            moment = moment.plus_micros(430);
            UpdateBuf::new(kind, id)
                .with(
                    Attribute::Parent,
                    format!("{}:0", id.rsplit_once(':').map_or(id, |(prefix, _)| prefix)),
                )
                .with(Attribute::StartTime, moment)
                .with(Attribute::Name, name)
        };
        if !live.edge && !live.is_old() {
            for (role, name) in [(INTER_ROUTER, "skupper-local-inter-router"), (EDGE, "skupper-local-edge")] {
                let access = Access { id: live.record_id(), role, links: 0 };
                records.push(
                    child(RecordKind::RouterAccess, &access.id, name)
                        .with(Attribute::LinkCount, 0)
                        .with(Attribute::Role, role),
                );
                live.accesses.push(access);
            }
        }
        if !live.is_old() {
            for (position, link) in LINKS.iter().enumerate().filter(|(_, link)| link.from == router) {
                self.links[position] = Link {
                    id: live.record_id(),
                    far_id: String::new(),
                    up: false,
                    octets: 0,
                    octets_reverse: 0,
                    times_down: 0,
                };
                let role = if live.edge { EDGE } else { INTER_ROUTER };
                records.push(
                    child(RecordKind::Link, &self.links[position].id, link.name)
                        .with(Attribute::DestHost, format!("{}.example.net", ROUTERS[link.to].name))
                        .with(Attribute::Protocol, "amqps")
                        .with(Attribute::DestPort, if live.edge { "45671" } else { "55671" })
                        .with(Attribute::Octets, 0)
                        .with(Attribute::LinkCost, link.cost)
                        .with(Attribute::OperStatus, "down")
                        .with(Attribute::Role, role)
                        .with(Attribute::DownCount, 0)
                        .with(Attribute::OctetsReverse, 0)
                        .with(Attribute::ActiveTlsOrdinal, 0)
                        .with(Attribute::HttpProxy, "no"),
                );
            }
        }
        for (position, service) in
            SERVICES.iter().enumerate().filter(|(_, one)| one.listeners.contains(&router))
        {
            let id = live.record_id();
            let port = if spec.pod { 1024 + position } else { usize::from(service.port) };
            let mut record = child(RecordKind::Listener, &id, &format!("{}-listener", label(service)))
                .with(Attribute::DestHost, "0.0.0.0")
                .with(Attribute::Protocol, protocol(service, live.generation))
                .with(Attribute::DestPort, port.to_string())
                .with(Attribute::VanAddress, service.address);
            if !live.is_old() {
                record.set(Attribute::FlowCountL4, 0);
            }
            records.push(record);
            live.listeners.push(Listener { id, service: position, connections: 0 });
        }
        for record in records {
            self.emitters[router].source.update(record);
        }
        for (service, spec) in SERVICES.iter().enumerate().filter(|(_, one)| one.connectors.contains(&router))
        {
            let group = spec.group.map(story::group);
            for pod in 0..self.pods.len() {
                if self.pods[pod].alive && Some(self.pods[pod].group) == group {
                    self.connect_pod(router, service, pod, at.plus_micros(29_000));
                }
            }
        }

        self.keep_rhythm(router);
        for (position, link) in LINKS.iter().enumerate() {
            if link.from == router || link.to == router {
                // At the very start, links are made by hand; to find them made then does no harm.
                self.after(1_100 * MILLISECOND, Event::MendLink { link: position });
            }
        }
    }

    /// A connector to a pod comes into being.
    fn connect_pod(&mut self, router: usize, service: usize, pod: usize, at: Timestamp) {
        let (live, spec) = (&mut self.routers[router], &SERVICES[service]);
        let connector = Connector { id: live.record_id(), service, pod, connections: 0, server_flow: None };
        let host = &self.pods[pod].host;
        let mut record = UpdateBuf::new(RecordKind::Connector, connector.id.as_str())
            .with(Attribute::Parent, live.id())
            .with(Attribute::StartTime, at)
            .with(Attribute::DestHost, host.as_str())
            .with(Attribute::Protocol, protocol(spec, live.generation))
            .with(Attribute::DestPort, spec.port.to_string())
            .with(Attribute::VanAddress, spec.address)
            .with(Attribute::Name, format!("{}@{host}", label(spec)));
        if !live.is_old() {
            record.set(Attribute::Process, self.pods[pod].id.as_str());
            record.set(Attribute::FlowCountL4, 0);
        }
        live.connectors.push(connector);
        self.emitters[router].source.update(record);
    }

    /// Starts the slots, heartbeats and beacons of a source.
    fn keep_rhythm(&mut self, emitter: usize) {
        let epoch = self.emitters[emitter].epoch;
        let first = self.dice.between(0, SLOT);
        self.emitters[emitter].slot = u8::try_from(self.dice.between(0, u64::from(SLOTS) - 1)).unwrap_or(0);
        let beat = self.dice.between(0, HEARTBEAT);
        let beacon = if epoch == 0 { self.dice.between(0, BEACON) } else { 30 * MILLISECOND };
        self.after(first, Event::Slot { emitter, epoch });
        self.after(beat, Event::Heartbeat { emitter, epoch });
        self.after(beacon, Event::Beacon { emitter, epoch });
    }

    /// A router dies without a word. Gives the microseconds after which it will be back.
    pub(super) fn stop(&mut self, router: usize) -> u64 {
        self.emitters[router].up = false;
        self.emitters[router].epoch += 1;
        self.connections.retain(|_, connection| connection.listener.router != router);
        for (position, link) in LINKS.iter().enumerate() {
            if link.from == router || link.to == router {
                self.link_down(position);
            }
        }
        let live = &mut self.routers[router];
        live.waiting.clear();
        live.changed.clear();
        live.held.clear();
        live.flows = 0;
        if ROUTERS[router].pod {
            // The container is restarted in its pod: the identity, which is of the pod, stays (faults 6).
            self.dice.between(1_800, 3_000) * MILLISECOND
        } else {
            // It draws another identity as it starts (faults 7).
            self.routers[router].prefix = self.new_identity(router);
            self.dice.between(5_000, 9_000) * MILLISECOND
        }
    }

    fn new_identity(&mut self, router: usize) -> String {
        let spec = &ROUTERS[router];
        if spec.pod {
            let suffix = self.dice.text(POD_NAME, 5);
            self.routers[router].hostname = format!("skupper-router-6f7b9c5d8-{suffix}");
            suffix
        } else {
            self.routers[router].hostname = format!("{}.{}.example", spec.name, SITES[spec.site].name);
            self.dice.text(ROUTER_ID, 5)
        }
    }

    /// A link that is up goes down for some seconds.
    pub(super) fn fail_some_link(&mut self) {
        let up: Vec<_> = (0..LINKS.len()).filter(|link| self.links[*link].up).collect();
        if up.is_empty() {
            return;
        }
        let link = self.dice.pick(&up);
        self.link_down(link);
        let outage = self.dice.between(3_000, 9_000) * MILLISECOND;
        self.after(outage, Event::MendLink { link });
    }

    fn link_down(&mut self, position: usize) {
        if !std::mem::take(&mut self.links[position].up) {
            return;
        }
        let spec = &LINKS[position];
        self.links[position].times_down += 1;
        let link = &self.links[position];
        if self.routers[spec.from].is_old() {
            self.emitters[spec.from].source.end(&link.id, self.now);
            self.emitters[spec.to].source.end(&link.far_id, self.now);
        } else {
            let update = UpdateBuf::new(RecordKind::Link, link.id.as_str())
                .with(Attribute::Result, "amqp:connection:framing-error")
                .with(Attribute::Reason, "connection aborted")
                .with(Attribute::OperStatus, "down")
                .with(Attribute::DownTimeStamp, self.now)
                .with(Attribute::DownCount, link.times_down);
            self.routers[spec.from].waiting.push(update);
        }
        self.count_link(spec, false);
        let port = self.dice.between(32_768, 60_999);
        let text = format!(
            "LOG_SERVER: [C{}] Connection from {}.2:{port} (to 0.0.0.0:55671) failed: \
             amqp:connection:framing-error connection aborted",
            self.next_event % 900,
            SITES[ROUTERS[spec.from].site].network,
        );
        self.log(spec.to, 3, &text, "src/adaptors/amqp/qd_connection.c", 818);
        self.find_paths();
        self.break_connections(position);
    }

    pub(super) fn link_up(&mut self, position: usize, at: Timestamp) {
        let spec = &LINKS[position];
        if self.links[position].up || !self.emitters[spec.from].up || !self.emitters[spec.to].up {
            return;
        }
        self.links[position].up = true;
        if self.routers[spec.from].is_old() {
            let mut side = |router: usize, peer: usize, direction: &str| {
                let live = &mut self.routers[router];
                let id = live.record_id();
                let record = UpdateBuf::new(RecordKind::Link, id.as_str())
                    .with(Attribute::Parent, live.id())
                    .with(Attribute::StartTime, at)
                    .with(Attribute::Mode, "interior")
                    .with(Attribute::Name, ROUTERS[peer].name)
                    .with(Attribute::LinkCost, spec.cost)
                    .with(Attribute::Direction, direction);
                self.emitters[router].source.update(record);
                id
            };
            self.links[position].id = side(spec.from, spec.to, "outgoing");
            if ROUTERS[spec.to].generation == Generation::V2 {
                self.links[position].far_id = side(spec.to, spec.from, "incoming");
            }
        } else {
            let role = if self.routers[spec.from].edge { EDGE } else { INTER_ROUTER };
            let mut update = UpdateBuf::new(RecordKind::Link, self.links[position].id.as_str())
                .with(Attribute::OperStatus, "up")
                .with(Attribute::UpTimeStamp, at);
            if let Some(access) = self.routers[spec.to].accesses.iter().find(|access| access.role == role) {
                update.set(Attribute::Peer, access.id.as_str());
            }
            self.routers[spec.from].waiting.push(update);
        }
        self.count_link(spec, true);
        self.find_paths();
    }

    /// The router that accepts a link counts it.
    fn count_link(&mut self, spec: &story::Link, up: bool) {
        let role = if self.routers[spec.from].edge { EDGE } else { INTER_ROUTER };
        let live = &mut self.routers[spec.to];
        if let Some(access) = live.accesses.iter_mut().find(|access| access.role == role) {
            access.links = if up { access.links + 1 } else { access.links.saturating_sub(1) };
            let update = UpdateBuf::new(RecordKind::RouterAccess, access.id.as_str())
                .with(Attribute::LinkCount, access.links);
            live.waiting.push(update);
        }
    }

    fn find_paths(&mut self) {
        self.paths = Paths::find(|link| self.links[link].up);
    }

    /// Octets pass along a path, which is forward from the listener's router to the connector's.
    pub(super) fn carry(&mut self, path: &Path, octets: u64, octets_reverse: u64) {
        for (link, forward) in path {
            let link = &mut self.links[*link];
            let (sent, received) = if *forward { (octets, octets_reverse) } else { (octets_reverse, octets) };
            link.octets += sent;
            link.octets_reverse += received;
        }
    }

    /// What a 3.x router counted since it last reported everything.
    pub(super) fn report_counters(&mut self, router: usize) {
        self.report_waiting(router);
        let source = &mut self.emitters[router].source;
        for (position, link) in self.links.iter_mut().enumerate() {
            if LINKS[position].from == router && link.up {
                // Routing, heartbeats, beacons.
                link.octets += self.dice.between(640, 980);
                link.octets_reverse += self.dice.between(640, 980);
                source.update(
                    UpdateBuf::new(RecordKind::Link, link.id.as_str())
                        .with(Attribute::Octets, link.octets)
                        .with(Attribute::OctetsReverse, link.octets_reverse),
                );
            }
        }
        self.report_connection_counts(router);
    }

    /// How many connections a 3.x router counted by now.
    pub(super) fn report_connection_counts(&mut self, router: usize) {
        let live = &self.routers[router];
        let source = &mut self.emitters[router].source;
        for listener in &live.listeners {
            source.update(
                UpdateBuf::new(RecordKind::Listener, listener.id.as_str())
                    .with(Attribute::FlowCountL4, listener.connections),
            );
        }
        for connector in &live.connectors {
            source.update(
                UpdateBuf::new(RecordKind::Connector, connector.id.as_str())
                    .with(Attribute::FlowCountL4, connector.connections),
            );
        }
    }

    /// Replaces the pods of a group by a newer version: first the new ones come, then the old ones go.
    pub(super) fn roll_out(&mut self) {
        let group = story::ROLLED_OUT;
        let old: Vec<_> = (0..self.pods.len())
            .filter(|pod| self.pods[*pod].alive && self.pods[*pod].group == group)
            .collect();
        for (position, pod) in old.iter().enumerate() {
            let version = match self.pods[*pod].version.rsplit_once('.') {
                Some((series, patch)) => format!("{series}.{}", patch.parse::<u32>().unwrap_or(0) + 1),
                None => self.pods[*pod].version.clone(),
            };
            let new = self.start_pod(group, version, self.now);
            for (service, spec) in SERVICES.iter().enumerate() {
                if spec.group.map(story::group) == Some(group) {
                    for router in spec.connectors {
                        if self.emitters[*router].up {
                            self.connect_pod(*router, service, new, self.now);
                        }
                    }
                }
            }
            self.after((3 + 2 * position as u64) * SECOND, Event::Terminate { pod: *pod });
        }
    }

    /// A pod goes, and what leads to it.
    pub(super) fn terminate(&mut self, pod: usize) {
        self.pods[pod].alive = false;
        let site = GROUPS[self.pods[pod].group].site;
        self.emitters[ROUTERS.len() + site].source.end(&self.pods[pod].id, self.now);
        for (router, live) in self.routers.iter_mut().enumerate() {
            for connector in live.connectors.extract_if(.., |connector| connector.pod == pod) {
                self.emitters[router].source.end(&connector.id, self.now);
            }
        }
        self.close_connections_of(pod);
    }

    /// Some router logs something that is of no consequence.
    pub(super) fn chatter(&mut self) {
        const LINES: [(u64, &str, &str, u64); 4] = [
            (
                1,
                "ROUTER_CORE: Memory allocated: 41 MB, free list of qd_buffer_t rebalanced",
                "src/alloc_pool.c",
                529,
            ),
            (1, "LOG_AGENT: Updated sslProfile skupper-internal", "src/tls/tls.c", 184),
            (
                2,
                "TCP_ADAPTOR: Client closed its connection before the first octet",
                "src/adaptors/tcp/tcp_adaptor.c",
                1340,
            ),
            (
                1,
                "ROUTER: Computed next hops after a change of link cost",
                "python/skupper_router_internal/router/path.py",
                187,
            ),
        ];
        let up: Vec<_> = (0..ROUTERS.len()).filter(|router| self.emitters[*router].up).collect();
        let router = self.dice.pick(&up);
        let (severity, text, file, line) = self.dice.pick(&LINES);
        self.log(router, severity, text, file, line);
    }

    fn log(&mut self, router: usize, severity: u64, text: &str, file: &str, line: u64) {
        if !self.emitters[router].up {
            return;
        }
        let live = &mut self.routers[router];
        let record = UpdateBuf::new(RecordKind::Log, live.record_id())
            .with(Attribute::Parent, live.id())
            .with(Attribute::StartTime, self.now)
            .with(Attribute::EndTime, self.now)
            .with(Attribute::LogSeverity, severity)
            .with(Attribute::LogText, text)
            .with(Attribute::SourceFile, file)
            .with(Attribute::SourceLine, line);
        live.waiting.push(record);
        if live.is_old() {
            self.report_waiting(router);
        }
    }

    fn report_waiting(&mut self, router: usize) {
        for update in self.routers[router].waiting.drain(..) {
            self.emitters[router].source.update(update);
        }
    }
}

fn site_record(site: &story::Site, id: &str, at: Timestamp) -> UpdateBuf {
    UpdateBuf::new(RecordKind::Site, id)
        .with(Attribute::StartTime, at)
        .with(Attribute::Provider, site.provider)
        .with(Attribute::Platform, site.platform)
        .with(Attribute::Namespace, site.namespace)
        .with(Attribute::Name, site.name)
        .with(Attribute::BuildVersion, site.version)
}

fn id_of(update: &UpdateBuf) -> &str {
    &update.id
}

/// The name of a service without its port.
fn label(service: &story::Service) -> &'static str {
    service.address.split_once(':').map_or(service.address, |(name, _)| name)
}

/// 3.x routers take every service for TCP and watch what goes through it.
fn protocol(service: &story::Service, generation: Generation) -> &'static str {
    match (generation, service.protocol) {
        (Generation::V3, _) | (_, Protocol::Tcp) => "tcp",
        (Generation::V2, Protocol::Http1) => "http1",
        (Generation::V2, Protocol::Http2) => "http2",
    }
}
