//! Sixteen bytes at a time: which of them are of one kind, a bit for each.
//!
//! Readers of structure ask for the few bytes that matter to them and jump over the others. In
//! WebAssembly these are vector instructions, one for each comparison, which safe code may call
//! because the module is built for them. Elsewhere the same is done in words of eight bytes: there
//! the intrinsics want `unsafe`, which this crate forbids, and what runs natively is the control
//! plane and the tests, not the gate.
//!
//! The alternatives: `wide` and `fearless_simd` give the same on every target; a dependency for two
//! comparisons was not worth its share of the module's trust. Loops that the compiler is to turn
//! into vectors: it does so where the answer is a sum or a choice, but not where it is a bit for
//! each byte.

/// How many bytes are asked at once.
pub(crate) const LANES: usize = 16;

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

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn either<const N: usize>(wanted: [u8; N], block: &[u8; LANES]) -> u16 {
    use core::arch::wasm32::{u8x16, u8x16_bitmask, u8x16_eq, u8x16_splat, v128_or};
    // One load of sixteen bytes, as the compiler sees.
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *block;
    let bytes = u8x16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
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
    // A bit at the foot of each byte, moved together: that of byte n to 56 + n. No two of the sums
    // meet.
    let moved = (found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    moved as u16
}

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

    fn slowly(block: &[u8], wanted: &[u8]) -> u16 {
        let bits = block.iter().zip(0..);
        bits.filter(|(byte, _)| wanted.contains(byte))
            .fold(0, |bits, (_, place)| bits | 1 << place)
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
