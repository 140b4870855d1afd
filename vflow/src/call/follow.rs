//! `vflow observe -f`: what comes, as it comes, also beyond a lost connection.
//!
//! A connection is shown when it is first seen and when it has ended, once where it was not seen open. The watch is
//! begun before what was is asked for, so that nothing falls between the two.

mod seen;

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use self::seen::Seen;
use super::{Call, choose, observe::Times};
use vanflow_api::selection::Selection;

use crate::{
    client::{Client, Event, Events},
    column::Facts,
    directory::learn_processes,
    error::Error,
    noun::Noun,
    output::Items,
    question::Question,
};

/// How long a watch may be silent: the collector says something every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// How long it is waited before a lost connection is tried again: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How often events are asked for, which have no watch of their own.
const POLL: Duration = Duration::from_secs(1);

/// How often it is asked anew what processes belong to, at most.
const LEARN_AGAIN: Duration = Duration::from_secs(5);

/// Shows the last so many, and then what comes, until somebody interrupts it.
pub(super) async fn follow(
    call: &mut Call<'_>,
    noun: &'static Noun,
    selection: &Selection,
    facts: Facts,
    range: &Times,
    last: Option<usize>,
) -> Result<u8, Error> {
    let header = call.csv_header(noun).await?;
    let mut question = Question::new(noun.path);
    if noun.is_v2() {
        question = question.with("watch", 1).with("timeRangeStart", "now").with("limit", 1);
        selection.parameters().into_iter().for_each(|(name, value)| question.add(name, value));
        choose(&mut question, &call.how, noun, selection, NEEDED);
    }
    let events = if noun.is_v2() { Some(call.client.events(&question, None).await?) } else { None };
    let before = before(call, noun, selection, &facts, range, last).await?;
    let mut writer = Items::new(call.out, call.how.clone(), noun, header)?;
    writer.prepare(&before, &facts, true)?;
    let mut tail = Tail {
        client: &call.client,
        err: call.err,
        noun,
        selection,
        facts,
        writer,
        seen: Seen::default(),
        learned: Instant::now(),
    };
    for item in &before {
        tail.show(item)?;
    }
    tail.writer.flush()?;
    match events {
        Some(events) => tail.watch(&question, events).await,
        None => tail.poll(&before).await,
    }
}

/// What is needed of an item to know whether it was shown.
const NEEDED: &[&str] = &["key", "startTime", "endTime", "sourceProcessId", "destProcessId"];

impl Noun {
    /// The same of links, which belong to no process.
    fn needed(&self) -> &'static [&'static str] {
        if self.path.ends_with("routerlinks") { &NEEDED[..3] } else { NEEDED }
    }
}

/// What was, in the order of time.
async fn before(
    call: &Call<'_>,
    noun: &'static Noun,
    selection: &Selection,
    facts: &Facts,
    range: &Times,
    last: Option<usize>,
) -> Result<Vec<Value>, Error> {
    if last == Some(0) {
        return Ok(Vec::new());
    }
    let mut question = range.question(noun).with("sortBy", format!("{}.desc", noun.time));
    selection.parameters().into_iter().for_each(|(name, value)| question.add(name, value));
    choose(&mut question, &call.how, noun, selection, noun.needed());
    if let Some(last) = last.filter(|_| selection.is_empty()) {
        question.add("limit", last);
    }
    let mut lines = call.client.lines(&question).await?;
    let mut items = Vec::new();
    while items.len() < last.unwrap_or(usize::MAX) {
        let Some(item) = lines.next().await? else { break };
        if selection.admits(&item, &facts.directory) {
            items.push(item);
        }
    }
    items.reverse();
    Ok(items)
}

/// What is shown of what comes.
struct Tail<'t> {
    client: &'t Client,
    err: &'t mut dyn std::io::Write,
    noun: &'static Noun,
    selection: &'t Selection,
    facts: Facts,
    writer: Items<'t>,
    seen: Seen,
    learned: Instant,
}

