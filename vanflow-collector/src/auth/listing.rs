//! Files that say who may look: one name a line, with what its password or token is compared with.
//!
//! `NAME:SECRET`, or `NAME:SECRET:metrics` for who may see `/metrics` alone; what is after the second colon is passed over
//! by other readers of such files. Empty lines and those that start with `#` say nothing.
//!
//! Files are read again and again. What is in them is taken up once it has been the same for two looks, so that nobody is
//! locked out by a file that is just being written; what is damaged leaves those of before in place.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Rights, secret::Secret};

/// A file that is longer than this, in octets, is none of names.
const LONGEST: u64 = 4 << 20;

/// Names that are longer than this, in octets, are refused.
pub(super) const LONGEST_NAME: usize = 255;

/// A file that says who may look, and cannot be read or makes no sense.
#[derive(Debug, Error)]
pub enum AuthError {
    /// A file that cannot be read.
    #[error("--auth {kind}={}: {error}", path.display())]
    Unreadable {
        /// What should be in it.
        kind: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A line that makes no sense.
    #[error("--auth {kind}={}: line {line}: {why}", path.display())]
    Line {
        /// What should be in it.
        kind: &'static str,
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1 on.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A file that names nobody.
    #[error("--auth {kind}={}: it names nobody, so nobody could look: add somebody with {how}", path.display())]
    Nobody {
        /// What should be in it.
        kind: &'static str,
        /// The file.
        path: PathBuf,
        /// What does that.
        how: &'static str,
    },
}

/// What is in a file of a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// By which `--auth` names it.
    pub(super) kind: &'static str,
    /// What adds a name to it.
    how: &'static str,
    secret: fn(&str) -> Result<Secret, String>,
}

pub(super) const HTPASSWD: Form =
    Form { kind: "htpasswd", how: "`htpasswd -B FILE NAME`", secret: Secret::of_password };
pub(super) const TOKENS: Form = Form {
    kind: "tokens",
    how: "a line NAME:SUM, where SUM is what `printf %s TOKEN | sha256sum` prints",
    secret: Secret::of_token,
};

/// Somebody who may look.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) secret: Secret,
    pub(super) rights: Rights,
    /// Cancelled once this is not in the file any more as it was.
    pub(super) valid: CancellationToken,
}

impl Entry {
    fn is_as(&self, other: &Self) -> bool {
        (&self.name, &self.secret, self.rights) == (&other.name, &other.secret, other.rights)
    }
}

/// All who are named in a file.
#[derive(Debug, Default)]
pub(super) struct Names {
    entries: Vec<Entry>,
    by_name: HashMap<Arc<str>, usize>,
    /// What takes longest to compare with: for whoever is not named, so that they wait as long.
    costliest: Option<usize>,
}

impl Names {
    /// What a file says, or in which line it makes no sense, and why.
    pub(super) fn parse(text: &[u8], form: Form) -> Result<Self, (usize, String)> {
        let mut names = Self::default();
        let mut lines = HashMap::new();
        for (line, text) in (1..).zip(text.split(|octet| *octet == b'\n')) {
            let wrong = |why: String| (line, why);
            let text = std::str::from_utf8(text).map_err(|_| wrong("it is no UTF-8".to_owned()))?;
            let text = text.trim_end_matches('\r');
            if text.trim().is_empty() || text.starts_with('#') {
                continue;
            }
            let entry = entry(text, form).map_err(wrong)?;
            if let Some(before) = lines.insert(entry.name.clone(), line) {
                return Err(wrong(format!("it has the name of line {before}")));
            }
            let place = names.entries.len();
            let costliest = names.costliest.map_or(0, |place| names.entries[place].secret.cost());
            if entry.secret.cost() > costliest {
                names.costliest = Some(place);
            }
            names.by_name.insert(entry.name.clone(), place);
            names.entries.push(entry);
        }
        Ok(names)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|place| &self.entries[*place])
    }

    /// What to compare with for a name that is not there.
    pub(super) fn nobody(&self) -> Option<&Secret> {
        self.costliest.map(|place| &self.entries[place].secret)
    }

    /// Whose token that is. All are looked at, so that the time it takes says nothing.
    pub(super) fn with_token(&self, token: &[u8]) -> Option<&Entry> {
        self.entries
            .iter()
            .fold(None, |found, entry| if entry.secret.is(token) { Some(entry) } else { found })
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Those who are named as before are the same as before; all that was let in by the others ends.
    fn follow(&mut self, before: &Self) {
        for entry in &mut self.entries {
            if let Some(same) = before.find(&entry.name).filter(|same| same.is_as(entry)) {
                entry.valid = same.valid.clone();
            }
        }
        for gone in &before.entries {
            if self.find(&gone.name).is_none_or(|entry| !entry.is_as(gone)) {
                gone.valid.cancel();
            }
        }
    }
}

