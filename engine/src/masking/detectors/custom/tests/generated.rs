//! Texts that an expression matches, made from the expression itself: what it says it finds is
//! found.

use std::collections::VecDeque;

use proptest::prelude::*;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::*;

/// Numbers that decide how a text comes out.
pub(super) struct Dice(VecDeque<u32>);

impl Dice {
    pub(super) fn new(numbers: impl IntoIterator<Item = u32>) -> Self {
        Self(numbers.into_iter().collect())
    }

    fn below(&mut self, n: u32) -> u32 {
        let number = self.0.pop_front().unwrap_or(0);
        self.0
            .push_back(number.wrapping_mul(747_796_405).wrapping_add(2_891_336_453));
        (number >> 8) % n.max(1)
    }
}

/// A text that `hir` matches, with the place of each capture group that took part. Assertions are
/// hoped for.
pub(super) fn sample(
    hir: &Hir,
    dice: &mut Dice,
    out: &mut Vec<u8>,
    groups: &mut Vec<(u32, usize, usize)>,
) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(class) => {
            let ranges: Vec<(u8, u8)> = match class {
                Class::Bytes(class) => class.iter().map(|r| (r.start(), r.end())).collect(),
                Class::Unicode(class) => class
                    .iter()
                    .map(|r| (r.start() as u8, r.end() as u8))
                    .collect(),
            };
            let all: Vec<u8> = ranges.into_iter().flat_map(|(a, b)| a..=b).collect();
            // Rather what people write.
            let plain: Vec<u8> = all
                .iter()
                .copied()
                .filter(|b| b.is_ascii_graphic())
                .collect();
            let from = if plain.is_empty() { &all } else { &plain };
            out.push(from[dice.below(from.len() as u32) as usize]);
        }
        HirKind::Repetition(r) => {
            let most = r.max.unwrap_or(r.min + 12).min(r.min + 12);
            let count = r.min + dice.below(most - r.min + 1);
            for _ in 0..count {
                sample(&r.sub, dice, out, groups);
            }
        }
        HirKind::Capture(capture) => {
            let from = out.len();
            sample(&capture.sub, dice, out, groups);
            groups.push((capture.index, from, out.len()));
        }
        HirKind::Concat(all) => all.iter().for_each(|hir| sample(hir, dice, out, groups)),
        HirKind::Alternation(all) => {
            let which = dice.below(all.len() as u32) as usize;
            sample(&all[which], dice, out, groups);
        }
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("acme".to_owned()),
        Just("key-".to_owned()),
        Just("(?i)zap".to_owned()),
        Just(r"\b".to_owned()),
        Just(r"(?:^|[^a-z])".to_owned()),
        Just("[=:]".to_owned()),
        Just(r"\s*".to_owned()),
        Just(r"[\w.-]{0,9}?".to_owned()),
        Just("(?:ab|abc|d)".to_owned()),
        Just("([a-f0-9]{8})".to_owned()),
        Just("([a-z]{2,6}[0-9]+)".to_owned()),
        Just("(?:(x[a-z]{6})|(y[0-9]{6}))".to_owned()),
        Just("[^\"]{3,}?\"".to_owned()),
        Just("(?:;|$)".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(192)))]

    #[test]
    fn nothing_that_somebody_writes_panics(text in "\\PC{0,40}|[()|?*+{}\\[\\]^$.,0-9a-z\\\\-]{0,60}") {
        let _ = plan(&[regex(&text)]);
    }

    #[test]
    fn what_an_expression_finds_does_not_depend_on_the_cut(
        pieces in proptest::collection::vec(piece(), 1..6),
        numbers in proptest::collection::vec(any::<u32>(), 8),
        around in "[ -~\n]{0,12}",
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let pattern = pieces.concat();
        let Ok(plan) = plan(&[regex(&pattern)]) else { return Ok(()) };
        let hir = syntax::parse(&pattern).unwrap();
        let mut text = around.clone().into_bytes();
        for round in 0..2 {
            let dice = &mut Dice::new(numbers.iter().map(|n| n ^ round));
            sample(&hir, dice, &mut text, &mut Vec::new());
            text.extend_from_slice(around.as_bytes());
        }
        let whole = masked(&plan, &[&text]);
        for cut in 0..text.len() {
            prop_assert_eq!(&masked(&plan, &[&text[..cut], &text[cut..]]), &whole, "{} cut at {}", pattern, cut);
        }
        let mut places: Vec<usize> = cuts.iter().map(|i| i.index(text.len() + 1)).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        let parts: Vec<&[u8]> = places.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        prop_assert_eq!(&masked(&plan, &parts), &whole);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(&masked(&plan, &bytes), &whole);
    }

    #[test]
    fn what_an_expression_matches_is_found(
        pieces in proptest::collection::vec(piece(), 1..6),
        numbers in proptest::collection::vec(any::<u32>(), 8),
    ) {
        let pattern = pieces.concat();
        let Ok(plan) = plan(&[regex(&pattern)]) else { return Ok(()) };
        let hir = syntax::parse(&pattern).unwrap();
        let mut text = Vec::new();
        sample(&hir, &mut Dice::new(numbers), &mut text, &mut Vec::new());
        // Another engine says whether it is a match: assertions do not always hold.
        let other = Lazy::forwards(&branch::without_groups(&hir)).unwrap();
        if other.finds(&text) {
            let found = masked(&plan, &[&text]);
            prop_assert!(found.contains(&b'#'), "{} in {:?}", pattern, String::from_utf8_lossy(&text));
        }
    }
}
