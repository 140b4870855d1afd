//! Bodies of responses: pulled, so that a slow client costs no more than a fast one.

use std::{
    fmt,
    io::Write,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use thiserror::Error;

use crate::{
    json::Json,
    metrics::{Health, Reader},
    watches::Watching,
};

/// How large the pieces of a long answer are, in octets, give or take a record.
pub(crate) const CHUNK: usize = 64 * 1024;

/// The body of a response.
///
/// Each poll renders the next piece, about 64 KiB, from the body's own snapshot of the network, so that what is held
/// in memory for a client is bounded by what the transport has asked for. The body of a watch is pending until
/// something changes; it never ends of itself but with a reason.
pub struct Body {
    content: Content,
    gzip: Option<GzEncoder<Vec<u8>>>,
    meter: Option<Meter>,
    watching: Option<Watching>,
}

enum Content {
    /// Nothing, or nothing more.
    Empty,
    Whole(Bytes),
    Rendered(Box<dyn Render>),
    Scraped(Box<Reader>),
    Streamed(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

/// Why a body ends before it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Metrics that were not read while many others were rendered.
    #[error(
        "the metrics were read too slowly: others scraped them meanwhile, and memory for that is bounded"
    )]
    ReadTooSlowly,
}

/// Measures the making of a body.
struct Meter {
    health: Arc<Health>,
    route: &'static str,
    time: Duration,
    is_watch: bool,
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.is_watch {
            self.health.watched();
        } else {
            self.health.answered(self.route, self.time);
        }
    }
}

/// Something long that is rendered piece by piece.
pub(crate) trait Render: Send {
    /// Adds about [`CHUNK`] octets. A piece can be smaller, even empty, where much is looked at to find little.
    fn fill(&mut self, json: &mut Json) -> Progress;
}

/// Why a body cannot be had whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotGathered {
    TooLong,
    /// It goes on for as long as somebody reads.
    Endless,
}

/// Adds the next piece to those before it: what renders takes what is there for the beginning of the piece.
fn fill_more(render: &mut dyn Render, json: &mut Json) -> Progress {
    let mut piece = Json::default();
    let progress = render.fill(&mut piece);
    json.bytes.append(&mut piece.bytes);
    progress
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::of(Content::Empty)
    }

    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Content::Whole(bytes.into()))
    }

    pub(crate) fn rendered(render: impl Render + 'static) -> Self {
        Self::of(Content::Rendered(Box::new(render)))
    }

    pub(crate) fn scraped(reader: Reader) -> Self {
        Self::of(Content::Scraped(Box::new(reader)))
    }

    /// Of pieces that come in their own time. Each is on its way as soon as it is there, compressed or not.
    pub(crate) fn streamed(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self::of(Content::Streamed(Box::pin(pieces)))
    }

    fn of(content: Content) -> Self {
        Self { content, gzip: None, meter: None, watching: None }
    }

    /// The same content, compressed on its way out.
    pub(crate) fn gzipped(self) -> Self {
        if let Content::Scraped(reader) = self.content {
            return Self { content: Content::Scraped(Box::new(reader.compressed())), ..self };
        }
        // Speed counts for more than size: the records compress to a tenth in any case.
        Self { gzip: Some(GzEncoder::new(Vec::new(), Compression::fast())), ..self }
    }

    /// Whether it goes on as long as its client likes.
    pub fn is_watch(&self) -> bool {
        matches!(self.content, Content::Streamed(_))
    }

    /// The same content, which is one of those that are counted as long as they are there.
    pub(crate) fn counted(self, watching: Watching) -> Self {
        Self { watching: Some(watching), ..self }
    }

    /// The same content, which reports `health` how long it took to make, `so_far` included, when all of it is made or
    /// given up.
    pub(crate) fn metered(self, health: Arc<Health>, route: &'static str, so_far: Duration) -> Self {
        let is_watch = self.is_watch();
        if is_watch {
            health.watching();
        }
        Self { meter: Some(Meter { health, route, time: so_far, is_watch }), ..self }
    }

    /// All of it, if it can be had without waiting for anything and is no longer than that.
    ///
    /// # Errors
    ///
    /// Where it is longer, or never ends.
    pub(crate) async fn gathered(self, longest: usize) -> Result<Vec<u8>, NotGathered> {
        let mut json = Json::default();
        match self.content {
            Content::Empty => {}
            Content::Whole(bytes) => json.bytes.extend_from_slice(&bytes),
            Content::Rendered(mut render) => loop {
                let progress = fill_more(&mut *render, &mut json);
                if json.bytes.len() > longest {
                    return Err(NotGathered::TooLong);
                }
                if progress == Progress::Done {
                    break;
                }
                tokio::task::yield_now().await;
            },
            Content::Streamed(_) => return Err(NotGathered::Endless),
            Content::Scraped(_) => return Err(NotGathered::TooLong),
        }
        if json.bytes.len() > longest { Err(NotGathered::TooLong) } else { Ok(json.bytes) }
    }

    fn next_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready(Some(Ok(bytes)))
            }
            Content::Scraped(reader) => {
                let piece = std::task::ready!(reader.poll(context));
                if !matches!(piece, Some(Ok(_))) {
                    self.content = Content::Empty;
                }
                Poll::Ready(piece)
            }
            Content::Rendered(render) => {
                let mut json = Json::with_capacity(CHUNK + CHUNK / 8);
                let progress = render.fill(&mut json);
                if progress == Progress::Done {
                    self.content = Content::Empty;
                }
                Poll::Ready(Some(Ok(json.bytes.into())))
            }
            Content::Streamed(pieces) => {
                let piece = std::task::ready!(pieces.as_mut().poll_next(context));
                if piece.is_none() {
                    self.content = Content::Empty;
                }
                Poll::Ready(piece.map(Ok))
            }
        }
    }

    /// What of a piece, or of the end, can be sent on now.
    fn compress(&mut self, piece: Option<Bytes>) -> Option<Bytes> {
        let is_live = matches!(self.content, Content::Streamed(_));
        let Some(gzip) = &mut self.gzip else { return piece };
        let Some(piece) = piece else {
            let gzip = self.gzip.take().expect("it was there a line ago");
            return Some(gzip.finish().expect(MEMORY).into());
        };
        gzip.write_all(&piece).expect(MEMORY);
        if is_live {
            gzip.flush().expect(MEMORY);
        }
        Some(std::mem::take(gzip.get_mut()).into())
    }
}

const MEMORY: &str = "writing to memory does not fail";

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = self.get_mut();
        let begun = Instant::now();
        let piece = body.next_piece(context).map(|piece| match piece {
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(piece)) => body.compress(Some(piece)).map(Ok),
            None => body.compress(None).map(Ok),
        });
        if let Some(meter) = &mut body.meter {
            meter.time += begun.elapsed();
        }
        match std::task::ready!(piece) {
            None => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            Some(Ok(bytes)) if bytes.is_empty() => {
                // Much was looked at and nothing came of it: others may want the thread.
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Ok(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Empty) && self.gzip.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty if self.gzip.is_none() => SizeHint::with_exact(0),
            Content::Whole(bytes) if self.gzip.is_none() => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match self.content {
            Content::Empty => "empty",
            Content::Whole(_) => "whole",
            Content::Rendered(_) => "rendered",
            Content::Scraped(_) => "scraped",
            Content::Streamed(_) => "streamed",
        };
        let mut body = f.debug_struct("Body");
        body.field("content", &content).field("gzip", &self.gzip.is_some());
        body.field("is_counted", &self.watching.is_some()).finish_non_exhaustive()
    }
}
