//! Tables for people: aligned columns that fit the terminal.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{
    column::{Align, Cell, Place, Tone},
    escape::visible,
};

/// What stands between columns.
const GAP: usize = 2;

/// What a column of texts is not made narrower than, as long as there is another one.
const NARROWEST: usize = 8;

/// As wide as a text is let be while there are columns that could be left out for it.
const COMFORTABLE: usize = 18;

/// The head of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Safe to show.
    pub(crate) title: String,
    pub(crate) align: Align,
    pub(crate) place: Place,
    /// Whether what is in it is of no use in part, such as a time.
    pub(crate) is_rigid: bool,
}

impl Head {
    /// A column that is always there.
    pub(crate) fn new(title: &str, align: Align) -> Self {
        Self { title: visible(title).into_owned(), align, place: Place::Always, is_rigid: false }
    }

    /// Whether it can be narrower than what is in it.
    fn is_flexible(&self) -> bool {
        self.align == Align::Left && !self.is_rigid
    }
}

/// How tables are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Columns of the terminal; none where lines can be as long as they like.
    pub(crate) width: Option<usize>,
    pub(crate) color: bool,
    pub(crate) headers: bool,
}

/// Which columns are shown, and how wide.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    heads: Vec<Head>,
    /// The width of each column; none where it is not shown.
    widths: Vec<Option<usize>>,
    look: Look,
}

