//! Which two routers a LINK is between, and whether it is reported from both of its sides.
//!
//! Today's routers report a link once, from the side that connects, and name the ROUTER_ACCESS that it arrived at. Routers
//! up to 2.x report their own side only, with its direction, and call it by the other router's id. Interior ones of these
//! report both directions, but nothing of edge routers that connect to them; and nobody reports the other side of a link
//! between a router up to 2.x and one of today's.

use std::{cmp::Reverse, collections::HashMap};

use vanflow_proto::{Attribute, RecordKind, Timestamp};

use crate::{
    record::Record,
    row::RecordRef,
    snapshot::{Snapshot, Text},
};

/// The routers of a snapshot by their names.
#[derive(Debug, Default)]
pub struct Routers {
    /// By what they have as `name`: the network and the id in it, as in `0/east-1`.
    by_name: HashMap<String, RecordRef>,
    /// By the id alone.
    by_id: HashMap<String, RecordRef>,
}

impl Routers {
    /// All of them. Of several with one name it is the live one, then the one that started last, then the lowest id
    /// (faults 7).
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut routers: Vec<_> = snapshot
            .of_kind(RecordKind::Router)
            .filter_map(|router| Some((router, router.text(Attribute::Name)?.to_cow().into_owned())))
            .collect();
        routers.sort_by_cached_key(|(router, _)| {
            (Reverse(router.is_live()), Reverse(router.start()), router.id().to_cow().into_owned())
        });
        let mut found = Self::default();
        for (router, name) in routers {
            found.by_id.entry(id_in_network(&name).to_owned()).or_insert(router.at());
            found.by_name.entry(name).or_insert(router.at());
        }
        found
    }

    /// The router with that `name`.
    pub fn named(&self, name: &str) -> Option<RecordRef> {
        self.by_name.get(name).copied()
    }

    /// Each with its name.
    pub fn iter<'s>(&'s self, snapshot: &'s Snapshot) -> impl Iterator<Item = (&'s str, Record<'s>)> {
        self.by_name.iter().filter_map(|(name, at)| Some((&**name, snapshot.get(*at)?)))
    }

    /// The router that a router up to 2.x calls by that id: in its own network, where that is known.
    fn called(&self, id: &str, by: Option<Record<'_>>) -> Option<RecordRef> {
        let own = by.and_then(|router| router.text(Attribute::Name)).map(Text::to_cow);
        match own.as_ref().and_then(|own| own.split_once('/')) {
            Some((network, _)) => self.named(&format!("{network}/{id}")),
            None => self.by_id.get(id).copied(),
        }
    }
}

/// What a router is called in its network: `east-1` of `0/east-1`.
fn id_in_network(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, id)| id)
}

/// Whether the side that a LINK is reported from connects or accepts; none where it is reported for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side that sets the link up.
    Connects,
    /// The side that the link arrives at.
    Accepts,
}

impl Side {
    /// The side that a LINK says it speaks for.
    pub fn of(link: Record<'_>) -> Option<Self> {
        let direction = link.text(Attribute::Direction)?;
        Some(if direction == *"incoming" { Self::Accepts } else { Self::Connects })
    }

    fn other(self) -> Self {
        match self {
            Self::Connects => Self::Accepts,
            Self::Accepts => Self::Connects,
        }
    }
}

