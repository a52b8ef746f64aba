//! Escapes in JSON strings (RFC 8259 §7).

/// Most bytes that one escape has: a surrogate pair, `\ud83d\ude00`.
pub(crate) const LONGEST: usize = 12;

/// What stands at a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// `raw` bytes that mean the first `len` bytes of `text`.
    Means {
        text: [u8; 4],
        len: usize,
        raw: usize,
    },
    /// The first `raw` bytes are no escape and no beginning of one; they stand for themselves.
    Nothing { raw: usize },
    /// It may go on after the last byte.
    Cut,
}

/// What a backslash and this byte mean; 0 if they mean nothing, or not alone.
#[inline(always)]
pub(crate) fn simple(kind: u8) -> u8 {
    SIMPLE.get(usize::from(kind)).copied().unwrap_or(0)
}

/// Asked of each escape of long texts, where the processor cannot guess which one comes next.
static SIMPLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut rest: &[(u8, u8)] = &[
        (b'n', b'\n'),
        (b'"', b'"'),
        (b'\\', b'\\'),
        (b'/', b'/'),
        (b't', b'\t'),
        (b'r', b'\r'),
        (b'b', 8),
        (b'f', 12),
    ];
    while let [(kind, means), more @ ..] = rest {
        if let Some(slot) = table.split_at_mut(*kind as usize).1.first_mut() {
            *slot = *means;
        }
        rest = more;
    }
    table
};

/// Reads the escape with which `bytes` begin.
#[inline]
pub(crate) fn read(bytes: &[u8]) -> Escape {
    let Some(&kind) = bytes.get(1) else {
        return Escape::Cut;
    };
    let means = match kind {
        b'n' => b'\n',
        b'"' | b'\\' | b'/' => kind,
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'u' => return unicode(bytes),
        _ => return Escape::Nothing { raw: 1 },
    };
    Escape::Means {
        text: [means, 0, 0, 0],
        len: 1,
        raw: 2,
    }
}

/// Reads `\uXXXX`, or a pair of them for one character beyond the basic plane. A surrogate without
/// its other half means U+FFFD, as most readers take it.
fn unicode(bytes: &[u8]) -> Escape {
    let first = match unit(bytes) {
        Ok(first) => first,
        Err(escape) => return escape,
    };
    if !(0xD800..0xDC00).contains(&first) {
        return character(first, 6);
    }
    // A pair that is cut, as far as one can see.
    let second = bytes.get(6..).unwrap_or_default();
    match second {
        [] | [b'\\'] => Escape::Cut,
        [b'\\', b'u', ..] => match unit(second) {
            Ok(low @ 0xDC00..0xE000) => {
                let high = (first & 0x3FF) << 10;
                character(0x1_0000_u32.saturating_add(high | (low & 0x3FF)), 12)
            }
            Err(Escape::Cut) => Escape::Cut,
            _ => character(first, 6),
        },
        _ => character(first, 6),
    }
}

/// The number in `\uXXXX`.
fn unit(bytes: &[u8]) -> Result<u32, Escape> {
    let mut number = 0;
    for at in 2..6 {
        let Some(&digit) = bytes.get(at) else {
            return Err(Escape::Cut);
        };
        match char::from(digit).to_digit(16) {
            Some(digit) => number = (number << 4) | digit,
            None => return Err(Escape::Nothing { raw: at }),
        }
    }
    Ok(number)
}

fn character(number: u32, raw: usize) -> Escape {
    let character = char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut text = [0; 4];
    let len = character.encode_utf8(&mut text).len();
    Escape::Means { text, len, raw }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn meaning(text: &str) -> Result<(String, usize), Escape> {
        match read(text.as_bytes()) {
            Escape::Means { text, len, raw } => {
                Ok((String::from_utf8(text[..len].to_vec()).unwrap(), raw))
            }
            other => Err(other),
        }
    }

    #[test]
    fn escapes_mean_what_the_rfc_says() {
        for (text, means, raw) in [
            ("\\nx", "\n", 2),
            ("\\/", "/", 2),
            ("\\\\n", "\\", 2),
            ("\\u0041", "A", 6),
            ("\\u00e9\\u0041", "é", 6),
            ("\\uD83d\\uDe00!", "😀", 12),
            ("\\ud83dx", "\u{FFFD}", 6),
            ("\\ud83d\\n", "\u{FFFD}", 6),
            ("\\ud83d\\u0041", "\u{FFFD}", 6),
            ("\\ude00\\ud83d", "\u{FFFD}", 6),
        ] {
            assert_eq!(meaning(text), Ok((means.to_owned(), raw)), "{text}");
        }
    }

    #[test]
    fn simple_escapes_are_read_in_both_ways_the_same() {
        for kind in 0..=u8::MAX {
            let whole = match read(&[b'\\', kind, b' ']) {
                Escape::Means {
                    text,
                    len: 1,
                    raw: 2,
                } => text[0],
                _ => 0,
            };
            assert_eq!(simple(kind), whole, "{kind}");
        }
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for (text, raw) in [("\\q", 1), ("\\u12G4", 4), ("\\\""[..1].into(), 0)] {
            let expected = match raw {
                0 => Escape::Cut,
                raw => Escape::Nothing { raw },
            };
            assert_eq!(meaning(text), Err(expected), "{text}");
        }
        for cut in [
            "\\",
            "\\u",
            "\\u004",
            "\\ud83d",
            "\\ud83d\\",
            "\\ud83d\\ude0",
        ] {
            assert_eq!(meaning(cut), Err(Escape::Cut), "{cut}");
        }
    }
}
