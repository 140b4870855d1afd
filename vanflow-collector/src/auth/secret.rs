//! What is kept of a password or a token, and how what somebody shows is compared with it.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use subtle::ConstantTimeEq;

use super::apr1;

/// More rounds than this would take a second and more for each log-in; `htpasswd` makes no hashes with more either.
const MOST_COST: u32 = 17;

/// What a password or token is compared with.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    /// `$2y$…`, with its cost.
    Bcrypt(String, u32),
    Apr1 {
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    Sha1(Vec<u8>),
    Plain(Vec<u8>),
    /// The SHA-256 of a token.
    Sha256([u8; 32]),
}

impl Secret {
    /// What stands behind a name in a file that `htpasswd` makes. An error says what would be right.
    pub(super) fn of_password(text: &str) -> Result<Self, String> {
        let unusable = |form: &str| format!("the {form} hash is damaged: make it anew with `htpasswd -B`");
        if let Some(plain) = text.strip_prefix("{PLAIN}") {
            return match plain {
                "" => Err("the password is empty".to_owned()),
                plain => Ok(Self::Plain(plain.into())),
            };
        }
        if let Some(sum) = text.strip_prefix("{SHA}") {
            let sum = BASE64_STANDARD.decode(sum).ok().filter(|sum| sum.len() == 20);
            return sum.map(Self::Sha1).ok_or_else(|| unusable("{SHA}"));
        }
        if let Some(rest) = text.strip_prefix("$apr1$") {
            let parts = rest.split_once('$');
            let is_right = |(salt, hash): &(&str, &str)| {
                (1..=8).contains(&salt.len()) && hash.len() == apr1::LENGTH && !hash.contains('$')
            };
            let parts = parts.filter(is_right).ok_or_else(|| unusable("$apr1$"))?;
            return Ok(Self::Apr1 { salt: parts.0.into(), hash: parts.1.into() });
        }
        if ["$2y$", "$2b$", "$2a$"].iter().any(|prefix| text.starts_with(prefix)) {
            let parts = text.parse::<bcrypt::HashParts>().map_err(|_| unusable("bcrypt"))?;
            return match parts.get_cost() {
                // Takes as long as the comparison of any other; what it says is of no interest.
                cost if cost <= MOST_COST => match bcrypt::verify("", &cheapened(text)) {
                    Ok(_) => Ok(Self::Bcrypt(text.to_owned(), cost)),
                    Err(_) => Err(unusable("bcrypt")),
                },
                cost => Err(format!(
                    "a bcrypt hash of cost {cost} takes too long to compare: make it anew with `htpasswd -B -C 12`"
                )),
            };
        }
        Err("what stands behind the name is no hash that is read here, which are those of bcrypt, $apr1$ and {SHA}, \
             and passwords behind {PLAIN}: make it anew with `htpasswd -B`"
            .to_owned())
    }

    /// What stands behind a name in a file of tokens.
    pub(super) fn of_token(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("sha256-").unwrap_or(text);
        let digits: Option<Vec<_>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        if let Some(digits) = digits.filter(|digits| digits.len() == 64) {
            let mut sum = [0; 32];
            for (octet, pair) in sum.iter_mut().zip(digits.chunks(2)) {
                *octet = (pair[0] << 4 | pair[1]) as u8;
            }
            return Ok(Self::Sha256(sum));
        }
        Err("what stands behind the name is no SHA-256 of a token, 64 hexadecimal digits as `sha256sum` prints them"
            .to_owned())
    }

    /// Whether it is this that somebody showed. Takes as long whatever they did, but longer for bcrypt than it may hold up
    /// others: see [`Secret::is_costly`].
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash, _) => bcrypt::verify(shown, hash).unwrap_or(false),
            Self::Apr1 { salt, hash } => equal(&apr1::hash(shown, salt), hash),
            Self::Sha1(sum) => equal(digest(&SHA1_FOR_LEGACY_USE_ONLY, shown).as_ref(), sum),
            // By their sums, so that lengths show nothing either.
            Self::Plain(plain) => equal(&sha256(shown), &sha256(plain)),
            Self::Sha256(sum) => equal(&sha256(shown), sum),
        }
    }

    /// Whether a comparison takes long enough for others to notice.
    pub(super) fn is_costly(&self) -> bool {
        matches!(self, Self::Bcrypt(..) | Self::Apr1 { .. })
    }

    /// How long a comparison takes, by which secrets can be ordered.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Bcrypt(_, cost) => 10 + cost,
            Self::Apr1 { .. } => 2,
            Self::Sha1(_) | Self::Plain(_) | Self::Sha256(_) => 1,
        }
    }
}

