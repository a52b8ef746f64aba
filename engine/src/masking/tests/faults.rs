//! States that cannot be: what must not leave does not leave in them either. See
//! [`fault`](crate::masking::bodies::fault).

use super::{all, key, plan};
use crate::masking::{
    Action, DetectorSet, Findings, Masker, Plan, Treatment,
    bodies::{
        desk::Desk,
        edit::{Edit, Edits},
        fault::{self, Fault, testing::as_released},
    },
    formats::Format,
    offsets::RawAt,
    text::tap::{Escaping, Piece, Tap},
};
use std::sync::Arc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn token() -> String {
    super::cases::cases()
        .into_iter()
        .find(|case| case.detector == "secrets/github-pat")
        .unwrap()
        .secret
}

/// What a format does wrong.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    /// Its text is longer than the pieces of it.
    Pieces,
    /// It decides more than there is.
    After,
    /// It takes back what it has decided.
    Before,
}

/// Text, from its third chunk on read wrong.
#[derive(Clone)]
struct Broken {
    tap: Tap,
    wrong: Wrong,
    chunks: usize,
}

impl Format for Broken {
    fn copy(&self) -> Box<dyn Format> {
        Box::new(self.clone())
    }

    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        self.chunks += 1;
        let end = from + chunk.len() as u64;
        let is_broken = self.chunks > 2;
        let length = match self.wrong {
            Wrong::Pieces if is_broken => chunk.len() / 2,
            _ => chunk.len(),
        };
        self.tap.push(desk, chunk, &[Piece::plain(from, length)]);
        match self.wrong {
            Wrong::After if is_broken => end + 1,
            Wrong::Before if is_broken => 1,
            _ => self.tap.undecided().map_or(end, RawAt::get),
        }
    }

    fn finish(&mut self, desk: &mut Desk<'_>, _end: u64) {
        self.tap.finish(desk);
    }
}

fn broken(wrong: Wrong, chunks: &[&[u8]]) -> (String, Findings) {
    broken_for(plan(), wrong, chunks)
}

fn broken_for(plan: Arc<Plan>, wrong: Wrong, chunks: &[&[u8]]) -> (String, Findings) {
    let tap = Tap::new(Escaping::Plain);
    let format = Broken {
        tap,
        wrong,
        chunks: 0,
    };
    let mut masker = Masker::of_format(plan, key(), Box::new(format)).keeping_changes();
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(masker.push(chunk).as_bytes());
    }
    out.extend_from_slice(masker.finish().as_bytes());
    assert_eq!(masker.held(), 0);
    let whole = chunks.concat();
    let (mut from, mut made) = (0, Vec::new());
    for change in masker.changes() {
        let (start, end) = (change.start as usize, change.end as usize);
        made.extend_from_slice(&whole[from..start]);
        made.extend_from_slice(&change.replacement);
        from = end;
    }
    made.extend_from_slice(&whole[from..]);
    if masker.blocked().is_none() {
        assert_eq!(out, made, "changes are those that were made");
    }
    (String::from_utf8(out).unwrap(), masker.findings().clone())
}

#[test]
fn what_cannot_be_masks_all_that_has_not_left_and_all_that_comes() {
    let token = token();
    let chunks: [&[u8]; 6] = [
        b"this has left ",
        b"and this, ",
        b"here it breaks, ",
        token.as_bytes(),
        b" is a secret, ",
        b"and this is nothing",
    ];
    for wrong in [Wrong::After, Wrong::Before] {
        let (out, findings) = as_released(|| broken(wrong, &chunks));
        let rest = out.strip_prefix("this has left and this, ").unwrap();
        let placeholder = rest.strip_prefix("[masked:fault:").unwrap();
        assert_eq!(placeholder.len(), "00000000]".len(), "{out}");
        assert_eq!(findings.get(fault::NAME).unwrap().count, 1);
    }
}