/// Why a watch is not there any more.
struct Lost {
    why: String,
    /// The latest moment that something was heard, by our clock and by the collector's.
    at: Instant,
    time: u64,
}

impl Tail<'_> {
    async fn watch(&mut self, question: &Question, mut events: Events) -> Result<u8, Error> {
        let mut last_id = None;
        loop {
            let lost = self.take(&mut events, &mut last_id).await?;
            self.say(&format!("lost the collector at {}: {}; trying again", self.client.name(), lost.why));
            events = self.again(question, last_id.as_deref()).await?;
            // The first event tells whether the collector could go on from where it was.
            let first = timeout(SILENCE, events.next()).await;
            let away =
                crate::number::duration(u64::try_from(lost.at.elapsed().as_micros()).unwrap_or(u64::MAX));
            match first {
                Ok(Ok(Some(event))) if event.name == "list" => {
                    last_id = event.id.or(last_id);
                    let since = lost.time.saturating_sub(HELD_BACK).max(EARLIEST);
                    self.make_up(since).await?;
                    let since = self.facts.zone.date_and_time(since);
                    self.say(&format!(
                        "back after {away}, but the collector could not go on from there: what it has since {since} is shown \
                         above; what it did not receive or does not keep is missing"
                    ));
                }
                Ok(Ok(Some(event))) => {
                    self.say(&format!("back after {away}; nothing was missed"));
                    self.event(event, &mut last_id).await?;
                }
                // Lost again: the next turn says so.
                _ => {}
            }
        }
    }

    /// Takes events until there are no more, and says why.
    async fn take(&mut self, events: &mut Events, last_id: &mut Option<String>) -> Result<Lost, Error> {
        let mut heard = Instant::now();
        loop {
            let lost = |why: String, time| Lost { why, at: heard, time };
            match timeout(SILENCE, events.next()).await {
                Ok(Ok(Some(event))) if event.name == "end" => {
                    let why: Value = serde_json::from_str(&event.data).unwrap_or_default();
                    let why = why["error"].as_str().unwrap_or("it has ended the watch").to_owned();
                    return Ok(lost(why, self.facts.now));
                }
                Ok(Ok(Some(event))) => {
                    heard = Instant::now();
                    self.event(event, last_id).await?;
                    if !events.has_more() {
                        self.writer.flush()?;
                    }
                }
                Ok(Ok(None)) => return Ok(lost("it closed the connection".to_owned(), self.facts.now)),
                Ok(Err(error)) => return Ok(lost(error.to_string(), self.facts.now)),
                Err(_) => return Ok(lost(format!("nothing for {} s", SILENCE.as_secs()), self.facts.now)),
            }
        }
    }

    async fn event(&mut self, event: Event, last_id: &mut Option<String>) -> Result<(), Error> {
        if event.id.is_some() {
            *last_id = event.id;
        }
        if event.name != "record" {
            return Ok(());
        }
        let item: Value = match serde_json::from_str(&event.data) {
            Ok(item) => item,
            Err(error) => {
                self.say(&format!("passed over an event that is no JSON: {error}"));
                return Ok(());
            }
        };
        self.offer(&item).await
    }

    /// Shows an item if it passes, and was not shown as it is.
    async fn offer(&mut self, item: &Value) -> Result<(), Error> {
        for name in ["startTime", "endTime"] {
            self.facts.now = self.facts.now.max(item[name].as_u64().unwrap_or(0));
        }
        self.learn(item).await?;
        if self.selection.admits(item, &self.facts.directory) {
            self.show(item)?;
        }
        Ok(())
    }

    fn show(&mut self, item: &Value) -> Result<(), Error> {
        if self.seen.is_news(item) {
            self.writer.write(item, &self.facts)?;
        }
        Ok(())
    }

    /// Asks what processes belong to, where there is one that was not there before.
    async fn learn(&mut self, item: &Value) -> Result<(), Error> {
        if !self.selection.needs_processes() {
            return Ok(());
        }
        let ids = ["sourceProcessId", "destProcessId"].into_iter().filter_map(|name| item[name].as_str());
        let is_new = ids.filter(|id| *id != "unknown").any(|id| self.facts.directory.process(id).is_none());
        if is_new && self.learned.elapsed() >= LEARN_AGAIN {
            self.learned = Instant::now();
            learn_processes(&mut self.facts.directory, self.client).await?;
        }
        Ok(())
    }

    /// Connects until that works. What cannot be mended by waiting is an error.
    async fn again(&self, question: &Question, last_id: Option<&str>) -> Result<Events, Error> {
        let mut wait = AGAIN.0;
        loop {
            match self.client.events(question, last_id).await {
                Ok(events) => return Ok(events),
                Err(error @ (Error::Unreachable { .. } | Error::Failed { .. })) => drop(error),
                Err(error) => return Err(error),
            }
            sleep(wait).await;
            wait = (wait * 2).min(AGAIN.1);
        }
    }

    /// Shows what there is since then and was not shown.
    async fn make_up(&mut self, since: u64) -> Result<(), Error> {
        let mut question = Question::new(self.noun.path)
            .with("timeRangeStart", since)
            .with("sortBy", format!("{}.asc", self.noun.time));
        self.selection.parameters().into_iter().for_each(|(name, value)| question.add(name, value));
        let mut lines = self.client.lines(&question).await?;
        while let Some(item) = lines.next().await? {
            self.offer(&item).await?;
        }
        self.writer.flush()
    }

    /// Asks for events again and again, each time for those after the last.
    async fn poll(&mut self, before: &[Value]) -> Result<u8, Error> {
        let number = |event: &Value| event["number"].as_u64();
        let mut after = before.iter().filter_map(number).max();
        let mut lost: Option<Instant> = None;
        loop {
            sleep(POLL).await;
            let mut question = Question::new(self.noun.path).with("sortBy", "time.asc");
            if let Some(after) = after {
                question.add("after", after);
            }
            match self.client.json(&question).await {
                Ok(answer) => {
                    let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
                    if let Some(since) = lost.take() {
                        let away = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
                        self.say(&format!("back after {}", crate::number::duration(away)));
                    }
                    let oldest = results.iter().filter_map(number).min();
                    if let (Some(after), Some(oldest)) = (after, oldest)
                        && oldest > after + 1
                    {
                        self.say(&dropped(oldest - after - 1));
                    }
                    for event in results {
                        self.offer(event).await?;
                    }
                    after = results.iter().filter_map(number).max().max(after);
                    self.writer.flush()?;
                }
                Err(error @ (Error::Unreachable { .. } | Error::Failed { .. })) => {
                    if lost.is_none() {
                        self.say(&format!("{error}; trying again"));
                        lost = Some(Instant::now());
                        // A collector that was started anew numbers events anew.
                        after = None;
                    }
                    sleep(AGAIN.1).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn say(&mut self, text: &str) {
        // Whoever does not read messages is owed the tail all the same.
        let _ = self.writer.flush();
        let _ = writeln!(self.err, "{}", crate::escape::visible(text));
    }
}

fn dropped(events: u64) -> String {
    let verb = if events == 1 { "was dropped before it" } else { "were dropped before they" };
    format!("{} {verb} could be shown", crate::number::counted(events, "event", "events"))
}

/// Routers hold records back for some seconds: what came late may have ended before what was shown last, in microseconds.
const HELD_BACK: u64 = 10_000_000;

/// The API takes no time before the year 2000 for one.
const EARLIEST: u64 = 946_684_800_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_said_of_its_number() {
        assert_eq!(dropped(1), "1 event was dropped before it could be shown");
        assert_eq!(dropped(1_200), "1,200 events were dropped before they could be shown");
    }
}