/// The same hash with as few rounds as there can be: whether it is whole is found without waiting.
fn cheapened(hash: &str) -> String {
    format!("{}04{}", &hash[..4], hash.get(6..).unwrap_or_default())
}

pub(super) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, octets).as_ref());
    sum
}

fn equal(first: &[u8], second: &[u8]) -> bool {
    first.ct_eq(second).into()
}

/// Nothing of it, wherever it is written.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bcrypt(..) => "bcrypt",
            Self::Apr1 { .. } => "apr1",
            Self::Sha1(_) => "SHA-1",
            Self::Plain(_) => "plain",
            Self::Sha256(_) => "SHA-256",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_compared_with_what_htpasswd_makes_of_them() {
        for (stored, password) in [
            ("$2y$04$6iOx4S19.qyngEBDoPVU4.fNSRhT/k5Y.8E35u5rdTm7hnEzcszTK", "correct horse"),
            ("$2b$04$6iOx4S19.qyngEBDoPVU4.fNSRhT/k5Y.8E35u5rdTm7hnEzcszTK", "correct horse"),
            ("$2a$04$6iOx4S19.qyngEBDoPVU4.fNSRhT/k5Y.8E35u5rdTm7hnEzcszTK", "correct horse"),
            ("$2y$05$3e9IG72eSHVBQjJFdTU0j.0x5JL7AJo7P1yjsXVJm9ksd6JSdDn7O", ""),
            ("$apr1$0Va/P89H$iDcDP4UnDAn8B06ht12cY0", "correct horse"),
            ("{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=", "correct horse"),
            ("{PLAIN}correct horse", "correct horse"),
        ] {
            let secret = Secret::of_password(stored).expect(stored);
            assert!(secret.is(password.as_bytes()), "{stored}");
            for wrong in ["correct horsf", "correct hors", "correct horse ", "Correct horse", "x"] {
                assert!(!secret.is(wrong.as_bytes()), "{stored} is not {wrong}");
            }
            assert!(!format!("{secret:?}").contains(&stored[5..]), "it is written nowhere");
        }
    }

    #[test]
    fn what_is_no_hash_is_refused_with_what_would_be() {
        let anew = "make it anew with `htpasswd -B`";
        for (stored, expected) in [
            ("$2y$04$6iOx4S19.qyngEBDoPVU4.fNSRhT", format!("the bcrypt hash is damaged: {anew}")),
            (
                "$2y$04$6iOx4S19.qyngEBDoPVU4.fNSRhT/k5Y.8E35u5rdTm7hnEzcsz!!",
                format!("the bcrypt hash is damaged: {anew}"),
            ),
            (
                "$2y$xx$6iOx4S19.qyngEBDoPVU4.fNSRhT/k5Y.8E35u5rdTm7hnEzcszTK",
                format!("the bcrypt hash is damaged: {anew}"),
            ),
            (
                "$2y$31$6iOx4S19.qyngEBDoPVU4.fNSRhT/k5Y.8E35u5rdTm7hnEzcszTK",
                "a bcrypt hash of cost 31 takes too long to compare: make it anew with `htpasswd -B -C 12`"
                    .to_owned(),
            ),
            ("$apr1$0Va/P89H$iDcDP4UnDAn8B06ht12c", format!("the $apr1$ hash is damaged: {anew}")),
            ("$apr1$", format!("the $apr1$ hash is damaged: {anew}")),
            ("{SHA}L55TUjtiq8FBorTWAZ0jy6g1", format!("the {{SHA}} hash is damaged: {anew}")),
            ("{PLAIN}", "the password is empty".to_owned()),
        ] {
            assert_eq!(Secret::of_password(stored).expect_err(stored), expected, "{stored}");
        }
        for stored in ["", "ebymSn6aA8.p2", "$5$LL5J0yGuuxTGFCPn$GKVm", "{SSHA}AAAA", "correct horse"] {
            assert_eq!(
                Secret::of_password(stored).expect_err(stored),
                "what stands behind the name is no hash that is read here, which are those of bcrypt, $apr1$ and {SHA}, \
                 and passwords behind {PLAIN}: make it anew with `htpasswd -B`"
            );
        }
    }

    #[test]
    fn tokens_are_compared_with_their_sha_256() {
        // printf %s correct-horse | sha256sum
        let sum = "9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163";
        for stored in [sum, &sum.to_uppercase(), &format!("sha256-{sum}")] {
            let secret = Secret::of_token(stored).expect("a sum");
            assert!(secret.is(b"correct-horse") && !secret.is(b"correct-hors") && !secret.is(b""));
        }
        for wrong in ["", "abc", &sum[1..], &"é".repeat(32), &format!("+{}", &sum[1..])] {
            assert!(Secret::of_token(wrong).is_err(), "{wrong}");
        }
    }
}
