//! Scrapes, and what they have in common.
//!
//! What a large network measures comes to a hundred megabytes, and whoever scrapes may read slowly or not at all. So it is
//! rendered once for all who wait for it, one rendering at a time, and kept compressed, for as long as somebody reads it: a
//! twentieth of its size. Whoever comes while one is rendered waits for the next: what they see is never older than their
//! question. Where what is kept comes to more than [`LIMIT`], those who read the oldest are cut off.
//!
//! Whoever waits drives the rendering, a piece with each poll; when they leave, another goes on.

use std::{
    collections::BTreeMap,
    fmt,
    io::Write,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzDecoder, GzEncoder},
};

use crate::{
    body::{BodyError, CHUNK, Progress, Render},
    json::Json,
    metrics::ExpositionFormat,
};

/// Octets that all renderings together may take, compressed.
const LIMIT: usize = 64 << 20;

/// Octets that are expanded at a time for clients that take nothing compressed: they come to a piece or so.
const COMPRESSED: usize = CHUNK / 16;

const MEMORY: &str = "writing to memory does not fail, and what was compressed here can be expanded";

/// What begins a rendering: of the moment in which it is called.
type Begin = dyn Fn(ExpositionFormat) -> Box<dyn Render> + Send + Sync;

/// All scrapes.
pub(crate) struct Scrapes {
    begin: Box<Begin>,
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order in which they began.
    moments: BTreeMap<u64, Moment>,
    latest: u64,
    /// Whether some reader is rendering.
    is_driven: bool,
    waiting: Vec<Waker>,
}

/// A moment that is scraped.
struct Moment {
    format: ExpositionFormat,
    readers: usize,
    stage: Stage,
}

enum Stage {
    /// It has yet to come: whoever asks now may join.
    Next,
    /// Some of it was rendered; here only while nobody goes on with it.
    Begun(Option<Box<Work>>),
    /// All of it, compressed.
    Done(Bytes),
    /// It takes memory that others need.
    Given,
}

struct Work {
    render: Box<dyn Render>,
    gzip: GzEncoder<Vec<u8>>,
}

impl Scrapes {
    pub(crate) fn new(
        begin: impl Fn(ExpositionFormat) -> Box<dyn Render> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::within(LIMIT, begin)
    }

