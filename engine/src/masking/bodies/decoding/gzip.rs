//! What stands around the data of a gzip member (RFC 1952 §2.3), read byte by byte.

use super::error::DecodingError;

/// Bits of FLG.
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0b1110_0000;

/// Reads a header, however long, in constant memory.
#[derive(Default)]
pub(super) struct Header {
    at: Field,
    flags: u8,
    sum: crc32fast::Hasher,
}

#[derive(Default, Clone, Copy)]
enum Field {
    /// So many of the ten fixed bytes were read.
    Fixed(u8),
    ExtraLength(Option<u8>),
    Extra(u16),
    Name,
    Comment,
    Sum(Option<u8>),
    #[default]
    Start,
}

impl Header {
    /// Takes the next byte; `true`: it was the header's last.
    pub(super) fn read(&mut self, byte: u8) -> Result<bool, DecodingError> {
        let good = match (self.at, byte) {
            (Field::Start, 0x1f) | (Field::Fixed(1), 0x8b) | (Field::Fixed(2), 8) => true,
            (Field::Fixed(3), flags) => {
                self.flags = flags;
                flags & RESERVED == 0
            }
            (Field::Start | Field::Fixed(1 | 2), _) => false,
            _ => true,
        };
        if !good {
            return Err(DecodingError::Corrupt);
        }
        if !matches!(self.at, Field::Sum(_)) {
            self.sum.update(&[byte]);
        }
        let next = match self.at {
            Field::Start => Some(Field::Fixed(1)),
            Field::Fixed(read) if read < 9 => Some(Field::Fixed(read.saturating_add(1))),
            Field::Fixed(_) => self.after(FEXTRA),
            Field::ExtraLength(None) => Some(Field::ExtraLength(Some(byte))),
            Field::ExtraLength(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => self.after(FNAME),
                length => Some(Field::Extra(length)),
            },
            Field::Extra(left) => match left.saturating_sub(1) {
                0 => self.after(FNAME),
                left => Some(Field::Extra(left)),
            },
            Field::Name if byte == 0 => self.after(FCOMMENT),
            Field::Comment if byte == 0 => self.after(FHCRC),
            Field::Name | Field::Comment => Some(self.at),
            Field::Sum(None) => Some(Field::Sum(Some(byte))),
            Field::Sum(Some(low)) => {
                // The two least significant bytes of the CRC-32 of all before.
                let [a, b, ..] = self.sum.clone().finalize().to_le_bytes();
                if [a, b] != [low, byte] {
                    return Err(DecodingError::Corrupt);
                }
                None
            }
        };
        match next {
            Some(field) => {
                self.at = field;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// The next field that there is, from the one with this flag on.
    fn after(&self, first: u8) -> Option<Field> {
        let fields = [
            (FEXTRA, Field::ExtraLength(None)),
            (FNAME, Field::Name),
            (FCOMMENT, Field::Comment),
            (FHCRC, Field::Sum(None)),
        ];
        // FHCRC comes last, but its bit is the lowest.
        let rank = |flag: u8| if flag == FHCRC { u8::MAX } else { flag };
        fields
            .into_iter()
            .find(|(flag, _)| rank(*flag) >= rank(first) && self.flags & flag != 0)
            .map(|(_, field)| field)
    }
}

/// Compares a trailer with what was read.
pub(super) struct Trailer {
    expected: u64,
    read: u8,
}

impl Trailer {
    /// CRC-32 and ISIZE, the length modulo 2^32.
    pub(super) fn expecting(sum: u32, length: u32) -> Self {
        Self {
            expected: u64::from(sum) | u64::from(length) << 32,
            read: 0,
        }
    }

    /// Takes the next byte; `true`: it was the last.
    pub(super) fn read(&mut self, byte: u8) -> Result<bool, DecodingError> {
        let [expected, ..] = self.expected.to_le_bytes();
        if byte != expected {
            return Err(DecodingError::Corrupt);
        }
        self.expected >>= 8;
        self.read = self.read.saturating_add(1);
        Ok(self.read == 8)
    }
}
