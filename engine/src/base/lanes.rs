//! Sixteen bytes at a time: which of them are of one kind, a bit for each.
//!
//! Readers of structure ask for the few bytes that matter to them and jump over the others. In
//! WebAssembly these are vector instructions, one for each comparison, which safe code may call
//! because the module is built for them. Elsewhere the same is done in words of eight bytes: there
//! the intrinsics want `unsafe`, which this crate forbids, and what runs natively is the control
//! plane and the tests, not the gate.
//!
//! The alternatives: `wide` and `fearless_simd` give the same on every target; a dependency for a
//! few instructions was not worth its share of the module's trust, and natively they have no
//! shuffle either unless the processor is asked for it at run time. Loops that the compiler is to
//! turn into vectors: it does so where the answer is a sum or a choice, but not where it is a bit
//! for each byte, and it never makes a shuffle of a look-up in a table of sixteen.

/// How many bytes are asked at once.
pub(crate) const LANES: usize = 16;
/// How many bytes are asked at once whether a [`Wanted`] byte is among them.
pub(crate) const WIDE: usize = 32;
/// How many bytes a [`Window`] has.
pub(crate) const WINDOW: usize = 64;

/// Which bytes are quotes or backslashes: the lowest bit is that of the first byte.
#[inline]
pub(crate) fn quotes_and_backslashes(block: &[u8; LANES]) -> u16 {
    either([b'"', b'\\'], block)
}

/// The same for fewer than [`LANES`] bytes.
#[inline]
pub(crate) fn quotes_and_backslashes_of_few(bytes: &[u8]) -> u16 {
    let wanted = [b'"', b'\\'];
    let slowly = |bits, byte: &u8| bits << 1 | u16::from(wanted.contains(byte));
    let Some(middle) = bytes.len().checked_sub(8) else {
        return bytes.iter().rev().fold(0, slowly);
    };
    // The first eight and the last eight; those that are in both are the same in both.
    let (first, last) = (bytes.first_chunk(), bytes.last_chunk());
    let bits = |word: Option<&[u8; 8]>| word.map_or(0, |word| in_word(wanted, *word));
    bits(first) | bits(last) << (middle & 7)
}

/// Which bytes are blanks between the tokens of JSON (RFC 8259 §2).
#[inline]
pub(crate) fn blanks(block: &[u8; LANES]) -> u16 {
    either([b' ', b'\n', b'\r', b'\t'], block)
}

/// A word for each kind of byte in a window, in which each byte has its bit: the lowest is that of
/// the first byte.
pub(crate) struct Window {
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    bytes: [u8; WINDOW],
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    blocks: [core::arch::wasm32::v128; 4],
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
impl Window {
    #[inline(always)]
    pub(crate) fn new(bytes: &[u8; WINDOW]) -> Self {
        let (blocks, _) = bytes.as_chunks();
        let mut loaded = [core::arch::wasm32::u64x2_splat(0); 4];
        for (to, block) in loaded.iter_mut().zip(blocks) {
            *to = load(block);
        }
        Self { blocks: loaded }
    }

    /// Which bytes are this one.
    #[inline(always)]
    pub(crate) fn is(&self, byte: u8) -> u64 {
        use core::arch::wasm32::{u8x16_eq, u8x16_splat};
        self.bits(|bytes| u8x16_eq(bytes, u8x16_splat(byte)))
    }

    /// Which bytes are this one, or would be if their [`CASE`] were set, which is set in this one.
    #[inline(always)]
    pub(crate) fn is_in_any_case(&self, byte: u8) -> u64 {
        use core::arch::wasm32::{u8x16_eq, u8x16_splat, v128_or};
        let case = u8x16_splat(CASE);
        self.bits(|bytes| u8x16_eq(v128_or(bytes, case), u8x16_splat(byte)))
    }

    /// Which bytes have their [`CASE`] set.
    #[inline(always)]
    pub(crate) fn case(&self) -> u64 {
        // Moved to the highest bit, which is the one that counts. Bits that come from the byte
        // before stay below it.
        self.bits(|bytes| core::arch::wasm32::u16x8_shl(bytes, 2))
    }

    /// Which bytes are blanks between the tokens of JSON (RFC 8259 §2).
    #[inline(always)]
    pub(crate) fn blanks(&self) -> u64 {
        use core::arch::wasm32::{u8x16_eq, u8x16_splat, u8x16_swizzle, v128_and};
        // At the place of each lower half the blank that has it. Elsewhere a space, which has
        // another one, so no byte with this half is it.
        const BY_HALF: [u8; LANES] = *b"         \t\n  \r  ";
        let table = load(&BY_HALF);
        self.bits(|bytes| {
            let half = v128_and(bytes, u8x16_splat(0xF));
            u8x16_eq(bytes, u8x16_swizzle(table, half))
        })
    }

    /// Which bytes are digits.
    #[inline(always)]
    pub(crate) fn digits(&self) -> u64 {
        use core::arch::wasm32::{u8x16_le, u8x16_splat, u8x16_sub};
        self.bits(|bytes| u8x16_le(u8x16_sub(bytes, u8x16_splat(b'0')), u8x16_splat(9)))
    }