    fn within(
        limit: usize,
        begin: impl Fn(ExpositionFormat) -> Box<dyn Render> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { begin: Box::new(begin), limit, state: Mutex::default() })
    }

    /// A scrape that begins now.
    pub(crate) fn reader(self: &Arc<Self>, format: ExpositionFormat) -> Reader {
        let mut state = self.lock();
        let is_open = |moment: &Moment| moment.format == format && matches!(moment.stage, Stage::Next);
        let open = state.moments.iter_mut().find(|(_, moment)| is_open(moment));
        let number = match open {
            Some((number, moment)) => {
                moment.readers += 1;
                *number
            }
            None => {
                state.latest += 1;
                let number = state.latest;
                state.moments.insert(number, Moment { format, readers: 1, stage: Stage::Next });
                number
            }
        };
        Reader {
            scrapes: Arc::clone(self),
            number,
            drives: false,
            work: None,
            reading: None,
            keeps_compressed: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Has those who wait look again.
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// Has those who read the oldest give way, until all that is kept is within the limit: but for the latest.
    fn bound(&mut self, limit: usize) {
        let size = |moment: &Moment| if let Stage::Done(octets) = &moment.stage { octets.len() } else { 0 };
        let mut kept: usize = self.moments.values().map(size).sum();
        let mut done = self.moments.values().filter(|moment| size(moment) > 0).count();
        for moment in self.moments.values_mut() {
            if kept <= limit || done <= 1 {
                return;
            }
            if size(moment) > 0 {
                kept -= size(moment);
                done -= 1;
                moment.stage = Stage::Given;
            }
        }
    }
}

/// Somebody who scrapes.
pub(crate) struct Reader {
    scrapes: Arc<Scrapes>,
    number: u64,
    /// Whether this one renders, for all.
    drives: bool,
    /// What it is rendering.
    work: Option<Box<Work>>,
    /// What is left to read.
    reading: Option<Reading>,
    keeps_compressed: bool,
}

struct Reading {
    /// Held by the moment as well: when that is given up, this goes with the next poll.
    position: usize,
    expand: Option<GzDecoder<Vec<u8>>>,
}

impl Reader {
    /// The same, for a client that takes what is compressed.
    pub(crate) fn compressed(mut self) -> Self {
        self.keeps_compressed = true;
        self
    }

    /// The next piece.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.work.is_some() {
            return self.drive(context);
        }
        let scrapes = Arc::clone(&self.scrapes);
        let mut state = scrapes.lock();
        let State { moments, is_driven, waiting, .. } = &mut *state;
        let Some(moment) = moments.get_mut(&self.number) else { return Poll::Ready(None) };
        match &mut moment.stage {
            Stage::Done(octets) => {
                let octets = octets.clone();
                drop(state);
                Poll::Ready(self.read(&octets).map(Ok))
            }
            Stage::Given => Poll::Ready(Some(Err(BodyError::ReadTooSlowly))),
            _ if *is_driven => {
                waiting.push(context.waker().clone());
                Poll::Pending
            }
            stage => {
                *is_driven = true;
                let begun = match mem::replace(stage, Stage::Begun(None)) {
                    Stage::Begun(begun) => begun,
                    _ => None,
                };
                let format = moment.format;
                drop(state);
                self.drives = true;
                self.work = Some(begun.unwrap_or_else(|| {
                    Box::new(Work {
                        render: (scrapes.begin)(format),
                        gzip: GzEncoder::new(Vec::new(), Compression::fast()),
                    })
                }));
                self.drive(context)
            }
        }
    }

    /// Renders a piece, for all who wait for it.
    fn drive(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let mut piece = Json::with_capacity(CHUNK + CHUNK / 8);
        let progress = work.render.fill(&mut piece);
        work.gzip.write_all(&piece.bytes).expect(MEMORY);
        if progress == Progress::Done
            && let Some(work) = self.work.take()
        {
            let octets = work.gzip.finish().expect(MEMORY);
            let mut state = self.scrapes.lock();
            if let Some(moment) = state.moments.get_mut(&self.number) {
                moment.stage = Stage::Done(octets.into());
            }
            self.drives = false;
            state.is_driven = false;
            state.bound(self.scrapes.limit);
            state.wake();
        }
        // Others may want the thread.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next piece of what is rendered.
    fn read(&mut self, octets: &Bytes) -> Option<Bytes> {
        let expand = || (!self.keeps_compressed).then(|| GzDecoder::new(Vec::new()));
        let reading = self.reading.get_or_insert_with(|| Reading { position: 0, expand: expand() });
        loop {
            let size = if reading.expand.is_some() { COMPRESSED } else { CHUNK };
            let end = octets.len().min(reading.position + size);
            let piece = octets.slice(reading.position..end);
            let is_end = piece.is_empty();
            reading.position = end;
            let Some(expand) = &mut reading.expand else {
                // A copy: what a client is given does not keep all of it.
                return (!is_end).then(|| Bytes::copy_from_slice(&piece));
            };
            if is_end {
                return None;
            }
            expand.write_all(&piece).expect(MEMORY);
            expand.flush().expect(MEMORY);
            let expanded = mem::take(expand.get_mut());
            if !expanded.is_empty() {
                return Some(expanded.into());
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let work = self.work.take();
        let mut state = self.scrapes.lock();
        let State { moments, is_driven, .. } = &mut *state;
        let Some(moment) = moments.get_mut(&self.number) else { return };
        moment.readers -= 1;
        if moment.readers == 0 {
            moments.remove(&self.number);
        } else if self.drives {
            moment.stage = Stage::Begun(work);
        }
        if self.drives {
            *is_driven = false;
            state.wake();
        }
    }
}

impl fmt::Debug for Scrapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrapes").field("moments", &self.lock().moments.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        sync::atomic::{AtomicU64, Ordering},
    };

    use flate2::read;

    use super::*;

    const FORMAT: ExpositionFormat = ExpositionFormat::Text;

    /// Lines that say which rendering they are of, in that many pieces.
    struct Lines {
        number: u64,
        pieces: usize,
    }

    impl Render for Lines {
        fn fill(&mut self, target: &mut Json) -> Progress {
            self.pieces -= 1;
            // Nothing that would be much smaller when it is compressed.
            let mut noise = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.pieces as u64;
            for _ in 0..CHUNK / 20 {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                target.raw(&format!("{} {noise:016x}\n", self.number));
            }
            if self.pieces == 0 { Progress::Done } else { Progress::More }
        }
    }

    struct Counted {
        scrapes: Arc<Scrapes>,
        renderings: Arc<AtomicU64>,
    }

    fn scrapes(limit: usize, pieces: usize) -> Counted {
        let renderings = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&renderings);
        let begin = move |_| {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            Box::new(Lines { number, pieces }) as Box<dyn Render>
        };
        Counted { scrapes: Scrapes::within(limit, begin), renderings }
    }

    impl Counted {
        fn renderings(&self) -> u64 {
            self.renderings.load(Ordering::SeqCst)
        }

        fn kept(&self) -> usize {
            let state = self.scrapes.lock();
            let kept = state.moments.values().map(|moment| match &moment.stage {
                Stage::Done(octets) => octets.len(),
                _ => 0,
            });
            kept.sum()
        }
    }

    fn step(reader: &mut Reader) -> Poll<Option<Result<Bytes, BodyError>>> {
        reader.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Polls until a piece comes, and not for ever.
    fn piece(reader: &mut Reader) -> Option<Result<Bytes, BodyError>> {
        for _ in 0..10_000 {
            if let Poll::Ready(piece) = step(reader) {
                return piece;
            }
        }
        panic!("nothing comes");
    }

    fn rest(mut reader: Reader) -> Vec<u8> {
        let mut octets = Vec::new();
        while let Some(piece) = piece(&mut reader) {
            octets.extend_from_slice(&piece.expect("it is not cut off"));
        }
        octets
    }

    fn number_of(text: &[u8]) -> &str {
        std::str::from_utf8(text).expect("text").split(' ').next().expect("a number")
    }

    #[test]
    fn scrapes_that_are_not_read_are_rendered_once_and_kept_compressed() {
        let counted = scrapes(LIMIT, 30);
        let mut readers: Vec<_> = (0..20).map(|_| counted.scrapes.reader(FORMAT)).collect();
        let first: Vec<_> = readers
            .iter_mut()
            .map(|reader| piece(reader).expect("it is long").expect("it is kept"))
            .collect();
        assert_eq!(counted.renderings(), 1);
        assert!(first.iter().all(|piece| *piece == first[0] && piece.len() < 16 * CHUNK));
        let kept = counted.kept();
        assert!(kept > 0 && kept < 30 * CHUNK, "{kept}");
        drop(readers);
        assert_eq!(counted.kept(), 0, "nothing is kept that nobody reads");
        assert!(counted.scrapes.lock().moments.is_empty());
    }

    #[test]
    fn what_a_scrape_sees_is_no_older_than_its_question_whoever_renders_it() {
        let counted = scrapes(LIMIT, 3);
        let mut early = counted.scrapes.reader(FORMAT);
        assert!(step(&mut early).is_pending());
        // The first is being rendered: these wait for the next, and share it.
        let mut late = counted.scrapes.reader(FORMAT);
        let compressed = counted.scrapes.reader(FORMAT).compressed();
        let other = counted.scrapes.reader(ExpositionFormat::OpenMetrics);
        assert!(step(&mut late).is_pending());
        assert_eq!(counted.renderings(), 1, "one at a time");
        drop(early);
        let joined = rest(late);
        assert_eq!(number_of(&joined), "2");
        let mut expanded = Vec::new();
        read::GzDecoder::new(&rest(compressed)[..]).read_to_end(&mut expanded).expect("it is compressed");
        assert_eq!(joined, expanded);
        assert_eq!(counted.renderings(), 2);
        assert_eq!(number_of(&rest(other)), "3");
    }

    #[test]
    fn when_the_one_who_renders_leaves_another_goes_on() {
        let counted = scrapes(LIMIT, 5);
        let (mut driver, mut other) = (counted.scrapes.reader(FORMAT), counted.scrapes.reader(FORMAT));
        for _ in 0..3 {
            assert!(step(&mut driver).is_pending());
            assert!(step(&mut other).is_pending());
        }
        drop(driver);
        let text = rest(other);
        assert_eq!(text.len(), 5 * (CHUNK / 20) * 19, "all of it");
        assert_eq!((number_of(&text), counted.renderings()), ("1", 1));
    }

    #[test]
    fn who_reads_the_oldest_is_cut_off_where_all_takes_too_much_and_what_is_new_is_read() {
        let counted = scrapes(8 * CHUNK, 6);
        let mut slow = Vec::new();
        for number in 1..=10 {
            let mut reader = counted.scrapes.reader(FORMAT);
            assert!(piece(&mut reader).expect("it is long").is_ok());
            slow.push(reader);
            assert_eq!(counted.renderings(), number);
            assert!(counted.kept() <= 8 * CHUNK, "{}", counted.kept());
        }
        let outcome = piece(&mut slow[0]).expect("it does not end as if it were whole");
        assert_eq!(
            outcome.expect_err("it was given up").to_string(),
            "the metrics were read too slowly: others scraped them meanwhile, and memory for that is bounded"
        );
        let newest = slow.pop().expect("there are ten");
        assert!(!rest(newest).is_empty());
    }
}
