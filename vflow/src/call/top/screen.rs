//! The full screen: rows that change in place, until somebody leaves.

use std::time::Duration;

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Cell as TableCell, Row, Table, TableState},
};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{Order, Ranking, facts};
use crate::{
    args::Ranked,
    call::Call,
    column::{Align, Cell, Column, Facts, Item, Tone},
    error::{Error, RIGHT},
    escape::visible,
    table::{self, Head, Look, cut},
};

/// How often it is asked: the metrics that it is made of change every few seconds.
const EVERY: Duration = Duration::from_secs(2);

const KEYS: &str = "q quit  1-4 services, pairs, processes, sites  ←→ sort  r reverse  p pause";

/// What is on the screen.
struct Screen {
    ranked: Ranked,
    order: Order,
    window: u64,
    is_paused: bool,
    rows: Vec<Value>,
    facts: Facts,
    verdict: String,
    /// Why there is nothing newer.
    trouble: Option<String>,
    state: TableState,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Nothing,
    Draw,
    Ask,
    Leave,
}

/// Shows the screen until somebody leaves it.
pub(super) async fn show(
    call: &mut Call<'_>,
    ranked: Ranked,
    order: Order,
    window: u64,
) -> Result<u8, Error> {
    // Before the screen is taken: a collector that does not answer is said as anywhere.
    let verdict = call.verdict().await?;
    let mut screen = Screen {
        ranked,
        order,
        window,
        is_paused: false,
        rows: Vec::new(),
        facts: facts(call, &verdict),
        verdict: String::new(),
        trouble: None,
        state: TableState::default().with_selected(0),
    };
    let mut terminal = ratatui::try_init()?;
    let outcome = attend(call, &mut screen, &mut terminal).await;
    ratatui::restore();
    outcome.map(|()| RIGHT)
}

async fn attend(call: &Call<'_>, screen: &mut Screen, terminal: &mut DefaultTerminal) -> Result<(), Error> {
    let mut keys = keys();
    let mut pace = interval(EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let wish = tokio::select! {
            _ = pace.tick() => if screen.is_paused { Wish::Nothing } else { Wish::Ask },
            event = keys.recv() => match event {
                Some(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                    let is_interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
                    if is_interrupt { Wish::Leave } else { screen.key(key.code) }
                }
                Some(_) => Wish::Draw,
                None => Wish::Leave,
            },
        };
        match wish {
            Wish::Leave => return Ok(()),
            Wish::Nothing => continue,
            Wish::Draw => {}
            Wish::Ask => screen.ask(call).await,
        }
        terminal.draw(|frame| screen.draw(frame))?;
    }
}

