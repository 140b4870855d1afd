//! Pages that stay what they are while more comes: each has what comes after an item, whatever comes before that by now.
//!
//! Where an item belongs follows from its properties alone, so that it makes no difference whether it is held or a row of a
//! history by the time that the next page is asked for.

use std::cmp::Ordering;

use vanflow_history::rows::{Row, Rows};

use crate::{
    error::{ApiError, excerpt},
    query::value::Cell,
    v2alpha1::{
        best::Best,
        collection::Scope,
        past::{self, Before, ByTime, Listed, Window},
        query::{AFTER, Query},
        view::{Subject, View},
    },
};

/// Where an item belongs: by what the list is ordered, and among equals by identity and key.
type Place = (Option<Cell<'static>>, (String, String));

/// The items that come after the one with that key, the first ones where it is empty, and how many there are in the whole list,
/// where that `is_counted`: of a history in the order of its times no more is read than a page takes, otherwise.
///
/// # Errors
///
/// Where there is no such item, or a part of the history cannot be read.
pub(crate) fn select(
    query: &Query,
    view: View<'_>,
    scope: Scope,
    rows: Option<&dyn Rows>,
    before: Option<Before<'_>>,
    (after, is_counted): (&str, bool),
) -> Result<(Vec<Listed>, usize), ApiError> {
    let is_descending = query.is_descending();
    let from = if after.is_empty() { None } else { Some(found(query, view, rows, after)?) };
    let comes_after = |place: &Place| {
        from.as_ref().is_none_or(|from| {
            let by_order = place.0.cmp(&from.0);
            let by_order = if is_descending { by_order.reverse() } else { by_order };
            by_order.then_with(|| place.1.cmp(&from.1)) == Ordering::Greater
        })
    };
    let mut best = Best::new(query.page().end(), is_descending);
    let mut total = 0;
    query.each_listed(view, scope, |item, subject| {
        total += 1;
        let place = place(query, view, &subject);
        if comes_after(&place) {
            best.add(place.0, || place.1, Listed::Held(item));
        }
    });
    if let Some(before) = before {
        let (mut past, is_bounded) = (0, before.has_room(query.page().end()));
        let mut take = |best: &mut Best<_, _, _>, row: Row| {
            total += 1;
            let place = place(
                query,
                view,
                &Subject::Past(past::Past { schema: query.collection.schema(), row: &row }),
            );
            if comes_after(&place) {
                past += 1;
                best.add(place.0, || place.1, Listed::Past(row));
            }
            before.goes_on(is_bounded || before.has_room(past))
        };
        let read = match ByTime::of(query).filter(|_| !is_counted) {
            None => before.each(query, view, scope, None, |row| take(&mut best, row)),
            Some(order) => {
                let first = from.as_ref().map(|from| past::time_of(&from.0));
                before.each_in_order(query, view, scope, (order, first), |window| match window {
                    Window::Row(row) => take(&mut best, row),
                    Window::Until(edge) => order.has_enough(best.last(), edge),
                })
            }
        };
        read.map_err(ApiError::History)?;
        before.fits(is_bounded || before.has_room(past), before.table())?;
    }
    Ok((best.into_sorted(query.offset), total))
}

fn found(query: &Query, view: View<'_>, rows: Option<&dyn Rows>, key: &str) -> Result<Place, ApiError> {
    let held = query.collection.find(view, key).map(Listed::Held);
    let listed = match (held, rows) {
        (None, Some(rows)) => past::find(rows, query.collection, key).map_err(ApiError::History)?,
        (held, _) => held,
    };
    let subject = listed.as_ref().and_then(|listed| listed.subject(view, query.collection));
    subject.map(|subject| place(query, view, &subject)).ok_or_else(|| ApiError::Invalid {
        parameter: AFTER.to_owned(),
        value: excerpt(key),
        expected: "the `key` of an item that is still kept, or empty for the first page".to_owned(),
    })
}

fn place<'v>(query: &Query, view: View<'v>, subject: &Subject<'v>) -> Place {
    let (by_order, identity) = past::place(query, view, subject);
    let key = query.collection.schema().property("key").map(|key| key.of(view, subject));
    let key = if let Some(Cell::Text(key)) = key { key.into_owned() } else { String::new() };
    (by_order, (identity, key))
}
