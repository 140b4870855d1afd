//! Connections and requests: how they come, go on, end, and are reported.

use vanflow_proto::{Attribute, RecordKind, Timestamp, UpdateBuf};

use super::{
    Event, HOLD, MILLISECOND, MINUTE, SECOND, Van,
    network::Path,
    story::{self, Client, IDLE, Load, Protocol, ROUTERS, ROUTES, SERVICES, SITES},
};

/// How many more connections there are in a burst.
const BURST: f64 = 4.0;
/// What one request and its response carry beside their bodies, in octets.
const REQUEST_HEAD: u64 = 118;
const RESPONSE_HEAD: u64 = 164;
const WINDOW: u64 = 1_459_620;

/// A connection through the network, from when it is made until its end has been reported.
#[derive(Debug)]
pub(super) struct Connection {
    service: usize,
    pub(super) listener: End,
    connector: End,
    path: Path,
    /// Its own record; at a 2.x router, the FLOW of the client's side.
    id: String,
    /// At a 2.x router, the FLOW of the server's side of a TCP connection.
    server_id: Option<String>,
    start: Timestamp,
    client_host: String,
    client_port: u64,
    client_pod: Option<usize>,
    server_pod: usize,
    server: String,
    proxy_port: u64,
    octets: u64,
    octets_reverse: u64,
    latency: u64,
    process_latency: u64,
    /// When the half of the connector's router arrives; it never does from an edge router (faults 11).
    far_known: Option<Timestamp>,
    refused: bool,
    broken: bool,
    /// Steps that it will go on for; an idle connection has no end.
    steps: Option<u32>,
    request: Option<Request>,
    next_stream: u64,
    ended: Option<Timestamp>,
    /// Whether it is among what its router will report next.
    queued: bool,
}

/// A router and the record of the listener or connector there.
#[derive(Debug)]
pub(super) struct End {
    pub(super) router: usize,
    id: String,
}

/// A request that waits for its response.
#[derive(Debug)]
struct Request {
    id: String,
    start: Timestamp,
    stream: Option<u64>,
    method: &'static str,
    result: (&'static str, &'static str),
    /// Who asks by a proxy.
    client: Option<String>,
    octets: u64,
    octets_reverse: u64,
    latency: u64,
    /// Whether it takes so long that it is reported as it begins and again as it ends; most are reported once, when over.
    long: bool,
}

impl Van {
    /// Connections that were there long before anybody looked, and are counted from the first record of their listener on.
    pub(super) fn open_idle_connections(&mut self) {
        for (route, count) in IDLE {
            for _ in 0..count {
                let age = self.dice.between(40, 170) * MINUTE;
                let Some(key) = self.open(route, self.now.minus_micros(age)) else { continue };
                if let Some(connection) = self.connections.get_mut(&key) {
                    connection.steps = None;
                    connection.octets = age / SECOND;
                    connection.octets_reverse = age / SECOND * 3;
                }
            }
        }
        for router in 0..self.routers.len() {
            if !self.routers[router].is_old() {
                self.report_connection_counts(router);
            }
        }
    }

    /// Somebody connects, and the next one will some time later.
    pub(super) fn arrive(&mut self) {
        let rate = self.options.rate * if self.burst { BURST } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
        let mean = (1e6 / rate) as u64;
        let pause = self.dice.pause(mean.max(1));
        self.after(pause, Event::Arrive);

        let total: u32 = ROUTES.iter().map(|route| route.weight).sum();
        let mut drawn = self.dice.between(1, total.into());
        for (position, route) in ROUTES.iter().enumerate() {
            match drawn.checked_sub(route.weight.into()) {
                Some(0) | None => {
                    self.open(position, self.now);
                    return;
                }
                Some(left) => drawn = left,
            }
        }
    }