/// What is typed, read by a thread of its own, which ends with the process.
fn keys() -> mpsc::Receiver<Event> {
    let (sender, keys) = mpsc::channel(16);
    spawn_blocking(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    keys
}

impl Screen {
    async fn ask(&mut self, call: &Call<'_>) {
        let ranking = Ranking::new(self.ranked, self.window);
        let answer = async {
            let verdict = call.verdict().await?;
            let rows = ranking.rows(&call.client, call.now(&verdict)).await?;
            Ok::<_, Error>((verdict, rows))
        };
        match answer.await {
            Ok((verdict, rows)) => {
                self.facts.now = call.now(&verdict);
                self.verdict = verdict["text"].as_str().map(visible).unwrap_or_default().into_owned();
                self.rows = rows;
                self.trouble = None;
            }
            // The last that was known stays, and it is said that it is old.
            Err(error) => self.trouble = Some(visible(&error.to_string()).into_owned()),
        }
        self.order.sort(&mut self.rows);
    }

    fn key(&mut self, key: KeyCode) -> Wish {
        let columns = Order::COLUMNS.len();
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Leave,
            KeyCode::Char(digit @ '1'..='4') => {
                let all = [Ranked::Services, Ranked::Pairs, Ranked::Processes, Ranked::Sites];
                self.ranked = all[digit as usize - '1' as usize];
                return Wish::Ask;
            }
            KeyCode::Right => self.order.column = (self.order.column + 1) % columns,
            KeyCode::Left => self.order.column = (self.order.column + columns - 1) % columns,
            KeyCode::Char('r') => self.order.is_ascending = !self.order.is_ascending,
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Down | KeyCode::Char('j') => self.state.select_next(),
            KeyCode::Up | KeyCode::Char('k') => self.state.select_previous(),
            KeyCode::Home => self.state.select_first(),
            KeyCode::End => self.state.select_last(),
            _ => return Wish::Nothing,
        }
        self.order.sort(&mut self.rows);
        Wish::Draw
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)])
                .areas(frame.area());
        let noun = Ranking::new(self.ranked, self.window).noun();
        let direction = if self.order.is_ascending { "least first" } else { "most first" };
        let time = format!(
            "{} {}",
            self.facts.zone.clock_to_the_second(self.facts.now, self.facts.now),
            self.facts.zone.name(self.facts.now)
        );
        let time = match (&self.trouble, self.is_paused) {
            (Some(_), _) => {
                Span::styled(format!("▲ not answered since {time}"), Style::new().fg(Color::Yellow))
            }
            (None, true) => Span::raw(format!("paused at {time}")),
            (None, false) => Span::raw(time),
        };
        let title = format!(
            "top {}, rates over {} s, by {}, {direction}  ",
            noun.plural,
            self.window,
            self.order.name()
        );
        let below = self.trouble.as_deref().unwrap_or(&self.verdict);
        let lines = vec![
            Line::from(vec![Span::styled(title, Style::new().add_modifier(Modifier::BOLD)), time]),
            Line::styled(below.to_owned(), Style::new().add_modifier(Modifier::DIM)),
        ];
        frame.render_widget(ratatui::text::Text::from(lines), head);

        let cells: Vec<Vec<Cell>> = self
            .rows
            .iter()
            .map(|row| {
                noun.columns
                    .iter()
                    .map(|column| column.cell(&Item { value: row, facts: &self.facts }))
                    .collect()
            })
            .collect();
        let heads = noun.columns.iter().map(|column| Head {
            place: column.place,
            ..Head::new(&column.name.to_uppercase(), column.align())
        });
        let look = Look { width: Some(body.width.into()), color: true, headers: true };
        let layout = table::Layout::new(heads.collect(), &cells, &[], look);
        let shown: Vec<(&Column, usize)> = noun
            .columns
            .iter()
            .zip(layout.widths())
            .filter_map(|(column, width)| Some((column, (*width)?)))
            .collect();
        let titles = shown.iter().map(|(column, _)| {
            let title = column.name.to_uppercase();
            let line = Line::raw(title);
            let line = if column.align() == Align::Right { line.right_aligned() } else { line };
            let is_sorted = column.name == self.order.name();
            TableCell::from(if is_sorted { line.style(Modifier::UNDERLINED) } else { line })
        });
        let header = Row::new(titles).style(Modifier::BOLD);
        let rows = cells.into_iter().map(|row| {
            let row = row.into_iter().zip(layout.widths()).zip(noun.columns);
            Row::new(row.filter_map(|((cell, width), column)| {
                let line = Line::styled(cut(&cell.text, (*width)?), style(cell.tone));
                Some(TableCell::from(if column.align() == Align::Right {
                    line.right_aligned()
                } else {
                    line
                }))
            }))
        });
        let widths =
            shown.iter().map(|(_, width)| Constraint::Length(u16::try_from(*width).unwrap_or(u16::MAX)));
        let table =
            Table::new(rows, widths).header(header).column_spacing(2).row_highlight_style(Modifier::REVERSED);
        frame.render_stateful_widget(table, body, &mut self.state);
        frame.render_widget(Line::styled(KEYS, Style::new().add_modifier(Modifier::DIM)), foot);
    }
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
        Tone::Change => Style::new().fg(Color::Cyan),
        Tone::Warn => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red),
    }
}
