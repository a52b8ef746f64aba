//! Finds the few places where a secret could begin, at memory speed.
//!
//! Each detector has literal *anchors* (`ghp_`, `AccountKey`). For each anchor the four bytes that are rarest in
//! text are chosen. They hold two overlapping runs of three bytes, one of which begins at an even position wherever
//! the anchor stands. So one look at every second position, in a hashed bit set of all runs that matter (8 KiB,
//! stays in the first-level cache), finds every anchor. In prose and code one position in a hundred is a
//! hit; each hit is compared with the whole anchor.
//!
//! Measured against it: pairs instead of threes (5 to 10 hits in a hundred: 0.5 GB/s), Aho-Corasick (a step through
//! a table of states for each byte: 0.4 GB/s inside V8; its vector searcher exists only for native targets).

/// A literal that a detector's matches contain at a fixed place.
#[derive(Debug, Clone)]
pub(super) struct Anchor {
    /// At least three bytes; lower case if `ignore_case`.
    pub(super) literal: Box<[u8]>,
    /// Whether ASCII letters match in either case.
    pub(super) ignore_case: bool,
    /// For a literal of three bytes those that may follow it in a match; else empty.
    pub(super) followers: Box<[u8]>,
}

impl Anchor {
    /// Whether `text` begins with the anchor, or, if it is shorter, with the anchor's first bytes.
    pub(super) fn agrees(&self, text: &[u8]) -> bool {
        let n = self.literal.len().min(text.len());
        match (self.literal.get(..n), text.get(..n)) {
            (Some(a), Some(b)) if self.ignore_case => a.eq_ignore_ascii_case(b),
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
    }

    /// How many bytes from its beginning on must be there for [`Prefilter::search`] to find it.
    pub(super) fn window(&self) -> usize {
        self.literal.len().max(WINDOW)
    }

    /// The runs of three bytes to look for, with their offsets.
    fn grams(&self) -> Vec<(u8, u32)> {
        if let [_, b, c] = *self.literal {
            let first = (0, gram(&self.literal));
            let second = self.followers.iter().map(|&d| (1, gram(&[b, c, d])));
            return std::iter::once(first).chain(second).collect();
        }
        let rarest = (0_u8..)
            .zip(self.literal.windows(WINDOW))
            .min_by_key(|(_, window)| commonness(window));
        let runs = rarest.into_iter().flat_map(|(at, window)| {
            (at..)
                .zip(window.windows(3))
                .map(|(at, run)| (at, gram(run)))
        });
        runs.collect()
    }
}

/// A run of three bytes that stands `offset` bytes into anchor number `anchor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Clue {
    gram: u32,
    offset: u8,
    anchor: u16,
}

/// The compiled search for all anchors of a set.
pub(super) struct Prefilter {
    anchors: Vec<Anchor>,
    /// One bit for each hash of a run that matters.
    bits: Box<[u64; 1024]>,
    /// Clues by the upper byte of their hash.
    clues: Box<[Vec<Clue>; 256]>,
}

/// Bytes of an anchor that are looked for.
const WINDOW: usize = 4;
/// Shortest anchor; with the byte that follows it, it fills the window.
pub(super) const MIN_ANCHOR: usize = 3;
/// Longest anchor; keeps offsets in a byte and the tail short.
pub(super) const MAX_ANCHOR: usize = 64;

/// Three bytes as a number, letters of both cases alike (some other bytes too, which is harmless).
pub(super) fn gram(run: &[u8]) -> u32 {
    let bytes = run.iter().take(3).rev();
    bytes.fold(0, |gram, &b| (gram << 8) | u32::from(b)) | FOLD
}

/// Sets the bit by which upper and lower case differ.
const FOLD: u32 = 0x20_2020;

/// The upper 16 bits of the product with 2^32 over the golden ratio (Knuth, TAOCP 6.4).
pub(super) fn hash(gram: u32) -> u16 {
    (gram.wrapping_mul(0x9E37_79B1) >> 16) as u16
}

