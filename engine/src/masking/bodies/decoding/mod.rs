//! Bodies that come compressed: decoded while they stream, so that they can be masked.
//!
//! # Promises
//! - Chunk invariance: however the input is cut, the decoded bytes are the same, and so is the
//!   verdict; only the very byte at which a bomb is noticed may differ.
//! - Bounded: a [`Decoder`] keeps a window of 32 KiB and nothing else; it gives pieces of at most
//!   that size. What grows more than [`MAX_RATIO`] times beyond [`FREE`] bytes is refused: a few
//!   kilobytes that become gigabytes would stall a worker, and everybody on it.
//! - Checked: checksum and length of every gzip member and the checksum of a zlib stream; bytes
//!   after the end of the data are an error, since two programs could read them differently.
//!
//! A checksum stands at the end, when the decoded bytes have left already. So corrupt data is only
//! known after the fact, and whoever finds it breaks the stream off.
//!
//! The crate is `miniz_oxide` alone: `flate2` over it reads whole headers into memory and hides
//! where a member ends; the inflating is the same code.

mod error;
mod gzip;
#[cfg(test)]
mod tests;

use std::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_COMPUTE_ADLER32, TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::encoding::Encoding;
use gzip::{Header, Trailer};

pub use error::DecodingError;

/// How far DEFLATE refers back (RFC 1951 §2), and the longest piece that is given at once.
const WINDOW: usize = 32 * 1024;
/// Decoded bytes to which no ratio applies.
pub const FREE: u64 = 1024 * 1024;
/// How many decoded bytes one encoded byte may become on average, beyond [`FREE`]. DEFLATE's own
/// limit is 1,032, which only runs of one byte reach; text reaches 5 to 20, the most repetitive
/// lists of an API about 200.
pub const MAX_RATIO: u64 = 256;

/// Decodes one body as it comes.
pub struct Decoder {
    encoding: Encoding,
    state: State,
    inflater: Box<DecompressorOxide>,
    window: Box<[u8]>,
    /// Where in the window the next byte goes.
    at: usize,
    read: u64,
    written: u64,
}

enum State {
    /// Nothing was read, or a gzip member is complete.
    Between,
    /// `deflate`: its first byte, of the two that tell zlib from raw.
    First(u8),
    Header(Header),
    /// Compressed data; `zlib` with header and checksum of its own. `before` is input that is to be
    /// read first: the bytes that told zlib from raw.
    Data {
        zlib: bool,
        before: Option<[u8; 2]>,
        sum: crc32fast::Hasher,
        length: u32,
    },
    Trailer(Trailer),
    /// The data is complete, and nothing may follow.
    Over,
}

impl State {
    fn data(zlib: bool, before: Option<[u8; 2]>) -> Self {
        Self::Data {
            zlib,
            before,
            sum: crc32fast::Hasher::new(),
            length: 0,
        }
    }
}

impl Decoder {
    /// A decoder at a body's beginning; nothing for [`Encoding::Identity`], which needs none.
    pub fn new(encoding: Encoding) -> Option<Self> {
        (encoding != Encoding::Identity).then(|| Self {
            encoding,
            state: State::Between,
            inflater: Box::default(),
            window: vec![0; WINDOW].into_boxed_slice(),
            at: 0,
            read: 0,
            written: 0,
        })
    }

