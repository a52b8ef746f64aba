//! What happens to a secret: masked, shown in part, blocked, only counted, given back.

use super::{
    super::{Action, Content, DetectorSet, Masker, Plan, Treatment, mask_whole},
    all,
    cases::{ALNUM, BASE64, filler},
    key, replacement,
};
use std::sync::Arc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn pat() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

fn treated(treatment: Treatment) -> Arc<Plan> {
    Arc::new(Plan::masking(all()).treating("secrets/github-pat", treatment))
}

fn masked(plan: &Arc<Plan>, text: &str) -> String {
    let (body, _) = mask_whole(plan, &key(), &Content::text(), text.as_bytes());
    String::from_utf8(body.into_bytes()).unwrap()
}

#[test]
fn the_last_characters_are_shown_where_the_plan_keeps_them_but_never_more_than_a_quarter() {
    let plan = |keep| {
        treated(Treatment {
            action: Action::Mask,
            keep,
        })
    };
    let out = masked(&plan(4), &pat());
    let end = &pat()[36..];
    let fingerprint = key().fingerprint(pat().as_bytes());
    assert_eq!(out, format!("[masked:github-pat:{fingerprint}:{end}]"));
    let out = masked(&plan(200), &pat());
    let end = &pat()[30..];
    assert_eq!(out, format!("[masked:github-pat:{fingerprint}:{end}]"));
}

#[test]
fn a_blocked_secret_ends_the_body_before_its_first_byte() {
    let plan = treated(Treatment {
        action: Action::Block,
        keep: 0,
    });
    for cut in 0..50 {
        let text = format!("some text {} and more", pat());
        let (first, second) = text.split_at(cut.min(text.len()));
        let mut masker = Masker::new(Arc::clone(&plan), key(), &Content::text());
        let mut out = masker.push(first.as_bytes()).as_bytes().to_vec();
        out.extend_from_slice(masker.push(second.as_bytes()).as_bytes());
        out.extend_from_slice(masker.push(b"tail").as_bytes());
        out.extend_from_slice(masker.finish().as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), "some text ", "cut {cut}");
        let blocked = masker.blocked().unwrap();
        assert_eq!(blocked.detector, "secrets/github-pat");
        assert!(!blocked.told);
        assert_eq!(masker.findings().total(), 1);
    }
}

#[test]
fn what_is_only_reported_passes_and_hides_nothing_from_what_masks() {
    // The reported detector's match is the longer one and begins earlier.
    let acting = Arc::new(DetectorSet::compile(&["secrets/github-pat"]).unwrap());
    let reporting = Arc::new(DetectorSet::compile(&["secrets/url-password"]).unwrap());
    let plan = Arc::new(Plan::masking(acting).reporting(reporting));
    let text = format!("https://user:x{}@host/ https://user:hunter2@host/", pat());
    let (body, findings) = mask_whole(&plan, &key(), &Content::text(), text.as_bytes());
    let expected = text.replace(&pat(), &replacement("secrets/github-pat", &pat()));
    assert_eq!(body.as_bytes(), expected.as_bytes());
    let seen = findings.get("secrets/url-password").unwrap();
    assert_eq!((seen.count, seen.reported), (0, 2));
    assert_eq!(findings.total(), 1);
}

#[test]
fn what_was_masked_in_a_request_comes_back_in_its_answer_and_nothing_else_does() {
    let plan = Arc::new(Plan::masking(all()).remembering());
    let mut request = Masker::new(plan, key(), &Content::text());
    let mut prompt = request
        .push(format!("use {} now", pat()).as_bytes())
        .into_body();
    prompt.append(request.finish());
    assert!(
        !prompt
            .as_bytes()
            .windows(8)
            .any(|w| w == &pat().as_bytes()[8..16])
    );

    let restoring = Arc::new(Plan::restoring(Arc::new(request.secrets().clone())).unwrap());
    let placeholder = replacement("secrets/github-pat", &pat());
    let other = replacement("secrets/github-pat", "another");
    let answer = format!("I used {placeholder}, not {other}, and [masked: nothing");
    for cut in 0..answer.len() {
        let mut masker = Masker::new(Arc::clone(&restoring), key(), &Content::text());
        let mut out = masker.push(&answer.as_bytes()[..cut]).into_body();
        out.append(masker.push(&answer.as_bytes()[cut..]));
        out.append(masker.finish());
        let out = String::from_utf8(out.into_bytes()).unwrap();
        assert_eq!(out, answer.replace(&placeholder, &pat()), "cut {cut}");
    }
}

