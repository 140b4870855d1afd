//! `vflow map`: the network as a tree, or as the picture that the collector draws.

use std::collections::HashMap;

use serde_json::Value;

use super::{Call, document};
use crate::{
    args::{Form, Level, Map},
    column::Tone,
    error::{Error, RIGHT},
    escape::visible,
    noun::severity,
    number,
    question::Question,
    table::{of_tone, paint},
};

/// Draws the network.
pub(crate) async fn map(call: &mut Call<'_>, map: &Map) -> Result<u8, Error> {
    let level = match map.level {
        Level::Site => "site",
        Level::Component => "component",
        Level::Process => "process",
    };
    let mut question = Question::new("api/v1/map").with("level", level);
    if let Some(service) = &map.service {
        question.add("service", service);
    }
    let drawn = match call.how.form {
        Form::Svg => Some(("svg", "image/svg+xml")),
        Form::Dot => Some(("dot", "text/vnd.graphviz")),
        Form::Mermaid => Some(("mermaid", "text/vnd.mermaid")),
        _ => None,
    };
    if let Some((form, media)) = drawn {
        let picture = call.client.text(&question.with("format", form), media).await?;
        call.out.write_all(picture.as_bytes())?;
        call.out.flush()?;
        return Ok(RIGHT);
    }
    let answer = call.client.json(&question).await?;
    if !document(call, &answer, "a map")? {
        let mut lines = Vec::new();
        Tree { answer: &answer, names: names(&answer) }.draw(&mut lines);
        for line in lines {
            let mut text = line.stem;
            paint(&mut text, &line.text, of_tone(line.tone), call.how.look.color);
            writeln!(call.out, "{text}")?;
        }
        if let Some(folded) = answer["folded"].as_u64().filter(|folded| *folded > 0) {
            call.say(&format!("{} more are not shown, those with the least traffic", number::count(folded)))?;
        }
    }
    call.out.flush()?;
    Ok(RIGHT)
}

/// A line of the tree.
struct Line {
    stem: String,
    text: String,
    tone: Tone,
}

struct Tree<'a> {
    answer: &'a Value,
    names: HashMap<&'a str, &'a str>,
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("unknown")
}

/// What everything is called, by its id.
fn names(answer: &Value) -> HashMap<&str, &str> {
    ["areas", "nodes", "routers"]
        .iter()
        .flat_map(|kind| list(answer, kind))
        .map(|item| (text(item, "id"), text(item, "name")))
        .collect()
}

impl<'a> Tree<'a> {
    /// Each site with its routers, links, and what is in it with whom it talks to.
    fn draw(&self, lines: &mut Vec<Line>) {
        for area in list(self.answer, "areas") {
            let id = text(area, "id");
            let more: Vec<_> =
                ["platform", "provider", "version"].iter().filter_map(|name| area[*name].as_str()).collect();
            let trouble = area["text"]
                .as_str()
                .filter(|_| area["severity"].as_str().is_some_and(|severity| severity != "fine"));
            lines.push(Line {
                stem: String::new(),
                text: format!(
                    "{}{}{}",
                    visible(text(area, "name")),
                    if more.is_empty() { String::new() } else { format!(" ({})", visible(&more.join(", "))) },
                    trouble.map(|trouble| format!(": {}", visible(trouble))).unwrap_or_default(),
                ),
                tone: tone(area),
            });
            let mut branches = Vec::new();
            for router in list(self.answer, "routers").iter().filter(|router| text(router, "area") == id) {
                branches.push(self.router(router));
            }
            for node in list(self.answer, "nodes").iter().filter(|node| text(node, "area") == id) {
                branches.push(self.node(node));
            }
            // A site that is closed talks as a whole.
            branches.extend(self.edges(id).into_iter().map(|(text, tone)| (text, tone, Vec::new())));
            push(lines, branches);
        }
        for missing in list(self.answer, "unplaced") {
            let (sign, tone) = severity(text(missing, "severity"));
            let name = visible(text(&missing["subject"], "name"));
            lines.push(Line {
                stem: String::new(),
                text: format!("{sign} {name}: {}", visible(text(missing, "text"))),
                tone,
            });
        }
    }