    /// Makes a connection, if somebody listens and there is a way.
    fn open(&mut self, route: usize, start: Timestamp) -> Option<u64> {
        let route = &ROUTES[route];
        let service = story::service(route.service);
        let (site, host, client_pod) = self.client(&route.client)?;
        let (router, listener) = self.listener(service, site)?;
        let (far, connector) = self.connector(service, router)?;
        let path = self.paths.get(router, far)?.clone();
        let spec = &SERVICES[service];

        self.routers[router].listeners[listener].connections += 1;
        self.routers[far].connectors[connector].connections += 1;
        if !self.routers[router].is_old() {
            if self.routers[router].flows >= self.options.flow_limit {
                return None;
            }
            self.routers[router].flows += 1;
        }
        let distance: u64 = path.iter().map(|(link, _)| story::LINKS[*link].delay).sum();
        let process_latency =
            self.dice.around(if spec.protocol == Protocol::Tcp { spec.load.work } else { 900 });
        let latency = 2 * distance + process_latency + self.dice.around(260);
        let reports = !ROUTERS[far].edge;
        // The far half comes over the same links, and now and then takes its time.
        let delay = distance + if self.dice.per_mille(200) { self.dice.around(900 * MILLISECOND) } else { 0 };
        let server_pod = self.routers[far].connectors[connector].pod;
        let connection = Connection {
            service,
            listener: End { router, id: self.routers[router].listeners[listener].id.clone() },
            connector: End { router: far, id: self.routers[far].connectors[connector].id.clone() },
            path,
            id: self.routers[router].record_id(),
            server_id: None,
            start,
            client_host: host,
            client_port: self.dice.between(32_768, 60_999),
            client_pod,
            server_pod,
            server: format!("{}:{}", self.pods[server_pod].host, spec.port),
            proxy_port: self.dice.between(32_768, 60_999),
            octets: 0,
            octets_reverse: 0,
            latency,
            process_latency,
            far_known: reports.then(|| self.now.plus_micros(delay)),
            refused: spec.server_down,
            broken: false,
            steps: Some(
                u32::try_from(self.dice.between(spec.load.steps.0.into(), spec.load.steps.1.into()))
                    .unwrap_or(1),
            ),
            request: None,
            next_stream: 1,
            ended: None,
            queued: false,
        };
        let key = self.next_connection;
        self.next_connection += 1;
        self.connections.insert(key, Box::new(connection));
        if self.routers[router].is_old() {
            self.begin_flows(key);
        } else {
            self.changed(key);
        }
        self.after(
            if spec.server_down { 2 * distance + 400 } else { latency },
            Event::Step { connection: key },
        );
        Some(key)
    }

    /// A client: its site, host and pod, if it is one.
    fn client(&mut self, client: &Client) -> Option<(usize, String, Option<usize>)> {
        match client {
            Client::Hosts(site, hosts) => {
                Some((*site, format!("{}.{}", SITES[*site].network, self.dice.pick(hosts)), None))
            }
            Client::Group(group) => {
                let group = story::group(group);
                let alive: Vec<_> = (0..self.pods.len())
                    .filter(|pod| self.pods[*pod].alive && self.pods[*pod].group == group)
                    .collect();
                let pod = if alive.is_empty() { return None } else { self.dice.pick(&alive) };
                Some((story::GROUPS[group].site, self.pods[pod].host.clone(), Some(pod)))
            }
        }
    }

    /// A router of the site that listens for the service, and its listener.
    fn listener(&mut self, service: usize, site: usize) -> Option<(usize, usize)> {
        let mut found = Vec::new();
        for router in SERVICES[service].listeners {
            if ROUTERS[*router].site == site && self.emitters[*router].up {
                let listeners = self.routers[*router].listeners.iter();
                found.extend(
                    listeners.clone().position(|one| one.service == service).map(|one| (*router, one)),
                );
            }
        }
        if found.is_empty() { None } else { Some(self.dice.pick(&found)) }
    }

