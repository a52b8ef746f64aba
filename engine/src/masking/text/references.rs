//! Character references of HTML (WHATWG HTML §13.2.5.72 to §13.2.5.80): `&#65;`, `&#x41;`,
//! `&plus;`.
//!
//! They are read as browsers read them. The semicolon may be missing behind digits, and behind the
//! few names that are older than it; digits may begin with zeros. What was written as text once
//! more (`&amp;#65;`) is read through, too.

use super::meaning::{Found, Meaning, means};

/// The names that mean characters which are [read through](means), or which tokens consist of, and
/// nothing else: of the 2231 in <https://html.spec.whatwg.org/entities.json>, all whose
/// `codepoints` are such.
const NAMES: [(&[u8], Meaning); 25] = [
    (b"ApplyFunction;", Meaning::NOTHING),
    (b"InvisibleComma;", Meaning::NOTHING),
    (b"InvisibleTimes;", Meaning::NOTHING),
    (b"NegativeMediumSpace;", Meaning::NOTHING),
    (b"NegativeThickSpace;", Meaning::NOTHING),
    (b"NegativeThinSpace;", Meaning::NOTHING),
    (b"NegativeVeryThinSpace;", Meaning::NOTHING),
    (b"NoBreak;", Meaning::NOTHING),
    (b"UnderBar;", Meaning::of(b'_')),
    (b"ZeroWidthSpace;", Meaning::NOTHING),
    (b"af;", Meaning::NOTHING),
    (b"colon;", Meaning::of(b':')),
    (b"equals;", Meaning::of(b'=')),
    (b"fjlig;", Meaning::both(*b"fj")),
    (b"ic;", Meaning::NOTHING),
    (b"it;", Meaning::NOTHING),
    (b"lowbar;", Meaning::of(b'_')),
    (b"lrm;", Meaning::NOTHING),
    (b"period;", Meaning::of(b'.')),
    (b"plus;", Meaning::of(b'+')),
    (b"rlm;", Meaning::NOTHING),
    (b"shy;", Meaning::NOTHING),
    (b"sol;", Meaning::of(b'/')),
    (b"zwj;", Meaning::NOTHING),
    (b"zwnj;", Meaning::NOTHING),
];

/// The one of them that browsers know without its semicolon. Before `=` it is the name of another
/// value of a form (`?a=b&shy=c`), in an attribute for browsers, too.
const OLD: &[u8] = b"shy";

/// What stands for the `&` of a reference that was written as text, without the `&` before it. The
/// longer one of two comes first.
const AMPERSANDS: [&[u8]; 4] = [b"amp;", b"AMP;", b"amp", b"AMP"];
const AMPERSAND: u32 = 38;

/// How often a reference may have been written as text.
const MAX_AMPERSANDS: usize = 3;

/// Most zeros before the digits. More are no reference of anybody, and would have to be held.
const MAX_ZEROS: usize = 32;
/// Most digits behind them: no character has more.
const MAX_DIGITS: usize = 7;

/// What stands behind a `&`; `is_end`: nothing comes behind that.
#[inline]
pub(super) fn read(rest: &[u8], is_end: bool) -> Found {
    match may_begin(rest) {
        true => read_begun(rest, is_end),
        false => Found::Nothing,
    }
}

/// Whether a reference may begin like this, by its first two bytes. Source has an `&` in every few
/// lines, and nearly none of them begins one.
#[inline]
const fn may_begin(rest: &[u8]) -> bool {
    match rest {
        [b'#', ..] | [] | [_] => true,
        [first, second, ..] => matches!(
            &[*first, *second],
            b"AM"
                | b"Ap"
                | b"In"
                | b"Ne"
                | b"No"
                | b"Un"
                | b"Ze"
                | b"af"
                | b"am"
                | b"co"
                | b"eq"
                | b"fj"
                | b"ic"
                | b"it"
                | b"lo"
                | b"lr"
                | b"pe"
                | b"pl"
                | b"rl"
                | b"sh"
                | b"so"
                | b"zw"
        ),
    }
}

fn read_begun(rest: &[u8], is_end: bool) -> Found {
    let mut text = rest;
    for _ in 0..MAX_AMPERSANDS {
        match ampersand(text) {
            Some(0) if is_end => break,
            Some(0) => return Found::Cut,
            Some(length) => text = text.get(length..).unwrap_or_default(),
            None => break,
        }
    }
    let before = rest.len().saturating_sub(text.len()).saturating_add(1);
    if let Some(number) = text.strip_prefix(b"#") {
        return match numeric(number, is_end) {
            Numeric::Is(number, length) => {
                means(number, before.saturating_add(length).saturating_add(1))
            }
            Numeric::Nothing => Found::Nothing,
            Numeric::Cut => Found::Cut,
        };
    }
    for (name, meaning) in NAMES {
        if text.starts_with(name) {
            return Found::Means(before.saturating_add(name.len()), meaning);
        }
        if name.starts_with(text) {
            return Found::Cut;
        }
    }
    match text.strip_prefix(OLD) {
        Some([b'=', ..]) | None => Found::Nothing,
        Some(_) => Found::Means(before.saturating_add(OLD.len()), Meaning::NOTHING),
    }
}

/// How many bytes stand for a `&` before something that was written as text; 0 if it may go on.
fn ampersand(text: &[u8]) -> Option<usize> {
    if let Some(number) = text.strip_prefix(b"#") {
        return match numeric(number, false) {
            Numeric::Is(AMPERSAND, length) => Some(length.saturating_add(1)),
            Numeric::Cut => Some(0),
            _ => None,
        };
    }
    let whole = AMPERSANDS.iter().find(|name| text.starts_with(name));
    let is_cut = AMPERSANDS.iter().any(|name| name.starts_with(text));
    match whole {
        _ if is_cut => Some(0),
        Some(name) => Some(name.len()),
        None => None,
    }
}

/// What stands behind `&#`.
enum Numeric {
    /// This number, in so many bytes.
    Is(u32, usize),
    Nothing,
    /// It may go on.
    Cut,
}

fn numeric(text: &[u8], is_end: bool) -> Numeric {
    let (radix, digits) = match text {
        [b'x' | b'X', digits @ ..] => (16, digits),
        _ => (10, text),
    };
    let zeros = digits.iter().take(MAX_ZEROS);
    let zeros = zeros.take_while(|byte| **byte == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    let count = digits.iter().take(MAX_DIGITS);
    let count = count
        .take_while(|byte| char::from(**byte).is_digit(radix))
        .count();
    let length = text
        .len()
        .saturating_sub(digits.len())
        .saturating_add(count);
    let number = digits.iter().take(count).fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(radix).unwrap_or(0);
        number.saturating_mul(radix).saturating_add(digit)
    });
    match digits.get(count) {
        None if is_end && count > 0 => Numeric::Is(number, length),
        None => Numeric::Cut,
        Some(byte) if char::from(*byte).is_digit(radix) => Numeric::Nothing,
        Some(_) if zeros.saturating_add(count) == 0 => Numeric::Nothing,
        Some(b';') => Numeric::Is(number, length.saturating_add(1)),
        Some(_) => Numeric::Is(number, length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_name_begins_as_a_reference_may() {
        let names = NAMES.iter().map(|(name, _)| *name);
        for name in names.chain(AMPERSANDS).chain([OLD]) {
            assert!(may_begin(name), "{}", String::from_utf8_lossy(name));
        }
        assert!(!may_begin(b"self") && !may_begin(b"mut ") && !may_begin(b"& "));
    }
}