    fn router(&self, router: &'a Value) -> Branch {
        let name = visible(text(router, "name").trim_start_matches("0/"));
        let mode = router["mode"].as_str().map(|mode| format!(", {}", visible(mode))).unwrap_or_default();
        let links =
            list(self.answer, "links").iter().filter(|link| text(link, "source") == text(router, "id"));
        let links = links.map(|link| {
            let to = self.name(text(link, "destination"));
            let cost = link["cost"].as_u64().map(|cost| format!(", cost {cost}")).unwrap_or_default();
            let rate = rate(&link["octetRate"]).map(|rate| format!(", {rate}")).unwrap_or_default();
            match link["up"].as_bool() {
                Some(false) => (format!("✕ link to {to} is down{cost}"), Tone::Bad),
                _ => (format!("link to {to}{cost}{rate}"), Tone::Plain),
            }
        });
        let is_up = router["up"].as_bool() != Some(false);
        let down = if is_up { "" } else { ", down" };
        (format!("◆ router {name}{mode}{down}"), if is_up { Tone::Quiet } else { Tone::Bad }, links.collect())
    }

    fn node(&self, node: &'a Value) -> Branch {
        let count = match node["processes"].as_u64() {
            Some(count) if count > 1 => format!(", {count} processes"),
            _ => String::new(),
        };
        let kind = if text(node, "kind") == "remote" { " (remote)" } else { "" };
        let text_of = format!("{}{kind}{count}", visible(text(node, "name")));
        (text_of, tone(node), self.edges(text(node, "id")))
    }

    /// Whom something talks to.
    fn edges(&self, from: &str) -> Vec<(String, Tone)> {
        let edges = list(self.answer, "edges").iter().filter(|edge| text(edge, "source") == from);
        edges
            .map(|edge| {
                let to = self.name(text(edge, "destination"));
                let services: Vec<_> = list(edge, "services").iter().filter_map(Value::as_str).collect();
                let by = if services.is_empty() {
                    String::new()
                } else {
                    format!(" by {}", visible(&services.join(", ")))
                };
                let rate = rate(&edge["octetRate"]).map(|rate| format!(": {rate}")).unwrap_or_default();
                let (sign, tone) = severity(text(edge, "severity"));
                let trouble = match (tone, edge["text"].as_str()) {
                    (Tone::Bad | Tone::Warn, Some(text)) => format!(", {sign} {}", visible(text)),
                    _ => String::new(),
                };
                (format!("→ {to}{by}{rate}{trouble}"), tone)
            })
            .collect()
    }

    fn name(&self, id: &str) -> String {
        let name = self.names.get(id).copied().unwrap_or(id);
        visible(name.trim_start_matches("0/")).into_owned()
    }
}

/// What is in a site: a line, and those below it.
type Branch = (String, Tone, Vec<(String, Tone)>);

fn push(lines: &mut Vec<Line>, branches: Vec<Branch>) {
    let last = branches.len();
    for (at, (text, tone, leaves)) in branches.into_iter().enumerate() {
        let is_last = at + 1 == last;
        let stem = if is_last { "└─ " } else { "├─ " };
        lines.push(Line { stem: stem.to_owned(), text, tone });
        let ends = leaves.len();
        for (at, (text, tone)) in leaves.into_iter().enumerate() {
            let stem = format!(
                "{}{}",
                if is_last { "   " } else { "│  " },
                if at + 1 == ends { "└─ " } else { "├─ " }
            );
            lines.push(Line { stem, text, tone });
        }
    }
}

fn tone(item: &Value) -> Tone {
    match item["severity"].as_str() {
        Some("bad") => Tone::Bad,
        Some("warn") => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// Octets a second over the last minute.
fn rate(rates: &Value) -> Option<String> {
    rates["1m"].as_f64().map(number::octet_rate)
}