impl Prefilter {
    /// Builds the search. Anchors have between [`MIN_ANCHOR`] and [`MAX_ANCHOR`] bytes.
    pub(super) fn new(anchors: Vec<Anchor>) -> Self {
        let mut this = Self {
            bits: Box::new([0; 1024]),
            clues: Box::new([const { Vec::new() }; 256]),
            anchors: Vec::new(),
        };
        for (number, anchor) in (0_u16..).zip(&anchors) {
            for (offset, gram) in anchor.grams() {
                let hash = hash(gram);
                if let Some(word) = this.bits.get_mut(usize::from(hash >> 6)) {
                    *word |= 1_u64.wrapping_shl(u32::from(hash));
                }
                if let Some(list) = this.clues.get_mut(usize::from(hash >> 8)) {
                    list.push(Clue {
                        gram,
                        offset,
                        anchor: number,
                    });
                }
            }
        }
        for list in this.clues.iter_mut() {
            list.sort_unstable();
            list.dedup();
        }
        this.anchors = anchors;
        this
    }

    /// The anchor of this number.
    pub(super) fn anchor(&self, number: u16) -> Option<&Anchor> {
        self.anchors.get(usize::from(number))
    }

    /// Calls `found` with the number and position of every anchor that stands in `text` with its whole
    /// [window](Anchor::window). The order is that of the clues, not of the positions.
    pub(super) fn search(&self, text: &[u8], mut found: impl FnMut(u16, usize)) {
        let (blocks, _) = text.as_chunks::<32>();
        let mut after = blocks.iter().skip(1);
        for (i, block) in blocks.iter().enumerate() {
            let base = i.wrapping_mul(32);
            let following = match after.next() {
                Some([first, ..]) => *first,
                None => text.get(base.wrapping_add(32)).copied().unwrap_or(0),
            };
            let mut hits = self.hits(block, following);
            while hits != 0 {
                let at = base.wrapping_add((hits.trailing_zeros() as usize).wrapping_mul(2));
                self.confirm(text, at, &mut found);
                hits &= hits.wrapping_sub(1);
            }
        }
        let base = blocks.len().wrapping_mul(32);
        for at in (base..text.len()).step_by(2) {
            self.confirm(text, at, &mut found);
        }
    }

    /// One bit for each of the sixteen even positions of a block. Without branches, so that the
    /// processor overlaps the sixteen loads.
    #[inline]
    fn hits(&self, block: &[u8; 32], following: u8) -> u16 {
        let (words, _) = block.as_chunks::<8>();
        let mut following = u64::from(following);
        let mut hits = 0_u16;
        // Backwards, so that each word's last run can take the first byte of the next word.
        for word in words.iter().rev() {
            let word = u64::from_le_bytes(*word);
            let last = (word >> 48) | (following << 16);
            let four = self.bit(word)
                | self.bit(word >> 16) << 1
                | self.bit(word >> 32) << 2
                | self.bit(last) << 3;
            hits = (hits << 4) | four;
            following = word & 0xFF;
        }
        hits
    }

    /// Whether the run in the lowest three bytes may matter, as 0 or 1.
    #[inline]
    fn bit(&self, run: u64) -> u16 {
        let hash = hash((run as u32 & 0xFF_FFFF) | FOLD);
        let word = self.bits.get(usize::from(hash >> 6)).copied().unwrap_or(0);
        (word.wrapping_shr(u32::from(hash)) & 1) as u16
    }

    /// Looks whether the run at `at` belongs to an anchor.
    fn confirm(&self, text: &[u8], at: usize, found: &mut impl FnMut(u16, usize)) {
        let Some(run) = text.get(at..).and_then(<[u8]>::first_chunk::<3>) else {
            return;
        };
        let gram = gram(run);
        let clues = self.clues.get(usize::from(hash(gram) >> 8));
        for clue in clues.into_iter().flatten().filter(|c| c.gram == gram) {
            let Some(start) = at.checked_sub(usize::from(clue.offset)) else {
                continue;
            };
            let (Some(anchor), Some(rest)) = (
                self.anchors.get(usize::from(clue.anchor)),
                text.get(start..),
            ) else {
                continue;
            };
            if rest.len() >= anchor.window() && anchor.agrees(rest) {
                found(clue.anchor, start);
            }
        }
    }

