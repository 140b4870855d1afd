//! One answer to "is what I see complete, and if not, why": and what is wrong in the network.

mod ended;
mod findings;
mod known;
mod services;

use serde_json::{Value, json};
use vanflow_proto::RecordKind;
use vanflow_store::{FlowKind, Record, Service, Snapshot};

pub(crate) use ended::ENDED;
pub(crate) use findings::FINDING;
pub(crate) use known::KNOWN;

use crate::{
    api::never_reported,
    json::{Json, Object},
    link::{Ends, Routers},
    metrics::Figures,
    network::Status,
    v1::{
        Question,
        sources::{self, Source, State as SourceState},
        table::object,
    },
    v2alpha1::{self, Collection},
};

/// Whether what is seen is complete, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Complete,
    Incomplete,
    /// The sources were not asked yet, or have not answered.
    Waiting,
    Detached,
}

impl State {
    const NAMES: [&'static str; 4] = ["complete", "incomplete", "waiting", "detached"];

    fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What the findings are made from.
#[derive(Debug)]
struct Facts<'q> {
    snapshot: &'q Snapshot,
    status: Status,
    figures: Figures,
    sources: Vec<Source>,
    never_reported: u64,
    /// Records that left for want of memory, before they were as old as they may get.
    evicted_early: u64,
    /// What is wrong with places where what has ended is kept.
    troubles: Vec<String>,
    /// How long ended records are kept at most, in microseconds.
    retention: u64,
}

impl Facts<'_> {
    fn count(&self, state: SourceState) -> usize {
        self.sources.iter().filter(|source| source.state == state).count()
    }

    /// How many sources there are, those that were lost not counted.
    fn seen(&self) -> usize {
        self.sources.len() - self.count(SourceState::Lost)
    }

    /// Whether another source of the same name is seen: a router that restarted has another identity.
    fn has_successor(&self, lost: &Source) -> bool {
        let is_it = |source: &Source| source.state != SourceState::Lost && source.is_named_as(lost);
        self.sources.iter().any(is_it)
    }

    fn state(&self) -> State {
        let lacks = self.count(SourceState::Incomplete) > 0
            || self.sources.iter().any(|source| source.is_saturated)
            || self.figures.connection.on_trial > 0
            || self.never_reported > 0
            || self.figures.refused > 0;
        match &self.status {
            Status { attached: false, .. } => State::Detached,
            Status { flushed: false, .. } => State::Waiting,
            _ if self.seen() == 0 => State::Waiting,
            _ if lacks => State::Incomplete,
            _ => State::Complete,
        }
    }

    /// The state in one sentence.
    fn text(&self) -> String {
        let (seen, incomplete) = (self.seen(), self.count(SourceState::Incomplete));
        match self.state() {
            State::Detached if self.status.detail.is_empty() => {
                "There is no connection to a router.".to_owned()
            }
            State::Detached => sentence(&self.status.detail),
            State::Waiting if seen == 0 => "No source is heard yet.".to_owned(),
            State::Waiting => {
                let others = if incomplete == 1 { "the other is" } else { "the others are" };
                format!("{} complete, {others} being asked.", of_sources(seen - incomplete, seen))
            }
            State::Complete if seen == 1 => "The one source is complete, nothing was dropped.".to_owned(),
            State::Complete => format!("All {seen} sources are complete, nothing was dropped."),
            State::Incomplete => {
                let mut reasons = Vec::new();
                if incomplete > 0 {
                    reasons.push(format!("{} incomplete", of_sources(incomplete, seen)));
                }
                let on_trial = self.figures.connection.on_trial;
                if on_trial > 0 {
                    reasons
                        .push(format!("{} announced and not heard yet", were(on_trial, "source", "sources")));
                }
                let saturated = self.sources.iter().filter(|source| source.is_saturated).count();
                if saturated > 0 {
                    reasons.push(format!(
                        "{} no more connections",
                        plural(saturated as u64, "router reports", "routers report")
                    ));
                }
                if self.never_reported > 0 {
                    reasons.push(format!(
                        "{} never reported",
                        were(self.never_reported, "connection", "connections")
                    ));
                }
                if self.figures.refused > 0 {
                    reasons.push(format!(
                        "{} refused",
                        were(self.figures.refused, "message or record", "messages or records")
                    ));
                }
                sentence(&reasons.join(", "))
            }
        }
    }
}

