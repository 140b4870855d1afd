//! What sites and processes are called, and what they belong to: for what items name by identity only.

use std::collections::HashMap;

use serde_json::Value;

use crate::{client::Client, error::Error, question::Question};

/// Sites and processes by their identities, those included that have ended and are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    sites: HashMap<String, String>,
    processes: HashMap<String, Process>,
}

/// What a process belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Process {
    pub(crate) component: String,
    pub(crate) component_id: String,
    /// The services that it serves, each name, identity and protocol.
    pub(crate) services: Vec<String>,
}

impl Directory {
    /// Learns what sites are called.
    pub(crate) async fn learn_sites(&mut self, client: &Client) -> Result<(), Error> {
        let question = all("api/v2alpha1/sites", "identity,name");
        for site in client.results(&question).await? {
            self.sites.insert(text(&site["identity"]), text(&site["name"]));
        }
        Ok(())
    }

    /// Learns what processes belong to.
    pub(crate) async fn learn_processes(&mut self, client: &Client) -> Result<(), Error> {
        let question = all("api/v2alpha1/processes", "identity,componentName,componentId,services");
        for process in client.results(&question).await? {
            let services = process["services"].as_array().into_iter().flatten().map(text).collect();
            let known = Process {
                component: text(&process["componentName"]),
                component_id: text(&process["componentId"]),
                services,
            };
            self.processes.insert(text(&process["identity"]), known);
        }
        Ok(())
    }

    pub(crate) fn site_name(&self, id: &str) -> Option<&str> {
        self.sites.get(id).map(String::as_str)
    }

    pub(crate) fn process(&self, id: &str) -> Option<&Process> {
        self.processes.get(id)
    }
}

fn all(path: &'static str, fields: &str) -> Question {
    Question::new(path).with("timeRangeStart", 0).with("fields", fields)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
