//! The places of what was shown before, for all who ask.

use std::collections::VecDeque;

use super::{
    graph::Graph,
    layout::{Kept, Layout},
    scene::{Choice, Level, Scene},
};

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

    fn of(&self, variant: &Variant) -> Option<&Kept> {
        self.kept.iter().find(|(known, _)| known == variant).map(|(_, kept)| kept)
    }
}
