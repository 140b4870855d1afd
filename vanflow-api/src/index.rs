//! The front page.

use std::fmt::Write;

use crate::route::{Endpoint, ID, ROUTES, Route, V1ALPHA1};

/// The page that `/` is: what this is, and where to go from here. It needs nothing from anywhere else.
pub(crate) fn page() -> String {
    let mut page = String::from(HEAD);
    // What has an identity in its path is not for guessing: the document has it.
    let is_shown = |route: &&Route| route.endpoint != Endpoint::Index && !route.path.contains(ID);
    for route in ROUTES.iter().filter(is_shown) {
        let needed: Vec<_> =
            route.parameters.iter().filter(|parameter| parameter.required.is_some()).collect();
        let name = route.path.strip_prefix(V1ALPHA1).unwrap_or(route.path);
        let summary = code(route.summary);
        let written = match needed.as_slice() {
            [] => writeln!(page, "<tr><td><a href=\"{}\">{name}</a><td>{summary}", route.path),
            // Without them there is only an error to see.
            [parameter, ..] => writeln!(page, "<tr><td>{name}?{}=…<td>{summary}", parameter.name),
        };
        written.expect("strings take all");
    }
    page.push_str(TAIL);
    page
}

/// Text with what stands between back-ticks marked as code.
fn code(text: &str) -> String {
    let mut marked = String::new();
    for (position, part) in text.split('`').enumerate() {
        let part = part.replace('&', "&amp;").replace('<', "&lt;");
        match position % 2 {
            0 => marked.push_str(&part),
            _ => marked.extend(["<code>", &part, "</code>"]),
        }
    }
    marked
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>VAN-Flow collector</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
td { padding: .15rem 1rem .15rem 0; vertical-align: top }
td:first-child { white-space: nowrap }
</style>
<h1>VAN-Flow collector</h1>
<p>This collector gathers what the routers and controllers of a Skupper network tell of it. It answers in JSON.
<table>
";

const TAIL: &str = "</table>
<p>Every list takes <code>limit</code>, <code>offset</code> and <code>watch=1</code>, which goes on with what changes;
those of the original API take <code>includeDeleted=1</code>, those of the network observer's filters, an order and a
time range.
</html>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_that_needs_no_parameter_is_linked_and_nothing_comes_from_elsewhere() {
        let page = page();
        for route in ROUTES.iter().filter(|route| route.endpoint != Endpoint::Index) {
            let is_linked = page.contains(&format!("href=\"{}\"", route.path));
            let needs_none = !route.path.contains(ID)
                && route.parameters.iter().all(|parameter| parameter.required.is_none());
            assert_eq!(is_linked, needs_none, "{}", route.path);
        }
        assert!(!page.contains("://"), "{page}");
        assert!(page.contains("is <code>incoming</code>"), "{page}");
    }
}
