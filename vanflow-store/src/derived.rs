//! Ids of what no source reported but what follows from records.
//!
//! They are the network observer's, so that bookmarks and labels go on meaning the same, and they depend on nothing
//! but what is named here: every collector comes to the same ones.

/// The id of a service.
pub fn service_id(address: &str, protocol: &str) -> String {
    id("adr", &[address, protocol])
}

/// The id of an image.
pub fn image_id(name: &str) -> String {
    id("image", &[name])
}

/// The id of the site of a router that names none.
pub fn gateway_id(router: &str) -> String {
    format!("gateway-{router}")
}

/// The id of a component, the processes of one group.
pub fn component_id(group: &str) -> String {
    id("pg", &[group])
}

/// The id of the process that must be at a host of a site though no PROCESS record says so.
pub fn site_process_id(host: &str, site: &str) -> String {
    id("siteproc", &[host, site])
}

/// The id of what goes from one process to another by one protocol, all taken together.
pub fn process_pair_id(source: &str, destination: &str, protocol: &str) -> String {
    id("processpair", &[source, destination, protocol])
}

/// As [`process_pair_id`], of sites.
pub fn site_pair_id(source: &str, destination: &str, protocol: &str) -> String {
    id("sitepair", &[source, destination, protocol])
}

/// As [`process_pair_id`], of components.
pub fn component_pair_id(source: &str, destination: &str, protocol: &str) -> String {
    id("grouppair", &[source, destination, protocol])
}

/// A prefix, and 64 bits of FNV-1 (not FNV-1a) over the prefix and the parts, without separators.
fn id(prefix: &str, parts: &[&str]) -> String {
    let hash = std::iter::once(&prefix)
        .chain(parts)
        .flat_map(|part| part.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            hash.wrapping_mul(0x0000_0100_0000_01b3) ^ u64::from(byte)
        });
    format!("{prefix}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_network_observers() {
        assert_eq!(service_id("backend", "tcp"), "adr-f2ce465a1ba7c84d");
        let (client, server) = (component_id("client"), "pg-1ae2866d06f6ef13");
        assert_eq!(client, "pg-065db63da765a6ff");
        assert_eq!(component_pair_id(&client, server, "tcp"), "grouppair-a87f2d290fdbc409");
        assert_eq!(site_process_id("db.example.com", "bbbb2222-site-b"), "siteproc-18c7d2dc19b3d3f8");
        for (protocol, expected) in [("tcp", "3a5bc71f219442f9"), ("http1", "9c30e2c7bc5c4c85")] {
            let id = process_pair_id("proc-client", "proc-server", protocol);
            assert_eq!(id, format!("processpair-{expected}"));
        }
        let sites = site_pair_id("aaaa1111-site-a", "bbbb2222-site-b", "tcp");
        assert_eq!(sites, "sitepair-c9b6896bbb4c6690");
    }
}
