//! Under which names the collector is asked.
//!
//! A page of another site can have its own name lead to the address of a collector, and then counts as a page of the
//! collector to the browser that shows it (DNS rebinding): it could read whatever that browser may. What gives it away is
//! the name, which the browser says with each request. So where requests are answered without credentials, only names
//! are answered to that such a page cannot have (faults 35). Where credentials are asked for, those of a browser go by
//! the name too, and other names have none.

use std::net::IpAddr;

use http::{
    Uri,
    header::{HOST, HeaderMap},
    uri::Authority,
};

use crate::config;

/// Names that are served, and whether others are refused.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    named: Vec<String>,
    is_checked: bool,
    is_local: bool,
}

impl Hosts {
    /// The names of `--listen` and `--public-url`. `is_open` says whether requests are answered without credentials.
    pub(crate) fn new(settings: &config::Http, is_open: bool) -> Self {
        let listened = settings.listen.iter().map(|address| host_of_address(address));
        let public = settings.public_urls.iter().filter_map(|url| url.authority()).map(Authority::host);
        Self {
            named: listened.chain(public).map(comparable).collect(),
            is_checked: is_open || !settings.public_urls.is_empty(),
            is_local: settings.is_local(),
        }
    }

    /// Why a request is for somebody else, if it is.
    pub(crate) fn refusal(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        if !self.is_checked {
            return None;
        }
        let written = uri.authority().map(Authority::as_str).into_iter().map(Some);
        let sent = headers.get_all(HOST).into_iter().map(|host| host.to_str().ok());
        // Whoever says no name at all is no browser.
        written.chain(sent).find_map(|host| {
            let host = host.unwrap_or_default();
            let is_known = host.parse::<Authority>().is_ok_and(|host| self.serves(host.host()));
            (!is_known).then(|| {
                let host: String = host.chars().take(80).collect();
                format!("{host:?} is none of the names of this collector: if it should be, start it with --public-url http://{host}")
            })
        })
    }

    fn serves(&self, host: &str) -> bool {
        let host = comparable(host);
        // No DNS leads from an address to another: a page that is at one is the collector's own.
        let is_address = host.parse::<IpAddr>().is_ok();
        is_address
            || host == "localhost"
            || self.named.contains(&host)
            || (!self.is_local && is_of_cluster(&host))
    }
}

/// Whether only the DNS of a cluster has such names, as Kubernetes gives them to services: nobody on the internet can have
/// a page there.
fn is_of_cluster(host: &str) -> bool {
    !host.is_empty()
        && (!host.contains('.') || host.ends_with(".svc") || host.ends_with(".svc.cluster.local"))
}

/// As names and addresses are compared: in small letters, without brackets and a dot at the end.
fn comparable(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches([']', '.']).to_ascii_lowercase()
}

/// The host of `host:port`.
pub(crate) fn host_of_address(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

/// Whether only this machine reaches that host.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = comparable(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use vanflow_api::Cors;

    use super::*;

    fn hosts(listen: &str, public: &[&str], is_open: bool) -> Hosts {
        let settings = config::Http {
            listen: vec![listen.to_owned()],
            public_urls: public.iter().map(|url| url.parse().expect("a URL")).collect(),
            tls: None,
            client_ca: None,
            cors: Cors::SameOrigin,
            limits: config::Limits::default(),
        };
        Hosts::new(&settings, is_open)
    }

    fn refused(hosts: &Hosts, names: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(HOST, HeaderValue::try_from(*name).expect("a header"));
        }
        hosts.refusal(&Uri::from_static("/"), &headers)
    }

    #[test]
    fn on_loopback_only_names_are_served_that_no_other_page_can_have() {
        // faults 35
        let hosts = hosts("127.0.0.1:8010", &["https://van.example.com/path"], true);
        for name in [
            "localhost",
            "LOCALHOST:8010",
            "localhost.:8010",
            "127.0.0.1:8010",
            "127.8.8.8",
            "[::1]:8010",
            "192.0.2.7:8010",
            "van.example.com",
            "Van.Example.com:443",
        ] {
            assert_eq!(refused(&hosts, &[name]), None, "{name}");
        }
        for name in [
            "evil.example:8010",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "example.com",
            "collector",
            "collector.site.svc",
            "",
            "a b",
            "[::1",
        ] {
            assert!(refused(&hosts, &[name]).is_some(), "{name}");
        }
        assert_eq!(
            refused(&hosts, &["evil.example:8010"]).as_deref(),
            Some(
                "\"evil.example:8010\" is none of the names of this collector: if it should be, start it with \
                 --public-url http://evil.example:8010"
            )
        );
        assert_eq!(refused(&hosts, &[]), None, "no browser leaves it out");
        assert!(refused(&hosts, &["localhost", "evil.example"]).is_some(), "both have to be right");
    }

    #[test]
    fn the_name_in_the_line_of_a_request_counts_as_much() {
        // faults 35
        let hosts = hosts("127.0.0.1:8010", &[], true);
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        assert!(hosts.refusal(&Uri::from_static("http://evil.example/"), &headers).is_some());
        assert_eq!(hosts.refusal(&Uri::from_static("https://localhost:8010/"), &headers), None);
    }

    #[test]
    fn beyond_loopback_a_cluster_has_its_names_for_it() {
        let hosts = hosts("0.0.0.0:8010", &[], true);
        for name in ["skupper-collector:8010", "c.site.svc:8010", "c.site.svc.cluster.local", "10.0.0.7:8010"]
        {
            assert_eq!(refused(&hosts, &[name]), None, "{name}");
        }
        for name in ["evil.example", "c.site.svc.evil.example", "svc.example"] {
            assert!(refused(&hosts, &[name]).is_some(), "{name}");
        }
    }

    #[test]
    fn where_credentials_are_asked_for_any_name_is_served_unless_there_are_public_ones() {
        assert_eq!(refused(&hosts("0.0.0.0:8010", &[], false), &["van.example.com"]), None);
        let hosts = hosts("0.0.0.0:8010", &["https://van.example.com"], false);
        assert_eq!(refused(&hosts, &["van.example.com"]), None);
        assert!(refused(&hosts, &["other.example.com"]).is_some());
    }

    #[test]
    fn loopback_is_what_only_this_machine_reaches() {
        for host in ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["0.0.0.0", "[::]", "10.0.0.1", "myhost", "localhost.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
