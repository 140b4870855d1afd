//! `vflow path`: the ways that traffic takes from a client to a service.

use serde_json::Value;

use super::{Call, document};
use crate::{
    args::Path,
    column::{Align, Cell, Tone},
    error::{Error, RIGHT},
    escape::visible,
    number,
    question::Question,
    table::{Head, Layout, of_tone, paint},
};

/// Shows the ways, most used first.
pub(crate) async fn path(call: &mut Call<'_>, path: &Path) -> Result<u8, Error> {
    let question = Question::new("api/v1/path").with("from", &path.client).with("to", &path.service);
    let answer = call.client.json(&question).await?;
    if !document(call, &answer, "a path")? {
        let paths = answer["paths"].as_array().map(Vec::as_slice).unwrap_or_default();
        let name = |end: &Value| {
            visible(end["name"].as_str().or(end["id"].as_str()).unwrap_or("unknown")).into_owned()
        };
        let connections = answer["connections"].as_u64().unwrap_or(0);
        let (from, to) = (name(&answer["from"]), name(&answer["to"]));
        let mut line = String::new();
        let ways = number::counted(paths.len() as u64, "way", "ways");
        paint(&mut line, &format!("{from} to {to}"), of_tone(Tone::Plain).bold(), call.how.look.color);
        writeln!(call.out, "{line}: {}, {ways}", number::counted(connections, "connection", "connections"))?;
        for way in paths {
            write_way(call, way)?;
        }
        if paths.is_empty() {
            call.say(&format!("no connection from {} to {} is kept", path.client, path.service))?;
        }
    }
    call.out.flush()?;
    Ok(RIGHT)
}

fn write_way(call: &mut Call<'_>, way: &Value) -> Result<(), Error> {
    let count = |name: &str| way[name].as_u64();
    let connections = count("connections").unwrap_or(0);
    let failed = count("failed").unwrap_or(0);
    // The thresholds of the map: from 2 % on to be looked at, above 10 % bad.
    let (sign, tone) = match failed as f64 / connections.max(1) as f64 {
        share if share > 0.1 => ("✕ ", Tone::Bad),
        share if share >= 0.02 => ("▲ ", Tone::Warn),
        _ => ("", Tone::Plain),
    };
    let mut facts = vec![number::counted(connections, "connection", "connections")];
    facts.extend(
        count("openConnections").filter(|open| *open > 0).map(|open| format!("{} open", number::count(open))),
    );
    facts.extend((failed > 0).then(|| format!("{sign}{} failed", number::count(failed))));
    facts.extend(count("cost").map(|cost| format!("cost {cost}")));
    if way["inferred"] == Value::Bool(true) {
        facts.push("partly inferred".to_owned());
    }
    let mut line = String::new();
    paint(&mut line, &facts.join(", "), of_tone(tone), call.how.look.color);
    writeln!(call.out, "\n{line}")?;
    let hops = way["hops"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = hops.iter().map(row).collect();
    let heads = [
        ("HOP", Align::Left),
        ("NAME", Align::Left),
        ("SITE", Align::Left),
        ("COST", Align::Right),
        ("", Align::Left),
    ];
    let heads = heads.map(|(title, align)| Head::new(title, align));
    let layout = Layout::new(heads.to_vec(), &rows, &[], call.how.look);
    layout.write_heads(call.out)?;
    rows.iter().try_for_each(|row| layout.write_row(call.out, row))?;
    if let Some(latency) = latency(&way["latency"]) {
        writeln!(call.out, "{latency}")?;
    }
    Ok(())
}

fn row(hop: &Value) -> Vec<Cell> {
    let text = |name: &str| hop[name].as_str();
    let kind = text("type").unwrap_or("unknown");
    let name = match (text("name"), text("address"), text("id")) {
        (Some(name), Some(address), _) if kind != "router" => format!("{name} ({address})"),
        (Some(name), ..) => name.trim_start_matches("0/").to_owned(),
        (None, Some(other), _) | (None, None, Some(other)) => other.to_owned(),
        _ => "unknown".to_owned(),
    };
    let inferred =
        if hop["inferred"] == Value::Bool(true) { Cell::quiet("◌ inferred") } else { Cell::default() };
    vec![
        Cell::plain(kind),
        Cell::plain(&name),
        text("siteName").map_or_else(Cell::default, Cell::plain),
        hop["cost"].as_u64().map_or_else(Cell::default, |cost| Cell::made(cost.to_string())),
        inferred,
    ]
}

/// The latency, split into network and workload where both ends were reported.
fn latency(latency: &Value) -> Option<String> {
    let micros = |name: &str| latency[name].as_u64().map(number::duration);
    let mut line = format!("latency p50 {}", micros("p50")?);
    if let Some(p95) = micros("p95") {
        line.push_str(&format!(", p95 {p95}"));
    }
    match (micros("networkP50"), micros("workloadP50")) {
        (Some(network), Some(workload)) => {
            line.push_str(&format!("; of the p50, network {network}, workload {workload}"));
        }
        _ => line.push_str("; one side was not reported, so that it cannot be split"),
    }
    Some(line)
}