#[test]
fn a_secret_that_stands_nowhere_does_not_leave() {
    let token = token();
    let secret = format!("say {token} ");
    // Whole in a chunk, and where a part of it is held already.
    let (begin, end) = secret.split_at(20);
    let whole: [&[u8]; 4] = [b"a ", b"b ", secret.as_bytes(), b"c"];
    let cut: [&[u8]; 4] = [b"a ", begin.as_bytes(), end.as_bytes(), b"c"];
    for (chunks, left) in [(whole, "a b "), (cut, "a say ")] {
        let (out, findings) = as_released(|| broken(Wrong::Pieces, &chunks));
        let rest = out.strip_prefix(left).unwrap();
        assert!(rest.starts_with("[masked:fault:") && rest.ends_with(']'));
        assert!(!out.contains(&token[12..20]), "{out}");
        assert!(findings.get(fault::NAME).is_some());
    }
}

#[test]
fn a_body_that_ends_at_a_secret_ends_before_what_cannot_be() {
    let block = Treatment {
        action: Action::Block,
        keep: 0,
    };
    let token = token() + " ";
    let chunks: [&[u8]; 4] = [b"a ", b"b ", token.as_bytes(), b"c"];
    for wrong in [Wrong::Pieces, Wrong::After] {
        let plan = Arc::new(Plan::masking(all()).treating("secrets/github-pat", block));
        let (out, _) = as_released(|| broken_for(plan, wrong, &chunks));
        assert_eq!(out, "a b ");
    }
}

#[test]
#[cfg(not(target_arch = "wasm32"))]
#[should_panic(expected = "this cannot be")]
fn what_cannot_be_is_seen_by_tests() {
    broken(Wrong::After, &[b"a", b"b", b"c"]);
}

#[test]
fn a_rule_that_is_none_is_no_reason_to_pass() {
    let token = token();
    let (many, few) = (
        plan(),
        Plan::masking(Arc::new(DetectorSet::of([]).unwrap())),
    );
    let (mut edits, mut fault, key) = (Edits::default(), Fault::default(), key());
    let (mut findings, mut secrets) = Default::default();
    let mut tap = Tap::new(Escaping::Plain);
    let text = token.as_bytes();
    let (begin, rest) = text.split_at(20);
    let mut raw = 0;
    as_released(|| {
        for (plan, part) in [(&*many, begin), (&few, rest)] {
            let mut desk = Desk {
                plan,
                key: &key,
                findings: &mut findings,
                edits: &mut edits,
                secrets: &mut secrets,
                blocked: &mut None,
                fault: &mut fault,
                only_reports: false,
                judged: 0,
                work: 0,
                marks: Vec::new(),
            };
            tap.push_plain(&mut desk, part, raw);
            raw += part.len() as u64;
        }
    });
    assert!(fault.is_noted());
}

fn edit(start: u64, end: u64, replacement: &str) -> Edit {
    Edit::new(start, end, replacement.as_bytes().to_vec())
}

fn made(edits: &mut Edits, cuts: &[u64]) -> String {
    let bytes: Vec<u8> = (b'a'..=b'z').collect();
    let (mut out, mut from) = (Vec::new(), 0);
    for &to in cuts {
        edits.apply(&bytes[from as usize..], from.into(), to.into(), &mut out);
        from = to;
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn edits_that_overlap_mask_all_their_places() {
    as_released(|| {
        // In every order, whole and in parts.
        for [first, second, third] in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1], [0, 2, 1]] {
            let all = [edit(2, 8, "[1]"), edit(6, 12, "[2]"), edit(10, 11, "[3]")];
            let [a, b, c] = all.map(Some);
            let mut all = [a, b, c];
            let mut edits = Edits::default();
            for n in [first, second, third] {
                edits.add(all[n].take().unwrap());
            }
            let out = made(&mut edits, &[26]);
            let kept: String = out.chars().filter(|c| c.is_ascii_lowercase()).collect();
            assert_eq!(kept, "abmnopqrstuvwxyz", "{out}");
        }
        let mut edits = Edits::default();
        edits.add(edit(2, 8, "[1]"));
        edits.replace(edit(6, 12, "null"));
        assert_eq!(made(&mut edits, &[26]), "abnullmnopqrstuvwxyz");
        // Bytes leave up to the middle of an edit, or have left up to there.
        let mut edits = Edits::default();
        edits.add(edit(2, 8, "[1]"));
        assert_eq!(made(&mut edits, &[4, 6, 26]), "ab[1]ijklmnopqrstuvwxyz");
    });
}
