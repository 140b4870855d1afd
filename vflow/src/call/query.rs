//! `vflow query`: PromQL, as a table or a chart.

mod chart;
mod series;

use serde_json::Value;
use vanflow_api::selection::duration;

use self::chart::draw;
pub(crate) use self::series::Series;
use super::{Call, document, observe::Times};
use crate::{
    args::{Form, Query},
    column::{Align, Cell},
    error::{Error, RIGHT},
    question::Question,
    table::{Head, Layout},
};

/// The range of a chart where no time is given, in microseconds.
const HOUR: u64 = 3_600_000_000;

/// How many values a series has where nobody says how far they are apart.
const VALUES: u64 = 100;

/// How wide a chart is where there is no terminal.
const WIDTH: usize = 80;

/// Shows what an expression comes to.
pub(crate) async fn query(call: &mut Call<'_>, query: &Query) -> Result<u8, Error> {
    let verdict = call.verdict().await?;
    let now = call.now(&verdict);
    let times = Times::new(call, query.range.since.as_deref(), query.range.until.as_deref(), now)?;
    let until = times.until.unwrap_or(now);
    let since = times.since.or_else(|| query.chart.then(|| until.saturating_sub(HOUR)));
    let question = match since {
        Some(since) => {
            let step = step(query.step.as_deref(), until.saturating_sub(since))?;
            Question::new("prometheus/api/v1/query_range")
                .with("query", &query.expression)
                .with("start", seconds(since))
                .with("end", seconds(until))
                .with("step", seconds(step))
        }
        None if query.step.is_some() => {
            return Err(Error::usage("--step is of a range of time: --since says where it begins"));
        }
        None => Question::new("prometheus/api/v1/query")
            .with("query", &query.expression)
            .with("time", seconds(until)),
    };
    let answer = call.client.json(&question).await?;
    for warning in answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        call.say(warning)?;
    }
    let data = &answer["data"];
    let series = Series::all(data);
    let form = call.how.form;
    match form {
        Form::Csv => write_csv(call, &series)?,
        Form::Ndjson => {
            for series in data["result"].as_array().into_iter().flatten() {
                writeln!(call.out, "{}", crate::output::escaped(series))?;
            }
        }
        _ if document(call, data, "an answer")? => {}
        _ if query.chart => {
            let width = call.how.look.width.unwrap_or(WIDTH);
            draw(call.out, &series, width, call.how.look.color, call.zone)?;
        }
        _ => write_table(call, &series)?,
    }
    call.out.flush()?;
    if series.is_empty() {
        call.say("nothing: no series has a value there; `vflow query 'count by (__name__) ({__name__=~\".+\"})'` lists what there is")?;
    }
    Ok(RIGHT)
}

/// Seconds, as PromQL has times.
fn seconds(micros: u64) -> String {
    format!("{}.{:03}", micros / 1_000_000, micros % 1_000_000 / 1000)
}

/// How far values are apart, in microseconds: whole seconds, where nobody says otherwise.
fn step(text: Option<&str>, range: u64) -> Result<u64, Error> {
    match text {
        None => Ok((range / VALUES).next_multiple_of(1_000_000).max(1_000_000)),
        Some(text) => duration(text).filter(|step| *step >= 1000).ok_or_else(|| {
            Error::usage(format!(
                "--step is `{text}`, which has to be a duration of 1ms or more, as in 30s or 5m"
            ))
        }),
    }
}

fn write_table(call: &mut Call<'_>, series: &[Series]) -> Result<(), Error> {
    let labels = Series::labels(series);
    let is_range = series.iter().any(|series| series.values.len() > 1);
    let head = Head::new;
    let mut heads: Vec<_> = labels.iter().map(|label| head(label, Align::Left)).collect();
    heads.push(head("VALUE", Align::Right));
    if is_range {
        heads.extend([head("LEAST", Align::Right), head("MOST", Align::Right), head("COURSE", Align::Left)]);
    }
    let rows: Vec<_> = series
        .iter()
        .map(|series| {
            let mut row: Vec<_> =
                labels.iter().map(|label| series.label(label).map_or_else(Cell::dash, Cell::plain)).collect();
            row.push(series.last().map_or_else(Cell::dash, |value| Cell::made(series::shown(value))));
            if is_range {
                let (least, most) = series.extent();
                row.extend([
                    Cell::made(series::shown(least)),
                    Cell::made(series::shown(most)),
                    Cell::made(series.sparks()),
                ]);
            }
            row
        })
        .collect();
    if !rows.is_empty() {
        let layout = Layout::new(heads, &rows, &[], call.how.look);
        layout.write_heads(call.out)?;
        rows.iter().try_for_each(|row| layout.write_row(call.out, row))?;
    }
    Ok(())
}

fn write_csv(call: &mut Call<'_>, series: &[Series]) -> Result<(), Error> {
    let labels = Series::labels(series);
    let header: Vec<_> = labels.iter().cloned().chain(["time".to_owned(), "value".to_owned()]).collect();
    if call.how.look.headers {
        crate::output::csv::write_header(call.out, &header)?;
    }
    for series in series {
        for (time, value) in &series.values {
            let mut row: serde_json::Map<_, _> =
                labels.iter().map(|label| (label.clone(), Value::from(series.label(label)))).collect();
            row.insert("time".to_owned(), (*time).into());
            row.insert(
                "value".to_owned(),
                serde_json::Number::from_f64(*value).map_or(Value::Null, Value::Number),
            );
            crate::output::csv::write_row(call.out, &header, &Value::Object(row))?;
        }
    }
    Ok(())
}
