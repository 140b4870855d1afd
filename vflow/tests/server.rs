//! A collector that is played: it answers what a test says.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Lines of its head, each with its end.
    pub(crate) head: &'static str,
    pub(crate) body: String,
    /// Whether the answer goes on, with nothing more for now.
    pub(crate) goes_on: bool,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self { status: 200, head: "", body: body.into(), goes_on: false }
    }
}

/// What was asked: the path with its query, and the head of the request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: String,
    pub(crate) head: String,
}

/// Listens, answers by `reply`, and notes what was asked.
pub(crate) async fn serve(
    reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<Asked>>>) {
    serve_by(None, reply).await
}

/// The same, by TLS where it is given.
pub(crate) async fn serve_by(
    tls: Option<ServerConfig>,
    reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    let url = match tls {
        Some(_) => format!("https://localhost:{}", address.port()),
        None => format!("http://{address}"),
    };
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (noted, reply) = (Arc::clone(&asked), Arc::new(reply));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (noted, reply, tls) = (Arc::clone(&noted), Arc::clone(&reply), tls.clone());
            tokio::spawn(async move {
                // Whoever has read enough, or trusts nobody, has gone.
                let _ = match tls {
                    None => answer(stream, &noted, &*reply).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => answer(stream, &noted, &*reply).await,
                        Err(error) => Err(error),
                    },
                };
            });
        }
    });
    (url, asked)
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    noted: &Mutex<Vec<Asked>>,
    reply: &(dyn Fn(&Asked) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        if stream.read(&mut octet).await? == 0 {
            return Ok(());
        }
        head.push(octet[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let asked = Asked { target, head };
    let reply = reply(&asked);
    noted.lock().expect("nobody panicked").push(asked);
    let Reply { status, head, body, .. } = &reply;
    let text = format!("HTTP/1.1 {status} Played\r\nconnection: close\r\n{head}\r\n{body}");
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    if reply.goes_on {
        // Until the other side leaves.
        let _ = stream.read(&mut [0]).await?;
    }
    stream.shutdown().await
}
