//! Which of some names was likely meant by one that is none of them.

/// How many names are suggested at most.
const SUGGESTED: usize = 3;

/// `did you mean a or b?`, or nothing where no name is near. The case of letters makes no difference.
pub(crate) fn suggestion<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let wanted = name.to_lowercase();
    // Comparing takes as long as both are.
    if wanted.chars().count() > 64 {
        return String::new();
    }
    let mut near: Vec<_> = known
        .filter_map(|other| {
            let candidate = other.to_lowercase();
            // A third of the letters may be wrong, but of a short name only one.
            let most = wanted.chars().count().max(3) / 3;
            let distance = if wanted.len() > 3 && candidate != wanted && candidate.contains(&wanted) {
                1
            } else {
                strsim::levenshtein(&wanted, &candidate)
            };
            (distance <= most).then_some((distance, other))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    // But for the case of letters it is that one.
    if near.first().is_some_and(|(distance, _)| *distance == 0) {
        near.truncate(1);
    }
    near.truncate(SUGGESTED);
    let names: Vec<_> = near.iter().map(|(_, name)| *name).collect();
    if names.is_empty() { String::new() } else { format!("did you mean {}? ", names.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_near_are_suggested() {
        let names = ["octetCount", "octetReverseCount", "sourceSiteName", "state", "name"];
        for (name, expected) in [
            ("octetcount", "did you mean octetCount? "),
            ("octets", ""),
            ("octetCont", "did you mean octetCount? "),
            ("nmae", ""),
            ("nam", "did you mean name? "),
            ("stat", "did you mean state? "),
            ("NAME", "did you mean name? "),
            ("siteName", "did you mean sourceSiteName? "),
            ("banana", ""),
            ("", ""),
        ] {
            assert_eq!(suggestion(name, names.into_iter()), expected, "{name}");
        }
        assert_eq!(suggestion(&"x".repeat(1_000_000), names.into_iter()), "");
    }
}