/// The answer.
pub(crate) fn render(question: &Question<'_>) -> Json {
    let (stats, options) = {
        let store = question.network.read();
        (store.stats(), store.options().clone())
    };
    let snapshot = &question.snapshot;
    let facts = Facts {
        snapshot,
        status: question.network.status().borrow().clone(),
        figures: question.health.figures(),
        troubles: question.health.troubles(),
        sources: sources::sources(snapshot),
        never_reported: never_reported(snapshot),
        evicted_early: stats.evicted_early,
        retention: options.retention_micros,
    };
    let findings = findings::findings(&facts);
    let known = known::known(&facts, &stats);
    let mut json = Json::default();
    let mut verdict = Object::open(&mut json);
    let state = facts.state();
    verdict.truth("complete", state == State::Complete);
    verdict.string("state", state.name());
    verdict.string("text", &facts.text());
    verdict.truth("attached", facts.status.attached);
    if !facts.status.detail.is_empty() {
        verdict.string("detail", &facts.status.detail);
    }
    verdict.uint("now", snapshot.now().as_micros());
    if let Some(since) = facts.sources.iter().map(Source::first_heard).min() {
        verdict.uint("since", since);
    }
    verdict.name("sources");
    render_sources(verdict.json, &facts);
    verdict.name("counts");
    render_counts(verdict.json, question);
    verdict.name("findings");
    FINDING.render_all(verdict.json, &findings);
    verdict.name("known");
    KNOWN.render_all(verdict.json, &known);
    verdict.name("memory");
    let mut memory = Object::open(verdict.json);
    memory.uint("records", stats.memory as u64);
    if let Some(bound) = options.memory_bound {
        memory.uint("recordsLimit", bound as u64);
    }
    if let Some(history) = facts.figures.history {
        memory.uint("history", history.stats.octets as u64);
        memory.uint("historyLimit", history.limit as u64);
        memory.uint("historySeries", history.stats.series as u64);
        if let Some(oldest) = history.oldest {
            memory.uint("historySince", u64::try_from(oldest).unwrap_or(0) * 1000);
        }
    }
    memory.uint("retention", options.retention_micros);
    memory.close();
    if let Some(rows) = question.rows {
        verdict.name("ended");
        ENDED.render_all(verdict.json, &v2alpha1::held(rows));
    }
    verdict.close();
    json.raw("\n");
    json
}

fn render_sources(json: &mut Json, facts: &Facts<'_>) {
    let mut object = Object::open(json);
    let seen = facts.sources.iter().filter(|source| source.state != SourceState::Lost);
    object.uint("total", facts.seen() as u64);
    object.uint("complete", facts.count(SourceState::Complete) as u64);
    object.uint("incomplete", facts.count(SourceState::Incomplete) as u64);
    object.uint("lost", facts.count(SourceState::Lost) as u64);
    object.uint("onTrial", facts.figures.connection.on_trial);
    object.uint("routers", seen.clone().filter(|source| source.is_router()).count() as u64);
    object.uint("controllers", seen.filter(|source| source.is_controller()).count() as u64);
    object.close();
}

/// What there is now, and how many connections and requests are retained.
fn render_counts(json: &mut Json, question: &Question<'_>) {
    let snapshot = &question.snapshot;
    let derived = question.derivations.of(snapshot, Collection::Components.needs());
    let components = derived.components.iter().filter(|component| component.end.is_none());
    let mut object = Object::open(json);
    let live = |kind| snapshot.live_count(kind) as u64;
    object.uint("sites", live(RecordKind::Site));
    object.uint("routers", live(RecordKind::Router));
    object.uint("links", links(snapshot).count() as u64);
    object.uint("services", snapshot.services().filter(Service::is_live).count() as u64);
    object.uint("components", components.count() as u64);
    object.uint("processes", live(RecordKind::Process));
    object.uint("listeners", live(RecordKind::Listener));
    object.uint("connectors", live(RecordKind::Connector));
    object.uint("openConnections", snapshot.live_flow_count(FlowKind::Connection) as u64);
    object.uint("connections", snapshot.retained_flow_count(FlowKind::Connection) as u64);
    object.uint("requests", snapshot.retained_flow_count(FlowKind::Request) as u64);
    object.close();
}

