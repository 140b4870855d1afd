//! The places of what was shown before, for all who ask.

use std::collections::VecDeque;

use serde_json::{Value, json};
use thiserror::Error;

use super::{
    graph::Graph,
    layout::{Kept, Layout},
    scene::{Choice, Level, Scene},
};

/// What was kept of places on the map cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("what was kept of places on the map is damaged, or of another version")]
pub struct PlacesError;

/// The places of what was shown before: of a bounded number of choices.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// What was asked for last comes last.
    kept: VecDeque<(Variant, Kept)>,
}

/// What sizes depend on: the level, and the sites that are shown deeper, in their order.
type Variant = (Level, Vec<String>);

const MOST_VARIANTS: usize = 64;

impl Places {
    /// Where a scene lies. Places are kept where the network is settled; until then they are worked out anew each time,
    /// so that it makes no difference in which order its parts are known.
    pub(super) fn lay_out(
        &mut self,
        graph: &Graph,
        scene: &Scene,
        choice: &Choice<'_>,
        is_settled: bool,
    ) -> Layout {
        let mut open = choice.open.to_vec();
        open.sort_unstable();
        open.dedup();
        let variant = (choice.level, open);
        let mut before = self.of(&variant).cloned();
        if before.is_none() && !variant.1.is_empty() {
            // Sites that are opened are so where they were closed.
            let closed = Choice { open: &[], ..choice.clone() };
            let below = (choice.level, Vec::new());
            let kept = self.of(&below).cloned();
            let (_, kept) = Layout::new(graph, &Scene::new(graph, &closed), kept);
            before = Some(kept);
        }
        let (layout, kept) = Layout::new(graph, scene, before);
        if is_settled {
            self.kept.retain(|(known, _)| *known != variant);
            self.kept.push_back((variant, kept));
            if self.kept.len() > MOST_VARIANTS {
                self.kept.pop_front();
            }
        }
        layout
    }

    /// All that is kept, for the next process.
    pub(super) fn save(&self) -> Vec<u8> {
        let choice = |((level, open), kept): &(Variant, Kept)| json!({ "level": level.name(), "open": open, "kept": kept.to_json() });
        Value::from_iter(self.kept.iter().map(choice)).to_string().into_bytes()
    }

    /// What [`Places::save`] made.
    pub(super) fn restored(octets: &[u8]) -> Result<Self, PlacesError> {
        let choice = |choice: &Value| {
            let open = choice["open"].as_array()?.iter().map(|site| Some(site.as_str()?.to_owned()));
            let variant = (Level::named(choice["level"].as_str()?)?, open.collect::<Option<_>>()?);
            Some((variant, Kept::from_json(&choice["kept"])?))
        };
        let saved: Value = serde_json::from_slice(octets).map_err(|_| PlacesError)?;
        let choices = saved.as_array().ok_or(PlacesError)?;
        let kept = choices.iter().take(MOST_VARIANTS).map(choice).collect::<Option<_>>();
        Ok(Self { kept: kept.ok_or(PlacesError)? })
    }

    fn of(&self, variant: &Variant) -> Option<&Kept> {
        self.kept.iter().find(|(known, _)| known == variant).map(|(_, kept)| kept)
    }
}
