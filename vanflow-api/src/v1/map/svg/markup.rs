//! SVG, written so that no text can become markup.

use std::fmt::Write;

use super::curve::{Curve, Point};
use crate::v1::map::layout::Rect;

/// SVG as it is written.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Markup of our own.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Text of anybody.
    pub(super) fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\t' | '\n' | '\r' => self.0.push(' '),
                // XML cannot have these, however they are written.
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                letter => self.0.push(letter),
            }
        }
    }

    /// A line of text whose base line begins there; the class says how it is aligned.
    pub(super) fn line(&mut self, x: f64, y: f64, class: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let _ = write!(self.0, "<text class=\"{class}\" x=\"{}\" y=\"{}\">", tidy(x), tidy(y));
        self.text(text);
        self.0.push_str("</text>\n");
    }

    /// The same, cut where it is too wide for its room; the whole text can be read all the same.
    #[expect(
        clippy::too_many_arguments,
        reason = "place, look, text and room: each is needed, and no two belong together"
    )]
    pub(super) fn fitted_line(
        &mut self,
        x: f64,
        y: f64,
        class: &str,
        text: &str,
        room: f64,
        size: f64,
        is_bold: bool,
    ) {
        let shown = fitted(text, room, size, is_bold);
        if shown == text {
            return self.line(x, y, class, text);
        }
        self.0.push_str("<g><title>");
        self.text(text);
        self.0.push_str("</title>");
        self.line(x, y, class, &shown);
        self.0.push_str("</g>\n");
    }

    pub(super) fn rect(&mut self, class: &str, rect: &Rect, radius: f64) {
        let Rect { x, y, width, height } = *rect;
        let [x, y, width, height] = [x, y, width, height].map(tidy);
        let _ = writeln!(
            self.0,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>"
        );
    }

    pub(super) fn curve(&mut self, class: &str, curve: &Curve, width: f64) {
        let [from, leaving, arriving, to] = curve.0.map(|(x, y)| format!("{} {}", tidy(x), tidy(y)));
        let _ = writeln!(
            self.0,
            "<path class=\"{class}\" d=\"M{from}C{leaving} {arriving} {to}\" stroke-width=\"{}\"/>",
            tidy(width)
        );
    }

    pub(super) fn polygon(&mut self, class: &str, points: [Point; 3]) {
        let points = points.map(|(x, y)| format!("{},{}", tidy(x), tidy(y))).join(" ");
        let _ = writeln!(self.0, "<polygon class=\"{class}\" points=\"{points}\"/>");
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// To a tenth of a pixel.
fn tidy(along: f64) -> f64 {
    (along * 10.0).round() / 10.0
}

/// About how wide a text is, rather too much than too little.
pub(super) fn text_width(text: &str, size: f64, is_bold: bool) -> f64 {
    let widths = text.chars().map(|letter| match letter {
        'i' | 'l' | 'j' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '('
        | ')' => 0.38,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        'A'..='Z' | '0'..='9' => 0.66,
        '\u{1100}'.. => 1.05,
        _ => 0.57,
    });
    widths.sum::<f64>() * size * if is_bold { 1.08 } else { 1.0 }
}

/// A text that has so much room, with a mark where it was cut.
pub(super) fn fitted(text: &str, room: f64, size: f64, is_bold: bool) -> String {
    if text_width(text, size, is_bold) <= room {
        return text.to_owned();
    }
    let mut shown = String::new();
    for letter in text.chars() {
        shown.push(letter);
        if text_width(&shown, size, is_bold) + size > room {
            shown.pop();
            break;
        }
    }
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_stays_text() {
        let mut svg = Markup::default();
        svg.line(1.0, 2.0, "name", "</text><script>\"'&\u{0}\n");
        assert_eq!(
            svg.finish(),
            "<text class=\"name\" x=\"1\" y=\"2\">&lt;/text&gt;&lt;script&gt;&quot;&#39;&amp;\u{fffd} </text>\n"
        );
    }

    #[test]
    fn what_is_cut_can_still_be_read() {
        let mut svg = Markup::default();
        svg.fitted_line(0.0, 0.0, "name", "a-very-long-name-of-a-<component>", 60.0, 12.5, true);
        let svg = svg.finish();
        assert!(svg.contains("<title>a-very-long-name-of-a-&lt;component&gt;</title>"), "{svg}");
        assert!(
            svg.contains('…') && text_width(&fitted(&"x".repeat(99), 60.0, 12.5, true), 12.5, true) <= 72.0
        );
        assert_eq!(fitted("short", 60.0, 11.0, false), "short");
    }
}
