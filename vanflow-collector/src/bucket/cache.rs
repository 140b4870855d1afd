//! Parts of files that are elsewhere, as they were read, on this disk: what is asked for again is not fetched again.
//!
//! It is worth nothing by itself: what cannot be written or read is fetched. What was asked for longest ago goes first.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

const UNFINISHED: &str = "unfinished";

/// The parts, by name. A name says what is in it for good.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    /// How many octets they may take.
    most: u64,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    /// How long each is, and when it was asked for, by a count of questions.
    known: HashMap<String, (u64, u64)>,
    by_time: BTreeMap<u64, String>,
    asked: u64,
    octets: u64,
}

impl Cache {
    /// Takes over what a former process left there. Blocks.
    pub(super) fn open(directory: PathBuf, most: u64) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let (path, metadata) = {
                let entry = entry?;
                (entry.path(), entry.metadata()?)
            };
            if path.extension().is_some_and(|end| end == UNFINISHED) {
                fs::remove_file(path)?;
            } else if let Some(name) = path.file_name().and_then(|name| name.to_str())
                && metadata.is_file()
            {
                let since = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((since, name.to_owned(), metadata.len()));
            }
        }
        found.sort();
        let cache = Self { directory, most, parts: Mutex::default() };
        let gone = {
            let mut parts = cache.parts();
            found.into_iter().for_each(|(_, name, octets)| parts.insert(name, octets));
            parts.surplus(most)
        };
        cache.remove(&gone);
        Ok(cache)
    }

    /// A part, if it is there whole. Blocks.
    pub(super) fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.parts().touch(name)?;
        let mut octets = fs::read(self.path(name)).unwrap_or_default();
        let sum = octets.split_off(octets.len().saturating_sub(4));
        if sum == crc32fast::hash(&octets).to_be_bytes() {
            return Some(octets);
        }
        self.parts().forget(name);
        self.remove(&[name.to_owned()]);
        None
    }

    /// Keeps a part, as far as there is room. Blocks.
    pub(super) fn put(&self, name: &str, octets: &[u8]) {
        let unfinished = self.path(&format!("{name}-{:08x}.{UNFINISHED}", rand::random::<u32>()));
        let whole = [octets, &crc32fast::hash(octets).to_be_bytes()].concat();
        let written = fs::write(&unfinished, &whole).and_then(|()| fs::rename(&unfinished, self.path(name)));
        if written.is_err() {
            let _ = fs::remove_file(unfinished);
            return;
        }
        let gone = {
            let mut parts = self.parts();
            parts.insert(name.to_owned(), whole.len() as u64);
            parts.surplus(self.most)
        };
        self.remove(&gone);
    }

    fn remove(&self, gone: &[String]) {
        // What cannot be removed is found again by the next process.
        gone.iter().for_each(|name| drop(fs::remove_file(self.path(name))));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(Path::new(name))
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn insert(&mut self, name: String, octets: u64) {
        self.forget(&name);
        self.asked += 1;
        self.octets += octets;
        self.by_time.insert(self.asked, name.clone());
        self.known.insert(name, (octets, self.asked));
    }

    fn touch(&mut self, name: &str) -> Option<()> {
        let octets = self.known.get(name)?.0;
        self.insert(name.to_owned(), octets);
        Some(())
    }

    fn forget(&mut self, name: &str) {
        if let Some((octets, asked)) = self.known.remove(name) {
            self.octets -= octets;
            self.by_time.remove(&asked);
        }
    }

    /// Takes out what is more than that.
    fn surplus(&mut self, most: u64) -> Vec<String> {
        let mut gone = Vec::new();
        while self.octets > most
            && let Some((_, name)) = self.by_time.first_key_value()
        {
            let name = name.clone();
            self.forget(&name);
            gone.push(name);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn what_was_asked_for_longest_ago_goes_and_what_is_damaged_is_none() {
        let folder = TempDir::new().expect("a directory");
        let open = |most| Cache::open(folder.path().join("cache"), most).expect("it opens");
        let cache = open(3 * 104);
        for name in ["a", "b", "c"] {
            cache.put(name, &[name.as_bytes()[0]; 100]);
        }
        assert_eq!(cache.get("a"), Some(vec![b'a'; 100]));
        cache.put("d", &[b'd'; 100]);
        assert_eq!(cache.get("b"), None);
        let names = |cache: &Cache| ["a", "b", "c", "d"].map(|name| cache.get(name).is_some());
        assert_eq!(names(&cache), [true, false, true, true]);
        // Twice is once.
        cache.put("d", &[b'd'; 100]);
        assert_eq!(names(&cache), [true, false, true, true]);

        // A torn or damaged part is none, and its room is free again.
        let path = folder.path().join("cache");
        let whole = fs::read(path.join("a")).expect("it is there");
        fs::write(path.join("a"), &whole[..50]).expect("it is written");
        fs::write(path.join("c"), vec![0; 104]).expect("it is written");
        fs::write(path.join("x-1.unfinished"), "half of it").expect("it is written");
        let cache = open(3 * 104);
        assert_eq!(names(&cache), [false, false, false, true]);
        assert_eq!(fs::read_dir(&path).expect("a directory").count(), 1);
        cache.put("e", &[b'e'; 100]);
        assert_eq!(cache.get("d").map(|octets| octets.len()), Some(100));
        drop(cache);
        // There is less room than there was.
        let cache = open(104);
        assert_eq!(fs::read_dir(&path).expect("a directory").count(), 1);
        cache.put("f", &[b'f'; 200]);
        assert_eq!((cache.get("f"), cache.get("e"), cache.get("d")), (None, None, None));
    }
}
