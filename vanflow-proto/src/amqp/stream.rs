//! The byte stream that fe2o3-amqp reads and writes instead of the socket.

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    pin::Pin,
    sync::Weak,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::{
    frame::{Frame, FrameError, HEAD, Performative, Transfer, extent},
    parked::{Content, Entry, Limits, Parked, Queue},
};
use crate::codec::format;

/// A stream of AMQP frames that looks to its reader as if every delivery were one small data section: a token, for which
/// [`Parked`] holds the message. What its writer sends as data sections goes out as the messages that are in them.
///
/// Both directions take frames apart and put them together whatever pieces they come in. Protocol headers, SASL frames
/// and empty frames pass through untouched.
pub(crate) struct BareStream<S> {
    socket: S,
    parked: Parked,
    limits: Limits,
    incoming: Incoming,
    outgoing: Outgoing,
}

/// So many bytes are asked of the socket at once.
const READ: usize = 64 * 1024;
/// A buffer with less room than this gets no more bytes: the rest of it would make for many small reads.
const MIN_READ: usize = 4 * 1024;
/// With so many bytes waiting to be written, no more are taken.
const MAX_UNWRITTEN: usize = 64 * 1024;

impl<S> BareStream<S> {
    /// A stream over `socket`. `parked` belongs to it alone: receivers of its links find their messages there.
    pub(crate) fn new(socket: S, parked: Parked, limits: Limits) -> Self {
        Self { socket, parked, limits, incoming: Incoming::default(), outgoing: Outgoing::default() }
    }
}

impl<S> fmt::Debug for BareStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BareStream").field("links", &self.incoming.links.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Incoming {
    /// From the socket, not looked at yet.
    raw: BytesMut,
    /// For fe2o3-amqp.
    ready: BytesMut,
    /// Comes after `ready`.
    failure: Option<FrameError>,
    ended: bool,
    /// Links on which the peer sends, by channel and the peer's handle.
    links: HashMap<(u16, u32), Link>,
    /// Octets of messages that are not whole yet.
    pieces: usize,
    last_token: u64,
}

struct Link {
    name: String,
    queue: Weak<Queue>,
    /// Of the delivery that is not whole yet.
    pieces: Vec<Bytes>,
    octets: usize,
    settled: bool,
    too_large: bool,
}

impl Link {
    /// Ends the current delivery: forgets the pieces, and gives the octets they had.
    fn clear(&mut self) -> usize {
        self.octets = 0;
        self.settled = false;
        self.too_large = false;
        self.pieces.drain(..).map(|piece| piece.len()).sum()
    }
}

impl Incoming {
    /// Takes the frames that are whole out of `raw`.
    fn digest(&mut self, parked: &Parked, limits: Limits) -> Result<(), FrameError> {
        while let Some(size) = extent(&self.raw, limits.frame)? {
            if self.raw.len() < size {
                // Room for the rest of it.
                self.raw.reserve(size - self.raw.len());
                break;
            }
            let Frame { channel, body, performative } = Frame::parse(&self.raw[..size])?;
            match performative {
                Performative::Transfer(transfer) => {
                    self.transfer(channel, body, size, &transfer, limits);
                    continue;
                }
                Performative::Attach { name, handle, sends: true } => {
                    let link = Link {
                        queue: parked.open(name),
                        name: name.to_owned(),
                        pieces: Vec::new(),
                        octets: 0,
                        settled: false,
                        too_large: false,
                    };
                    if let Some(mut old) = self.links.insert((channel, handle), link) {
                        self.pieces -= old.clear();
                    }
                }
                Performative::Flow { handle: Some(handle), delivery_count: Some(range) }
                    if self.links.contains_key(&(channel, handle)) =>
                {
                    // fe2o3-amqp counts a delivery when its receiver takes it, and here would take over the count of
                    // the sender, which has those in it that still wait to be taken: they would count twice.
                    self.flow_without_count(size, body, range);
                    continue;
                }
                Performative::Detach { handle } => {
                    if let Some(mut link) = self.links.remove(&(channel, handle)) {
                        parked.forget(&link.name);
                        self.pieces -= link.clear();
                    }
                }
                Performative::End => {
                    for (_, mut link) in self.links.extract_if(|&(of, _), _| of == channel) {
                        parked.forget(&link.name);
                        self.pieces -= link.clear();
                    }
                }
                _ => {}
            }
            let frame = self.raw.split_to(size);
            self.ready.extend_from_slice(&frame);
        }
        Ok(())
    }

