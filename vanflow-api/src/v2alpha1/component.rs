//! Components: the processes of a group, taken together.

use std::collections::HashMap;

use vanflow_proto::Timestamp;
use vanflow_store::derived;

use crate::v2alpha1::{
    party::{Party, processes},
    view::{View, later},
};

/// The processes of a group.
#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) process_count: u64,
    pub(crate) role: &'static str,
    pub(crate) start: Option<Timestamp>,
    /// None while it is there.
    pub(crate) end: Option<Timestamp>,
}

/// Every component, live and ended.
pub(crate) fn components(view: View<'_>) -> Vec<Component> {
    let mut members = HashMap::<_, Vec<_>>::new();
    for process in processes(view) {
        members.entry(process.group()).or_default().push(process);
    }
    let mut components: Vec<_> = members
        .into_iter()
        .map(|(name, mut members)| {
            let start = members.iter().filter_map(Party::start).min();
            let end = members.iter().map(Party::end).reduce(later).flatten();
            if end.is_none() {
                members.retain(|process| process.end().is_none());
            }
            let has = |role: &&str| members.iter().any(|process| process.role() == *role);
            Component {
                id: derived::component_id(&name),
                name: name.into_owned(),
                process_count: members.len() as u64,
                role: ["external", "remote"].into_iter().find(has).unwrap_or("internal"),
                start,
                end,
            }
        })
        .collect();
    components.sort_by(|left, right| left.id.cmp(&right.id));
    components
}
