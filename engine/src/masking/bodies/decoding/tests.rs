use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A member with header fields by `flags`.
fn member(bytes: &[u8], flags: u8) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
    if flags & 4 != 0 {
        out.extend([3, 0, b'e', b'x', 0]);
    }
    if flags & 8 != 0 {
        out.extend(b"name.json\0");
    }
    if flags & 16 != 0 {
        out.extend(b"a comment\0");
    }
    if flags & 2 != 0 {
        let [a, b, ..] = crc32fast::hash(&out).to_le_bytes();
        out.extend([a, b]);
    }
    out.extend(compress_to_vec(bytes, 6));
    out.extend(crc32fast::hash(bytes).to_le_bytes());
    out.extend((bytes.len() as u32).to_le_bytes());
    out
}

/// Decodes in chunks of this size; 0 for the whole at once.
fn decode(encoding: Encoding, input: &[u8], chunk: usize) -> Result<Vec<u8>, DecodingError> {
    let mut decoder = Decoder::new(encoding).unwrap();
    let mut out = Vec::new();
    let size = if chunk == 0 {
        input.len().max(1)
    } else {
        chunk
    };
    for mut chunk in input.chunks(size) {
        while let Some(piece) = decoder.piece(&mut chunk)? {
            assert!(!piece.is_empty() && piece.len() <= WINDOW);
            out.extend_from_slice(piece);
        }
        assert!(chunk.is_empty());
    }
    decoder.finish()?;
    Ok(out)
}

fn text(len: usize) -> Vec<u8> {
    // As numbers of 64 bits also where addresses have 32.
    (0..len as u64)
        .map(|n| b"the quick brown fox "[((n * n / 7 + n) % 20) as usize])
        .collect()
}

#[test]
fn every_coding_is_read_however_it_is_cut() {
    for len in [0, 1, 2, 100, 40_000] {
        let text = text(len);
        for (encoding, input) in [
            (Encoding::Gzip, member(&text, 0)),
            (Encoding::Deflate, compress_to_vec_zlib(&text, 6)),
            (Encoding::Deflate, compress_to_vec(&text, 6)),
            (Encoding::Deflate, compress_to_vec(&text, 0)),
        ] {
            for chunk in [0, 1, 2, 3, 7, 1000] {
                let got = decode(encoding, &input, chunk);
                assert_eq!(got.as_deref(), Ok(text.as_slice()), "{encoding:?} {chunk}");
            }
        }
    }
}

#[test]
fn all_fields_of_a_gzip_header_are_skipped() {
    for flags in 0..32 {
        let input = member(b"hello", flags);
        for chunk in [0, 1] {
            assert_eq!(
                decode(Encoding::Gzip, &input, chunk).as_deref(),
                Ok(b"hello".as_slice()),
                "{flags:05b}"
            );
        }
    }
}

#[test]
fn several_gzip_members_are_one_body() {
    let input = [
        member(b"one, ", 0),
        member(b"", 8),
        member(&text(70_000), 31),
    ]
    .concat();
    let expected = [b"one, ".as_slice(), &text(70_000)].concat();
    for chunk in [0, 1, 1000] {
        assert_eq!(decode(Encoding::Gzip, &input, chunk), Ok(expected.clone()));
    }
}

#[test]
fn a_body_without_a_byte_is_empty() {
    for encoding in [Encoding::Gzip, Encoding::Deflate] {
        assert_eq!(decode(encoding, b"", 0), Ok(Vec::new()));
    }
}

#[test]
fn every_way_to_end_early_is_seen() {
    for (encoding, input) in [
        (
            Encoding::Gzip,
            [member(b"hello", 31), member(b"more", 0)].concat(),
        ),
        (Encoding::Deflate, compress_to_vec_zlib(b"hello hello", 6)),
        (Encoding::Deflate, compress_to_vec(b"hello hello", 6)),
    ] {
        let between = member(b"hello", 31).len();
        for end in 1..input.len() {
            if encoding == Encoding::Gzip && end == between {
                continue;
            }
            let got = decode(encoding, &input[..end], 0);
            assert_eq!(got, Err(DecodingError::Truncated), "{encoding:?} {end}");
        }
    }
}

#[test]
fn a_wrong_checksum_or_length_and_bytes_after_the_end_are_corrupt() {
    let good = member(b"hello", 2);
    // The header's CRC, the data's CRC, the length.
    for at in [10, 11, good.len() - 8, good.len() - 5, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(
            decode(Encoding::Gzip, &bad, 0),
            Err(DecodingError::Corrupt),
            "{at}"
        );
    }
    let mut adler = compress_to_vec_zlib(b"hello", 6);
    *adler.last_mut().unwrap() ^= 1;
    assert_eq!(
        decode(Encoding::Deflate, &adler, 0),
        Err(DecodingError::Corrupt)
    );
    for (encoding, input) in [
        (Encoding::Gzip, good),
        (Encoding::Deflate, compress_to_vec_zlib(b"hello", 6)),
        (Encoding::Deflate, compress_to_vec(b"hello", 6)),
    ] {
        let longer = [input, vec![0]].concat();
        for chunk in [0, 1] {
            assert_eq!(
                decode(encoding, &longer, chunk),
                Err(DecodingError::Corrupt)
            );
        }
    }
}