    /// One of the nearest connectors of the service, with its router.
    fn connector(&mut self, service: usize, from: usize) -> Option<(usize, usize)> {
        let mut found = Vec::new();
        let mut nearest = usize::MAX;
        for router in SERVICES[service].connectors {
            let Some(path) = self.paths.get(from, *router).filter(|_| self.emitters[*router].up) else {
                continue;
            };
            if path.len() < nearest {
                nearest = path.len();
                found.clear();
            }
            if path.len() == nearest {
                let connectors = self.routers[*router].connectors.iter().enumerate();
                found.extend(
                    connectors
                        .filter(|(_, one)| one.service == service)
                        .map(|(position, _)| (*router, position)),
                );
            }
        }
        if found.is_empty() { None } else { Some(self.dice.pick(&found)) }
    }

    /// A connection goes on: a request is made or answered, octets go back and forth, or it ends.
    pub(super) fn step(&mut self, key: u64) {
        let Some(connection) = self.connections.get(&key).filter(|connection| connection.ended.is_none())
        else {
            return;
        };
        let spec = &SERVICES[connection.service];
        if connection.refused || connection.steps == Some(0) {
            self.close(key);
        } else if connection.request.is_some() {
            self.respond(key);
        } else if spec.protocol == Protocol::Tcp {
            self.exchange(key, &spec.load);
        } else {
            self.request(key, spec.protocol, &spec.load);
        }
    }

    /// Octets go back and forth.
    fn exchange(&mut self, key: u64, load: &Load) {
        let idle = self.connections.get(&key).is_some_and(|connection| connection.steps.is_none());
        let (octets, octets_reverse) = if idle {
            (17, 9)
        } else {
            (self.dice.skewed(load.octets), self.dice.skewed(load.octets_reverse))
        };
        self.pass(key, octets, octets_reverse);
        let pause = if idle { self.dice.between(60, 180) * SECOND } else { self.dice.around(load.pause) };
        self.after(pause, Event::Step { connection: key });
    }

