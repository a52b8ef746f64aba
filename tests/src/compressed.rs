//! Bodies as servers compress them.

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params,
};

/// An answer of which every part is compressed by itself, as servers flush events.
#[derive(Debug, Clone)]
pub struct Compressed {
    /// As `content-encoding` calls it.
    pub encoding: &'static str,
    /// What came of each part.
    pub parts: Vec<Vec<u8>>,
}

/// `parts` in each way that a gate is expected to read: gzip first, then both things called
/// deflate.
///
/// # Panics
/// When there are no parts.
#[must_use]
pub fn every_way(parts: &[&str]) -> Vec<Compressed> {
    let deflate = |window_bits: i32| -> Vec<Vec<u8>> {
        let flags = create_comp_flags_from_zip_params(6, window_bits, 0);
        let mut compressor = CompressorOxide::new(flags);
        let last = parts.len() - 1;
        let pieces = parts.iter().enumerate().map(|(index, part)| {
            let mut out = Vec::new();
            let flush = if index == last {
                TDEFLFlush::Finish
            } else {
                TDEFLFlush::Sync
            };
            let (status, read) =
                compress_to_output(&mut compressor, part.as_bytes(), flush, |bytes| {
                    out.extend_from_slice(bytes);
                    true
                });
            assert_eq!(read, part.len());
            assert!(matches!(status, TDEFLStatus::Okay | TDEFLStatus::Done));
            out
        });
        pieces.collect()
    };
    let mut gzip = deflate(-15);
    // RFC 1952 §2.3, with a name and without a time.
    gzip[0].splice(0..0, *b"\x1f\x8b\x08\x08\0\0\0\0\0\xffname\0");
    let whole = parts.concat();
    let last = gzip.last_mut().expect("there are parts");
    last.extend(crc32fast::hash(whole.as_bytes()).to_le_bytes());
    last.extend(
        u32::try_from(whole.len())
            .expect("less than 4 GB")
            .to_le_bytes(),
    );
    let of = |encoding, parts| Compressed { encoding, parts };
    vec![
        of("gzip", gzip),
        of("deflate", deflate(15)),
        of("deflate", deflate(-15)),
    ]
}
