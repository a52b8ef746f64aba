//! One window: what its words say, and whether the grammar allows it.

use super::sink::Skimming;
use crate::base::{
    lanes::{WINDOW, Window},
    tokens::escape,
};

/// Bytes that must follow a window, so that no escape that begins in it is cut.
pub(super) const BEHIND: usize = escape::LONGEST;

/// How many escapes are told at once.
pub(super) const ESCAPES: usize = 2 * WINDOW;

/// What the bytes so far leave open. But for `string` and `containers`, each is 1 or 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Open {
    /// All bits if a string is.
    pub(super) string: u64,
    /// It is a key.
    pub(super) in_key: u64,
    /// It is none, and its first byte comes next.
    pub(super) begun: u64,
    /// The next byte is escaped.
    pub(super) escaped: u64,
    /// A key may come next.
    pub(super) key: u64,
    /// A value may.
    pub(super) value: u64,
    /// A closing bracket may. If it is alone, a comma may, too; if nothing may, a colon must.
    pub(super) end: u64,
    /// A bit for each container, that of the innermost one lowest, 1 for an object, and above them
    /// a bit more.
    pub(super) containers: u64,
}

impl Open {
    #[inline]
    pub(super) fn depth(&self) -> u32 {
        self.containers.leading_zeros() ^ 63
    }
}

/// What is being skimmed.
pub(super) struct Read<'a> {
    pub(super) bytes: &'a [u8],
    /// The window.
    pub(super) at: usize,
    /// So many containers are known to the sink and were open all the time, or 1.
    pub(super) known: u8,
    pub(super) documents: bool,
    /// Where escapes stand that were not told.
    pub(super) places: [u32; ESCAPES],
    pub(super) count: usize,
}

/// Where the strings of a window are.
struct Strings {
    /// The quotes that begin or end one.
    quotes: u64,
    backslashes: u64,
    /// The backslashes that begin an escape.
    escapes: u64,
    /// From the opening quote up to the closing one, which is not among them.
    inside: u64,
    /// The first byte after the window is escaped.
    escaped: u64,
}

/// What stands outside of the strings of a window.
struct Tokens {
    commas: u64,
    colons: u64,
    opens: u64,
    closes: u64,
    /// The bytes, anywhere, that would be a brace if they were a bracket.
    curly: u64,
    blanks: u64,
    /// Numbers, literals, and bytes that have no business there.
    others: u64,
    /// The bytes, in strings too, with which a string begins that may be a document, or blanks.
    unclear: u64,
}

impl<'a> Read<'a> {
    /// The escapes that were not told.
    pub(super) fn places(&self) -> &[u32] {
        self.places.get(..self.count).unwrap_or_default()
    }

    /// Reads a window. Gives what it leaves open, and how many bytes it has: fewer where its end
    /// would cut a number or a literal. `None` if there is something unusual in it.
    #[inline(always)]
    pub(super) fn window(
        &mut self,
        bytes: &[u8; WINDOW],
        open: Open,
        sink: &impl Skimming,
    ) -> Option<(Open, usize)> {
        let window = Window::new(bytes);
        let mut strings = Strings::of(&window, &open);
        if strings.quotes == 0 && open.string != 0 && (open.in_key | open.begun) == 0 {
            self.note(strings.escapes);
            let escaped = strings.escaped;
            return Some((Open { escaped, ..open }, WINDOW));
        }
        let mut tokens = Tokens::of(&window, &strings);
        let mut length = WINDOW;
        if tokens.others >> const { WINDOW.wrapping_sub(1) } != 0 {
            // What the end cuts counts as blanks, and is read with the next window.
            let cut = (!tokens.others).leading_zeros();
            length = WINDOW.checked_sub(cut as usize).filter(|left| *left > 0)?;
            let cut = u64::MAX.wrapping_shl(length as u32);
            tokens.others &= !cut;
            tokens.blanks |= cut;
            strings.escapes &= !cut;
            strings.escaped = 0;
        }
        let next = self.read(&strings, &tokens, open, sink)?;
        Some((next, length))
    }