    /// Parks the payload of the transfer frame that `raw` starts with, and passes the frame on without it.
    fn transfer(&mut self, channel: u16, body: usize, size: usize, transfer: &Transfer, limits: Limits) {
        let performative = &self.raw[body..transfer.payload];
        let ends = !transfer.more || transfer.aborted;
        let head = self.ready.len();
        self.ready.put_u32(0);
        self.ready.put_slice(&[2, 0]);
        self.ready.put_u16(channel);
        self.ready.put_slice(performative);
        if transfer.aborted {
            // Passed on as a delivery that ends here, because fe2o3-amqp gives no credit back for an aborted one.
            for at in [transfer.more_at, transfer.aborted_at].into_iter().flatten() {
                let at = head + HEAD + at - body;
                if self.ready[at] == format::BOOLEAN {
                    self.ready[at + 1] = 0;
                } else {
                    self.ready[at] = format::FALSE;
                }
            }
        }
        if ends {
            self.last_token += 1;
            self.ready.put_slice(&TOKEN_SECTION);
            self.ready.put_u64(self.last_token);
        }
        let length = self.ready.len() - head;
        // Not longer than the frame that was, or by no more than a token.
        self.ready[head..head + 4].copy_from_slice(&(length as u32).to_be_bytes());

        self.raw.advance(transfer.payload);
        let payload = self.raw.split_to(size - transfer.payload).freeze();
        let Some(link) = self.links.get_mut(&(channel, transfer.handle)) else {
            // fe2o3-amqp will have something to say about that.
            return;
        };
        link.octets += payload.len();
        link.settled |= transfer.settled;
        if !link.too_large && !transfer.aborted {
            let whole = ends && link.pieces.is_empty();
            let pieces = if whole { 0 } else { payload.len() };
            if link.octets > limits.message || self.pieces + pieces > limits.parked {
                link.too_large = true;
                self.pieces -= link.pieces.drain(..).map(|piece| piece.len()).sum::<usize>();
            } else {
                self.pieces += pieces;
                link.pieces.push(payload);
            }
        }
        if !ends {
            return;
        }
        let content = if transfer.aborted {
            Content::Aborted
        } else if link.too_large {
            Content::TooLarge(link.octets)
        } else {
            Content::Message(match &mut link.pieces[..] {
                [whole] => {
                    let whole = std::mem::take(whole);
                    link.pieces.clear();
                    whole
                }
                pieces => {
                    let mut message = BytesMut::with_capacity(link.octets);
                    pieces.iter().for_each(|piece| message.extend_from_slice(piece));
                    message.freeze()
                }
            })
        };
        let entry = Entry { token: self.last_token, settled: link.settled, content };
        self.pieces -= link.clear();
        // A link whose receiver is gone has no queue: what still comes is not wanted.
        if let Some(queue) = link.queue.upgrade() {
            queue.push(entry);
        }
    }

    /// Passes the flow frame that `raw` starts with on, with a null for the delivery-count that is at `range`.
    fn flow_without_count(&mut self, size: usize, body: usize, range: std::ops::Range<usize>) {
        let frame = self.raw.split_to(size);
        let shorter = range.len() - 1;
        let head = self.ready.len();
        self.ready.extend_from_slice(&frame[..range.start]);
        self.ready.put_u8(format::NULL);
        self.ready.extend_from_slice(&frame[range.end..]);
        let patched = &mut self.ready[head..];
        patched[..4].copy_from_slice(&((size - shorter) as u32).to_be_bytes());
        // The size of the list stands behind its format code, and that behind the descriptor.
        let mut reader = crate::codec::Reader::new(&frame[body..]);
        let descriptor = reader.byte().and_then(|_| reader.skip());
        debug_assert!(descriptor.is_ok(), "the frame was parsed before");
        let list = body + reader.offset();
        if frame[list] == format::LIST_8 {
            patched[list + 1] -= shorter as u8;
        } else if let Some(bytes) = frame[list + 1..].first_chunk::<4>() {
            let length = u32::from_be_bytes(*bytes) - shorter as u32;
            patched[list + 1..list + 5].copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// A data section with eight bytes in it, but for those.
const TOKEN_SECTION: [u8; 5] = [format::DESCRIBED, format::SMALL_ULONG, 0x75, format::BINARY_8, 8];

impl<S: AsyncRead + Unpin> AsyncRead for BareStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { socket, parked, limits, incoming, .. } = self.get_mut();
        loop {
            if !incoming.ready.is_empty() {
                let count = incoming.ready.len().min(out.remaining());
                out.put_slice(&incoming.ready[..count]);
                incoming.ready.advance(count);
                return Poll::Ready(Ok(()));
            }
            if let Some(failure) = &incoming.failure {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, failure.clone())));
            }
            if incoming.ended {
                return Poll::Ready(Ok(()));
            }
            if parked.is_cut(context) {
                return Poll::Ready(Err(cut()));
            }
            if parked.is_full(limits.parked, context) {
                return Poll::Pending;
            }
            if incoming.raw.capacity() - incoming.raw.len() < MIN_READ {
                incoming.raw.reserve(READ);
            }
            match ready!(poll_read_buf(Pin::new(&mut *socket), context, &mut incoming.raw))? {
                0 => incoming.ended = true,
                _ => incoming.failure = incoming.digest(parked, *limits).err(),
            }
        }
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was cut off")
}

