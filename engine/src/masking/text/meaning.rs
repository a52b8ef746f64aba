//! The meaning of what stands for something else: of an escape, of a reference, of a character
//! without width.

/// What stands at a byte that may begin an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// So many bytes that mean this, or nothing.
    Means(usize, Meaning),
    Nothing,
    /// It may go on.
    Cut,
}

/// The characters that something means: none, one, or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    bytes: [u8; 2],
    length: u8,
}

impl Meaning {
    /// No character, or one without width.
    pub(super) const NOTHING: Self = Self {
        bytes: [0; 2],
        length: 0,
    };

    pub(super) const fn of(byte: u8) -> Self {
        Self {
            bytes: [byte, 0],
            length: 1,
        }
    }

    pub(super) const fn both(bytes: [u8; 2]) -> Self {
        Self { bytes, length: 2 }
    }

    pub(super) const fn len(self) -> u8 {
        self.length
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

/// `length` bytes mean the character of this number, if that is one to read through.
pub(super) fn means(number: u32, length: usize) -> Found {
    match u8::try_from(number) {
        Ok(byte) if is_unreserved(byte) || matches!(byte, b'+' | b'/' | b'=' | b':') => {
            Found::Means(length, Meaning::of(byte))
        }
        _ => match number {
            0xAD | 0x200B..=0x200F | 0x2060..=0x2064 | 0xFE00..=0xFE0F | 0xFEFF => {
                Found::Means(length, Meaning::NOTHING)
            }
            _ => Found::Nothing,
        },
    }
}

/// What no encoder of URLs encodes (RFC 3986 §2.3).
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~')
}