    #[inline(always)]
    fn read(
        &mut self,
        strings: &Strings,
        tokens: &Tokens,
        open: Open,
        sink: &impl Skimming,
    ) -> Option<Open> {
        // Without blanks the arithmetic is shorter, and most documents have none.
        match tokens.blanks {
            0 => self.read_on::<false>(strings, tokens, open, sink),
            _ => self.read_on::<true>(strings, tokens, open, sink),
        }
    }

    #[inline(always)]
    fn read_on<const BLANKS: bool>(
        &mut self,
        strings: &Strings,
        tokens: &Tokens,
        open: Open,
        sink: &impl Skimming,
    ) -> Option<Open> {
        let Strings {
            inside, escapes, ..
        } = *strings;
        let Tokens {
            commas,
            colons,
            opens,
            closes,
            curly,
            others,
            ..
        } = *tokens;
        let begins = strings.quotes & inside;
        let ends = strings.quotes & !inside;
        let Brackets {
            objects,
            containers,
            mut faults,
        } = Brackets::of(tokens, open.containers);
        let mut known = self.known;
        if known > 1 && closes.count_ones().wrapping_add(u32::from(known)) > open.depth() {
            known = known.min(lowest(opens, closes, open.depth()));
        }

        // What may come next, at the byte after a token that is no blank: see `Open`.
        let after = |ends: u64, carried: u64| -> (u64, u64) {
            let next = ends << 1 | carried;
            if BLANKS {
                // The sum carries a bit through a whole run of blanks.
                let (sum, carry) = tokens.blanks.overflowing_add(next & tokens.blanks);
                ((next | sum) & !tokens.blanks, ends >> 63 | u64::from(carry))
            } else {
                (next, ends >> 63)
            }
        };
        let of_objects = commas & objects;
        let (may_key, key) = after(opens & curly | of_objects, open.key);
        let of_arrays = commas & !objects;
        let (may_value, value) = after(colons | opens & !curly | of_arrays, open.value);
        let keys = begins & may_key;
        let values = begins & !may_key;
        // The sum carries a bit through a whole string, to its closing quote.
        let (carried, in_key) = inside.overflowing_add(keys | open.in_key);
        let key_ends = carried & ends;
        let scalars = others & !(others << 1);
        let scalar_ends = others & !(others >> 1);
        let all_ends = opens | closes | ends & !key_ends | scalar_ends;
        let (may_end, end) = after(all_ends, open.end);

        let may_begin = may_key | may_value;
        faults |= begins & !may_begin
            | (opens | scalars) & !may_value
            | closes & !may_end
            | commas & (may_begin | !may_end)
            | colons & (may_begin | may_end);
        // Keys with an escape in them.
        faults |= inside & !carried & escapes;
        if self.documents {
            faults |= (values << 1 | open.begun) & tokens.unclear;
        }
        faults |= self.keys(key_ends, sink) | self.scalars(scalars, others);
        if faults != 0 {
            return None;
        }
        self.known = known;
        self.note(escapes);
        Some(Open {
            string: (inside >> 63).wrapping_neg(),
            in_key: u64::from(in_key),
            begun: values >> 63,
            escaped: strings.escaped,
            key,
            value,
            end,
            containers,
        })
    }

    /// Whether one of the keys that end here interests, or is not known: 0 if not.
    #[inline(always)]
    fn keys(&self, ends: u64, sink: &impl Skimming) -> u64 {
        let may = |ends: u64| {
            let end = self.at.wrapping_add(ends.trailing_zeros() as usize);
            let last = self.bytes.get(end.wrapping_sub(2)..end);
            let last = last.and_then(|last| last.first_chunk());
            last.map_or(0, |[before, last]| sink.may_interest(*last, *before))
        };
        // Rather three than as many as there are: few windows have more, and the processor need
        // not guess. Where there are none it is asked of other bytes, which costs nothing but time.
        let mut left = ends;
        let mut any = 0;
        for _ in 0..3 {
            any |= may(left);
            left &= left.wrapping_sub(1);
        }
        while left != 0 {
            any |= may(left);
            left &= left.wrapping_sub(1);
        }
        match any {
            0 => 0,
            _ => self.interesting(ends, sink),
        }
    }

