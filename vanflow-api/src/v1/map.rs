//! The map: sites as areas, what is in them, and what goes between.
//!
//! [`graph`] has what there is, by the rules that pairs of `/api/v2alpha1` follow; [`measured`] what the history of metrics
//! says of it, and [`ended`] what connections and requests do that are over; [`scene`] what of it is shown; [`layout`] where that lies, and [`places`] where it lay before. [`render`],
//! [`svg`] and [`text`] write it down. Each map is worked out once for all who ask.

mod ended;
mod figures;
mod graph;
mod layout;
mod measured;
mod places;
mod query;
mod render;
mod scene;
mod svg;
mod text;
mod words;

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use bytes::Bytes;
use chrono::DateTime;
use vanflow_history::rows::Rows;
use vanflow_proto::Timestamp;
use vanflow_store::{Revision, Snapshot, SourceState};

pub use self::places::PlacesError;
use self::{
    figures::{Figures, Rates, Trouble},
    graph::{Graph, Link},
    layout::Layout,
    measured::Measured,
    places::Places,
    query::Query,
    scene::{Choice, Level, Scene},
};
pub(super) use self::{query::parameter_described, render::described};
use crate::{
    api::Remembered,
    error::ApiError,
    interest::Interest,
    json::Json,
    metrics::Detail,
    network::Status,
    query::media::Media,
    v1::{Answer, Freshness, Question},
    v2alpha1::{Derivations, Needs, View},
};

/// The maps of one network: what was worked out last, and where everything lies.
#[derive(Debug, Default)]
pub(crate) struct Maps(Mutex<Drawn>);

#[derive(Debug, Default)]
struct Drawn {
    places: Places,
    /// What was asked for last comes last.
    kept: VecDeque<(Key, Bytes)>,
}

/// What a map is made of.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    version: (Revision, u64),
    /// When the history was fed last.
    measured: Option<i64>,
    query: Query,
}

/// So many maps are kept.
const MOST_KEPT: usize = 16;

/// What a map is made from.
#[derive(Clone, Copy)]
struct Sources<'s> {
    snapshot: &'s Snapshot,
    derivations: &'s Derivations,
    /// What was measured.
    history: Option<&'s RwLock<Remembered>>,
    /// What has ended and is kept, where it is.
    rows: Option<&'s dyn Rows>,
    /// By what connections are measured.
    detail: Detail,
    /// Whether all of the network is known, and nothing of it has come just now.
    is_settled: bool,
}

/// Answers a question for a map.
///
/// # Errors
///
/// Where a parameter has a value that makes no sense, or there is no such site or service.
pub(super) fn answer<'q>(question: &'q Question<'q>) -> Result<Answer<'q>, ApiError> {
    let query = Query::new(&question.params, question.media)?;
    let sources = Sources {
        snapshot: &question.snapshot,
        derivations: question.derivations,
        history: question.history,
        rows: question.rows,
        detail: question.detail,
        is_settled: is_settled(&question.snapshot, &question.network.status().borrow()),
    };
    let bytes = question.maps.answer(&query, &sources)?;
    let measured = sources.measured().map(i64::unsigned_abs);
    // Rows of a history come and go without a revision of their own.
    let is_of_rows = query.time.is_some() && question.rows.is_some();
    Ok(Answer {
        content_type: query.form.content_type(),
        freshness: if query.is_moving() || is_of_rows {
            Freshness::Moment
        } else {
            Freshness::Revision(measured)
        },
        render: Box::new(move || Json::from(&bytes)),
    })
}

/// For so long a source has to be known, in microseconds, until places are kept: all of a network are heard by then.
const SETTLED_MICROS: u64 = 30_000_000;

fn is_settled(snapshot: &Snapshot, status: &Status) -> bool {
    let is_known = |source: SourceState<'_>| {
        !source.is_incomplete() && snapshot.now().micros_since(source.first_heard()) >= SETTLED_MICROS
    };
    status.complete || (status.ready && snapshot.sources().all(is_known))
}