    fn request(&mut self, key: u64, protocol: Protocol, load: &Load) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let method = self.dice.pick(load.methods);
        let result = if self.dice.per_mille(load.failures.1) {
            ("500", "Internal Server Error")
        } else if self.dice.per_mille(load.failures.0) {
            ("404", "Not Found")
        } else if method == "POST" {
            ("201", "Created")
        } else if method == "DELETE" {
            ("204", "No Content")
        } else {
            ("200", "OK")
        };
        let failed = result.0 >= "300";
        let work = self.dice.around(if failed { load.work / 3 } else { load.work });
        let latency = (connection.latency - connection.process_latency) + work;
        let request = Request {
            id: self.routers[connection.listener.router].record_id(),
            start: self.now,
            stream: (protocol == Protocol::Http2).then_some(connection.next_stream),
            method,
            result,
            client: (connection.client_pod.is_none())
                .then(|| format!("10.66.1.{}", 10 + connection.client_port % 90)),
            octets: if matches!(method, "POST" | "PUT") { self.dice.skewed(load.octets) } else { 0 },
            octets_reverse: match result.0 {
                "204" => 0,
                _ if failed => 86,
                _ => self.dice.skewed(load.octets_reverse),
            },
            latency,
            long: latency > 400 * MILLISECOND,
        };
        connection.next_stream += 2;
        let router = connection.listener.router;
        if request.long && !self.routers[router].is_old() {
            let update = request.began(&connection.id);
            self.routers[router].waiting.push(update);
        }
        connection.request = Some(request);
        let transfer = self.dice.around(180);
        self.after(latency + transfer, Event::Step { connection: key });
    }

    fn respond(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let Some(request) = connection.request.take() else { return };
        let (octets, octets_reverse) =
            (request.octets + REQUEST_HEAD, request.octets_reverse + RESPONSE_HEAD);
        let router = connection.listener.router;
        if self.routers[router].is_old() {
            self.report_request_flows(key, &request);
        } else {
            let update = request.ended(&connection.id, self.now);
            self.routers[router].waiting.push(update);
        }
        self.pass(key, octets, octets_reverse);
        let pause = self.dice.around(SERVICES[self.connections[&key].service].load.pause);
        self.after(pause, Event::Step { connection: key });
    }

    /// Octets pass through a connection, in one of its steps.
    fn pass(&mut self, key: u64, octets: u64, octets_reverse: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        connection.octets += octets;
        connection.octets_reverse += octets_reverse;
        connection.steps = connection.steps.map(|left| left.saturating_sub(1));
        let path = std::mem::take(&mut connection.path);
        self.carry(&path, octets, octets_reverse);
        let Some(connection) = self.connections.get_mut(&key) else { return };
        connection.path = path;
        if self.routers[connection.listener.router].is_old() {
            self.report_flows(key);
        } else {
            self.changed(key);
        }
    }

    fn close(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        if connection.ended.replace(self.now).is_some() {
            return;
        }
        let router = connection.listener.router;
        if self.routers[router].is_old() {
            self.report_flows(key);
            self.connections.remove(&key);
        } else {
            let request = connection.request.take().filter(|request| request.long);
            if let Some(request) = request {
                // It was asked to have begun, and will have no response.
                let update = request.began(&connection.id).with(Attribute::EndTime, self.now);
                self.routers[router].waiting.push(update);
            }
            self.routers[router].held.push_back((self.now.plus_micros(HOLD), key));
        }
    }

    /// The connections over a link that is no more come to an end.
    pub(super) fn break_connections(&mut self, link: usize) {
        self.close_where(|connection| connection.path.iter().any(|(passed, _)| *passed == link), true);
    }

    /// The connections of a pod that is no more come to an end.
    pub(super) fn close_connections_of(&mut self, pod: usize) {
        self.close_where(
            |connection| connection.client_pod == Some(pod) || connection.server_pod == pod,
            false,
        );
    }

    fn close_where(&mut self, ends: impl Fn(&Connection) -> bool, broken: bool) {
        let keys: Vec<_> = self
            .connections
            .iter_mut()
            .filter(|(_, connection)| connection.ended.is_none() && ends(connection))
            .map(|(key, connection)| {
                connection.broken = broken;
                *key
            })
            .collect();
        for key in keys {
            self.close(key);
        }
    }

    /// Puts a connection among what its 3.x router will report.
    fn changed(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        if !std::mem::replace(&mut connection.queued, true) {
            self.routers[connection.listener.router].changed.push(key);
        }
    }

    /// Reports the connections of a 3.x router that changed and go on.
    pub(super) fn report_connections(&mut self, router: usize) {
        let now = self.now;
        let source = &mut self.emitters[router].source;
        let connections = &mut self.connections;
        self.routers[router].changed.retain(|key| {
            let Some(connection) = connections.get_mut(key).filter(|connection| connection.ended.is_none())
            else {
                return false;
            };
            source.update(connection.biflow(now));
            // Where the far half is still to come, there is more to report.
            connection.queued = connection.far_known.is_some_and(|known| known > now);
            connection.queued
        });
    }

    /// Reports the ends that a 3.x router held back long enough.
    pub(super) fn report_ends(&mut self, router: usize) {
        let live = &mut self.routers[router];
        while live.held.front().is_some_and(|(due, _)| *due <= self.now) {
            let Some((_, key)) = live.held.pop_front() else { break };
            if let Some(connection) = self.connections.remove(&key) {
                live.flows -= 1;
                self.emitters[router].source.update(connection.biflow(self.now));
            }
        }
    }

    /// A 2.x router reports a connection at once, by its two ends.
    fn begin_flows(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let (router, far) = (connection.listener.router, connection.connector.router);
        let tcp = SERVICES[connection.service].protocol == Protocol::Tcp;
        let mut client = UpdateBuf::new(RecordKind::Flow, connection.id.as_str())
            .with(Attribute::Parent, connection.listener.id.as_str())
            .with(Attribute::StartTime, connection.start)
            .with(Attribute::SourceHost, connection.client_host.as_str())
            .with(Attribute::SourcePort, connection.client_port.to_string())
            .with(Attribute::Octets, 0);
        let connectors = &mut self.routers[far].connectors;
        let connector = connectors.iter().position(|connector| connector.id == connection.connector.id);
        let proxy = self.dice.between(32_768, 60_999).to_string();
        let network = SITES[ROUTERS[far].site].network;
        if tcp {
            client.set(Attribute::Latency, connection.latency);
            client.set(Attribute::WindowSize, WINDOW);
            let id = self.routers[far].record_id();
            self.emitters[far].source.update(
                UpdateBuf::new(RecordKind::Flow, id.as_str())
                    .with(Attribute::Parent, connection.connector.id.as_str())
                    .with(Attribute::StartTime, connection.start.plus_micros(connection.latency / 2))
                    .with(Attribute::Counterflow, connection.id.as_str())
                    .with(Attribute::SourceHost, format!("{network}.2"))
                    .with(Attribute::SourcePort, proxy)
                    .with(Attribute::Octets, 0)
                    .with(Attribute::Latency, connection.process_latency)
                    .with(Attribute::Trace, format!("0/{}", ROUTERS[router].name))
                    .with(Attribute::WindowSize, WINDOW),
            );
            connection.server_id = Some(id);
        } else if let Some(connector) = connector
            && connectors[connector].server_flow.is_none()
        {
            // All requests to a server go through one connection.
            let id = self.routers[far].record_id();
            self.emitters[far].source.update(
                UpdateBuf::new(RecordKind::Flow, id.as_str())
                    .with(Attribute::Parent, connection.connector.id.as_str())
                    .with(Attribute::StartTime, connection.start.plus_micros(connection.latency / 2))
                    .with(Attribute::SourceHost, format!("{network}.2"))
                    .with(Attribute::SourcePort, proxy)
                    .with(Attribute::Octets, 0),
            );
            self.routers[far].connectors[connector].server_flow = Some((id, 0));
        }
        self.emitters[router].source.update(client);
    }

    /// A 2.x router says what became of a connection.
    fn report_flows(&mut self, key: u64) {
        let Some(connection) = self.connections.get(&key) else { return };
        let mut client = UpdateBuf::new(RecordKind::Flow, connection.id.as_str())
            .with(Attribute::Octets, connection.octets);
        let server = connection.server_id.as_ref().map(|id| {
            client.set(Attribute::OctetsUnacked, connection.octets);
            let server = UpdateBuf::new(RecordKind::Flow, id.as_str())
                .with(Attribute::Octets, connection.octets_reverse);
            if let Some(end) = connection.ended { server.with(Attribute::EndTime, end) } else { server }
        });
        if let Some(end) = connection.ended {
            client.set(Attribute::EndTime, end);
            if connection.broken {
                client.set(Attribute::Result, "delivery-failed");
                client.set(Attribute::Reason, "link lost");
            }
        }
        self.emitters[connection.listener.router].source.update(client);
        if let Some(server) = server {
            self.emitters[connection.connector.router].source.update(server);
        }
    }

    /// A 2.x router reports a request that is over, by its two ends.
    fn report_request_flows(&mut self, key: u64, request: &Request) {
        let Some(connection) = self.connections.get(&key) else { return };
        let (router, far) = (connection.listener.router, connection.connector.router);
        let flow = |id: &str, parent: &str, start, end| {
            UpdateBuf::new(RecordKind::Flow, id)
                .with(Attribute::Parent, parent)
                .with(Attribute::StartTime, start)
                .with(Attribute::EndTime, end)
        };
        self.emitters[router].source.update(
            flow(&request.id, &connection.id, request.start, self.now)
                .with(Attribute::Octets, request.octets + REQUEST_HEAD)
                .with(Attribute::Latency, request.latency)
                .with(Attribute::Method, request.method)
                .with(Attribute::Result, request.result.0)
                .with(Attribute::Reason, request.result.1),
        );
        let distance = connection.latency - connection.process_latency;
        let work = request.latency.saturating_sub(distance);
        let id = self.routers[far].record_id();
        let connectors = &mut self.routers[far].connectors;
        let Some((parent, octets)) = connectors
            .iter_mut()
            .find(|connector| connector.id == connection.connector.id)
            .and_then(|connector| connector.server_flow.as_mut())
        else {
            return;
        };
        *octets += request.octets_reverse + RESPONSE_HEAD;
        let start = request.start.plus_micros(distance / 2);
        let source = &mut self.emitters[far].source;
        source.update(
            flow(&id, parent, start, start.plus_micros(work))
                .with(Attribute::Counterflow, request.id.as_str())
                .with(Attribute::Octets, request.octets_reverse + RESPONSE_HEAD)
                .with(Attribute::Latency, work),
        );
        source.update(UpdateBuf::new(RecordKind::Flow, parent.as_str()).with(Attribute::Octets, *octets));
    }
}

