//! What a manifest of Kubernetes sets for the collector. Tests of the collector's own process read it, too.

/// The variables that a manifest sets for the collector, in its order.
pub fn environment(manifest: &str) -> Vec<(String, String)> {
    let mut lines = manifest.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("- name: ").filter(|name| name.starts_with("VANFLOW_")) {
            let value = lines.next().and_then(|line| line.strip_prefix("value: ")).expect("a value");
            found.push((name.to_owned(), value.trim_matches('"').to_owned()));
        }
    }
    found
}