/// Remembers what is masked in `text`, and gives how many secrets come back.
fn given_back(secrets: &[String]) -> usize {
    let plan = Arc::new(Plan::masking(all()).remembering());
    let mut request = Masker::new(plan, key(), &Content::text());
    let mut masked = request.push(secrets.join(" \n").as_bytes()).into_body();
    masked.append(request.finish());
    assert_eq!(request.findings().total(), secrets.len() as u64);
    assert!(request.secrets().size() <= 64 * 1024);
    let restoring = Arc::new(Plan::restoring(Arc::new(request.secrets().clone())).unwrap());
    let (out, _) = mask_whole(&restoring, &key(), &Content::text(), masked.as_bytes());
    let out = String::from_utf8(out.into_bytes()).unwrap();
    let back = secrets
        .iter()
        .filter(|secret| out.contains(*secret))
        .count();
    assert_eq!(out.matches("[masked:").count(), secrets.len() - back);
    assert_eq!(back, request.secrets().len());
    // The first ones, whatever comes after them.
    assert!(secrets[..back].iter().all(|secret| out.contains(secret)));
    back
}

#[test]
fn what_is_given_back_is_bounded_and_the_rest_stays_masked() {
    let numbered = |n: usize| format!("ghp_{}{n:04}", filler(32, ALNUM));
    let few: Vec<String> = (0..256).map(numbered).collect();
    assert_eq!(given_back(&few), 256);
    let many: Vec<String> = (0..300).map(numbered).collect();
    assert_eq!(given_back(&many), 256);
    // Each takes a little more than 2 KiB with its placeholder.
    let long = |n: usize| {
        format!(
            "-----BEGIN PRIVATE KEY-----\n{n:04}{}\n-----END PRIVATE KEY-----",
            filler(2048, BASE64)
        )
    };
    let keys: Vec<String> = (0..40).map(long).collect();
    let size = keys[0].len() + replacement("secrets/private-key", &keys[0]).len();
    assert_eq!(given_back(&keys), 64 * 1024 / size);
}

#[test]
fn a_placeholder_comes_back_wherever_text_begins_that_looked_like_json() {
    let plan = Arc::new(Plan::masking(all()).remembering());
    let mut request = Masker::new(plan, key(), &Content::text());
    request.push(pat().as_bytes());
    request.finish();
    let restoring = Arc::new(Plan::restoring(Arc::new(request.secrets().clone())).unwrap());
    let placeholder = replacement("secrets/github-pat", &pat());
    for content_type in [None, Some("text/plain"), Some("application/json")] {
        let content = Content::of(content_type.map(str::as_bytes));
        for before in [
            "",
            "\n ",
            "[",
            "[[",
            "[INFO] ",
            "{\"a\": 1}\n",
            "{\"a\": \"b\"} ",
            "{",
            "{\"a\":",
            "[1, 2] ",
            "[1, ",
            "12",
            "\"a\"",
            "[\"a\", ",
            "[true",
        ] {
            let answer = format!("{before}{placeholder}, and {placeholder}\n");
            for cut in 0..answer.len() {
                let mut masker = Masker::new(Arc::clone(&restoring), key(), &content);
                let mut out = masker.push(&answer.as_bytes()[..cut]).into_body();
                out.append(masker.push(&answer.as_bytes()[cut..]));
                out.append(masker.finish());
                let out = String::from_utf8(out.into_bytes()).unwrap();
                assert_eq!(
                    out,
                    answer.replace(&placeholder, &pat()),
                    "{content_type:?}, after {before:?}, cut {cut}"
                );
            }
        }
    }
}

#[test]
fn where_a_body_was_changed_can_be_asked_whatever_the_cut() {
    let text = format!("one {} two {} three", pat(), pat());
    let plan = Arc::new(Plan::masking(all()));
    for cut in 0..text.len() {
        let mut masker = Masker::new(Arc::clone(&plan), key(), &Content::text()).keeping_changes();
        let (first, second) = text.split_at(cut);
        masker.push(first.as_bytes());
        masker.push(second.as_bytes());
        masker.finish();
        let places: Vec<(u64, u64)> = masker.changes().iter().map(|c| (c.start, c.end)).collect();
        assert_eq!(places, [(4, 44), (49, 89)], "cut {cut}");
        let replacement = String::from_utf8_lossy(&masker.changes()[1].replacement).into_owned();
        assert!(
            replacement.starts_with("[masked:github-pat:"),
            "{replacement}"
        );
    }
    let mut masker = Masker::new(plan, key(), &Content::text());
    masker.push(text.as_bytes());
    masker.finish();
    assert_eq!(masker.changes(), []);
}

#[test]
fn where_a_format_counts_bytes_only_what_has_the_same_length_is_given_back() {
    let plan = Arc::new(Plan::masking(all()).remembering());
    let secret = pat();
    let mut request = Masker::new(plan, key(), &Content::text());
    request.push(secret.as_bytes());
    let placeholder = request.finish();
    let restoring = Arc::new(Plan::restoring(Arc::new(request.secrets().clone())).unwrap());
    let binary = Content::of(Some(b"application/x-tar"));
    let body = [b"\0\x01 ".as_slice(), placeholder.as_bytes(), b" \x02"].concat();
    let (out, _) = mask_whole(&restoring, &key(), &binary, &body);
    assert_eq!(out.as_bytes(), body);
}
