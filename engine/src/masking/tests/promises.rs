//! The promises as properties, over texts made of secrets, pieces of secrets and what surrounds
//! them.

use super::{
    super::{Content, MAX_HELD, Masker},
    cases::{Case, cases, harmless},
    in_pieces, key, plan, replacement, whole,
};
use proptest::{prelude::*, sample};

/// A text, the secrets planted in it, and what masking must give. Fillers between secrets cannot
/// touch them: they end in a space or a quote.
fn planted() -> impl Strategy<Value = (String, Vec<Case>, String)> {
    let piece = prop_oneof![
        3 => sample::select(cases()).prop_map(Some),
        2 => Just(None),
    ];
    let filler = prop_oneof![
        "[ -~\n]{0,40}",
        sample::select(harmless()),
        sample::select(vec![", ", "\n", "", "{\"a\":[1,2,", "gh", "-----BEGIN "])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec((filler, piece), 0..6).prop_map(|pieces| {
        let (mut text, mut secrets, mut expected) = (String::new(), Vec::new(), String::new());
        for (filler, piece) in pieces {
            // A filler may hold a secret by chance: what masking it alone gives is expected of it.
            let filler = filler.replace(['@', ';'], " ") + " \"";
            text.push_str(&filler);
            expected.push_str(&String::from_utf8(whole(&filler).0).unwrap());
            if let Some(case) = piece {
                text.push_str(&format!("{}{}{}", case.before, case.secret, case.after));
                expected.push_str(&format!(
                    "{}{}{}",
                    case.before,
                    replacement(case.detector, &case.secret),
                    case.after
                ));
                secrets.push(case);
                text.push_str("\" ");
                expected.push_str("\" ");
            }
        }
        (text, secrets, expected)
    })
}

/// Text of pieces of secrets, cut anywhere and glued together: nothing is known about it but that
/// it is full of beginnings and ends.
fn rubble() -> impl Strategy<Value = Vec<u8>> {
    let shard = (
        sample::select(cases()),
        any::<sample::Index>(),
        any::<sample::Index>(),
    )
        .prop_map(|(case, a, b)| {
            let text = format!("{}{}{}", case.before, case.secret, case.after).into_bytes();
            let (a, b) = (a.index(text.len() + 1), b.index(text.len() + 1));
            text[a.min(b)..a.max(b)].to_vec()
        });
    let bytes = prop::collection::vec(any::<u8>(), 0..20);
    prop::collection::vec(prop_oneof![4 => shard, 1 => bytes], 0..8)
        .prop_map(|shards| shards.concat())
}

fn cuts(len: usize, at: &[sample::Index]) -> Vec<usize> {
    let mut cuts: Vec<_> = at.iter().map(|i| i.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    // No files: these tests also run where there are none.
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_gives_what_the_whole_gives(
        text in rubble(), at in prop::collection::vec(any::<sample::Index>(), 0..30),
    ) {
        let expected = whole(&text);
        prop_assert_eq!(in_pieces(&text, &cuts(text.len(), &at)), expected);
    }

    #[test]
    fn single_bytes_give_what_the_whole_gives(text in rubble()) {
        let expected = whole(&text);
        prop_assert_eq!(in_pieces(&text, &(1..text.len().max(1)).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn planted_secrets_are_masked_and_everything_else_is_equal(
        (text, secrets, expected) in planted(), at in prop::collection::vec(any::<sample::Index>(), 0..10),
    ) {
        let (out, findings) = in_pieces(text.as_bytes(), &cuts(text.len(), &at));
        prop_assert_eq!(String::from_utf8_lossy(&out), &*expected);
        prop_assert!(findings.total() >= secrets.len() as u64);
        for case in &secrets {
            // Prefixes are public; what follows them is not.
            let random = &case.secret.as_bytes()[case.secret.len() / 2..];
            for window in random.windows(8) {
                prop_assert!(!out.windows(8).any(|w| w == window) || expected.as_bytes().windows(8).any(|w| w == window));
            }
        }
    }

    #[test]
    fn no_byte_of_a_secret_leaves_before_it_is_decided(
        case in sample::select(cases()), cut in any::<sample::Index>(), size in 1_usize..50,
    ) {
        // Whatever has left at any moment is the text before the secret and at most its
        // replacement.
        let before = format!("say \"{}", case.before);
        let text = format!("{before}{}", case.secret);
        let to = cut.index(text.len());
        let expected = format!("{before}{}", replacement(case.detector, &case.secret)).into_bytes();
        let mut masker = Masker::new(plan(), key(), &Content::text());
        let mut out = Vec::new();
        for chunk in text.as_bytes()[..to].chunks(size) {
            out.extend_from_slice(masker.push(chunk).as_bytes());
            prop_assert!(expected.starts_with(&out));
            prop_assert!(masker.held() < MAX_HELD);
        }
    }

    #[test]
    fn the_output_only_ever_grows(text in rubble(), size in 1_usize..100) {
        let (expected, _) = whole(&text);
        let mut masker = Masker::new(plan(), key(), &Content::text());
        let mut out = Vec::new();
        for chunk in text.chunks(size) {
            out.extend_from_slice(masker.push(chunk).as_bytes());
            prop_assert!(expected.starts_with(&out));
        }
    }

    #[test]
    fn bytes_without_a_secret_pass_one_by_one(
        bytes in prop::collection::vec(any::<u8>(), 0..2000), at in prop::collection::vec(any::<sample::Index>(), 0..10),
    ) {
        let (out, findings) = in_pieces(&bytes, &cuts(bytes.len(), &at));
        prop_assert!(findings.is_empty());
        prop_assert_eq!(out, bytes);
    }
}

#[test]
fn every_two_cut_of_every_case_gives_what_the_whole_gives() {
    for case in cases() {
        let text = format!(
            "{{\"x\": \"{}{}{}\", \"y\": 1}}",
            case.before, case.secret, case.after
        );
        let expected = whole(&text);
        // Long secrets repeat themselves; their ends and every seventh place inside are enough.
        let step = if text.len() > 400 { 7 } else { 1 };
        for cut in (0..=text.len()).step_by(step) {
            assert_eq!(
                in_pieces(text.as_bytes(), &[cut]),
                expected,
                "{} at {cut}",
                case.detector
            );
        }
    }
}