#[test]
fn a_header_that_is_not_gzip_is_corrupt() {
    for (at, byte) in [(0, 0), (1, 0), (2, 7), (3, 0x20), (3, 0x80)] {
        let mut input = member(b"hello", 0);
        input[at] = byte;
        assert_eq!(
            decode(Encoding::Gzip, &input, 1),
            Err(DecodingError::Corrupt)
        );
    }
}

#[test]
fn a_bomb_is_refused_and_what_is_only_repetitive_is_not() {
    let zeros = vec![0_u8; 8 * 1024 * 1024];
    for (encoding, bomb) in [
        (Encoding::Gzip, member(&zeros, 0)),
        (Encoding::Deflate, compress_to_vec_zlib(&zeros, 9)),
    ] {
        for chunk in [0, 1] {
            assert_eq!(decode(encoding, &bomb, chunk), Err(DecodingError::Bomb));
        }
    }
    // Below a mebibyte anything goes.
    let small = vec![0_u8; FREE as usize];
    assert_eq!(decode(Encoding::Gzip, &member(&small, 0), 0), Ok(small));
    let item = |n| format!(r#"{{"kind":"Pod","metadata":{{"name":"web-{n}","labels":{{}}}}}},"#);
    let list: Vec<u8> = (0..40_000).flat_map(|n| item(n).into_bytes()).collect();
    let decoded = decode(Encoding::Gzip, &member(&list, 0), 0);
    assert!(list.len() > FREE as usize && decoded == Ok(list));
    // Many small bombs are one.
    let small = member(&vec![0_u8; 256 * 1024], 0).repeat(8);
    assert_eq!(decode(Encoding::Gzip, &small, 0), Err(DecodingError::Bomb));
}

#[cfg(not(target_arch = "wasm32"))]
mod generated {
    use super::*;
    use proptest::prelude::*;

    /// The verdict and the bytes, for these cuts.
    fn cut(encoding: Encoding, input: &[u8], cuts: &[usize]) -> Result<Vec<u8>, DecodingError> {
        let mut decoder = Decoder::new(encoding).unwrap();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let mut out = Vec::new();
        for ends in cuts.windows(2) {
            let mut chunk = &input[ends[0]..ends[1]];
            while let Some(piece) = decoder.piece(&mut chunk)? {
                out.extend_from_slice(piece);
            }
        }
        decoder.finish().map(|()| out)
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..3000),
            ("[a-e ]{0,40}", 0..3000_usize).prop_map(|(text, times)| text.repeat(times).into()),
        ]
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back_for_every_way_of_cutting(
            bytes in bytes(),
            level in 0..=9_u8,
            flags in 0..32_u8,
            kind in 0..3_u8,
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let (encoding, input) = match kind {
                0 => (Encoding::Gzip, member(&bytes, flags)),
                1 => (Encoding::Deflate, compress_to_vec_zlib(&bytes, level)),
                _ => (Encoding::Deflate, compress_to_vec(&bytes, level)),
            };
            prop_assert_eq!(cut(encoding, &input, &cuts), Ok(bytes));
        }

        /// Whatever comes: no panic, no endless loop, and the same verdict for every cut.
        #[test]
        fn damaged_input_is_judged_alike_however_it_is_cut(
            bytes in bytes(),
            damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
            keep in any::<usize>(),
            gzip in any::<bool>(),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let (encoding, mut input) = if gzip {
                (Encoding::Gzip, member(&bytes, 31))
            } else {
                (Encoding::Deflate, compress_to_vec_zlib(&bytes, 6))
            };
            for (at, byte) in damage {
                let at = at % input.len();
                input[at] ^= byte;
            }
            input.truncate(keep % (input.len() + 1));
            let whole = cut(encoding, &input, &[]);
            prop_assert_eq!(cut(encoding, &input, &cuts), whole);
        }

        #[test]
        fn noise_never_traps(
            input in proptest::collection::vec(any::<u8>(), 0..2000),
            gzip in any::<bool>(),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let encoding = if gzip { Encoding::Gzip } else { Encoding::Deflate };
            let input = if gzip { [vec![0x1f, 0x8b, 8], input].concat() } else { input };
            let whole = cut(encoding, &input, &[]);
            prop_assert_eq!(cut(encoding, &input, &cuts), whole);
        }
    }
}
