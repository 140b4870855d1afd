//! The exchange's end of a connection, before it is AMQP.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::codec::{Reader, format};

/// What a connection can run over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// A stream whose first bytes were looked at, and that can make fe2o3-amqp believe that the peer takes smaller frames only.
pub(super) struct Socket {
    stream: Box<dyn Stream>,
    /// Read before, and for the reader.
    unread: BytesMut,
    /// Until the peer's `open` has passed.
    lowering: Option<Lowering>,
}

impl Socket {
    /// Waits for the first bytes of the peer. Also says whether they begin a SASL exchange.
    pub(super) async fn meet(
        mut stream: impl Stream,
        largest_frame: Option<u32>,
    ) -> io::Result<(Self, bool)> {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await?;
        let sasl = header[4] == 3;
        let mut socket = Self {
            stream: Box::new(stream),
            unread: BytesMut::new(),
            lowering: largest_frame.map(|to| Lowering { raw: BytesMut::new(), to }),
        };
        match &mut socket.lowering {
            Some(lowering) => lowering.raw.extend_from_slice(&header),
            None => socket.unread.extend_from_slice(&header),
        }
        Ok((socket, sasl))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.unread.is_empty() {
                let count = this.unread.len().min(out.remaining());
                out.put_slice(&this.unread[..count]);
                this.unread.advance(count);
                return Poll::Ready(Ok(()));
            }
            let Some(lowering) = &mut this.lowering else {
                return Pin::new(&mut this.stream).poll_read(context, out);
            };
            if lowering.pass(&mut this.unread) {
                this.lowering = None;
            } else if this.unread.is_empty()
                && ready!(poll_read_buf(Pin::new(&mut this.stream), context, &mut lowering.raw))? == 0
            {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Lowers the largest frame that the peer says in its `open` it takes, so that it gets messages in many frames.
struct Lowering {
    raw: BytesMut,
    to: u32,
}

impl Lowering {
    /// Passes on what is whole. `true` once the `open` is among it.
    fn pass(&mut self, out: &mut BytesMut) -> bool {
        loop {
            let size = match self.raw.first_chunk::<8>() {
                None => return false,
                Some([b'A', b'M', b'Q', b'P', ..]) => 8,
                Some([b0, b1, b2, b3, ..]) => u32::from_be_bytes([*b0, *b1, *b2, *b3]) as usize,
            };
            if size >= 8 && self.raw.len() < size {
                return false;
            }
            let frame = self.raw.split_to(size.max(8));
            let is_open = !frame.starts_with(b"AMQP") && frame[5] == 0;
            match is_open.then(|| lowered(&frame, self.to)).flatten() {
                Some(lowered) => out.extend_from_slice(&lowered),
                None => out.extend_from_slice(&frame),
            }
            if is_open {
                out.extend_from_slice(&self.raw);
                return true;
            }
        }
    }
}

/// An `open` frame with another max-frame-size.
fn lowered(frame: &[u8], to: u32) -> Option<Vec<u8>> {
    let offset = usize::from(frame[4]) * 4;
    let mut reader = Reader::new(frame.get(offset..)?);
    reader.byte().ok()?;
    reader.skip().ok()?;
    let list = offset + reader.offset();
    let items = reader.list().ok()?;
    if items.count < 3 {
        return None;
    }
    let (count, mut reader) = (items.count, items.reader);
    let first = offset + reader.offset();
    // container-id and hostname come before it.
    reader.skip().ok()?;
    reader.skip().ok()?;
    let from = offset + reader.offset();
    reader.skip().ok()?;
    let until = offset + reader.offset();

    let mut content = frame[first..from].to_vec();
    content.push(format::UINT);
    content.extend(to.to_be_bytes());
    content.extend(&frame[until..]);
    let size = |octets: usize| u32::try_from(octets).ok().map(u32::to_be_bytes);
    let mut lowered = frame[..list].to_vec();
    lowered.push(format::LIST_32);
    lowered.extend(size(content.len() + 4)?);
    lowered.extend(size(count)?);
    lowered.extend(content);
    let whole = size(lowered.len())?;
    lowered[..4].copy_from_slice(&whole);
    Some(lowered)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An `open` of container `c` that takes frames of 64 KiB, on 10 channels.
    const OPEN: [u8; 26] = [
        0, 0, 0, 26, 2, 0, 0, 0, 0, 0x53, 0x10, 0xc0, 13, 4, 0xa1, 1, b'c', 0x40, 0x70, 0, 1, 0, 0, 0x60, 0,
        10,
    ];

    #[test]
    fn an_open_frame_is_lowered_and_what_is_around_it_stays() {
        let mut sent = b"AMQP\x00\x01\x00\x00".to_vec();
        sent.extend(OPEN);
        sent.extend(b"and the rest");
        for at_once in 1..sent.len() {
            let mut lowering = Lowering { raw: BytesMut::new(), to: 512 };
            let mut out = BytesMut::new();
            let mut passed = false;
            for piece in sent.chunks(at_once) {
                if passed {
                    out.extend_from_slice(piece);
                } else {
                    lowering.raw.extend_from_slice(piece);
                    passed = lowering.pass(&mut out);
                }
            }
            assert_eq!(out[..8], sent[..8]);
            let open = &out[8..out.len() - b"and the rest".len()];
            assert_eq!(open[..4], u32::try_from(open.len()).expect("small").to_be_bytes());
            let mut items = Reader::new(&open[11..]).list().expect("a list");
            assert_eq!(items.count, 4);
            let values: Vec<_> = (0..4).map(|_| items.reader.value().expect("a value")).collect();
            assert_eq!(values[2].as_uint(), Some(512));
            assert_eq!((values[0].as_text(), values[3].as_uint()), (Some("c"), Some(10)));
            assert!(out.ends_with(b"and the rest"));
        }
    }
}
