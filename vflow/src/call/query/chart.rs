//! A chart in the terminal: series as lines of dots, with axes.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Style as CellStyle},
    symbols::Marker,
    text::Line,
    widgets::{Axis, Chart, Dataset, GraphType, Widget},
};

use super::series::{Series, shown};
use crate::{escape::visible, table::cut, table::paint, time::Zone};

const HEIGHT: u16 = 16;

/// The colours of series, by turns.
const COLORS: [(Color, AnsiColor); 6] = [
    (Color::Cyan, AnsiColor::Cyan),
    (Color::Yellow, AnsiColor::Yellow),
    (Color::Green, AnsiColor::Green),
    (Color::Magenta, AnsiColor::Magenta),
    (Color::Blue, AnsiColor::Blue),
    (Color::Red, AnsiColor::Red),
];

/// Draws series, and below them which is which. Without colours each has a marker of its own.
pub(super) fn draw(
    out: &mut dyn Write,
    series: &[Series],
    width: usize,
    color: bool,
    zone: Zone,
) -> io::Result<()> {
    let values = || series.iter().flat_map(|series| &series.values).filter(|(_, value)| value.is_finite());
    let extent = |pick: fn(&(f64, f64)) -> f64| {
        values().map(pick).fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
            (least.min(value), most.max(value))
        })
    };
    let ((from, to), (least, most)) = (extent(|value| value.0), extent(|value| value.1));
    if from > to {
        return Ok(());
    }
    // A chart of what is never below 0 begins there: half of it is not taken for nothing.
    let least = if least >= 0.0 { 0.0 } else { least };
    let most = if most > least { most } else { least + 1.0 };
    let points: Vec<Vec<(f64, f64)>> = series
        .iter()
        .map(|series| series.values.iter().copied().filter(|(_, value)| value.is_finite()).collect())
        .collect();
    let datasets = points.iter().enumerate().map(|(at, points)| {
        Dataset::default()
            .data(points)
            .graph_type(GraphType::Line)
            .marker(Marker::Braille)
            .style(CellStyle::new().fg(COLORS[at % COLORS.len()].0))
    });
    let clock = |seconds: f64| zone.date_and_time((seconds * 1e6) as u64)[11..].to_owned();
    let chart = Chart::new(datasets.collect())
        .x_axis(
            Axis::default()
                .bounds([from, to.max(from + 1.0)])
                .labels([clock(from), clock((from + to) / 2.0), clock(to)].map(Line::from)),
        )
        .y_axis(
            Axis::default()
                .bounds([least, most])
                .labels([shown(least), shown((least + most) / 2.0), shown(most)].map(Line::from)),
        )
        .legend_position(None);
    let area = Rect::new(0, 0, u16::try_from(width).unwrap_or(u16::MAX), HEIGHT);
    let mut buffer = Buffer::empty(area);
    chart.render(area, &mut buffer);
    for row in 0..area.height {
        let mut line = String::new();
        for column in 0..area.width {
            if let Some(cell) = buffer.cell((column, row)) {
                paint(&mut line, cell.symbol(), style(cell.fg), color && cell.symbol() != " ");
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    for (at, series) in series.iter().enumerate() {
        let labels: Vec<_> = series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = if labels.is_empty() { "value".to_owned() } else { labels.join(" ") };
        let value = series.last().map(shown).unwrap_or_default();
        let mut line = String::new();
        paint(&mut line, "━━", style(COLORS[at % COLORS.len()].0), color);
        writeln!(out, "{line} {}", cut(&format!("{} now {value}", visible(&text)), width.saturating_sub(3)))?;
    }
    Ok(())
}

fn style(color: Color) -> Style {
    let known = COLORS.iter().find(|(known, _)| *known == color);
    known.map_or(Style::new(), |(_, color)| Style::new().fg_color(Some((*color).into())))
}