impl Connection {
    /// All that a 3.x router knows of it.
    fn biflow(&self, now: Timestamp) -> UpdateBuf {
        let mut biflow = UpdateBuf::new(RecordKind::BiflowTport, self.id.as_str());
        biflow.attributes.reserve_exact(15);
        biflow.set(Attribute::Parent, self.listener.id.as_str());
        biflow.set(Attribute::StartTime, self.start);
        biflow.set(Attribute::SourceHost, self.client_host.as_str());
        biflow.set(Attribute::SourcePort, self.client_port.to_string());
        biflow.set(Attribute::Octets, self.octets);
        biflow.set(Attribute::OctetsReverse, self.octets_reverse);
        if self.octets_reverse > 0 {
            biflow.set(Attribute::Latency, self.latency);
        }
        if let Some(end) = self.ended {
            biflow.set(Attribute::EndTime, end);
        }
        if self.far_known.is_some_and(|known| known <= now) {
            biflow.set(Attribute::Connector, self.connector.id.as_str());
            if let Some(trace) = self.trace() {
                biflow.set(Attribute::Trace, trace);
            }
            if self.refused {
                let refused = format!("proton:io (Connection refused - on connect {})", self.server);
                biflow.set(Attribute::ErrorConnectorSide, refused);
            } else {
                biflow.set(Attribute::ProcessLatency, self.process_latency);
                biflow.set(
                    Attribute::ProxyHost,
                    format!("{}.2", SITES[ROUTERS[self.connector.router].site].network),
                );
                biflow.set(Attribute::ProxyPort, self.proxy_port.to_string());
            }
        }
        if self.refused && self.ended.is_some() {
            biflow.set(Attribute::ErrorListenerSide, "delivery-failed (destination unreachable)");
        } else if self.broken {
            biflow.set(Attribute::ErrorListenerSide, "delivery-failed (link lost)");
        }
        biflow
    }