    #[inline(never)]
    fn interesting(&self, ends: u64, sink: &impl Skimming) -> u64 {
        let mut left = ends;
        while left != 0 {
            let end = self.at.wrapping_add(left.trailing_zeros() as usize);
            let before = self.bytes.get(..end).unwrap_or_default();
            let quote = before.iter().rposition(|byte| *byte == b'"');
            let name = quote.and_then(|quote| before.get(quote.wrapping_add(1)..));
            if name.is_none_or(|name| sink.interests(name)) {
                return left;
            }
            left &= left.wrapping_sub(1);
        }
        0
    }

    /// Whether one of the numbers and literals of a window is none (RFC 8259 §3, §6): 0 if all are.
    #[inline(always)]
    fn scalars(&self, begins: u64, others: u64) -> u64 {
        match others {
            0 => 0,
            _ => self.some_scalars(begins, others),
        }
    }

    #[inline(never)]
    fn some_scalars(&self, begins: u64, others: u64) -> u64 {
        let Some(window) = window_at(self.bytes, self.at) else {
            return others;
        };
        // Loaded once more: few windows have any of them.
        let window = Window::new(window);
        let digits = window.digits() & others;
        let minus = window.is(b'-') & others;
        let (mut numbers, mut faults) = (others, 0);
        let words = begins & !(digits | minus);
        let mut left = words;
        while left != 0 {
            let at = left.trailing_zeros();
            let length = (!others.wrapping_shr(at)).trailing_zeros();
            let from = self.at.wrapping_add(at as usize);
            let word = self.bytes.get(from..from.wrapping_add(length as usize));
            if !matches!(word, Some(b"true" | b"false" | b"null")) {
                return left;
            }
            numbers &= !(1_u64.wrapping_shl(length).wrapping_sub(1).wrapping_shl(at));
            left &= left.wrapping_sub(1);
        }
        // No more digits behind a zero with which a number begins.
        let signs = begins & minus;
        let first = begins & !words & !minus | signs << 1;
        faults |= first & !digits;
        let zeros = window.is(b'0');
        faults |= (first & zeros) << 1 & digits;
        if numbers & !digits & !signs == 0 {
            return faults;
        }
        let points = window.is(b'.') & numbers;
        let exponents = window.is_in_any_case(b'e') & numbers;
        let later = (minus | window.is(b'+') & numbers) & !signs;
        faults |= numbers & !(digits | points | exponents | minus | later);
        // A digit behind a point, and a sign or a digit behind an exponent.
        faults |= points << 1 & !digits;
        faults |= exponents << 1 & !(digits | later);
        faults |= later & !(exponents << 1);
        faults |= later << 1 & !digits;
        // The sum carries a bit through a run of digits: no point behind a point or an exponent, no
        // exponent behind an exponent.
        let after = |starts: u64| digits.wrapping_add(starts & digits) & !digits;
        let powers = (exponents | later) << 1;
        faults |= after(points << 1) & points;
        faults |= after(powers) & (points | exponents);
        faults
    }

    /// Notes where escapes stand.
    #[inline(always)]
    fn note(&mut self, escapes: u64) {
        if escapes == 0 {
            return;
        }
        let at = self.at as u32;
        let mut left = escapes;
        let places = self.places.get_mut(self.count..).unwrap_or_default();
        let (first, later) = places.split_at_mut_checked(4).unwrap_or_default();
        // Rather four than as many as there are: see `keys`.
        for place in first {
            *place = at.wrapping_add(left.trailing_zeros());
            left &= left.wrapping_sub(1);
        }
        for place in later {
            if left == 0 {
                break;
            }
            *place = at.wrapping_add(left.trailing_zeros());
            left &= left.wrapping_sub(1);
        }
        self.count = self.count.wrapping_add(escapes.count_ones() as usize);
    }
}

