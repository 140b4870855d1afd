//! What fuzz targets reach that is nobody else's.

use std::future::pending;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::amqp::{BareStream, Limits, Parked};

/// Reads what a peer sends, in pieces, and answers how much of it came through; then writes the same.
pub fn amqp_stream(sent: &[u8], piece: usize) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (ours, mut peer) = tokio::io::duplex(piece.max(1));
        let mut stream = BareStream::new(ours, Parked::default(), Limits::default());
        let mut received = Vec::new();
        let writes = async {
            let _ = peer.write_all(sent).await;
            let _ = peer.shutdown().await;
            pending::<()>().await;
        };
        // A stream that finds nonsense is not read on, and the rest of what is sent has nobody to go to.
        tokio::select! {
            _ = stream.read_to_end(&mut received) => {}
            () = writes => {}
        }
        let came_through = received.len();
        let writes = async {
            let _ = stream.write_all(sent).await;
            let _ = stream.shutdown().await;
            drop(stream);
        };
        let reads = async {
            let _ = peer.read_to_end(&mut received).await;
        };
        tokio::join!(writes, reads);
        came_through
    })
}
