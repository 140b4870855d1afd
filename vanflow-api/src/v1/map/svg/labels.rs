//! Labels of edges and links: each where there is room, or not at all.

use super::{
    curve::{Curve, Point},
    markup::{Markup, text_width},
};
use crate::v1::map::layout::Rect;

/// A sign that is the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// ✕
    Bad,
    /// ▲
    Warn,
}

impl Mark {
    /// Draws it around a place.
    pub(super) fn draw(self, svg: &mut Markup, x: f64, y: f64) {
        match self {
            Self::Bad => svg.raw(&format!(
                "<path class=\"cross\" d=\"M{} {}L{} {}M{} {}L{} {}\"/>\n",
                x - 3.5,
                y - 3.5,
                x + 3.5,
                y + 3.5,
                x - 3.5,
                y + 3.5,
                x + 3.5,
                y - 3.5
            )),
            Self::Warn => svg.polygon("triangle", [(x, y - 5.0), (x + 5.0, y + 4.0), (x - 5.0, y + 4.0)]),
        }
    }
}

/// What is to stand at an edge.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) mark: Option<Mark>,
    pub(super) class: &'static str,
}

/// Labels that have found a place, and what further ones must not cover.
#[derive(Debug)]
pub(super) struct Labels {
    avoided: Vec<Rect>,
    placed: Vec<(Label, Rect)>,
    size: (f64, f64),
}

/// Where along an edge its label may be, the best place first.
const PLACES: [f64; 9] = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82];

const HEIGHT: f64 = 18.0;
const MARK: f64 = 16.0;

impl Labels {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { avoided: Vec::new(), placed: Vec::new(), size: (width, height) }
    }

    pub(super) fn avoid(&mut self, rect: Rect) {
        self.avoided.push(rect);
    }

    /// Places a label along a curve, or drops it where there is no room.
    pub(super) fn place(&mut self, label: Label, curve: &Curve) {
        let mark = if label.mark.is_some() { MARK } else { 0.0 };
        let width = (text_width(&label.text, 11.0, label.class != "quiet") + mark + 14.0).round();
        let is_free = |rect: &Rect| {
            let is_inside = rect.x >= 2.0
                && rect.y >= 2.0
                && rect.right() <= self.size.0 - 2.0
                && rect.bottom() <= self.size.1 - 2.0;
            let others = self.avoided.iter().chain(self.placed.iter().map(|(_, rect)| rect));
            is_inside && others.into_iter().all(|other| !rect.is_near(other, 2.0, 2.0))
        };
        let place = |(x, y): Point| Rect {
            x: (x - width / 2.0).round(),
            y: (y - HEIGHT / 2.0).round(),
            width,
            height: HEIGHT,
        };
        let found = PLACES.iter().map(|share| place(curve.at(*share))).find(is_free);
        if let Some(rect) = found {
            self.placed.push((label, rect));
        }
    }

    pub(super) fn draw(&self, svg: &mut Markup) {
        for (label, rect) in &self.placed {
            svg.raw(&format!("<g class=\"label {}\">", label.class));
            svg.rect("", rect, if label.class == "quiet" { 9.0 } else { 3.0 });
            let mut x = rect.x + 7.0;
            if let Some(mark) = label.mark {
                mark.draw(svg, x + 5.0, rect.y + HEIGHT / 2.0);
                x += MARK;
            }
            svg.line(x, rect.y + 13.0, "", &label.text);
            svg.raw("</g>\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> Label {
        Label { text: text.to_owned(), mark: None, class: "" }
    }

    #[test]
    fn a_label_without_room_is_dropped_and_the_first_stays() {
        let mut labels = Labels::new(400.0, 100.0);
        let short = Curve([(100.0, 50.0), (120.0, 50.0), (140.0, 50.0), (160.0, 50.0)]);
        labels.place(label("181 kB/s"), &short);
        labels.place(label("4.0 kB/s"), &short);
        let mut svg = Markup::default();
        labels.draw(&mut svg);
        let svg = svg.finish();
        assert!(svg.contains("181 kB/s") && !svg.contains("4.0 kB/s"), "{svg}");
    }

    #[test]
    fn a_label_goes_along_its_edge_to_where_there_is_room() {
        let mut labels = Labels::new(400.0, 100.0);
        labels.avoid(Rect { x: 150.0, y: 0.0, width: 100.0, height: 100.0 });
        let long = Curve([(0.0, 50.0), (130.0, 50.0), (270.0, 50.0), (400.0, 50.0)]);
        labels.place(label("1 B/s"), &long);
        let (_, rect) = &labels.placed[0];
        assert!(rect.right() < 150.0, "{rect:?}");
    }
}