impl Maps {
    /// The map that is asked for, in the form that is asked for.
    ///
    /// # Errors
    ///
    /// Where there is no such site or service, or the history cannot be read.
    fn answer(&self, query: &Query, sources: &Sources<'_>) -> Result<Bytes, ApiError> {
        let key = Key {
            version: (sources.snapshot.revision(), sources.snapshot.evicted()),
            measured: sources.measured(),
            query: query.clone(),
        };
        let known = |drawn: &Drawn| {
            let position = drawn.kept.iter().position(|(known, _)| *known == key)?;
            Some(drawn.kept[position].1.clone())
        };
        let interest = Interest::current();
        if query.time.is_none() {
            // Of all who ask for the same at a time one works it out.
            let mut drawn = self.drawn();
            // Whoever waited for the map of somebody else may have left meanwhile.
            interest.check()?;
            if let Some(bytes) = known(&drawn) {
                return Ok(bytes);
            }
            let bytes =
                draw(query, sources, &graph(query, sources, &interest)?, &mut drawn.places, &interest)?;
            drawn.keep(key, &bytes);
            return Ok(bytes);
        }
        if let Some(bytes) = known(&self.drawn()) {
            return Ok(bytes);
        }
        // Nobody who asks for the present waits for files of the past.
        let graph = graph(query, sources, &interest)?;
        let mut drawn = self.drawn();
        let bytes = draw(query, sources, &graph, &mut drawn.places, &interest)?;
        // What was given up for want of interest is no answer.
        interest.check()?;
        drawn.keep(key, &bytes);
        Ok(bytes)
    }

    /// Where everything lies, for [`Maps::restore_places`] of the next process.
    pub(crate) fn save_places(&self) -> Vec<u8> {
        self.drawn().places.save()
    }

    /// Has everything lie where it did.
    ///
    /// # Errors
    ///
    /// Where that is not what was saved.
    pub(crate) fn restore_places(&self, octets: &[u8]) -> Result<(), PlacesError> {
        let places = Places::restored(octets)?;
        let mut drawn = self.drawn();
        drawn.places = places;
        drawn.kept.clear();
        Ok(())
    }

    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drawn {
    fn keep(&mut self, key: Key, bytes: &Bytes) {
        self.kept.retain(|(known, _)| known.query != key.query);
        if self.kept.len() >= MOST_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((key, bytes.clone()));
    }
}

impl Sources<'_> {
    /// When something was measured last, in milliseconds since the epoch.
    fn measured(&self) -> Option<i64> {
        self.history.map(|history| history.read().unwrap_or_else(PoisonError::into_inner).latest)
    }
}

/// Draws a map, for as long as it is wanted. What is left of one that is not has left no trace.
fn draw(
    query: &Query,
    sources: &Sources<'_>,
    graph: &Graph,
    places: &mut Places,
    interest: &Interest,
) -> Result<Bytes, ApiError> {
    interest.check()?;
    let open = query.sites(graph)?;
    let service = query.address(sources.snapshot)?;
    let choice = Choice { level: query.level, open: &open, service: service.as_deref(), limit: query.limit };
    let scene = Scene::new(graph, &choice);
    interest.check()?;
    // What is of the past lies where it lies now, as far as it is there now.
    let is_settled = sources.is_settled && query.time.is_none();
    let layout = places.lay_out(graph, &scene, &choice, is_settled);
    interest.check()?;
    let picture = Picture { graph, scene: &scene, layout: &layout, level: query.level };
    Ok(match query.form {
        Media::Svg => svg::svg(&picture).into(),
        Media::Dot => text::dot(&picture).into(),
        Media::Mermaid => text::mermaid(&picture).into(),
        _ => render::rendered(&picture).bytes.into(),
    })
}

fn graph(query: &Query, sources: &Sources<'_>, interest: &Interest) -> Result<Graph, ApiError> {
    let Sources { snapshot, derivations, history, detail, .. } = *sources;
    let needs = Needs { clients: true, ..Needs::default() };
    let derived = derivations.of(snapshot, needs);
    let view = View { snapshot, derived: &derived };
    // Who feeds it waits until this is over.
    let remembered = history.map(|history| history.read().unwrap_or_else(PoisonError::into_inner));
    let Some(time) = query.time else {
        let measured = remembered.and_then(|remembered| {
            let is_recent = remembered.latest.abs_diff(millis(snapshot.now().as_micros())) <= RECENT_MS;
            is_recent.then(|| Measured::of(&remembered.history, remembered.latest, interest))?
        });
        return Ok(Graph::present(view, measured.as_ref(), detail, interest));
    };
    let at = time.micros(snapshot.now());
    let mut measured =
        remembered.and_then(|remembered| Measured::of(&remembered.history, millis(at), interest));
    if measured.is_none()
        && let Some(rows) = sources.rows
    {
        measured = Some(Measured::of_rows(rows, view, at).map_err(ApiError::History)?);
    }
    Ok(Graph::past(view, Timestamp::from_micros(at), measured.as_ref(), interest))
}