    /// The interior routers that it passed before the connector's.
    fn trace(&self) -> Option<String> {
        let mut router = self.listener.router;
        let mut passed = Vec::new();
        for (link, forward) in &self.path {
            if !ROUTERS[router].edge {
                passed.push(format!("0/{}", ROUTERS[router].name));
            }
            let link = &story::LINKS[*link];
            router = if *forward { link.to } else { link.from };
        }
        (!passed.is_empty()).then(|| passed.join("|"))
    }
}

impl Request {
    fn began(&self, connection: &str) -> UpdateBuf {
        let mut began = UpdateBuf::new(RecordKind::BiflowApp, self.id.as_str());
        began.attributes.reserve_exact(10);
        began.set(Attribute::Parent, connection);
        began.set(Attribute::StartTime, self.start);
        began.set(Attribute::Protocol, if self.stream.is_some() { "HTTP/2" } else { "HTTP/1.1" });
        began.set(Attribute::Method, self.method);
        began.set(Attribute::Octets, self.octets);
        if let Some(stream) = self.stream {
            began.set(Attribute::StreamId, stream);
        }
        if let Some(client) = &self.client {
            began.set(Attribute::SourceHost, &**client);
        }
        began
    }

    fn ended(&self, connection: &str, at: Timestamp) -> UpdateBuf {
        let mut ended = self.began(connection);
        ended.set(Attribute::EndTime, at);
        ended.set(Attribute::Latency, self.latency);
        ended.set(Attribute::Result, self.result.0);
        if self.stream.is_none() {
            // HTTP/2 has no reasons.
            ended.set(Attribute::Reason, self.result.1);
        }
        ended.set(Attribute::OctetsReverse, self.octets_reverse);
        ended
    }
}
