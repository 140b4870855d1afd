//! Which properties an answer shows: `fields=a,b`.

use crate::error::ApiError;

/// The properties that `fields` names, in its order, each once; `find` looks one up, and `name` says what it is called.
///
/// # Errors
///
/// Where it names none, or one that there is not.
pub(crate) fn chosen<T>(
    text: &str,
    find: impl Fn(&str) -> Result<T, ApiError>,
    name: impl Fn(&T) -> &'static str,
) -> Result<Vec<T>, ApiError> {
    let mut chosen: Vec<T> = Vec::new();
    for text in text.split(',') {
        let property = find(text.trim())?;
        if !chosen.iter().any(|other| name(other) == name(&property)) {
            chosen.push(property);
        }
    }
    Ok(chosen)
}
