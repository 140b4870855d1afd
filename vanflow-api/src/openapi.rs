//! The OpenAPI document of everything that there is.

use serde_json::{Map, Value, json};

use crate::{
    route::{self, Endpoint, PROMETHEUS, V1ALPHA1, V2ALPHA1},
    v1, v1alpha1, v2alpha1,
};

/// The document, ready to be sent.
pub(crate) fn document() -> Vec<u8> {
    let mut document = v1alpha1::document_value();
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    let original = document["info"]["description"].as_str().unwrap_or_default();
    document["info"]["description"] = json!(format!("{INTRODUCTION}\n\n# /api/v1alpha1\n\n{original}"));
    let mut extend = |at: [&str; 2], more: Map<String, Value>| {
        let part =
            at.iter().filter(|name| !name.is_empty()).fold(&mut document, |part, name| &mut part[*name]);
        if let Some(members) = part.as_object_mut() {
            members.extend(more);
        }
    };
    extend(["paths", ""], v1::openapi::paths());
    extend(["components", "schemas"], v1::openapi::schemas());
    extend(["paths", ""], v2alpha1::openapi::paths());
    extend(["components", "schemas"], v2alpha1::openapi::schemas());
    extend(["components", "parameters"], v2alpha1::openapi::parameters());
    tag(&mut document);
    let mut text = serde_json::to_vec_pretty(&document).expect("the document has only strings for keys");
    text.push(b'\n');
    text
}

/// Says of each operation what it belongs to, so that readers can show together what does.
fn tag(document: &mut Value) {
    const OWN: &str = "This collector's own API";
    const OBSERVER: &str = "The network observer's API";
    const CONSOLE: &str = "What the console asks besides";
    const HISTORY: &str = "The history of metrics, as Prometheus answers";
    const ORIGINAL: &str = "The original API";
    const COLLECTOR: &str = "The collector";
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        let tag = match route::find(path).map(|(route, _)| route.endpoint) {
            Some(Endpoint::V1(_)) => OWN,
            _ if path.starts_with(PROMETHEUS) => HISTORY,
            Some(Endpoint::User | Endpoint::Logout | Endpoint::Chart(_)) => CONSOLE,
            _ if path.starts_with(V2ALPHA1) => OBSERVER,
            _ if path.starts_with(V1ALPHA1) => ORIGINAL,
            _ => COLLECTOR,
        };
        for operation in operations.as_object_mut().into_iter().flatten().map(|(_, operation)| operation) {
            operation["tags"] = json!([tag]);
        }
    }
    let names = [OWN, OBSERVER, CONSOLE, HISTORY, ORIGINAL, COLLECTOR].map(|name| json!({ "name": name }));
    document["tags"] = json!(names);
}

const INTRODUCTION: &str = "What the routers and controllers of a Skupper network report it, in three forms.\n\n\
    # /api/v1\n\n\
    What a page or a script needs beside the lists of the others: whether what is seen is complete, and what is wrong. \
    Times are microseconds since the Unix epoch, durations and latencies microseconds, rates are per second. What is not \
    known is absent, never 0 or null.\n\n\
    # /api/v2alpha1\n\n\
    The API of Skupper's network observer. Every property of the records of a list is a filter; texts are compared \
    with how they start. `name=value` finds what has that value, `name!=value` (a parameter called `name!`) all else, \
    `name=*` what has any that is known, `name!=*` what has none. A value that an answer shows finds what it is shown \
    of; one that a property cannot have is an error. Lists have what was there at some time in the last 15 minutes, unless another time range is \
    asked for. Times are microseconds since the Unix epoch, 0 where not known or not yet; durations and latencies are \
    microseconds. What is not known is `unknown`, null or absent, and is mended when it is reported.";
