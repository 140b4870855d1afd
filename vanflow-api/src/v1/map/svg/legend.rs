//! Below the map: what widths, colours and marks mean, and what has no place on it.

use super::{labels::Mark, markup::Markup};
use crate::v1::map::{Picture, figures::Trouble, layout::Rect, words};

const HEIGHT: f64 = 150.0;
const LINE: f64 = 16.0;
/// So many services without a place are listed.
const LISTED: usize = 8;
/// Where they are.
const LIST_AT: f64 = 420.0;

/// How much room it takes.
pub(super) fn height(picture: &Picture<'_>) -> f64 {
    let listed = picture.graph.unplaced.len();
    let lines = listed.min(LISTED) * 2 + usize::from(listed > LISTED);
    HEIGHT.max(44.0 + LINE * lines as f64 + 24.0)
}

pub(super) fn draw(picture: &Picture<'_>, svg: &mut Markup) {
    let top = picture.layout.height;
    let width = picture.layout.width;
    svg.raw(&format!("<path class=\"rule\" d=\"M0 {top}H{width}\"/>\n"));
    let (top, left) = (top + 26.0, 24.0);
    svg.line(left, top, "heading", "Octets/s, both ways");
    for (line, (rate, text)) in
        [(1e3, "≤ 1 kB/s"), (1e5, "100 kB/s"), (1e7, "10 MB/s")].into_iter().enumerate()
    {
        let y = top + 18.0 * (line + 1) as f64;
        sample(svg, "edge", left, y, Picture::width_at(rate));
        svg.line(left + 54.0, y, "second", text);
    }
    sample(svg, "link", left, top + 74.0, 3.0);
    diamond(svg, left + 22.0, top + 70.0);
    svg.line(left + 54.0, top + 74.0, "second", "link between routers");
    sample(svg, "edge", left, top + 92.0, 1.5);
    svg.polygon("head", [(left + 44.0, top + 88.0), (left + 36.0, top + 84.0), (left + 36.0, top + 92.0)]);
    svg.line(left + 54.0, top + 92.0, "second", "client to server");
    let left = left + 206.0;
    svg.line(left, top, "heading", "Errors");
    for (line, (class, mark, text)) in [
        ("edge", None, "< 2 %"),
        ("edge warn", Some(Mark::Warn), "2–10 %"),
        ("edge bad", Some(Mark::Bad), "> 10 %"),
    ]
    .into_iter()
    .enumerate()
    {
        let y = top + 18.0 * (line + 1) as f64;
        sample(svg, class, left, y, 2.0);
        if let Some(mark) = mark {
            mark.draw(svg, left + 22.0, y - 4.0);
        }
        svg.line(left + 54.0, y, "second", text);
    }
    let when = picture.title();
    svg.fitted_line(24.0, top + 114.0, "third", &when, 380.0, 11.0, false);
    unplaced(picture, svg, top);
}

fn unplaced(picture: &Picture<'_>, svg: &mut Markup, top: f64) {
    let services = &picture.graph.unplaced;
    if services.is_empty() {
        return;
    }
    svg.line(LIST_AT, top, "heading", "Not on the map");
    let mut y = top + LINE + 4.0;
    let room = picture.layout.width - LIST_AT - 40.0;
    for service in services.iter().take(LISTED) {
        let (mark, class) = match service.trouble {
            Trouble::Bad => (Mark::Bad, "is-bad"),
            Trouble::Warn | Trouble::Fine => (Mark::Warn, "is-warn"),
        };
        mark.draw(svg, LIST_AT + 5.0, y - 4.0);
        svg.fitted_line(LIST_AT + 16.0, y, class, &service.address, room, 11.0, true);
        svg.fitted_line(LIST_AT + 16.0, y + LINE, "second", &service.text, room, 11.0, false);
        y += 2.0 * LINE;
    }
    if let Some(more) = services.len().checked_sub(LISTED).filter(|more| *more > 0) {
        svg.line(LIST_AT + 16.0, y, "second", &format!("and {} more", words::grouped(more as u64)));
    }
}

fn sample(svg: &mut Markup, class: &str, x: f64, y: f64, width: f64) {
    let y = y - 4.0;
    svg.raw(&format!("<path class=\"{class}\" d=\"M{x} {y}H{}\" stroke-width=\"{width}\"/>\n", x + 44.0));
}

fn diamond(svg: &mut Markup, x: f64, y: f64) {
    let Rect { x, y, .. } = Rect { x, y, ..Rect::default() };
    svg.raw(&format!(
        "<path class=\"router\" d=\"M{x} {}L{} {y}L{x} {}L{} {y}Z\"/>\n",
        y - 6.0,
        x + 6.0,
        y + 6.0,
        x - 6.0
    ));
}