impl Strings {
    #[inline(always)]
    fn of(window: &Window, open: &Open) -> Self {
        let quotes = window.is(b'"');
        let backslashes = window.is(b'\\');
        let (mut real, mut escapes, mut after) = (quotes, 0, 0);
        if backslashes | open.escaped != 0 {
            // From simdjson: those after a run of backslashes of odd length, and every second one
            // in a run.
            const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
            let begins = backslashes & !open.escaped;
            let turned = (begins << 1 | ODD).wrapping_sub(begins) ^ ODD;
            let escaped = turned ^ (begins | open.escaped);
            escapes = turned & begins;
            after = escapes >> 63;
            real = quotes & !escaped;
        }
        Self {
            quotes: real,
            backslashes,
            escapes,
            inside: parity(real) ^ open.string,
            escaped: after,
        }
    }
}

/// Each bit is that of how many of these bits are at or below it: 1 for an odd number.
#[inline(always)]
fn parity(bits: u64) -> u64 {
    let bits = bits ^ bits << 1;
    let bits = bits ^ bits << 2;
    let bits = bits ^ bits << 4;
    let bits = bits ^ bits << 8;
    let bits = bits ^ bits << 16;
    bits ^ bits << 32
}

impl Tokens {
    #[inline(always)]
    fn of(window: &Window, strings: &Strings) -> Self {
        let outside = !(strings.inside | strings.quotes);
        let opening = window.is_in_any_case(b'{');
        let blanks = window.blanks();
        let commas = window.is(b',') & outside;
        let colons = window.is(b':') & outside;
        let opens = opening & outside;
        let closes = window.is_in_any_case(b'}') & outside;
        Self {
            commas,
            colons,
            opens,
            closes,
            curly: window.case(),
            blanks: blanks & outside,
            others: outside & !(commas | colons | opens | closes | blanks),
            unclear: opening | blanks | strings.backslashes,
        }
    }
}

/// The containers of a window.
struct Brackets {
    /// The bytes whose innermost container is an object; of a bracket that in which it stands, or
    /// which it closes.
    objects: u64,
    containers: u64,
    /// Not 0 if a bracket is out of place, or one ends the document or is too deep.
    faults: u64,
}

impl Brackets {
    #[inline(always)]
    fn of(tokens: &Tokens, containers: u64) -> Self {
        let braces = tokens.opens & tokens.curly;
        let mut left = tokens.opens | tokens.closes;
        let mut this = Self {
            objects: 0,
            containers,
            faults: 0,
        };
        // Up to where it is known which container the bytes are in.
        let mut known = 0;
        let mut ended = 0;
        let mut next = |left: &mut u64| {
            let others = left.wrapping_sub(1);
            let upto = *left ^ others;
            this.objects |= (upto ^ known) & (this.containers & 1).wrapping_neg();
            known = upto;
            let bit = *left & upto;
            *left &= others;
            let is = |kind: u64| u32::from(kind & bit != 0);
            let opened = this.containers.wrapping_shl(is(tokens.opens)) | u64::from(is(braces));
            this.containers = opened.wrapping_shr(is(tokens.closes));
            // Its highest bit is set where but the bit above the containers is left, and where
            // there is no room for one more.
            ended |= this.containers.wrapping_sub(2);
        };
        // Rather three than as many as there are: few windows have more, and the processor need
        // not guess.
        for _ in 0..3 {
            next(&mut left);
        }
        while left != 0 {
            next(&mut left);
        }
        this.objects |= !known & (this.containers & 1).wrapping_neg();
        this.faults = tokens.closes & (this.objects ^ tokens.curly) | ended >> 63;
        this
    }
}

/// How many containers were open all the time.
#[inline(never)]
fn lowest(opens: u64, closes: u64, depth: u32) -> u8 {
    let mut left = opens | closes;
    let (mut depth, mut lowest) = (depth, depth);
    while left != 0 {
        let bit = left & left.wrapping_neg();
        depth = match opens & bit {
            0 => depth.saturating_sub(1),
            _ => depth.saturating_add(1),
        };
        lowest = lowest.min(depth);
        left ^= bit;
    }
    lowest as u8
}

/// The window at `at`, if enough bytes follow it.
#[inline]
pub(super) fn window_at(bytes: &[u8], at: usize) -> Option<&[u8; WINDOW]> {
    let rest = bytes.get(at..)?;
    let is_enough = rest.len() >= const { WINDOW.wrapping_add(BEHIND) };
    rest.first_chunk().filter(|_| is_enough)
}
