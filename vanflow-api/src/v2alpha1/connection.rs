//! Connections and requests, and what is at their ends.

use std::{borrow::Cow, cell::OnceCell};

use vanflow_proto::Attribute;
use vanflow_store::{Connection, Lane, Record, Text};

use crate::v2alpha1::{
    party::Party,
    view::{View, known},
};

/// A connection and what is at its ends, each looked up once.
#[derive(Debug)]
pub(crate) struct Flow<'v> {
    pub(crate) connection: Connection<'v>,
    connector: OnceCell<Option<Record<'v>>>,
    source: OnceCell<Option<Party<'v>>>,
    destination: OnceCell<Option<Party<'v>>>,
}

/// What a connection passes, by name.
#[derive(Debug, Default)]
pub(crate) struct Trace<'v> {
    pub(crate) routers: Vec<Cow<'v, str>>,
    pub(crate) sites: Vec<Cow<'v, str>>,
}

impl<'v> Trace<'v> {
    fn push(&mut self, router: Option<Record<'v>>) {
        let name = |record: Option<Record<'v>>| record?.text(Attribute::Name).map(Text::to_cow);
        let add = |names: &mut Vec<Cow<'v, str>>, name: Option<Cow<'v, str>>| {
            names.extend(name.filter(|name| names.last() != Some(name)));
        };
        add(&mut self.routers, name(router));
        add(&mut self.sites, name(router.and_then(|router| router.site())));
    }
}

impl<'v> Flow<'v> {
    pub(crate) fn new(connection: Connection<'v>) -> Self {
        Self { connection, connector: OnceCell::new(), source: OnceCell::new(), destination: OnceCell::new() }
    }

    /// What stands for each connection of a lane; none where there is none any more.
    pub(crate) fn of_lane(lane: Lane<'v>) -> Option<Self> {
        lane.connections().find_map(Connection::new).map(Self::new)
    }

    /// The connector: the one that was reported, or the only one that it can be.
    pub(crate) fn connector(&self) -> Option<Record<'v>> {
        *self
            .connector
            .get_or_init(|| self.connection.connector().or_else(|| self.connection.connector_inferred()))
    }

    /// The listener, if it is there.
    pub(crate) fn listener(&self) -> Option<Record<'v>> {
        self.connection.listener()
    }

    /// The client.
    pub(crate) fn source(&self, view: View<'v>) -> Option<&Party<'v>> {
        let find = || {
            self.connection.process().map(Party::Reported).or_else(|| {
                let site = self.listener()?.site()?;
                Some(Party::Implied(view.implied(site, self.connection.source_host()?)))
            })
        };
        self.source.get_or_init(find).as_ref()
    }

    /// The server.
    pub(crate) fn destination(&self, view: View<'v>) -> Option<&Party<'v>> {
        let find = || view.behind(self.connector()?, self.connection.server_process());
        self.destination.get_or_init(find).as_ref()
    }

    fn either(&self, attribute: Attribute) -> Cow<'v, str> {
        let of = |record: Option<Record<'v>>| record.and_then(|record| record.text(attribute));
        known(of(self.connector()).or_else(|| of(self.listener())))
    }

    pub(crate) fn protocol(&self) -> Cow<'v, str> {
        self.either(Attribute::Protocol)
    }

    pub(crate) fn routing_key(&self) -> Cow<'v, str> {
        self.either(Attribute::VanAddress)
    }

    pub(crate) fn source_site_id(&self) -> Cow<'v, str> {
        known(self.listener().and_then(|listener| listener.site_id()))
    }

    pub(crate) fn source_site_name(&self) -> Cow<'v, str> {
        known(self.listener().and_then(|listener| listener.site()?.text(Attribute::Name)))
    }

    /// The site of the server: where its process is, or else where the connector is.
    pub(crate) fn destination_site_id(&self, view: View<'v>) -> Cow<'v, str> {
        match self.destination(view).map(Party::site_id) {
            Some(id) => id,
            None => known(self.connector().and_then(|connector| connector.site_id())),
        }
    }

    pub(crate) fn destination_site_name(&self, view: View<'v>) -> Cow<'v, str> {
        match self.destination(view).map(Party::site_name) {
            Some(name) => name,
            None => known(self.connector().and_then(|connector| connector.site()?.text(Attribute::Name))),
        }
    }

    pub(crate) fn trace(&self, view: View<'v>) -> Trace<'v> {
        let mut trace = Trace::default();
        trace.push(self.listener().and_then(|listener| listener.router()));
        if let Some(reported) = self.connection.trace() {
            for name in reported.to_cow().split('|') {
                trace.push(view.router_named(name));
            }
        }
        trace.push(self.connector().and_then(|connector| connector.router()));
        trace
    }
}

/// A request and its connection.
#[derive(Debug)]
pub(crate) struct Request<'v> {
    pub(crate) record: vanflow_store::Request<'v>,
    /// None while it has not been reported.
    pub(crate) connection: Option<Flow<'v>>,
}

impl<'v> Request<'v> {
    pub(crate) fn new(request: vanflow_store::Request<'v>) -> Self {
        Self { record: request, connection: request.connection().map(Flow::new) }
    }
}
