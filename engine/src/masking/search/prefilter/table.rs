//! The table of all runs that matter, and the look-ups of sixteen runs at once.
//!
//! This is the only part of the search that touches every byte, so it is what the speed on clean
//! text depends on. Of a block of 32 bytes the sixteen runs at even positions are looked up: their
//! hashes are computed side by side in vectors, sixteen independent loads fetch a byte of the table
//! for each, and one comparison says which of them have their bit. There is no branch in it.
//!
//! In V8 the hashes leave the vectors as words of four and the bytes come back into a vector each
//! by its own load. Both directions through vectors (`extract_lane`) are a fifth slower: the
//! processor has one unit for both. Both through words are as much slower for their shifts.
//!
//! Natively, where the control plane tries detectors and no gate runs, the runs of a block are
//! hashed one by one: the same in loops that the compiler makes vectors of is a quarter slower.

use super::runs::FOLD;

/// Bytes whose runs are looked up at once.
pub(super) const BLOCK: usize = 32;

/// A block with the two bytes after it, in which its last run ends.
pub(super) type Block = [u8; BLOCK + 2];

/// One bit for each hash of a run that matters. The smaller table stays in the first-level cache
/// whatever else is there; in the larger one few bits of a large set are set for nothing.
pub(super) enum Bits {
    /// 8 KiB.
    Small(Box<[u8; 8192]>),
    /// 32 KiB.
    Large(Box<[u8; 32768]>),
}

/// From this number of clues on the table is the large one.
const LARGE: usize = 2000;

impl Bits {
    /// The table with the bits of these runs.
    pub(super) fn of(runs: impl ExactSizeIterator<Item = u32>) -> Self {
        let mut this = match runs.len() >= LARGE {
            true => Self::Large(Box::new([0; 32768])),
            false => Self::Small(Box::new([0; 8192])),
        };
        for run in runs {
            match &mut this {
                Self::Small(bits) => set(bits, run),
                Self::Large(bits) => set(bits, run),
            }
        }
        this
    }

    /// Bytes of memory that it occupies.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Small(bits) => size_of_val(&**bits),
            Self::Large(bits) => size_of_val(&**bits),
        }
    }
}

fn set<const BYTES: usize>(bits: &mut [u8; BYTES], run: u32) {
    let (byte, mask) = place::<BYTES>(run);
    if let Some(byte) = bits.get_mut(byte) {
        *byte |= mask;
    }
}

/// Factors of [`hash`]: 2^16 over the golden ratio (Knuth, TAOCP 6.4), and the next sixteen bits of
/// it. Both are odd.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
const FACTORS: [u16; 2] = [0x9E37, 0x79B9];

/// The hash of a run whose case bits are set; its upper bits are the better ones. Made for vectors
/// of sixteen bits: the first and the second byte as a number, and the second and the third one.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
pub(super) const fn hash(run: u32) -> u16 {
    let [first, second] = FACTORS;
    let (a, b) = (run as u16, (run >> 8) as u16);
    a.wrapping_mul(first).wrapping_add(b.wrapping_mul(second))
}

/// Where the bit of a run, whose case bits are set, stands in a table of so many bytes: the byte
/// and the bit in it. The bit is chosen by bytes, not by the hash, of which there is not enough.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
const fn place<const BYTES: usize>(run: u32) -> (usize, u8) {
    let byte = hash(run) >> const { 16_u32.wrapping_sub(BYTES.trailing_zeros()) };
    (byte as usize, 1_u8.wrapping_shl((run ^ (run >> 16)) & 7))
}

/// The product with 2^24 over the golden ratio, moved to the upper 24 bits. What stands above the
/// three bytes of the run falls out. Where runs are hashed one by one it is cheaper than the hash
/// for vectors.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
const fn product(run: u32) -> u32 {
    run.wrapping_mul(0x9E37_7900)
}

/// The hash of a run whose case bits are set; its upper bits are the better ones.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
pub(super) const fn hash(run: u32) -> u16 {
    (product(run) >> 16) as u16
}

/// Where the bit of a run, whose case bits are set, stands in a table of so many bytes: the byte
/// and the bit in it.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
const fn place<const BYTES: usize>(run: u32) -> (usize, u8) {
    let upper = product(run) >> const { 29_u32.wrapping_sub(BYTES.trailing_zeros()) };
    ((upper >> 3) as usize, 1_u8.wrapping_shl(upper & 7))
}

/// Whether a run may matter. The highest byte of the number is not part of it.
#[inline]
pub(super) fn is_set<const BYTES: usize>(bits: &[u8; BYTES], run: u32) -> bool {
    let (byte, mask) = place::<BYTES>(run | FOLD);
    bits.get(byte).is_some_and(|byte| byte & mask != 0)
}