    #[inline(always)]
    fn bits(&self, is: impl Fn(core::arch::wasm32::v128) -> core::arch::wasm32::v128) -> u64 {
        let [first, second, third, last] = self
            .blocks
            .map(|block| core::arch::wasm32::u8x16_bitmask(is(block)));
        let low = u64::from(first) | u64::from(second) << 16;
        let high = u64::from(third) | u64::from(last) << 16;
        low | high << 32
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
impl Window {
    #[inline(always)]
    pub(crate) fn new(bytes: &[u8; WINDOW]) -> Self {
        Self { bytes: *bytes }
    }

    /// Which bytes are this one.
    #[inline(always)]
    pub(crate) fn is(&self, wanted: u8) -> u64 {
        self.bits(|byte| byte == wanted)
    }

    /// Which bytes are this one, or would be if their [`CASE`] were set, which is set in this one.
    #[inline(always)]
    pub(crate) fn is_in_any_case(&self, wanted: u8) -> u64 {
        self.bits(|byte| byte | CASE == wanted)
    }

    /// Which bytes have their [`CASE`] set.
    #[inline(always)]
    pub(crate) fn case(&self) -> u64 {
        self.bits(|byte| byte & CASE == CASE)
    }

    /// Which bytes are blanks between the tokens of JSON (RFC 8259 §2).
    #[inline(always)]
    pub(crate) fn blanks(&self) -> u64 {
        self.bits(|byte| (byte == b' ') | (byte == b'\n') | (byte == b'\r') | (byte == b'\t'))
    }

    /// Which bytes are digits.
    #[inline(always)]
    pub(crate) fn digits(&self) -> u64 {
        self.bits(|byte| byte.wrapping_sub(b'0') <= 9)
    }

    #[inline(always)]
    fn bits(&self, is: impl Fn(u8) -> bool) -> u64 {
        // In a loop of its own, so that the compiler makes vectors of it.
        let mut flags = [0; WINDOW];
        for (flag, byte) in flags.iter_mut().zip(self.bytes) {
            *flag = u8::from(is(byte));
        }
        let (words, _) = flags.as_chunks();
        let words = words.iter().rev();
        words.fold(0, |bits, word| {
            let together = u64::from_le_bytes(*word).wrapping_mul(TOGETHER) >> 56;
            bits << 8 | together
        })
    }
}

/// The bit in which `[` differs from `{` and `]` from `}`, as an upper-case letter differs from a
/// lower-case one.
const CASE: u8 = 0x20;

/// A few bytes to look for, at most eight, more than it is worth to compare with one after another.
///
/// Both halves of a byte choose from a table, in which each of the wanted bytes has a bit: where a
/// bit is in both answers the byte is that one.
pub(crate) struct Wanted<const N: usize> {
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    bytes: [u8; N],
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    halves: [[u8; LANES]; 2],
}

impl<const N: usize> Wanted<N> {
    pub(crate) const fn new(bytes: [u8; N]) -> Self {
        const { assert!(N <= 8) };
        Self {
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            bytes,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            halves: [table(&bytes, 0), table(&bytes, 4)],
        }
    }

    /// Whether one of them is in the block.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[inline]
    pub(crate) fn any_in(&self, block: &[u8; WIDE]) -> bool {
        use core::arch::wasm32::{
            u8x16_shr, u8x16_splat, u8x16_swizzle, v128_and, v128_any_true, v128_or,
        };
        let [low, high] = &self.halves;
        let (low, high) = (load(low), load(high));
        let (blocks, _) = block.as_chunks();
        let found = blocks.iter().fold(u8x16_splat(0), |found, block| {
            let bytes = load(block);
            let low = u8x16_swizzle(low, v128_and(bytes, u8x16_splat(0xF)));
            let high = u8x16_swizzle(high, u8x16_shr(bytes, 4));
            v128_or(found, v128_and(low, high))
        });
        v128_any_true(found)
    }

    /// Whether one of them is in the block.
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    #[inline]
    pub(crate) fn any_in(&self, block: &[u8; WIDE]) -> bool {
        // Without a branch, so that the compiler makes vectors of it. Of half as many bytes it
        // makes none.
        let is = |byte: u8| {
            let bytes = self.bytes.iter();
            bytes.fold(0, |is, wanted| is | u8::from(byte == *wanted))
        };
        block.iter().fold(0, |any, byte| any | is(*byte)) != 0
    }
}

/// For each half byte, `shift` bits from the foot of the byte, the bits of the bytes that have it.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
const fn table(bytes: &[u8], shift: u32) -> [u8; LANES] {
    let mut table = [0; LANES];
    let (mut rest, mut bit) = (bytes, 1_u8);
    while let [byte, more @ ..] = rest {
        let half = (byte.wrapping_shr(shift) & 0xF) as usize;
        if let Some(slot) = table.split_at_mut(half).1.first_mut() {
            *slot |= bit;
        }
        (rest, bit) = (more, bit.wrapping_shl(1));
    }
    table
}

/// Sixteen bytes as a vector, by one load. (The compiler makes sixteen of the same list of bytes
/// when it knows too much about where they come from.)
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
pub(crate) fn load(block: &[u8; LANES]) -> core::arch::wasm32::v128 {
    let (first, last) = (block.first_chunk(), block.last_chunk());
    let word = |word: Option<&[u8; 8]>| word.map_or(0, |word| u64::from_le_bytes(*word));
    core::arch::wasm32::u64x2(word(first), word(last))
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn either<const N: usize>(wanted: [u8; N], block: &[u8; LANES]) -> u16 {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_splat, v128_or};
    let bytes = load(block);
    let found = wanted.iter().fold(u8x16_splat(0), |found, byte| {
        v128_or(found, u8x16_eq(bytes, u8x16_splat(*byte)))
    });
    u8x16_bitmask(found)
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
fn either<const N: usize>(wanted: [u8; N], block: &[u8; LANES]) -> u16 {
    let (words, _) = block.as_chunks();
    words
        .iter()
        .rev()
        .fold(0, |bits, word| bits << 8 | in_word(wanted, *word))
}

/// Which of eight bytes are wanted.
#[inline]
fn in_word<const N: usize>(wanted: [u8; N], word: [u8; 8]) -> u16 {
    let word = u64::from_le_bytes(word);
    let found = wanted.iter().fold(0, |found, byte| {
        found | zeros(word ^ u64::from_ne_bytes([*byte; 8]))
    });
    let moved = (found >> 7).wrapping_mul(TOGETHER) >> 56;
    moved as u16
}

/// Bits at the foot of each byte, multiplied by this, are moved together: that of byte n to 56 + n.
/// No two of the sums meet.
const TOGETHER: u64 = 0x0102_0408_1020_4080;

/// Sets the high bit of each byte that is 0, and no other bit.
#[inline]
const fn zeros(word: u64) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7F; 8]);
    !(((word & LOW).wrapping_add(LOW)) | word | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn each_byte_of_a_window_has_its_bit() {
        for around in [0, b'"', b' ', b'{', b'Z', 0x7F, 0x80, 0xA0, 0xFF] {
            for byte in 0..=u8::MAX {
                for place in [0, 1, 15, 16, 31, 40, 62, 63] {
                    let mut bytes = [around; WINDOW];
                    bytes[place] = byte;
                    let bits = |is: &dyn Fn(u8) -> bool| {
                        let bits = bytes.iter().zip(0..).filter(|(byte, _)| is(**byte));
                        bits.fold(0_u64, |bits, (_, place)| bits | 1 << place)
                    };
                    let window = Window::new(&bytes);
                    assert_eq!(window.is(b'"'), bits(&|b| b == b'"'));
                    let brackets = bits(&|b| matches!(b, b'{' | b'['));
                    assert_eq!(window.is_in_any_case(b'{'), brackets);
                    assert_eq!(window.case(), bits(&|b| b & 0x20 != 0));
                    assert_eq!(window.digits(), bits(&|b| b.is_ascii_digit()));
                    let blanks = bits(&|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t'));
                    assert_eq!(window.blanks(), blanks, "{byte}");
                }
            }
        }
    }

    fn slowly(block: &[u8], wanted: &[u8]) -> u16 {
        let bits = block.iter().zip(0..);
        bits.filter(|(byte, _)| wanted.contains(byte))
            .fold(0, |bits, (_, place)| bits | 1 << place)
    }

    #[test]
    fn a_wanted_byte_is_found_wherever_it_stands() {
        static WANTED: Wanted<6> = Wanted::new([b'\\', b'%', b'&', 0xE2, 0xEF, 0xC2]);
        for around in [0, b' ', b'U', 0x7F, 0x80, 0xC6, 0xE6, 0xFF] {
            for byte in 0..=u8::MAX {
                for place in 0..WIDE {
                    let mut block = [around; WIDE];
                    block[place] = byte;
                    let expected = b"\\%&\xE2\xEF\xC2".contains(&byte);
                    assert_eq!(WANTED.any_in(&block), expected, "{byte} in {around}");
                }
            }
        }
    }

    #[test]
    fn each_byte_at_each_place_has_its_bit() {
        for around in [0, b'"', b'\\', b' ', 0x7F, 0x80, 0xA2, 0xFF] {
            for byte in 0..=u8::MAX {
                for place in 0..LANES {
                    let mut block = [around; LANES];
                    block[place] = byte;
                    assert_eq!(quotes_and_backslashes(&block), slowly(&block, b"\"\\"));
                    assert_eq!(blanks(&block), slowly(&block, b" \n\r\t"));
                    for length in [0, 1, 7, 8, 9, 12, 15] {
                        let few = &block[..length];
                        assert_eq!(quotes_and_backslashes_of_few(few), slowly(few, b"\"\\"));
                    }
                }
            }
        }
    }
}
