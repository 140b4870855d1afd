//! From the routers that a connection names as passed to all that it passed: links, and routers that do not name
//! themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use vanflow_proto::{Attribute, RecordKind};

use crate::{
    json::{Json, Object},
    link,
    v1::subject::in_network,
    v2alpha1::View,
};

/// A router or a link that traffic passes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hop {
    pub(super) is_link: bool,
    pub(super) id: String,
    pub(super) name: String,
    site: Option<(String, Option<String>)>,
    pub(super) cost: Option<u64>,
    /// Whether it follows from links alone.
    pub(super) is_inferred: bool,
}

impl Hop {
    pub(super) fn render(&self, json: &mut Json) {
        let mut object = Object::open(json);
        object.string("type", if self.is_link { "link" } else { "router" });
        object.string("id", &self.id);
        object.string("name", &self.name);
        if let Some((id, name)) = &self.site {
            object.string("siteId", id);
            if let Some(name) = name {
                object.string("siteName", name);
            }
        }
        if let Some(cost) = self.cost {
            object.uint("cost", cost);
        }
        if self.is_inferred {
            object.name("inferred");
            object.json.raw("true");
        }
        object.close();
    }
}

/// The routers of a network and the links between them.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By what they have as `name`.
    routers: HashMap<String, Hop>,
    /// Between which routers, both ways, those that are up first, then by cost.
    links: BTreeMap<(String, String), Vec<Hop>>,
    neighbours: BTreeMap<String, BTreeSet<String>>,
}

/// No way passes more routers than that.
const MOST_ROUTERS: usize = 64;