impl Layout {
    /// A layout in which those rows fit; `least` is how wide columns are at least, for rows that are still to come.
    pub(crate) fn new(heads: Vec<Head>, rows: &[Vec<Cell>], least: &[usize], look: Look) -> Self {
        let natural = heads.iter().enumerate().map(|(at, head)| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width());
            let least = least.get(at).copied().unwrap_or(0);
            cells.chain([head.title.width(), least]).max().unwrap_or(0)
        });
        let mut layout = Self { widths: natural.map(Some).collect(), heads, look };
        if let Some(width) = look.width {
            layout.fit(width);
        }
        layout
    }

    fn fit(&mut self, width: usize) {
        let comfortable = |layout: &Self| {
            let widths = layout.heads.iter().zip(&layout.widths).filter_map(|(head, width)| {
                width.map(|width| if head.is_flexible() { width.min(COMFORTABLE) } else { width } + GAP)
            });
            widths.sum::<usize>().saturating_sub(GAP)
        };
        while comfortable(self) > width {
            let roomy = self
                .heads
                .iter()
                .zip(&self.widths)
                .rposition(|(head, width)| head.place == Place::Roomy && width.is_some());
            let Some(at) = roomy else { break };
            self.widths[at] = None;
        }
        let last = self.widths.iter().rposition(Option::is_some);
        while self.total() > width {
            let widest = self.heads.iter().zip(&self.widths).enumerate().filter_map(|(at, (head, width))| {
                let width = (*width)?;
                // What is last is read on by most: an error in the words of a router.
                let weight = if Some(at) == last { width / 2 } else { width };
                (head.is_flexible() && width > NARROWEST.max(head.title.width())).then_some((weight, at))
            });
            let Some((_, at)) = widest.max() else { break };
            self.widths[at] = self.widths[at].map(|width| width - 1);
        }
    }

    /// The width of each column; none where it is not shown.
    pub(crate) fn widths(&self) -> &[Option<usize>] {
        &self.widths
    }

    fn total(&self) -> usize {
        self.widths.iter().flatten().map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
    }

    /// The line with the names of the columns, if it is wanted.
    pub(crate) fn write_heads(&self, out: &mut dyn Write) -> io::Result<()> {
        if !self.look.headers {
            return Ok(());
        }
        let titles = self.heads.iter().map(|head| Cell::made(head.title.as_str())).collect::<Vec<_>>();
        self.write_line(out, &titles, Some(Style::new().bold()))
    }

    /// A row, on one line.
    pub(crate) fn write_row(&self, out: &mut dyn Write, row: &[Cell]) -> io::Result<()> {
        self.write_line(out, row, None)
    }

    fn write_line(&self, out: &mut dyn Write, row: &[Cell], style: Option<Style>) -> io::Result<()> {
        let mut line = String::new();
        let last = self.widths.iter().rposition(Option::is_some);
        for (at, (head, width)) in self.heads.iter().zip(&self.widths).enumerate() {
            let (Some(width), Some(cell)) = (*width, row.get(at)) else { continue };
            let text = match self.look.width {
                Some(_) => cut(&cell.text, width),
                None => cell.text.clone(),
            };
            let space = width.saturating_sub(text.width());
            let style = style.unwrap_or_else(|| of_tone(cell.tone));
            if head.align == Align::Right {
                line.push_str(&" ".repeat(space));
            }
            paint(&mut line, &text, style, self.look.color);
            if Some(at) != last {
                let space = if head.align == Align::Left { space } else { 0 };
                line.push_str(&" ".repeat(space + GAP));
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// As much of the text as there is room for, with a sign that it is not all.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut taken = 1;
    for character in text.chars() {
        taken += character.width().unwrap_or(0);
        if taken > width {
            break;
        }
        short.push(character);
    }
    short.push('…');
    short
}

/// How a tone looks in a terminal.
pub(crate) fn of_tone(tone: Tone) -> Style {
    let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
    match tone {
        Tone::Plain => Style::new(),
        Tone::Quiet => Style::new().dimmed(),
        Tone::Change => color(AnsiColor::Cyan),
        Tone::Warn => color(AnsiColor::Yellow),
        Tone::Bad => color(AnsiColor::Red),
    }
}

/// Adds a text in that style, where there are colours.
pub(crate) fn paint(line: &mut String, text: &str, style: Style, color: bool) {
    if !color || style.is_plain() || text.is_empty() {
        line.push_str(text);
    } else {
        line.push_str(&format!("{style}{text}{style:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(title: &str, align: Align, place: Place) -> Head {
        Head { place, ..Head::new(title, align) }
    }

    fn table(width: Option<usize>) -> String {
        let heads = vec![
            head("NAME", Align::Left, Place::Always),
            head("HOST", Align::Left, Place::Roomy),
            head("OCTETS", Align::Right, Place::Always),
            head("ERROR", Align::Left, Place::Always),
        ];
        let row = |texts: [&str; 4]| texts.map(Cell::plain).to_vec();
        let rows = [
            row(["checkout-jjwtv8zmv-79977", "node-2", "803 B", "–"]),
            row(["東京", "n", "1.00 kB", "connection refused by 10.0.0.1"]),
        ];
        let look = Look { width, color: false, headers: true };
        let layout = Layout::new(heads, &rows, &[], look);
        let mut out = Vec::new();
        layout.write_heads(&mut out).expect("writes");
        rows.iter().for_each(|row| layout.write_row(&mut out, row).expect("writes"));
        String::from_utf8(out).expect("is text")
    }

    #[test]
    fn columns_are_aligned_by_the_width_that_characters_have() {
        assert_eq!(
            table(None),
            "\
NAME                      HOST     OCTETS  ERROR
checkout-jjwtv8zmv-79977  node-2    803 B  –
東京                      n       1.00 kB  connection refused by 10.0.0.1
"
        );
    }

    #[test]
    fn a_narrow_terminal_loses_columns_first_and_then_the_ends_of_texts() {
        assert_eq!(
            table(Some(48)),
            "\
NAME           OCTETS  ERROR
checkout-jj…    803 B  –
東京          1.00 kB  connection refused by 10…
"
        );
        assert!(table(Some(48)).lines().all(|line| line.width() <= 48));
    }

    #[test]
    fn only_colours_of_ours_reach_the_terminal() {
        let mut line = String::new();
        paint(&mut line, &Cell::plain("\u{1b}[31mred").text, of_tone(Tone::Bad), true);
        assert_eq!(line, "\u{1b}[31m\\u{1b}[31mred\u{1b}[0m");
    }
}
