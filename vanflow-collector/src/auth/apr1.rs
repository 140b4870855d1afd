//! The hashes that `htpasswd` makes unless told otherwise: Apache's variant of the MD5-based crypt of FreeBSD.

use md5::{Digest, Md5};

/// A sum of 16 octets, as text.
pub(super) const LENGTH: usize = 22;

const MAGIC: &[u8] = b"$apr1$";
const ROUNDS: u32 = 1000;
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Which octets of the sum stand in which four digits, the last of them first.
const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The hash of a password with that salt, as it stands behind the salt in a file.
pub(super) fn hash(password: &[u8], salt: &[u8]) -> [u8; LENGTH] {
    let twice = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new().chain_update(password).chain_update(MAGIC).chain_update(salt);
    for piece in password.chunks(16) {
        first.update(&twice[..piece.len()]);
    }
    let mut bits = password.len();
    while bits > 0 {
        match (bits & 1, password.first()) {
            (0, Some(octet)) => first.update([*octet]),
            _ => first.update([0]),
        }
        bits >>= 1;
    }
    let mut sum = first.finalize();
    for round in 0..ROUNDS {
        let mut next = Md5::new();
        let is_odd = round % 2 == 1;
        next.update(if is_odd { password } else { &sum });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if is_odd { sum.as_slice() } else { password });
        sum = next.finalize();
    }
    let groups = ORDER.iter().map(|[high, middle, low]| {
        (u32::from(sum[*high]) << 16 | u32::from(sum[*middle]) << 8 | u32::from(sum[*low]), 4)
    });
    let mut text = [b'.'; LENGTH];
    let digits = groups
        .chain([(u32::from(sum[11]), 2)])
        .flat_map(|(bits, digits)| (0..digits).map(move |digit| DIGITS[(bits >> (6 * digit) & 63) as usize]));
    for (place, digit) in text.iter_mut().zip(digits) {
        *place = digit;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_htpasswd() {
        for (password, salt, expected) in [
            ("correct horse", "0Va/P89H", "iDcDP4UnDAn8B06ht12cY0"),
            ("x", "K0426.ER", "F0AwsgruKmvpjjXkoNKuq1"),
            ("", "GcAr4Gem", "MRMvBbOmZDuKWFnzfFCu0/"),
            ("Größe", "IlQa6IZ8", "rcxp2vIyv/xyk2dJAPtnn1"),
            (
                "a password that is longer than sixteen octets, and than thirty-two",
                "J3GF43nc",
                "MgAFERL2m0Pr9n.DTrU4I0",
            ),
        ] {
            let hash = hash(password.as_bytes(), salt.as_bytes());
            assert_eq!(std::str::from_utf8(&hash), Ok(expected), "{password}");
        }
    }
}
