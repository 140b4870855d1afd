//! `vflow sites` and its like: all of what there is, or was.

use super::{Call, choose};
use crate::{
    args::List,
    error::{Error, RIGHT},
    noun::Noun,
    output::Items,
    question::Question,
};

/// Lists what there is of a noun.
pub(crate) async fn list(call: &mut Call<'_>, noun: &'static Noun, list: &List) -> Result<u8, Error> {
    let selection = noun.selection(&list.filters)?.named(&list.names, noun.names);
    let verdict = call.verdict().await?;
    let facts = call.facts(noun, &selection, call.now(&verdict)).await?;
    let mut question = Question::new(noun.path).with("timeRangeStart", 0).with("sortBy", "name.asc");
    question.add("state", if list.all { "all" } else { "active" });
    selection.parameters().into_iter().for_each(|(name, value)| question.add(name, value));
    choose(&mut question, &call.how, noun, &selection, &[]);
    let mut lines = call.lines(&question).await?;
    let mut items = Vec::new();
    while let Some(item) = lines.next().await? {
        if selection.admits(&item, &facts.directory) {
            items.push(item);
        }
    }
    let header = call.csv_header(noun).await?;
    let mut writer = Items::new(call.out, call.how.clone(), noun, header)?;
    writer.prepare(&items, &facts, false)?;
    items.iter().try_for_each(|item| writer.write(item, &facts))?;
    writer.end()?;
    if items.is_empty() {
        let with =
            if selection.is_empty() { String::new() } else { " with that name or those filters".to_owned() };
        call.say(&format!("there are no {}{with}", noun.plural))?;
    }
    call.say_incomplete(&verdict)?;
    Ok(RIGHT)
}
