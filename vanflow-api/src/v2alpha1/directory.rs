//! What processes belong to, for who filters what names them by identity only.

use vanflow_store::Snapshot;

use crate::{
    query::value::Cell,
    selection::{Directory, Process},
    v2alpha1::{
        collection::{Collection, Scope},
        derivations::Derivations,
        view::View,
    },
};

/// What all processes belong to that are held, those included that have ended.
pub(crate) fn directory(snapshot: &Snapshot, derivations: &Derivations) -> Directory {
    let processes = Collection::Processes;
    let (derived, schema) = (derivations.of(snapshot, processes.needs()), processes.schema());
    let view = View { snapshot, derived: &derived };
    let mut directory = Directory::default();
    for item in processes.items(view, Scope::All, false) {
        let Some(subject) = processes.subject(view, item) else { continue };
        let cell = |name| schema.property(name).map_or(Cell::Absent, |property| property.of(view, &subject));
        let text = |name| if let Cell::Text(text) = cell(name) { text.into_owned() } else { String::new() };
        let services = match cell("services") {
            Cell::Texts(texts) => texts.into_iter().map(|text| text.into_owned()).collect(),
            _ => Vec::new(),
        };
        let known = Process { component: text("componentName"), component_id: text("componentId"), services };
        directory.processes.insert(text("identity"), known);
    }
    directory
}
