//! The name in a certificate that a client showed.
//!
//! Its signature was checked before, so it is what an authority that is trusted has written; all that is left is to find the
//! common name of its subject. What is not as X.509 has it has no name.

/// OBJECT IDENTIFIER 2.5.4.3, as DER has it.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]`, where the version of a certificate is.
const VERSION: u8 = 0xa0;

const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const BMP_STRING: u8 = 0x1e;

/// Names that are longer than this, in octets, are none.
const LONGEST: usize = 255;

/// The common name of the subject of a certificate in DER; the last, and so the most specific, where there are several.
pub(crate) fn common_name(certificate: &[u8]) -> Option<String> {
    let (tag, certificate, _) = element(certificate)?;
    let (to_be_signed, mut rest, _) = (tag == SEQUENCE).then(|| element(certificate)).flatten()?;
    if to_be_signed != SEQUENCE {
        return None;
    }
    if rest.first() == Some(&VERSION) {
        (_, _, rest) = element(rest)?;
    }
    // Serial number, algorithm, issuer and validity stand before the subject.
    for _ in 0..4 {
        (_, _, rest) = element(rest)?;
    }
    let (tag, mut names, _) = element(rest)?;
    let mut found = None;
    while tag == SEQUENCE && !names.is_empty() {
        let (tag, mut set, after) = element(names)?;
        names = after;
        while tag == SET && !set.is_empty() {
            let (_, pair, after) = element(set)?;
            set = after;
            let (tag, kind, value) = element(pair)?;
            if (tag, kind) == (OBJECT_IDENTIFIER, COMMON_NAME) {
                let (tag, text, _) = element(value)?;
                found = Some(string(tag, text)?);
            }
        }
    }
    found.filter(|name: &String| (1..=LONGEST).contains(&name.len()) && !name.chars().any(char::is_control))
}

/// The tag of the first element, what is in it, and what is behind it.
fn element(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = octets.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            if !(1..=4).contains(&count) {
                return None;
            }
            let (length, rest) = rest.split_at_checked(count)?;
            (length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), rest)
        }
    };
    let (inside, after) = rest.split_at_checked(length)?;
    Some((*tag, inside, after))
}

fn string(tag: u8, text: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => String::from_utf8(text.to_vec()).ok(),
        // What is written in it is Latin-1, whatever the standard says.
        TELETEX_STRING => Some(text.iter().map(|octet| char::from(*octet)).collect()),
        BMP_STRING => {
            let units: Vec<_> = text
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |sum, octet| sum << 8 | u16::from(*octet)))
                .collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, DnValue)]) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        params.distinguished_name = DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), name.clone());
        }
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_name_is_the_common_one_of_the_subject() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        let ann = [
            (DnType::OrganizationName, text("Größe & Co")),
            (DnType::CommonName, text("Ann Größe")),
            (DnType::CountryName, text("DE")),
        ];
        assert_eq!(common_name(&certificate(&ann)).as_deref(), Some("Ann Größe"));
        let printable = DnValue::PrintableString("ann".try_into().expect("printable"));
        assert_eq!(common_name(&certificate(&[(DnType::CommonName, printable)])).as_deref(), Some("ann"));
        assert_eq!(common_name(&certificate(&[(DnType::OrganizationName, text("o"))])), None);
        assert_eq!(common_name(&certificate(&[])), None);
        for none in ["", "a\nb", &"n".repeat(256)] {
            assert_eq!(common_name(&certificate(&[(DnType::CommonName, text(none))])), None, "{none:?}");
        }
        assert_eq!(string(BMP_STRING, &[0, b'a', 0x26, 0x3a]).as_deref(), Some("a☺"));
        assert_eq!(string(TELETEX_STRING, &[b'a', 0xf6]).as_deref(), Some("aö"));
    }

    #[test]
    fn what_is_cut_or_changed_has_a_name_or_none() {
        let whole = certificate(&[(DnType::CommonName, DnValue::Utf8String("ann".to_owned()))]);
        for end in 0..whole.len() {
            assert_eq!(common_name(&whole[..end]), None, "the outermost length is wrong");
        }
        for place in 0..whole.len() {
            for octet in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[place] = octet;
                let _ = common_name(&changed);
            }
        }
    }
}