impl Routes {
    pub(super) fn new(view: View<'_>) -> Self {
        let mut routes = Self::default();
        for (name, router) in view.derived.routers.iter(view.snapshot) {
            let site = router.site_id().map(|id| {
                let site = router.site().and_then(|site| site.text(Attribute::Name));
                (id.to_string(), site.map(|name| name.to_string()))
            });
            let shown = in_network(name).to_owned();
            let hop = Hop { id: router.id().to_string(), name: shown, site, ..Hop::default() };
            routes.routers.insert(name.to_owned(), hop);
        }
        let mut links: Vec<_> = view.snapshot.live_of_kind(RecordKind::Link).collect();
        links.sort_by_cached_key(|record| {
            (
                link::status(*record) != "up",
                record.uint(Attribute::LinkCost).unwrap_or(u64::MAX),
                record.id().to_string(),
            )
        });
        for record in links {
            let ends = view.ends(record);
            let name = |router: Option<vanflow_store::Record<'_>>| {
                router?.text(Attribute::Name).map(|name| name.to_string())
            };
            let (Some(one), Some(other)) = (name(ends.connects), name(ends.accepts)) else { continue };
            let id = record.id().to_string();
            let hop = Hop {
                is_link: true,
                name: record.text(Attribute::Name).map_or_else(|| id.clone(), |name| name.to_string()),
                id,
                cost: record.uint(Attribute::LinkCost),
                ..Hop::default()
            };
            for (one, other) in [(&one, &other), (&other, &one)] {
                routes.links.entry((one.clone(), other.clone())).or_default().push(hop.clone());
                routes.neighbours.entry(one.clone()).or_default().insert(other.clone());
            }
        }
        routes
    }

    /// All that is passed by what names these routers, in their order.
    pub(super) fn between(&self, named: &[String]) -> Vec<Hop> {
        let mut hops = Vec::new();
        for (position, router) in named.iter().enumerate() {
            if let Some(before) = position.checked_sub(1).map(|before| &named[before]) {
                self.lead(before, router, &mut hops);
            }
            let unknown = || Hop { name: router.clone(), id: router.clone(), ..Hop::default() };
            hops.push(self.routers.get(router).cloned().unwrap_or_else(unknown));
        }
        hops
    }

    /// Adds what lies between two routers of which one named itself right after the other.
    fn lead(&self, from: &str, to: &str, hops: &mut Vec<Hop>) {
        let Some(way) = self.cheapest(from, to) else { return };
        let is_inferred = way.len() > 2;
        for step in way.windows(2) {
            let Some(links) = self.links.get(&(step[0].clone(), step[1].clone())) else { continue };
            // Of several links which one it was is not known.
            if let Some(link) = links.first() {
                hops.push(Hop { is_inferred: is_inferred || links.len() > 1, ..link.clone() });
            }
            if step[1] != to
                && let Some(router) = self.routers.get(&step[1])
            {
                hops.push(Hop { is_inferred: true, ..router.clone() });
            }
        }
    }

    /// The routers on the way with the least cost, both ends included; the one with the fewest of several. A link whose
    /// cost is not known counts as 1.
    fn cheapest(&self, from: &str, to: &str) -> Option<Vec<String>> {
        if self.links.contains_key(&(from.to_owned(), to.to_owned())) {
            return Some(vec![from.to_owned(), to.to_owned()]);
        }
        let mut open = BTreeSet::from([(0, vec![from.to_owned()])]);
        let mut done = BTreeSet::new();
        while let Some((cost, way)) = open.pop_first() {
            let last = way.last()?.clone();
            if last == to {
                return Some(way);
            }
            if !done.insert(last.clone()) || way.len() >= MOST_ROUTERS {
                continue;
            }
            for next in self.neighbours.get(&last).into_iter().flatten().filter(|next| !done.contains(*next))
            {
                let link = self.links.get(&(last.clone(), next.clone())).and_then(|links| links.first());
                let step = link.and_then(|link| link.cost).unwrap_or(1);
                let way = way.iter().cloned().chain([next.clone()]).collect();
                open.insert((cost + step, way));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(links: &[(&str, &str, u64)]) -> Routes {
        let mut routes = Routes::default();
        for (one, other, cost) in links {
            let hop = Hop { is_link: true, id: format!("{one}{other}"), cost: Some(*cost), ..Hop::default() };
            for (one, other) in [(one, other), (other, one)] {
                let router = Hop { id: (*one).to_owned(), ..Hop::default() };
                routes.routers.insert((*one).to_owned(), router);
                routes.links.entry(((*one).to_owned(), (*other).to_owned())).or_default().push(hop.clone());
                routes.neighbours.entry((*one).to_owned()).or_default().insert((*other).to_owned());
            }
        }
        routes
    }

    fn shown(routes: &Routes, named: &[&str]) -> String {
        let named: Vec<_> = named.iter().map(|name| (*name).to_owned()).collect();
        let hops = routes.between(&named);
        let shown = hops.iter().map(|hop| format!("{}{}", hop.id, if hop.is_inferred { "?" } else { "" }));
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_router_that_does_not_name_itself_follows_from_the_cheapest_links() {
        let routes = routes(&[("a", "b", 1), ("b", "c", 1), ("a", "d", 1), ("d", "c", 5), ("c", "e", 1)]);
        assert_eq!(shown(&routes, &["a", "b", "c"]), "a ab b bc c");
        assert_eq!(shown(&routes, &["a", "c", "e"]), "a ab? b? bc? c ce e");
        assert_eq!(shown(&routes, &["a"]), "a");
        assert_eq!(shown(&routes, &[]), "");
    }

    #[test]
    fn a_direct_link_is_taken_however_much_it_costs_and_of_two_which_is_inferred() {
        let routes = routes(&[("a", "b", 9), ("a", "c", 1), ("c", "b", 1), ("c", "b", 2)]);
        assert_eq!(shown(&routes, &["a", "b"]), "a ab b");
        assert_eq!(shown(&routes, &["a", "c", "b"]), "a ac c cb? b");
    }

    #[test]
    fn routers_without_links_are_passed_all_the_same() {
        let routes = routes(&[("a", "b", 1)]);
        assert_eq!(shown(&routes, &["a", "x"]), "a x");
    }
}
