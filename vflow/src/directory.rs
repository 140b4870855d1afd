//! What sites and processes are called, and what they belong to: for what items name by identity only.

use serde_json::Value;
use vanflow_api::selection::{Directory, Process};

use crate::{client::Client, error::Error, question::Question};

/// Learns what sites are called, those included that have ended and are kept.
pub(crate) async fn learn_sites(directory: &mut Directory, client: &Client) -> Result<(), Error> {
    let question = all("api/v2alpha1/sites", "identity,name");
    for site in client.results(&question).await? {
        directory.sites.insert(text(&site["identity"]), text(&site["name"]));
    }
    Ok(())
}

/// Learns what processes belong to, those included that have ended and are kept.
pub(crate) async fn learn_processes(directory: &mut Directory, client: &Client) -> Result<(), Error> {
    let question = all("api/v2alpha1/processes", "identity,componentName,componentId,services");
    for process in client.results(&question).await? {
        let services = process["services"].as_array().into_iter().flatten().map(text).collect();
        let known = Process {
            component: text(&process["componentName"]),
            component_id: text(&process["componentId"]),
            services,
        };
        directory.processes.insert(text(&process["identity"]), known);
    }
    Ok(())
}

fn all(path: &'static str, fields: &str) -> Question {
    Question::new(path).with("timeRangeStart", 0).with("fields", fields)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
