//! Sites, routers, and what is between them.

use vanflow_proto::Attribute;
use vanflow_store::Record;

use crate::{
    link,
    v2alpha1::{
        schema::{Cell, UNKNOWN, schema},
        view::{Subject, end_of, key, start_of},
    },
};

schema! {
    /// A site: a place where part of an application runs.
    SITE "Site" |view, Subject::Record(site)| {
        "derived" Truth Always "Whether no source reported it: it stands for the site of routers that name none, or one that nobody reported." =>
            Cell::Truth(site.is_derived());
        "endTime" Instant Always "When the site went; 0 while it is there." => end_of(*site);
        "identity" Text Always "The identity of the record." => Cell::text(site.id().to_cow());
        "key" Text Always "The identity and the start: identities can be given out again." => key(site.id(), site.start());
        "name" Text Always "The name of the site." => Cell::or_unknown(site.text(Attribute::Name));
        "namespace" Text Nullable "The namespace that the site is in." => Cell::or_null(site.text(Attribute::Namespace));
        "platform" OneOf(PLATFORMS) Always "`kubernetes`, `docker`, `podman`, `linux` or `unknown`." =>
            Cell::one_of(site.text(Attribute::Platform), PLATFORMS, UNKNOWN);
        "provider" Text Always "Who provides the infrastructure; empty where not known." =>
            Cell::or_empty(site.text(Attribute::Provider));
        "routerCount" Number Always "How many routers of the site there are." =>
            Cell::Number(site.routers().filter(Record::is_live).count() as u64);
        "startTime" Instant Always "When the site came to be." => start_of(*site);
        "version" Text Always "The version of Skupper." => Cell::or_unknown(site.text(Attribute::BuildVersion));
    }
}

const PLATFORMS: &[&str] = &["kubernetes", "docker", "podman", "linux", UNKNOWN];

schema! {
    /// A router.
    ROUTER "Router" |view, Subject::Record(router)| {
        "buildVersion" Text Always "The version of the router; empty where not known." =>
            Cell::or_empty(router.text(Attribute::BuildVersion));
        "endTime" Instant Always "When the router went; 0 while it is there." => end_of(*router);
        "hostName" Text Always "The host that it runs on." => Cell::or_unknown(router.text(Attribute::Hostname));
        "identity" Text Always "The identity of the record." => Cell::text(router.id().to_cow());
        "imageName" Text Always "The image that it runs." => Cell::or_unknown(router.text(Attribute::ImageName));
        "imageVersion" Text Always "The version of that image." =>
            Cell::or_unknown(router.text(Attribute::ImageVersion));
        "key" Text Always "The identity and the start: identities can be given out again." => key(router.id(), router.start());
        "mode" Text Always "`interior` or `edge`." => Cell::or_unknown(router.text(Attribute::Mode));
        "name" Text Always "The name of the router." => Cell::or_unknown(router.text(Attribute::Name));
        "namespace" Text Optional "The namespace that it runs in." =>
            router.text(Attribute::Namespace).map_or(Cell::Absent, |text| Cell::text(text.to_cow()));
        "siteId" Text Always "The site that it is in." => Cell::or_unknown(router.site_id());
        "startTime" Instant Always "When the router came to be." => start_of(*router);
    }
}

schema! {
    /// A link between two routers, as the one that connects reports it. Routers up to 2.x report it from each side.
    ROUTER_LINK "RouterLink" |view, Subject::Record(link)| {
        "cost" Number Nullable "The cost of the link, once it has been connected." =>
            Cell::number_or_null(link.uint(Attribute::LinkCost).filter(|_| has_been_connected(*link)));
        "destinationRouterId" Text Nullable "The router that is connected to." =>
            Cell::or_null(view.ends(*link).accepts.map(|router| router.id()));
        "destinationRouterName" Text Nullable "Its name." => view.ends(*link).accepts
            .map_or(Cell::Null, |router| Cell::or_unknown(router.text(Attribute::Name)));
        "destinationSiteId" Text Nullable "Its site." =>
            Cell::or_null(view.ends(*link).accepts.and_then(|router| router.site_id()));
        "destinationSiteName" Text Nullable "The name of that site." =>
            view.ends(*link).accepts.map_or(Cell::Null, |router| site_name(Some(router)));
        "endTime" Instant Always "When the link went; 0 while it is there, up or down." => end_of(*link);
        "identity" Text Always "The identity of the record." => Cell::text(link.id().to_cow());
        "key" Text Always "The identity and the start: identities can be given out again." => key(link.id(), link.start());
        "name" Text Always "The name of the link." => Cell::or_unknown(link.text(Attribute::Name));
        "octetCount" Number Always reported(Octets) "Octets sent by the router that connects." =>
            link.uint(Attribute::Octets);
        "octetReverseCount" Number Always reported(OctetsReverse) "Octets sent to it." =>
            link.uint(Attribute::OctetsReverse);
        "proxyProtocol" OneOf(&["HTTP", "NONE"]) Nullable "`HTTP` where it goes through a proxy, `NONE` where not." =>
            match link.text(Attribute::HttpProxy) {
                Some(text) if text == *"yes" => Cell::text("HTTP"),
                Some(text) if text == *"no" => Cell::text("NONE"),
                _ => Cell::Null,
            };
        "role" OneOf(&["inter-router", "edge", UNKNOWN]) Always "`inter-router`, `edge` or `unknown`." =>
            Cell::text(link::role(*link).unwrap_or(UNKNOWN));
        "routerAccessId" Text Nullable "The router access that it arrived at, once it has been connected." =>
            Cell::or_null(link.text(Attribute::Peer));
        "routerId" Text Always "The router that connects." => Cell::or_unknown(view.ends(*link).connecting_id());
        "routerName" Text Always "Its name." =>
            Cell::or_unknown(view.ends(*link).connects.and_then(|router| router.text(Attribute::Name)));
        "sourceSiteId" Text Always "Its site." =>
            Cell::or_unknown(view.ends(*link).connects.and_then(|router| router.site_id()));
        "sourceSiteName" Text Always "The name of that site." => site_name(view.ends(*link).connects);
        "startTime" Instant Always "When the link was set up." => start_of(*link);
        "status" OneOf(&["up", "down"]) Always "`up` or `down`." => Cell::text(link::status(*link));
    }
}

fn has_been_connected(link: Record<'_>) -> bool {
    [Attribute::Peer, Attribute::Direction].into_iter().any(|attribute| link.get(attribute).is_some())
}

/// The name of the site that something is in.
pub(crate) fn site_name(record: Option<Record<'_>>) -> Cell<'_> {
    Cell::or_unknown(record.and_then(|record| record.site()).and_then(|site| site.text(Attribute::Name)))
}

schema! {
    /// Where a router accepts links of other routers.
    ROUTER_ACCESS "RouterAccess" |view, Subject::Record(access)| {
        "endTime" Instant Always "When it went; 0 while it is there." => end_of(*access);
        "identity" Text Always "The identity of the record." => Cell::text(access.id().to_cow());
        "key" Text Always "The identity and the start: identities can be given out again." => key(access.id(), access.start());
        "linkCount" Number Always reported(LinkCount) "How many links arrive there." =>
            access.uint(Attribute::LinkCount);
        "name" Text Always "Its name." => Cell::or_unknown(access.text(Attribute::Name));
        "role" Text Always "`inter-router`, `edge` or what else was reported." => Cell::or_unknown(access.text(Attribute::Role));
        "routerId" Text Always "The router." => Cell::or_unknown(access.text(Attribute::Parent));
        "startTime" Instant Always "When it came to be." => start_of(*access);
    }
}
