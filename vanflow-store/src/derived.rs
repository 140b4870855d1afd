//! Ids of records that no source told but that follow from others.

/// The id of a service: the network observer's, so that bookmarks and labels go on meaning the same.
pub(crate) fn service_id(address: &str, protocol: &str) -> String {
    id("adr", &[address, protocol])
}

/// The id of an image.
pub(crate) fn image_id(name: &str) -> String {
    id("image", &[name])
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
        assert_eq!(id("pg", &["client"]), "pg-065db63da765a6ff");
    }
}
