//! `vflow observe`: what is going on, or was.

use std::collections::VecDeque;

use serde_json::Value;

use super::{Call, choose, follow::follow, nothing};
use vanflow_api::selection::Selection;

use crate::{
    args::{Form, Observe},
    client::Lines,
    column::Facts,
    error::{Error, RIGHT},
    noun::Noun,
    output::Items,
    question::Question,
};

/// How many are shown where nothing else is said.
const LAST: usize = 20;

/// What of a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    First(usize),
    Last(usize),
    All,
}

/// Shows what was, and with `-f` what comes.
pub(crate) async fn observe(call: &mut Call<'_>, observe: &Observe) -> Result<u8, Error> {
    let noun = Noun::observed(observe.subject);
    if observe.follow && call.how.form == Form::Json {
        return Err(Error::usage(
            "-f never ends, and a JSON document has an end: -o ndjson has an object a line",
        ));
    }
    let selection = noun.selection(&observe.filters)?;
    let verdict = call.verdict().await?;
    let now = call.now(&verdict);
    let range = Times::new(call, observe.range.since.as_deref(), observe.range.until.as_deref(), now)?;
    let facts = call.facts(noun, &selection, now).await?;
    let part = match (observe.first, observe.last, &observe.range.since) {
        (Some(first), _, _) => Part::First(first),
        (_, Some(last), _) => Part::Last(last),
        (None, None, Some(_)) => Part::All,
        (None, None, None) if observe.all => Part::All,
        (None, None, None) => Part::Last(LAST),
    };
    call.say_incomplete(&verdict)?;
    if observe.follow && !call.client.is_capture() {
        range.say_missing(call, noun, &verdict, None)?;
        let last = if let Part::Last(last) = part { Some(last) } else { None };
        return follow(call, noun, &selection, facts, &range, last).await;
    }
    show(call, noun, &selection, &facts, &range, part, &verdict).await?;
    if observe.follow {
        call.say("the capture ends here, and nothing more can come")?;
    }
    Ok(RIGHT)
}

async fn show(
    call: &mut Call<'_>,
    noun: &'static Noun,
    selection: &Selection,
    facts: &Facts,
    range: &Times,
    part: Part,
    verdict: &Value,
) -> Result<(), Error> {
    let direction = if let Part::Last(_) = part { "desc" } else { "asc" };
    let mut question = range.question(noun).with("sortBy", format!("{}.{direction}", noun.time));
    selection.parameters().into_iter().for_each(|(name, value)| question.add(name, value));
    let limit = match part {
        Part::First(limit) | Part::Last(limit) => limit,
        Part::All => usize::MAX,
    };
    if selection.is_empty() && limit != usize::MAX {
        question.add("limit", limit);
    }
    choose(&mut question, &call.how, noun, selection, &[]);
    let header = call.csv_header(noun).await?;
    let mut lines = call.lines(&question).await?;
    range.say_missing(call, noun, verdict, lines.answered_from())?;
    // What was last is asked for in that order, so that no more comes than is shown; it is shown in the order of time.
    let mut items = VecDeque::new();
    while items.len() < limit.min(BATCH) {
        let Some(item) = next(&mut lines, selection, facts).await? else { break };
        if let Part::Last(_) = part { items.push_front(item) } else { items.push_back(item) }
    }
    let is_more = items.len() == BATCH && limit > BATCH;
    let mut writer = Items::new(call.out, call.how.clone(), noun, header)?;
    if is_more && matches!(part, Part::Last(_)) {
        while items.len() < limit {
            let Some(item) = next(&mut lines, selection, facts).await? else { break };
            items.push_front(item);
        }
    }
    let items: Vec<_> = items.into();
    writer.prepare(&items, facts, is_more)?;
    items.iter().try_for_each(|item| writer.write(item, facts))?;
    if is_more && !matches!(part, Part::Last(_)) {
        while writer.written() < limit as u64 {
            let Some(item) = next(&mut lines, selection, facts).await? else { break };
            writer.write(&item, facts)?;
        }
    }
    let is_empty = writer.written() == 0;
    writer.end()?;
    if is_empty {
        call.say(&nothing(noun, selection))?;
    }
    Ok(())
}

/// How many items a table is laid out by before it is written.
const BATCH: usize = 1000;

async fn next(lines: &mut Lines, selection: &Selection, facts: &Facts) -> Result<Option<Value>, Error> {
    while let Some(item) = lines.next().await? {
        if selection.admits(&item, &facts.directory) {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

/// The end of the earliest of that kind that a collector can have, in microseconds, as its verdict has it.
fn oldest(kind: &str, verdict: &Value) -> Option<u64> {
    let (now, began) = (verdict["now"].as_u64(), verdict["since"].as_u64());
    let kept = verdict["memory"]["retention"].as_u64().zip(now).map(|(kept, now)| now.saturating_sub(kept));
    let held = kept.max(began)?;
    // A history goes back further.
    let ended = verdict["ended"].as_array().into_iter().flatten();
    let its = ended.filter(|ended| ended["kind"] == kind).find_map(|ended| ended["since"].as_u64());
    Some(its.map_or(held, |its| held.min(its)))
}

/// A range of time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) since: Option<u64>,
    pub(crate) until: Option<u64>,
}

impl Times {
    /// What was typed.
    pub(crate) fn new(
        call: &Call<'_>,
        since: Option<&str>,
        until: Option<&str>,
        now: u64,
    ) -> Result<Self, Error> {
        let read =
            |option: &str, text: Option<&str>| text.map(|text| call.time(option, text, now)).transpose();
        let (since, until) = (read("--since", since)?, read("--until", until)?);
        if let (Some(start), Some(end)) = (since, until)
            && start > end
        {
            return Err(Error::usage(format!(
                "--since is {}, which is after --until, {}",
                call.zone.date_and_time(start),
                call.zone.date_and_time(end)
            )));
        }
        Ok(Self { since, until })
    }

    /// What there is of a noun in that time.
    pub(crate) fn question(&self, noun: &Noun) -> Question {
        let mut question = Question::new(noun.path);
        if self.since.is_some() || noun.is_v2() {
            question.add("timeRangeStart", self.since.unwrap_or(0));
        }
        if let Some(until) = self.until {
            question.add("timeRangeEnd", until);
        }
        question
    }

    /// Says where the range reaches back further than what is kept: as the answer has it, or else by the verdict.
    pub(crate) fn say_missing(
        &self,
        call: &mut Call<'_>,
        noun: &Noun,
        verdict: &Value,
        answered_from: Option<u64>,
    ) -> Result<(), Error> {
        let Some(since) = self.since else { return Ok(()) };
        if let Some(from) = answered_from.filter(|from| since < *from) {
            let from = call.zone.date_and_time(from);
            return call.say(&format!(
                "what ended before {from} has been removed: this is all that ended since then"
            ));
        }
        if let Some(oldest) = oldest(noun.plural, verdict)
            && since < oldest
        {
            let oldest = call.zone.date_and_time(oldest);
            call.say(&format!(
                "what ended before {oldest} is not kept, or was never received: there may have been more"
            ))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_history_has_is_not_missing() {
        let mut verdict = json!({"now": 1000, "since": 300, "memory": {"retention": 900}});
        assert_eq!(oldest("connections", &verdict), Some(300));
        verdict["ended"] = json!([{"kind": "connections", "since": 50}, {"kind": "requests"}]);
        let found = ["connections", "requests", "events"].map(|kind| oldest(kind, &verdict));
        assert_eq!(found, [Some(50), Some(300), Some(300)]);
        assert_eq!(oldest("connections", &json!({"now": 1000})), None);
    }
}