/// `inter-router` or `edge`; none where neither was reported.
///
/// Routers up to 2.x report no role but a mode, that of the connection: `interior` is between two of these.
pub fn role(link: Record<'_>) -> Option<&'static str> {
    let reported = link.text(Attribute::Role).or_else(|| link.text(Attribute::Mode))?;
    [("inter-router", "inter-router"), ("edge", "edge"), ("interior", "inter-router")]
        .into_iter()
        .find_map(|(name, role)| (reported == *name).then_some(role))
}

/// `up` or `down`.
///
/// Routers up to 2.x report a link while it is connected, and nothing else of how it is; and what is known of a link by
/// its counters alone has passed something.
pub fn status(link: Record<'_>) -> &'static str {
    let is_up = match link.text(Attribute::OperStatus) {
        Some(status) => status == *"up",
        None => link.is_live(),
    };
    if is_up { "up" } else { "down" }
}

/// The routers at both ends of a LINK, as far as they are known.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'s> {
    link: Record<'s>,
    /// The router that connects.
    pub connects: Option<Record<'s>>,
    /// The router that is connected to.
    pub accepts: Option<Record<'s>>,
}

impl<'s> Ends<'s> {
    /// The ends of a LINK, with the routers of the same snapshot.
    pub fn of(routers: &Routers, snapshot: &'s Snapshot, link: Record<'s>) -> Self {
        let reporter = link.router();
        let Some(side) = Side::of(link) else {
            let accepts = link.peer().and_then(|access| access.router());
            return Self { link, connects: reporter, accepts };
        };
        let other = link
            .text(Attribute::Name)
            .and_then(|id| routers.called(&id.to_cow(), reporter))
            .and_then(|at| snapshot.get(at));
        match (side, other) {
            (Side::Accepts, Some(_)) => Self { link, connects: other, accepts: reporter },
            _ => Self { link, connects: reporter, accepts: other },
        }
    }

    /// The id of the router that connects, reported though there may be no record of it yet.
    pub fn connecting_id(&self) -> Option<Text<'s>> {
        let is_reporter = self.connects == self.link.router();
        if is_reporter { self.link.text(Attribute::Parent) } else { self.connects.map(|router| router.id()) }
    }

    /// The router at the end that the LINK is not reported from.
    pub fn other(&self) -> Option<Record<'s>> {
        if self.connects == self.link.router() { self.accepts } else { self.connects }
    }

    /// Whether it is reported by the router that is connected to, and the one that connects reports it, too, or may once that is
    /// known. A link counts once, where it is set up, and not here: routers up to 2.x report it from both sides.
    pub fn is_far_side(&self) -> bool {
        Side::of(self.link) == Some(Side::Accepts) && self.silent().is_none()
    }

    /// Of a LINK that is reported from one side, the router at the other if nobody reports the link from there.
    pub fn silent(&self) -> Option<Record<'s>> {
        let side = Side::of(self.link)?;
        let (reporter, other) = (self.link.router()?, self.other()?);
        // There may be several links between two routers (faults 14): the first from here is the first from there.
        let rank = reported(reporter, other, side, self.link.is_live())
            .filter(|link| age(*link) < age(self.link))
            .count();
        (rank >= reported(other, reporter, side.other(), self.link.is_live()).count()).then_some(other)
    }

    /// The live links that are reported from the other side and can be this one.
    pub fn counterparts(&self) -> impl Iterator<Item = Record<'s>> + use<'s> {
        let found = Side::of(self.link)
            .and_then(|side| Some(reported(self.other()?, self.link.router()?, side.other(), true)));
        found.into_iter().flatten()
    }
}

/// The links to another router that a router reports from one side, or that can be to it.
fn reported<'s>(
    router: Record<'s>,
    other: Record<'s>,
    side: Side,
    is_live: bool,
) -> impl Iterator<Item = Record<'s>> + use<'s> {
    let name = other.text(Attribute::Name).map(Text::to_cow);
    router
        .children()
        .filter(move |link| link.kind() == Some(RecordKind::Link) && link.is_live() == is_live)
        .filter(move |link| match Side::of(*link) {
            Some(own) if own == side => {
                let called = link.text(Attribute::Name);
                name.as_deref().is_some_and(|name| called.is_some_and(|id| id == *id_in_network(name)))
            }
            Some(_) => false,
            // Of a link to a router up to 2.x, which has no ROUTER_ACCESS, today's routers do not know where it arrived.
            None => {
                side == Side::Connects
                    && link.get(Attribute::Peer).is_none()
                    && link.text(Attribute::OperStatus).is_none_or(|status| status != *"down")
            }
        })
}

fn age(link: Record<'_>) -> (Option<Timestamp>, String) {
    (link.start(), link.id().to_string())
}