#[derive(Default)]
struct Outgoing {
    /// The start of a frame that is not whole yet.
    partial: BytesMut,
    /// For the socket.
    unwritten: BytesMut,
    /// Links in the middle of a delivery, by channel and our handle.
    unfinished: HashSet<(u16, u32)>,
}

impl Outgoing {
    fn take(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        if self.partial.is_empty() {
            let rest = self.frames(bytes)?;
            self.partial.extend_from_slice(rest);
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(bytes);
            let left = self.frames(&partial)?.len();
            partial.advance(partial.len() - left);
            self.partial = partial;
        }
        Ok(())
    }

    /// Takes the frames that are whole, and gives back the rest.
    fn frames<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8], FrameError> {
        // What fe2o3-amqp writes, the peer agreed to.
        while let Some(size) = extent(bytes, u32::MAX as usize)? {
            let Some((frame, rest)) = bytes.split_at_checked(size) else { break };
            bytes = rest;
            let Frame { channel, performative, .. } = Frame::parse(frame)?;
            match performative {
                Performative::Transfer(transfer) => self.transfer(channel, frame, &transfer),
                Performative::Detach { handle } => {
                    self.unfinished.remove(&(channel, handle));
                    self.unwritten.extend_from_slice(frame);
                }
                _ => self.unwritten.extend_from_slice(frame),
            }
        }
        Ok(bytes)
    }

    fn transfer(&mut self, channel: u16, frame: &[u8], transfer: &Transfer) {
        let key = (channel, transfer.handle);
        let (performative, payload) = frame.split_at(transfer.payload);
        let payload = if self.unfinished.contains(&key) { payload } else { bare(payload) };
        self.unwritten.put_u32((performative.len() + payload.len()) as u32);
        self.unwritten.extend_from_slice(&performative[4..]);
        self.unwritten.extend_from_slice(payload);
        if transfer.more && !transfer.aborted {
            self.unfinished.insert(key);
        } else {
            self.unfinished.remove(&key);
        }
    }
}

/// What is in the data section that these bytes start with.
fn bare(payload: &[u8]) -> &[u8] {
    match payload {
        [format::DESCRIBED, format::SMALL_ULONG, 0x75, format::BINARY_8, _, rest @ ..]
        | [format::DESCRIBED, format::SMALL_ULONG, 0x75, format::BINARY_32, _, _, _, _, rest @ ..] => rest,
        other => other,
    }
}

impl<S: AsyncWrite + Unpin> BareStream<S> {
    /// Writes until no more than `left` bytes are left.
    fn poll_drain(&mut self, context: &mut Context<'_>, left: usize) -> Poll<io::Result<()>> {
        while self.outgoing.unwritten.len() > left {
            match ready!(Pin::new(&mut self.socket).poll_write(context, &self.outgoing.unwritten))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.outgoing.unwritten.advance(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BareStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.parked.is_cut(context) {
            return Poll::Ready(Err(cut()));
        }
        ready!(this.poll_drain(context, MAX_UNWRITTEN))?;
        this.outgoing.take(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.parked.is_cut(context) {
            return Poll::Ready(Err(cut()));
        }
        ready!(this.poll_drain(context, 0))?;
        Pin::new(&mut this.socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context, 0))?;
        Pin::new(&mut this.socket).poll_shutdown(context)
    }
}
