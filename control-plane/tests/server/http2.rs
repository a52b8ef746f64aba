//! HTTP/2 (RFC 9113) written by hand: a peer that does what no client library lets one do.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u16 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A connection that has begun, on which each stream of the peer has this much room.
pub(crate) async fn connect(address: SocketAddr, window: u32) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut settings = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
    settings.extend(window.to_be_bytes());
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &settings));
    stream.write_all(&bytes).await.unwrap();
    stream
}

/// A GET on the stream of this number, whole, in HPACK (RFC 7541) without compression.
pub(crate) fn get(stream: u32, path: &str, token: Option<&str>) -> Vec<u8> {
    /// `:method: GET` and `:scheme: http` of the static table, then `:authority` with a value.
    const BEGIN: [u8; 5] = [0x82, 0x86, 0x01, 1, b'x'];
    const PATH: [u8; 1] = [0x04];
    const AUTHORIZATION: [u8; 2] = [0x0F, 0x08];
    let mut block = BEGIN.to_vec();
    let mut field = |name: &[u8], value: &str| {
        block.extend(name);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    };
    field(&PATH, path);
    if let Some(token) = token {
        field(&AUTHORIZATION, &format!("Bearer {token}"));
    }
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}