/// What was measured last is of now where that is no longer ago than this.
const RECENT_MS: u64 = 60_000;

fn millis(micros: u64) -> i64 {
    i64::try_from(micros / 1_000).unwrap_or(i64::MAX)
}

/// All that is to be written down.
#[derive(Clone, Copy)]
struct Picture<'p> {
    graph: &'p Graph,
    scene: &'p Scene,
    layout: &'p Layout,
    level: Level,
}

impl Picture<'_> {
    /// What it shows, and of when.
    fn title(&self) -> String {
        let sites = words::counted(self.graph.sites.len(), "site", "sites");
        let seconds = i64::try_from(self.graph.time / 1_000_000).unwrap_or(i64::MAX);
        let time = DateTime::from_timestamp(seconds, 0).map(|time| time.naive_utc().to_string());
        let time = time.map(|time| format!(" at {time} UTC")).unwrap_or_default();
        let note = self.graph.note.map(|note| format!("; {note}")).unwrap_or_default();
        format!("Map of {sites} by {}{time}{note}", self.level.name())
    }

    /// A site with what is known of it: `factory (podman, edge, 2.0.3)`.
    fn area_title(&self, area: usize) -> String {
        let (name, facts) = (&self.graph.sites[area].name, self.site_facts(area));
        if facts.is_empty() { name.clone() } else { format!("{name} ({})", facts.join(", ")) }
    }

    /// `podman · edge · 2.0.3`.
    fn subtitle(&self, area: usize) -> String {
        self.site_facts(area).join(" · ")
    }

    fn site_facts(&self, area: usize) -> Vec<&str> {
        let site = &self.graph.sites[area];
        [&site.platform, &site.provider, &site.version].into_iter().flatten().map(String::as_str).collect()
    }

    /// `4 components, 9 processes`.
    fn area_counts(&self, area: usize) -> String {
        let area = &self.scene.areas[area];
        let components = words::counted(area.nodes, "component", "components");
        format!("{components}, {}", words::counted(area.processes, "process", "processes"))
    }

    /// The same, and the worst that there is.
    fn area_line(&self, area: usize) -> String {
        let trouble =
            self.scene.areas[area].text.as_ref().map(|text| format!("; {text}")).unwrap_or_default();
        self.area_counts(area) + &trouble
    }

    /// What is wrong with what goes by an edge, or else how much that is; nothing where neither is known.
    fn edge_text(&self, figures: &Figures) -> String {
        let rate = || figures.octet_rates().shown().map(words::octet_rate);
        words::short_trouble(figures).or_else(rate).unwrap_or_default()
    }

    fn link_trouble(&self, link: &Link) -> Trouble {
        match link {
            Link { is_up: false, .. } => Trouble::Bad,
            Link { has_flapped: true, .. } => Trouble::Warn,
            Link { .. } => Trouble::Fine,
        }
    }

    fn link_text(&self, link: &Link) -> String {
        let times = link.down_count.unwrap_or_default();
        let downs = if link.has_flapped { Some(format!("down {}×", words::grouped(times))) } else { None };
        if !link.is_up {
            return "down".to_owned();
        }
        let octets = match link.octets.shown() {
            Some(rate) => Some(words::octet_rate(rate)),
            None if !link.reports_octets => Some("octets not reported".to_owned()),
            None => None,
        };
        octets.into_iter().chain(downs).collect::<Vec<_>>().join(", ")
    }

    /// How wide a line is drawn, in pixels.
    fn width_of(&self, rates: Rates) -> f64 {
        Self::width_at(rates.shown().unwrap_or_default())
    }

    /// 1.25 px up to 1 kB/s, 1.75 px more for each factor of ten, at most 12.
    fn width_at(rate: f64) -> f64 {
        let decades = (rate / 1_000.0).max(1.0).log10();
        (1.25 + 1.75 * decades).min(12.0)
    }
}

#[cfg(test)]
mod tests;
