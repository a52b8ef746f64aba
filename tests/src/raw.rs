//! Bytes on a socket: traffic that no client or server library would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How long to wait for bytes that may never come.
const LIMIT: Duration = Duration::from_secs(10);

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Socket {
    /// Connects.
    ///
    /// # Errors
    /// When nothing listens.
    pub async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// When the other side has closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Sends these bytes one at a time.
    ///
    /// # Errors
    /// When the other side has closed.
    pub async fn dribble(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        for byte in bytes.as_ref() {
            self.send([*byte]).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Everything received until `text` is in it, the other side closes, or ten seconds are over.
    ///
    /// # Errors
    /// When the connection is reset.
    pub async fn receive_until(&mut self, text: &str) -> std::io::Result<Vec<u8>> {
        let mut buffer = [0; 16 * 1024];
        while text.is_empty() || !crate::files::contains(&self.received, text.as_bytes()) {
            match tokio::time::timeout(LIMIT, self.stream.read(&mut buffer)).await {
                Err(_) | Ok(Ok(0)) => break,
                Ok(Ok(count)) => self.received.extend_from_slice(&buffer[..count]),
                Ok(Err(error)) => return Err(error),
            }
        }
        Ok(self.received.clone())
    }

    /// Everything received until the other side closes, or ten seconds are over.
    ///
    /// # Errors
    /// When the connection is reset.
    pub async fn receive_all(&mut self) -> std::io::Result<Vec<u8>> {
        self.receive_until("").await
    }

    /// The status of an HTTP/1 answer, when its first line has come.
    ///
    /// # Errors
    /// When the connection is reset.
    pub async fn status(&mut self) -> std::io::Result<Option<u16>> {
        let received = self.receive_until("\r\n").await?;
        let line = String::from_utf8_lossy(&received);
        Ok(line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok()))
    }
}

/// Sends bytes and gives the status of the answer: `None` when the connection closes without one.
///
/// # Errors
/// When nothing listens, or the connection is reset.
pub async fn status_of(
    address: SocketAddr,
    request: impl AsRef<[u8]>,
) -> std::io::Result<Option<u16>> {
    let mut socket = Socket::connect(address).await?;
    socket.send(request).await?;
    socket.status().await
}

/// A server that does with each connection what a test says, e.g. answers nonsense.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start<F>(serve: impl Fn(Socket) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(Socket {
                    stream,
                    received: Vec::new(),
                }));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