/// One bit for each of the runs at even positions of a block: whether it may matter.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
pub(super) fn hits<const BYTES: usize>(bits: &[u8; BYTES], block: &Block) -> u16 {
    let runs = block.windows(4).step_by(2).rev();
    runs.fold(0, |hits, run| {
        let run = run.first_chunk().map_or(0, |run| u32::from_le_bytes(*run));
        (hits << 1) | u16::from(is_set(bits, run))
    })
}

/// One bit for each of the runs at even positions of a block: whether it may matter.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
pub(super) fn hits<const BYTES: usize>(bits: &[u8; BYTES], block: &Block) -> u16 {
    use crate::base::lanes::load;
    use core::arch::wasm32::{
        i64x2_extract_lane, u8x16, u8x16_bitmask, u8x16_eq, u8x16_narrow_i16x8, u8x16_splat,
        u8x16_swizzle, u16x8_add, u16x8_mul, u16x8_shr, u16x8_splat, v128, v128_and, v128_or,
        v128_xor,
    };
    let [even @ .., _, _] = block;
    let [_, odd @ .., _] = block;
    let (([a, b], _), ([c, d], _)) = (even.as_chunks(), odd.as_chunks()) else {
        return u16::MAX;
    };
    let fold = |bytes| v128_or(load(bytes), u8x16_splat(0x20));
    // Lanes of two bytes: those that runs begin with, and those that they end with.
    let (left, right) = ([fold(a), fold(b)], [fold(c), fold(d)]);
    let [first, second] = FACTORS.map(|factor| u16x8_splat(factor));
    let byte = |a: v128, b: v128| {
        let hash = u16x8_add(u16x8_mul(a, first), u16x8_mul(b, second));
        u16x8_shr(hash, const { 16_u32.wrapping_sub(BYTES.trailing_zeros()) })
    };
    let bit = |a: v128, b: v128| v128_and(v128_xor(a, u16x8_shr(b, 8)), u16x8_splat(7));
    let ([a, b], [c, d]) = (left, right);
    let powers = u8x16(1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128);
    let masks = u8x16_swizzle(powers, u8x16_narrow_i16x8(bit(a, c), bit(b, d)));
    let (p, q) = (byte(a, c), byte(b, d));
    let at = |four: i64, lane: u32| {
        // It is smaller than the table, which the compiler cannot see.
        let byte = (four as u64).wrapping_shr(lane.wrapping_mul(16)) as usize;
        let byte = byte & const { BYTES.wrapping_sub(1) };
        bits.get(byte).copied().unwrap_or(u8::MAX)
    };
    let (r, s) = (i64x2_extract_lane::<0>(p), i64x2_extract_lane::<1>(p));
    let (t, u) = (i64x2_extract_lane::<0>(q), i64x2_extract_lane::<1>(q));
    let found = u8x16(
        at(r, 0),
        at(r, 1),
        at(r, 2),
        at(r, 3),
        at(s, 0),
        at(s, 1),
        at(s, 2),
        at(s, 3),
        at(t, 0),
        at(t, 1),
        at(t, 2),
        at(t, 3),
        at(u, 0),
        at(u, 1),
        at(u, 2),
        at(u, 3),
    );
    !u8x16_bitmask(u8x16_eq(v128_and(found, masks), u8x16_splat(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The vectors are there in WebAssembly only, and generated cases natively only.
    #[test]
    fn what_is_looked_up_at_once_is_what_is_looked_up_singly() {
        let mut state = 1_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as u32
        };
        for count in [300, LARGE * 4] {
            let runs: Vec<u32> = (0..count).map(|_| random() & 0xFF_FFFF | FOLD).collect();
            let bits = Bits::of(runs.iter().copied());
            for _ in 0..2000 {
                let mut block = [0; BLOCK + 2];
                block.fill_with(|| random() as u8);
                for _ in 0..6 {
                    let (at, run) = (random() as usize % 16 * 2, random() as usize);
                    // Some in lower case and some in upper case.
                    let run = runs[run % runs.len()] ^ (random() & FOLD);
                    block[at..at + 3].copy_from_slice(&run.to_le_bytes()[..3]);
                }
                let mut expected = 0;
                for n in 0..16 {
                    let run =
                        u32::from_le_bytes([block[2 * n], block[2 * n + 1], block[2 * n + 2], 0]);
                    let set = match &bits {
                        Bits::Small(bits) => is_set(bits, run),
                        Bits::Large(bits) => is_set(bits, run),
                    };
                    expected |= u16::from(set) << n;
                }
                let hits = match &bits {
                    Bits::Small(bits) => hits(bits, &block),
                    Bits::Large(bits) => hits(bits, &block),
                };
                assert_eq!(hits, expected);
                assert_ne!(hits, 0);
            }
        }
    }
}
