//! Why connections fail, in a few words.
//!
//! Routers say it in text that names hosts, ports and whatever an operating system writes. What counts failures needs
//! reasons of which there are few, whatever a source reports: each text belongs to the first of these that it has a
//! mark of, and to [`FailureReason::Other`] if it has none.

/// Which of its two routers reported that a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureSide {
    /// The client's, `errorListenerSide`.
    Listener,
    /// The server's, `errorConnectorSide`.
    Connector,
}

impl FailureSide {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Listener, Self::Connector];

    /// `listener` or `connector`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Connector => "connector",
        }
    }
}

macro_rules! reasons {
    ($($(#[$docs:meta])* $variant:ident $name:literal [$($mark:literal)*];)+) => {
        /// Why a connection failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FailureReason {
            $( $(#[$docs])* $variant, )+
        }

        impl FailureReason {
            /// All of them.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// What it is called in metrics: lower case, words joined by hyphens.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// What texts of this reason contain, in lower case.
            const fn marks(self) -> &'static [&'static str] {
                match self { $( Self::$variant => &[$($mark),*], )+ }
            }
        }
    };
}

// Marks are what skupper-router, Qpid Proton, OpenSSL and Linux write.
reasons! {
    /// Nothing listens at the server's address.
    Refused "refused" ["connection refused"];
    /// No certificate, or none that the other side trusts; or no TLS at all.
    Tls "tls" ["tls-connection-failed" "ssl" "certificate"];
    /// The server's name has no address.
    UnknownHost "unknown-host" ["name or service not known" "name resolution" "name does not resolve" "no address associated"];
    /// The other side did not answer in time.
    Timeout "timeout" ["timed out" "timeout"];
    /// There is no server that can be reached, or no path to it.
    Unreachable "unreachable" ["unreachable" "no route to host"];
    /// A link or router on the path was lost.
    LinkLost "link-lost" ["link lost" "delivery-failed"];
    /// The other side broke the connection off.
    Reset "reset" ["reset by peer" "broken pipe" "connection aborted" "connection abort"];
    /// The listener or connector was removed.
    Removed "removed" ["parent-deleted"];
    /// Anything else.
    Other "other" [];
}

impl FailureReason {
    /// The reason that a text of a router gives.
    pub fn of(text: &str) -> Self {
        // Of every connection that fails, the text is read with each update: so it is gone through once, and marks are
        // looked at only where two letters can begin one.
        let text = text.as_bytes();
        let begins = |mark: &&str, at: usize| {
            text[at..].get(..mark.len()).is_some_and(|part| part.eq_ignore_ascii_case(mark.as_bytes()))
        };
        let mut first = Self::Other;
        for (at, letters) in text.windows(2).enumerate() {
            let mut reasons = BY_LETTER[0][usize::from(letters[0])] & BY_LETTER[1][usize::from(letters[1])];
            while reasons != 0 {
                let reason = Self::ALL[reasons.trailing_zeros() as usize];
                if reason >= first {
                    break;
                }
                if reason.marks().iter().any(|mark| begins(mark, at)) {
                    first = reason;
                }
                reasons &= reasons - 1;
            }
        }
        first
    }
}

/// The reasons of which a mark has each letter first, and second, be it a capital; one bit each.
static BY_LETTER: [[u16; 256]; 2] = {
    let mut by_letter = [[0; 256]; 2];
    let mut position = 0;
    while position < FailureReason::ALL.len() {
        let marks = FailureReason::ALL[position].marks();
        let mut mark = 0;
        while mark < marks.len() {
            let [first, second, ..] = *marks[mark].as_bytes() else { panic!("marks are words") };
            by_letter[0][first as usize] |= 1 << position;
            by_letter[0][first.to_ascii_uppercase() as usize] |= 1 << position;
            by_letter[1][second as usize] |= 1 << position;
            by_letter[1][second.to_ascii_uppercase() as usize] |= 1 << position;
            mark += 1;
        }
        position += 1;
    }
    by_letter
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_routers_write_has_a_reason() {
        use FailureReason::*;
        for (text, expected) in [
            ("proton:io (Connection refused - on connect 127.0.0.13:9199)", Refused),
            ("delivery-failed (destination unreachable)", Unreachable),
            ("proton:io (No route to host - on connect 10.1.2.3:80)", Unreachable),
            ("delivery-failed (link lost)", LinkLost),
            ("proton:io (Connection reset by peer - disconnected 10.1.2.3:80)", Reset),
            ("proton:io (Connection timed out - on connect 10.1.2.3:80)", Timeout),
            ("proton:io (Name or service not known - on connect db:5432)", UnknownHost),
            ("TLS-connection-failed (Code: 167772294 certificate verify failed)", Tls),
            ("Parent-deleted (Forced closed)", Removed),
            ("connection refused", Refused),
            ("", Other),
            ("whatever a source makes up", Other),
        ] {
            assert_eq!(FailureReason::of(text), expected, "{text}");
        }
    }

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = FailureReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), FailureReason::ALL.len());
        assert_eq!(FailureReason::ALL.last(), Some(&FailureReason::Other), "what has no mark comes last");
    }
}
