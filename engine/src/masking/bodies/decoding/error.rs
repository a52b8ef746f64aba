//! Why a body cannot be decoded.

use std::fmt;

/// Why encoded bytes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodingError {
    /// They are not what their encoding says.
    Corrupt,
    /// They end before their end.
    Truncated,
    /// They become more than [`MAX_RATIO`](super::MAX_RATIO) times as many.
    Bomb,
}

impl fmt::Display for DecodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "the compressed body is damaged",
            Self::Truncated => "the compressed body ends too early",
            Self::Bomb => {
                "the compressed body becomes more than 256 times as long as it is, as bombs do"
            }
        })
    }
}

impl std::error::Error for DecodingError {}
