//! `vflow status`: whether all is well, and whether what is seen is complete.

use serde_json::Value;

use super::{Call, document};
use crate::{
    column::{Align, Cell, Tone},
    error::{BAD, Error, RIGHT},
    escape::visible,
    noun::severity,
    number,
    table::{Head, Layout, of_tone, paint},
};

/// Says the verdict; 1 where it is bad, which is where a finding is. That not all is known is said, and is not bad.
pub(crate) async fn status(call: &mut Call<'_>) -> Result<u8, Error> {
    let verdict = call.verdict().await?;
    let bad = findings(&verdict).iter().filter(|finding| finding["severity"] == "bad").count();
    let is_complete = verdict["complete"] == Value::Bool(true);
    if !document(call, &verdict, "the verdict")? {
        write_verdict(call, &verdict, bad, is_complete)?;
        write_findings(call, &verdict)?;
        write_known(call, &verdict)?;
    }
    call.out.flush()?;
    Ok(if bad == 0 { RIGHT } else { BAD })
}

fn findings(verdict: &Value) -> &[Value] {
    verdict["findings"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// All in one line, then what there is.
fn write_verdict(call: &mut Call<'_>, verdict: &Value, bad: usize, is_complete: bool) -> Result<(), Error> {
    let text = visible(verdict["text"].as_str().unwrap_or("the collector says nothing of it"));
    let (sign, word, tone) = match (bad, is_complete) {
        (0, true) => ("●", "fine".to_owned(), Tone::Plain),
        (0, false) => ("◌", verdict["state"].as_str().unwrap_or("incomplete").to_owned(), Tone::Warn),
        (bad, _) => ("✕", format!("bad, {}", number::counted(bad as u64, "finding", "findings")), Tone::Bad),
    };
    let mut line = String::new();
    paint(&mut line, &format!("{sign} {}", visible(&word)), of_tone(tone).bold(), call.how.look.color);
    writeln!(call.out, "{line}. {text}")?;
    let detail =
        verdict["detail"].as_str().map(|detail| format!(": {}", visible(detail))).unwrap_or_default();
    writeln!(call.out, "{}{detail}", call.client.name())?;
    let count = |name: &str, one: &str, many: &str| {
        verdict["counts"][name].as_u64().map(|count| number::counted(count, one, many))
    };
    let there = [
        count("sites", "site", "sites"),
        count("routers", "router", "routers"),
        count("links", "link", "links"),
        count("services", "service", "services"),
        count("processes", "process", "processes"),
    ];
    writeln!(call.out, "{}", there.into_iter().flatten().collect::<Vec<_>>().join(", "))?;
    let traffic = [
        count("openConnections", "open connection", "open connections"),
        count("connections", "connection kept", "connections kept"),
        count("requests", "request kept", "requests kept"),
    ];
    let now = call.now(verdict);
    let since = verdict["since"]
        .as_u64()
        .map(|since| format!(" since {}", call.zone.clock_to_the_second(since, now)));
    let zone = call.zone.name(now);
    let since = since.map(|since| format!("{since} {zone}")).unwrap_or_default();
    writeln!(call.out, "{}{since}", traffic.into_iter().flatten().collect::<Vec<_>>().join(", "))?;
    Ok(())
}

/// What is wrong, the worst first.
fn write_findings(call: &mut Call<'_>, verdict: &Value) -> Result<(), Error> {
    let now = call.now(verdict);
    for (at, finding) in findings(verdict).iter().enumerate() {
        if at == 0 {
            writeln!(call.out)?;
        }
        let (sign, tone) = severity(finding["severity"].as_str().unwrap_or_default());
        let mut line = String::new();
        let text = format!("{sign} {}", visible(finding["text"].as_str().unwrap_or("unknown")));
        paint(&mut line, &text, of_tone(tone), call.how.look.color);
        if let Some(since) = finding["since"].as_u64() {
            line.push_str(&format!(", since {}", call.zone.clock_to_the_second(since, now)));
        }
        writeln!(call.out, "{line}")?;
        if let Some(detail) = finding["detail"].as_str() {
            writeln!(call.out, "  {}", visible(detail))?;
        }
    }
    Ok(())
}

/// What is known, and how well.
fn write_known(call: &mut Call<'_>, verdict: &Value) -> Result<(), Error> {
    let known = verdict["known"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = known.iter().map(known_row).collect();
    let heads = [("KNOWN", Align::Left), ("HOW MUCH", Align::Right), ("DETAIL", Align::Left)];
    let heads = heads.map(|(title, align)| Head::new(title, align));
    let layout = Layout::new(heads.to_vec(), &rows, &[], call.how.look);
    if !rows.is_empty() {
        writeln!(call.out)?;
        layout.write_heads(call.out)?;
        rows.iter().try_for_each(|row| layout.write_row(call.out, row))?;
    }
    Ok(())
}

fn known_row(known: &Value) -> Vec<Cell> {
    let (sign, tone) = severity(known["severity"].as_str().unwrap_or_default());
    let text = known["text"].as_str().unwrap_or("unknown");
    let unit = known["unit"].as_str();
    let amount = |value: &Value| {
        let number = value.as_f64()?;
        Some(match unit {
            Some("octets" | "bytes") => number::memory(number),
            Some("µs" | "us" | "microseconds") => number::duration(number.max(0.0) as u64),
            _ if number.fract() == 0.0 && number >= 0.0 => number::count(number as u64),
            _ => format!("{number:.3}"),
        })
    };
    let much = match (amount(&known["value"]), amount(&known["of"])) {
        (Some(value), Some(of)) => Cell::made(format!("{value} of {of}")),
        (Some(value), None) => Cell::made(value),
        _ => Cell::unknown(),
    };
    vec![
        Cell::plain(&format!("{sign} {text}")).toned(tone),
        much,
        known["detail"].as_str().map_or_else(Cell::default, Cell::plain),
    ]
}