    /// Reads on in `input`, which is cut to what is left of it, and gives the next decoded bytes:
    /// at least one, at most 32 KiB. `None`: all input is used.
    ///
    /// # Errors
    /// [`DecodingError::Corrupt`], [`DecodingError::Bomb`]; the decoder must not be used any more.
    pub fn piece(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, DecodingError> {
        loop {
            if let State::Data { .. } = self.state {
                let from = self.at;
                let (used, wrote) = self.inflate(input)?;
                if wrote > 0 {
                    let to = from.saturating_add(wrote);
                    return Ok(self.window.get(from..to));
                }
                if !used {
                    return Ok(None);
                }
            } else {
                let Some((&byte, rest)) = input.split_first() else {
                    return Ok(None);
                };
                *input = rest;
                self.read = self.read.saturating_add(1);
                self.frame(byte)?;
            }
        }
    }

    /// The body has ended.
    ///
    /// # Errors
    /// [`DecodingError::Truncated`], unless it ended where it may. A body without a byte is empty,
    /// whatever its headers say.
    pub fn finish(&self) -> Result<(), DecodingError> {
        match self.state {
            State::Between | State::Over => Ok(()),
            _ => Err(DecodingError::Truncated),
        }
    }

    /// One byte around the data.
    fn frame(&mut self, byte: u8) -> Result<(), DecodingError> {
        match (&mut self.state, self.encoding) {
            (State::Between, Encoding::Gzip) => {
                let mut header = Header::default();
                header.read(byte)?;
                self.state = State::Header(header);
            }
            (State::Between, _) => self.state = State::First(byte),
            (State::First(first), _) => {
                let first = *first;
                // RFC 1950 §2.2: method 8, a window of at most 32 KiB, the check bits, no
                // dictionary.
                let check = u16::from_be_bytes([first, byte]).is_multiple_of(31);
                let zlib = first & 0x0f == 8 && first >> 4 <= 7 && check && byte & 0x20 == 0;
                self.state = State::data(zlib, Some([first, byte]));
            }
            (State::Header(header), _) => {
                if header.read(byte)? {
                    self.inflater.init();
                    self.state = State::data(false, None);
                }
            }
            (State::Trailer(trailer), _) => {
                if trailer.read(byte)? {
                    self.state = State::Between;
                }
            }
            (State::Data { .. } | State::Over, _) => return Err(DecodingError::Corrupt),
        }
        Ok(())
    }

    /// Lets the inflater read. Whether it got anywhere, and how many bytes it wrote.
    fn inflate(&mut self, input: &mut &[u8]) -> Result<(bool, usize), DecodingError> {
        let State::Data {
            zlib,
            before,
            sum,
            length,
        } = &mut self.state
        else {
            return Ok((false, 0));
        };
        let mut flags = TINFL_FLAG_HAS_MORE_INPUT;
        if *zlib {
            flags |= TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_COMPUTE_ADLER32;
        }
        let before = before.take();
        let from = before.as_ref().map_or(*input, |bytes| bytes.as_slice());
        let (status, read, wrote) =
            decompress(&mut self.inflater, from, &mut self.window, self.at, flags);
        if before.is_none() {
            *input = input.get(read..).unwrap_or_default();
            self.read = self.read.saturating_add(read as u64);
        } else if read < 2 {
            // Two bytes cannot fill the window, and no data is over in one.
            return Err(DecodingError::Corrupt);
        }
        self.written = self.written.saturating_add(wrote as u64);
        if self.written > FREE && self.written > self.read.saturating_mul(MAX_RATIO) {
            return Err(DecodingError::Bomb);
        }
        let to = self.at.saturating_add(wrote);
        if self.encoding == Encoding::Gzip {
            sum.update(self.window.get(self.at..to).unwrap_or_default());
            *length = length.wrapping_add(u32::try_from(wrote).unwrap_or(0));
        }
        self.at = to % WINDOW;
        let done = match status {
            TINFLStatus::Done => true,
            TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => false,
            _ => return Err(DecodingError::Corrupt),
        };
        if done {
            self.state = match self.encoding {
                Encoding::Gzip => {
                    State::Trailer(Trailer::expecting(sum.clone().finalize(), *length))
                }
                _ => State::Over,
            };
        }
        Ok((done || read > 0, wrote))
    }
}

impl fmt::Debug for Decoder {
    /// Without the window: it holds what was decoded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("encoding", &self.encoding)
            .field("read", &self.read)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}