fn entry(line: &str, form: Form) -> Result<Entry, String> {
    let (name, rest) = line.split_once(':').ok_or("it has no colon, behind which the hash would stand")?;
    let (secret, rights) =
        rest.split_once(':').map_or((rest, None), |(secret, rights)| (secret, Some(rights)));
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!("a name has 1 to {LONGEST_NAME} octets, and nothing in it that cannot be seen"));
    }
    let rights = match rights.map(str::trim) {
        None | Some("" | "everything") => Rights::Everything,
        Some("metrics") => Rights::Metrics,
        // It may be a part of a password: it is not repeated.
        Some(_) => return Err("behind the second colon stands `metrics`, `everything` or nothing".to_owned()),
    };
    let secret = (form.secret)(secret.trim_end())?;
    Ok(Entry { name: name.into(), secret, rights, valid: CancellationToken::new() })
}

/// A file that is read again and again.
#[derive(Debug)]
pub(super) struct Listing {
    path: PathBuf,
    form: Form,
    names: RwLock<Arc<Names>>,
    looked: Mutex<Looked>,
}

/// What was found in a file.
#[derive(Debug)]
struct Looked {
    /// What was taken up, or refused.
    judged: Vec<u8>,
    /// What it held when it was last looked at, if that was something else.
    latest: Option<Vec<u8>>,
    /// Whether it could be read.
    readable: bool,
}

impl Listing {
    /// Reads the file, which has to make sense.
    pub(super) fn open(path: &Path, form: Form) -> Result<Self, AuthError> {
        let text = read(path).map_err(|error| unreadable(form, path, error))?;
        let names = parse(&text, form, path)?;
        Ok(Self {
            path: path.to_owned(),
            form,
            names: RwLock::new(Arc::new(names)),
            looked: Mutex::new(Looked { judged: text, latest: None, readable: true }),
        })
    }

    /// Who is named now.
    pub(super) fn names(&self) -> Arc<Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the file, and takes up what is new in it once it was there twice.
    pub(super) fn look(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match read(&self.path) {
            Ok(text) => text,
            Err(error) => {
                if looked.readable {
                    let error = unreadable(self.form, &self.path, error);
                    warn!("{error}; those of before may look as before");
                }
                (looked.readable, looked.latest) = (false, None);
                return;
            }
        };
        looked.readable = true;
        if looked.judged == text {
            looked.latest = None;
            return;
        }
        if looked.latest.as_ref() != Some(&text) {
            looked.latest = Some(text);
            return;
        }
        looked.latest = None;
        looked.judged = text;
        match parse(&looked.judged, self.form, &self.path) {
            Ok(mut names) => {
                let mut current = self.names.write().unwrap_or_else(PoisonError::into_inner);
                names.follow(&current);
                info!(
                    "--auth {}={}: {} names are taken up",
                    self.form.kind,
                    self.path.display(),
                    names.count()
                );
                *current = Arc::new(names);
            }
            Err(error) => warn!("{error}; those of before may look as before"),
        }
    }
}

fn parse(text: &[u8], form: Form, path: &Path) -> Result<Names, AuthError> {
    let (kind, path) = (form.kind, path.to_owned());
    match Names::parse(text, form) {
        Ok(names) if names.count() == 0 => Err(AuthError::Nobody { kind, path, how: form.how }),
        Ok(names) => Ok(names),
        Err((line, why)) => Err(AuthError::Line { kind, path, line, why }),
    }
}

fn unreadable(form: Form, path: &Path, error: io::Error) -> AuthError {
    AuthError::Unreadable { kind: form.kind, path: path.to_owned(), error }
}

