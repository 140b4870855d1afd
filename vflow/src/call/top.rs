//! `vflow top`: what there is most of, once or live on the whole screen.

mod rank;
mod screen;

use serde_json::Value;
use vanflow_api::selection::{Directory, duration};

use super::Call;
use crate::{
    args::Top,
    column::Facts,
    error::{Error, RIGHT},
    output::Items,
};

pub(crate) use self::rank::{Order, Ranking};

/// Shows what there is most of.
pub(crate) async fn top(call: &mut Call<'_>, top: &Top) -> Result<u8, Error> {
    let window = duration(&top.window).map(|micros| micros / 1_000_000).filter(|seconds| *seconds > 0);
    let window = window.ok_or_else(|| {
        Error::usage(format!(
            "--window is `{}`, which has to be a duration of 1s or more, as in 1m",
            top.window
        ))
    })?;
    let order = Order::named(top.sort.as_deref())?;
    let is_live =
        !top.once && call.surroundings.out_is_terminal && !call.how.is_chosen && !call.client.is_capture();
    if is_live {
        return screen::show(call, top.ranked, order, window).await;
    }
    if !top.once && !call.client.is_capture() && !call.how.is_chosen {
        call.say("the output is no terminal: this is what --once shows")?;
    }
    let verdict = call.verdict().await?;
    let ranking = Ranking::new(top.ranked, window);
    let mut rows = ranking.rows(&call.client, call.now(&verdict)).await?;
    order.sort(&mut rows);
    let facts = facts(call, &verdict);
    let noun = ranking.noun();
    let header = match call.how.form {
        crate::args::Form::Csv => rank::PROPERTIES.map(str::to_owned).to_vec(),
        _ => Vec::new(),
    };
    let mut items = Items::new(call.out, call.how.clone(), noun, header)?;
    items.prepare(&rows, &facts, false)?;
    rows.iter().try_for_each(|row| items.write(row, &facts))?;
    items.end()?;
    if rows.is_empty() {
        call.say(&format!("no traffic of {} is known yet", noun.plural))?;
    }
    call.say_incomplete(&verdict)?;
    Ok(RIGHT)
}

fn facts(call: &Call<'_>, verdict: &Value) -> Facts {
    Facts { now: call.now(verdict), zone: call.zone, directory: Directory::default() }
}