    /// Bytes of memory that the search occupies.
    pub(super) fn memory(&self) -> usize {
        let clues = self.clues.iter().map(Vec::len).fold(0, usize::wrapping_add);
        let literals = self
            .anchors
            .iter()
            .map(|a| size_of::<Anchor>().wrapping_add(a.literal.len()))
            .fold(0, usize::wrapping_add);
        size_of::<Self>()
            .saturating_add(size_of_val(&*self.bits))
            .saturating_add(size_of_val(&*self.clues))
            .saturating_add(clues.saturating_mul(size_of::<Clue>()))
            .saturating_add(literals)
    }
}

/// Runs that are frequent in prose, code and JSON although their bytes are not: counted over documentation,
/// Rust, Python and package descriptions.
const FREQUENT: &[u8] = b"\
    theionamenamingtioatealpphalphselelftesforenttypypeandodestrhttttperiverratcomterithestlintpsint\
    codlicconserustatiturtrinumallumemplndeectproruscraage---staersparresricensicedefreanseerronsval\
    gitinedocitecenmerrininduseretherctiencthiileistsiopletoroneendmenluederptitedtatalirromatultche\
    preopeargialnotwithisurersiortrornpmlattraaludatetuurnntearechaeadassangritpachatizedesfildisthu\
    repontacthubbleimpnceormporpentruthaoreriaarsromtemplaocsyoulesposdenerefroablextovenonoutoptomp\
    thoacktineatertntaatucalerascoivesinourwriperainscrlansedeseiescoptimnaldexrsecristemitrmatchase\
    imeachriphanranlibinsitiminnodnstttesoniniattgetletworessideequiptflaelddinpubexpsetrunbutlizefa\
    ielkeyauldepsitfauatcaddossrenalslsehasclacanincjsomodsecntrlagempecoreqmonlowgesastmapeveonaata\
    lasmanancapp\
    ";

/// How often the two runs in a window occur in text, very roughly.
fn commonness(window: &[u8]) -> u32 {
    window
        .windows(3)
        .map(|run| {
            let product = run.iter().fold(1_u32, |p, &b| p.saturating_mul(share(b)));
            let (frequent, _) = FREQUENT.as_chunks::<3>();
            let known = frequent.iter().any(|f| f.eq_ignore_ascii_case(run));
            product.saturating_add(if known { 1 << 18 } else { 0 })
        })
        .fold(0, u32::saturating_add)
}

/// The share of a byte in text, very roughly, in thousandths and never 0.
fn share(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b' ' => 120,
        b'e' => 80,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 50,
        b'l' | b'd' | b'c' | b'u' | b'm' | b'p' | b'h' | b'"' => 28,
        b'f' | b'g' | b'y' | b'b' | b'w' | b'v' | b'_' | b':' | b'/' | b'.' | b',' => 15,
        b'k' | b'x' | b'-' | b'=' | b'(' | b')' | b'0'..=b'9' => 9,
        b'j' | b'q' | b'z' => 4,
        _ => 2,
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefilter(literals: &[(&str, bool)]) -> Prefilter {
        Prefilter::new(
            literals
                .iter()
                .map(|&(literal, ignore_case)| Anchor {
                    literal: literal.as_bytes().into(),
                    ignore_case,
                    followers: if literal.len() == 3 {
                        b"abc- ".as_slice()
                    } else {
                        &[]
                    }
                    .into(),
                })
                .collect(),
        )
    }

    proptest! {
        #[test]
        fn every_anchor_is_found_wherever_it_stands(
            text in proptest::collection::vec(proptest::sample::select(b"abcAB_-. ".to_vec()), 0..200),
        ) {
            let search = prefilter(&[("abc", false), ("a_b", true), ("cab-", true), ("b.a.c", false), ("bca", false), ("-aab", true)]);
            let mut found = Vec::new();
            search.search(&text, |anchor, at| found.push((at, anchor)));
            found.sort_unstable();
            // What may not follow a short anchor is only looked at where the run that holds it is even.
            found.retain(|&(at, n)| {
                let followers = &search.anchors[usize::from(n)].followers;
                followers.is_empty() || followers.contains(&text[at + 3])
            });
            let mut expected = Vec::new();
            for at in 0..text.len() {
                for (number, anchor) in (0_u16..).zip(&search.anchors) {
                    let rest = &text[at..];
                    let follows = anchor.literal.len() > 3 || rest.get(3).is_some_and(|b| anchor.followers.contains(b));
                    if rest.len() >= anchor.window() && anchor.agrees(rest) && follows {
                        expected.push((at, number));
                    }
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