/// What is in a file; nothing waits for a pipe.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if !metadata.is_file() {
        return refuse("it is no file".to_owned());
    }
    if metadata.len() > LONGEST {
        return refuse(format!("it is longer than {LONGEST} octets"));
    }
    fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163";

    fn wrong(text: &str) -> (usize, String) {
        Names::parse(text.as_bytes(), HTPASSWD).expect_err(text)
    }

    #[test]
    fn names_stand_a_line_each_with_what_they_may_see() {
        let text = "# those who look\n\nann:{PLAIN}a\r\nprometheus:{PLAIN}b:metrics\ncora:{PLAIN}c:everything\nemil:{PLAIN}d:";
        let names = Names::parse(text.as_bytes(), HTPASSWD).expect("it makes sense");
        assert_eq!(names.count(), 4);
        for (name, rights) in [
            ("ann", Rights::Everything),
            ("prometheus", Rights::Metrics),
            ("cora", Rights::Everything),
            ("emil", Rights::Everything),
        ] {
            assert_eq!(names.find(name).map(|entry| entry.rights), Some(rights), "{name}");
        }
        assert!(names.find("ann").is_some_and(|entry| entry.secret.is(b"a")));
        assert!(names.find("# those who look").is_none());
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named_with_what_would() {
        assert_eq!(wrong("ann"), (1, "it has no colon, behind which the hash would stand".to_owned()));
        assert_eq!(wrong("ann:{PLAIN}a\nann:{PLAIN}b"), (2, "it has the name of line 1".to_owned()));
        assert_eq!(
            wrong("\nann:{PLAIN}a:sesame"),
            (2, "behind the second colon stands `metrics`, `everything` or nothing".to_owned()),
            "what may be of a password is not repeated"
        );
        for line in
            [":{PLAIN}a".to_owned(), "a\x1bb:{PLAIN}a".to_owned(), format!("{}:{{PLAIN}}a", "n".repeat(256))]
        {
            assert_eq!(
                wrong(&line),
                (1, "a name has 1 to 255 octets, and nothing in it that cannot be seen".to_owned())
            );
        }
        let names = Names::parse(b"ann:\xff", HTPASSWD);
        assert_eq!(names.expect_err("it is none"), (1, "it is no UTF-8".to_owned()));
    }

    #[test]
    fn a_token_is_found_by_what_it_is() {
        let text = format!("ci:{}\nprometheus:{SUM}:metrics\n", SUM.replace('9', "8"));
        let names = Names::parse(text.as_bytes(), TOKENS).expect("it makes sense");
        let found = names.with_token(b"correct-horse").expect("it is there");
        assert_eq!((&*found.name, found.rights), ("prometheus", Rights::Metrics));
        assert!(names.with_token(b"correct-hors").is_none());
        assert!(names.with_token(SUM.as_bytes()).is_none(), "what is in the file is no token");
    }

    #[test]
    fn who_is_not_named_waits_as_long_as_whoever_waits_longest() {
        let bcrypt = "$2y$05$3e9IG72eSHVBQjJFdTU0j.0x5JL7AJo7P1yjsXVJm9ksd6JSdDn7O";
        let text = format!("a:{{PLAIN}}a\nb:{bcrypt}\nc:$apr1$K0426.ER$F0AwsgruKmvpjjXkoNKuq1\n");
        let names = Names::parse(text.as_bytes(), HTPASSWD).expect("it makes sense");
        assert_eq!(names.nobody().map(Secret::cost), Some(15));
    }

    #[test]
    fn a_file_is_taken_up_when_it_was_the_same_twice_and_makes_sense() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("users");
        let write = |text: &str| fs::write(&path, text).expect("writes");
        write("ann:{PLAIN}a\nbert:{PLAIN}b\n");
        let listing = Listing::open(&path, HTPASSWD).expect("it makes sense");
        let valid = |name: &str| listing.names().find(name).map(|entry| entry.valid.clone());
        let (ann, bert) = (valid("ann").expect("ann"), valid("bert").expect("bert"));

        write("ann:{PLAIN}a\n");
        listing.look();
        assert!(valid("bert").is_some(), "it may just be written");
        write("ann:{PLAIN}a\nbert:{PLAIN}other\ncora:{PLAIN}c\n");
        listing.look();
        assert!(valid("cora").is_none());
        listing.look();
        assert!(valid("cora").is_some());
        assert!(!ann.is_cancelled(), "nothing changed for ann");
        assert!(bert.is_cancelled(), "bert has another password");
        assert!(valid("bert").is_some_and(|valid| !valid.is_cancelled()));

        for damaged in ["ann:{PLAIN}a\nbert", "", "\0\0\0"] {
            write(damaged);
            listing.look();
            listing.look();
            assert_eq!(listing.names().count(), 3, "{damaged:?}");
        }
        fs::remove_file(&path).expect("removes");
        listing.look();
        listing.look();
        assert_eq!(listing.names().count(), 3);
        write("ann:{PLAIN}a\n");
        listing.look();
        listing.look();
        assert_eq!(listing.names().count(), 1);
        assert!(!ann.is_cancelled());
    }

    #[test]
    fn a_file_of_which_nothing_can_come_is_refused_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("users");
        let refused = |path: &Path, form| {
            let text = Listing::open(path, form).expect_err("it is refused").to_string();
            text.replace(&*directory.path().to_string_lossy(), "DIR")
        };
        assert_eq!(
            refused(&path, HTPASSWD),
            "--auth htpasswd=DIR/users: No such file or directory (os error 2)"
        );
        assert_eq!(refused(directory.path(), TOKENS), "--auth tokens=DIR: it is no file");
        assert_eq!(refused(Path::new("/dev/zero"), TOKENS), "--auth tokens=/dev/zero: it is no file");
        fs::write(&path, "# nobody yet\n").expect("writes");
        assert_eq!(
            refused(&path, HTPASSWD),
            "--auth htpasswd=DIR/users: it names nobody, so nobody could look: add somebody with `htpasswd -B FILE NAME`"
        );
        fs::write(&path, "a:b\n").expect("writes");
        assert_eq!(
            refused(&path, TOKENS),
            "--auth tokens=DIR/users: line 1: what stands behind the name is no SHA-256 of a token, 64 hexadecimal \
             digits as `sha256sum` prints them"
        );
    }
}