/// The links that there are, each once.
fn links(snapshot: &Snapshot) -> impl Iterator<Item = Record<'_>> {
    let routers = Routers::new(snapshot);
    let is_one = move |link: &Record<'_>| !Ends::of(&routers, snapshot, *link).is_far_side();
    snapshot.live_of_kind(RecordKind::Link).filter(is_one)
}

/// So many of something.
fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// So many of something, and that they were something.
fn were(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", plural(count, one, many), if count == 1 { "was" } else { "were" })
}

/// How many of all sources are something.
fn of_sources(count: usize, all: usize) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{count} of {} {verb}", plural(all as u64, "source", "sources"))
}

/// A text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let mut sentence: String = first.chain(letters).collect();
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    sentence
}

/// Its schema in the OpenAPI document.
pub(crate) fn described() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let count = |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    let truth = |description: &str| json!({ "type": "boolean", "description": description });
    let list = |schema: &str, description: &str| json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{schema}") }, "description": description });
    let counts = |description: &str, names: &[&str]| {
        object(
            description,
            names.iter().map(|name| (*name, true, json!({ "type": "integer", "minimum": 0 }))),
        )
    };
    object(
        "Whether what is seen is complete, and what is wrong.",
        [
            (
                "complete",
                true,
                truth("Whether everything that sources have is here and nothing was dropped."),
            ),
            (
                "state",
                true,
                json!({ "type": "string", "enum": State::NAMES, "description": "The same in a word: `waiting` until the sources were asked, `detached` without a connection to a router." }),
            ),
            ("text", true, text("The same in a sentence.")),
            ("attached", true, truth("Whether there is a connection to a router.")),
            ("detail", false, text("How the collector is doing, in words.")),
            (
                "now",
                true,
                count(
                    "The collector's clock, in microseconds since the Unix epoch: the latest time that it took note of something.",
                ),
            ),
            (
                "since",
                false,
                count("Since when it hears the sources that it knows, in microseconds since the Unix epoch."),
            ),
            (
                "sources",
                true,
                counts(
                    "How many sources there are; those that were lost, and those that were announced and not heard yet \
                     (onTrial), are not in the total.",
                    &["total", "complete", "incomplete", "lost", "onTrial", "routers", "controllers"],
                ),
            ),
            (
                "counts",
                true,
                counts(
                    "What there is now; of connections and requests also those that have ended and are retained.",
                    &[
                        "sites",
                        "routers",
                        "links",
                        "services",
                        "components",
                        "processes",
                        "listeners",
                        "connectors",
                        "openConnections",
                        "connections",
                        "requests",
                    ],
                ),
            ),
            ("findings", true, list(FINDING.name, "What is wrong, the worst first.")),
            ("known", true, list(KNOWN.name, "What is known, and how well.")),
            (
                "ended",
                false,
                list(ENDED.name, "What has ended and is kept on disk; absent where nothing is."),
            ),
            (
                "memory",
                true,
                object(
                    "What is kept, in octets.",
                    [
                        ("records", true, count("What records take, as estimated.")),
                        ("recordsLimit", false, count("What they may take; absent where there is no bound.")),
                        (
                            "history",
                            false,
                            count("What the history of metrics takes; absent where none is kept."),
                        ),
                        ("historyLimit", false, count("What it may take.")),
                        ("historySeries", false, count("How many series it has.")),
                        (
                            "historySince",
                            false,
                            count("Since when it has samples, in microseconds since the Unix epoch."),
                        ),
                        (
                            "retention",
                            true,
                            count("How long ended records are kept at most, in microseconds."),
                        ),
                    ],
                ),
            ),
        ],
    )
}
