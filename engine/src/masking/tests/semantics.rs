//! The module's definition of a secret, sentence by sentence.

use super::{
    super::{Content, MAX_FINGERPRINTS, MAX_HELD, Masker, mask_text},
    cases::{ALNUM, filler, pem},
    in_pieces, key, masked, plan, replacement, whole,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn pat() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

#[test]
fn clean_chunks_pass_without_a_copy_and_without_holding() {
    let mut masker = Masker::new(plan(), key(), &Content::text());
    for chunk in [
        "It is a clean",
        " text, of ",
        "many chunks: 12 {\"a\": ",
        "\"b\"}",
        " the end",
    ] {
        let out = masker.push(chunk.as_bytes());
        assert!(out.is_unchanged(), "{chunk:?}");
        assert_eq!(out.as_bytes().as_ptr(), chunk.as_ptr());
        assert_eq!(masker.held(), 0, "{chunk:?}");
    }
    assert!(masker.finish().is_empty());
}

#[test]
fn only_what_may_be_a_secret_is_held_and_only_until_it_cannot_be() {
    let mut masker = Masker::new(plan(), key(), &Content::text());
    assert_eq!(masker.push(b"a gh").as_bytes(), b"a ");
    assert_eq!(masker.held(), 2);
    assert_eq!(masker.push(b"p_").as_bytes(), b"");
    assert_eq!(masker.held(), 4);
    assert_eq!(masker.push(b" .").as_bytes(), b"ghp_ .");
    assert_eq!(masker.held(), 0);
}

#[test]
fn a_keyword_is_not_held_but_what_follows_it_is() {
    let mut masker = Masker::new(plan(), key(), &Content::text());
    assert_eq!(masker.push(b"AccountKey").as_bytes(), b"AccountKey");
    assert_eq!(masker.push(b"=").as_bytes(), b"=");
    assert_eq!(masker.push(b"abc").as_bytes(), b"");
    assert_eq!(masker.push(b"!").as_bytes(), b"abc!");
}

#[test]
fn the_byte_after_a_secret_frees_it_in_the_same_push() {
    let mut masker = Masker::new(plan(), key(), &Content::text());
    masker.push(pat().as_bytes());
    let out = masker.push(b" ");
    let expected = replacement("secrets/github-pat", &pat()) + " ";
    assert_eq!(out.as_bytes(), expected.as_bytes());
}

#[test]
fn the_longest_of_several_secrets_at_one_place_wins() {
    // The token's detector comes first in the catalogue, but the password goes on after the token.
    let password = format!("{}!more", pat());
    let url = format!("https://user:{password}@host/");
    let expected = format!(
        "https://user:{}@host/",
        replacement("secrets/url-password", &password)
    );
    assert_eq!(masked(&url), expected);
}

#[test]
fn of_equal_secrets_at_one_place_the_first_detector_of_the_catalogue_names_it() {
    let url = format!("https://user:{}@host/", pat());
    let expected = format!(
        "https://user:{}@host/",
        replacement("secrets/github-pat", &pat())
    );
    assert_eq!(masked(&url), expected);
}

#[test]
fn a_secret_inside_of_another_is_masked_with_it() {
    let password = format!("x{}", pat());
    let url = format!("https://user:{password}@host/");
    let expected = format!(
        "https://user:{}@host/",
        replacement("secrets/url-password", &password)
    );
    assert_eq!(masked(&url), expected);
}

#[test]
fn tokens_that_follow_each_other_without_a_gap_are_masked_whole() {
    let jwt = format!("eyJ{0}.eyJ{0}.{0}", filler(80, ALNUM));
    let anthropic = format!("sk-ant-api03-{}AA", filler(93, ALNUM));
    for first in [pat(), jwt.clone(), anthropic.clone()] {
        // Those that need no boundary before them.
        for second in [pat(), format!("github_pat_{}", filler(82, ALNUM))] {
            let text = format!("a {first}{second} b");
            let (out, findings) = whole(&text);
            let out = String::from_utf8(out).unwrap();
            assert!(
                out.starts_with("a [masked:") && out.ends_with("] b"),
                "{text} {out}"
            );
            assert!(!out.contains("EXAMPLE"), "{out}");
            for cut in 0..text.len() {
                let again = in_pieces(text.as_bytes(), &[cut]);
                assert_eq!(
                    again,
                    (out.clone().into_bytes(), findings.clone()),
                    "at {cut}"
                );
            }
        }
    }
}

#[test]
fn a_secret_inside_of_what_only_looked_like_one_is_found() {
    let text = format!("github_pat_short-{} eyJabcdefghijklm.{}", pat(), pat());
    let expected = text.replace(&pat(), &replacement("secrets/github-pat", &pat()));
    assert_eq!(masked(&text), expected);
    assert_eq!(
        in_pieces(text.as_bytes(), &[3, 15, 20, 30]).0,
        expected.as_bytes()
    );
}

#[test]
fn equal_secrets_have_equal_fingerprints_and_others_do_not() {
    let other = format!("ghp_{}x", filler(36, ALNUM));
    let (_, findings) = whole(format!("{0} {0} {1}", pat(), other));
    let finding = findings.get("secrets/github-pat").unwrap();
    assert_eq!(finding.count, 3);
    assert_eq!(finding.fingerprints.len(), 2);
    let foreign = super::FingerprintKey::from_bytes([8; 32]);
    assert_ne!(foreign.fingerprint(b"x"), key().fingerprint(b"x"));
}

#[test]
fn a_fingerprint_is_the_beginning_of_hmac_sha256() {
    // RFC 4231 test case 2 has a shorter key; this one was computed with Python's hmac module.
    assert_eq!(
        key()
            .fingerprint(b"what do ya want for nothing?")
            .to_string(),
        "37853aff"
    );
}

#[test]
fn findings_are_bounded_and_can_be_written_and_read() {
    let many: String = (0..100)
        .map(|i| format!("ghp_{}{i:03} ", filler(36, ALNUM)))
        .collect();
    let (_, findings) = whole(&many);
    let finding = findings.get("secrets/github-pat").unwrap();
    assert_eq!(finding.count, 100);
    assert_eq!(finding.fingerprints.len(), MAX_FINGERPRINTS);
    let json = serde_json::to_string(&findings).unwrap();
    assert!(
        json.starts_with("{\"secrets/github-pat\":{\"count\":100,\"fingerprints\":[\""),
        "{json}"
    );
    assert_eq!(
        serde_json::from_str::<super::Findings>(&json).unwrap(),
        findings
    );
    let mut twice = findings.clone();
    twice.merge(&findings);
    assert_eq!(twice.total(), 200);
}

#[test]
fn a_secret_longer_than_the_cap_is_masked_to_its_end() {
    for length in [
        MAX_HELD - 20,
        MAX_HELD - 1,
        MAX_HELD,
        MAX_HELD + 1,
        5 * MAX_HELD,
    ] {
        let secret = format!("github_pat_{}", filler(length, ALNUM));
        let text = format!("a {secret} z {} end", pat());
        let expected = format!(
            "a {} z {} end",
            replacement("secrets/github-fine-grained-pat", &secret),
            replacement("secrets/github-pat", &pat())
        );
        assert_eq!(masked(&text), expected, "{length}");
        let cuts: Vec<_> = (1..text.len()).step_by(997).collect();
        assert_eq!(
            in_pieces(text.as_bytes(), &cuts).0,
            expected.as_bytes(),
            "{length}"
        );
    }
}

#[test]
fn what_is_undecided_at_the_cap_is_masked_even_if_it_would_not_have_matched() {
    // A JWT's second part that never comes to its dot.
    let head = format!("eyJ{}.eyJ", filler(20, ALNUM));
    let text = format!("a {head}{}! z", filler(2 * MAX_HELD, ALNUM));
    let out = masked(&text);
    assert!(
        out.starts_with("a [masked:jwt:") && out.ends_with("]! z"),
        "{out}"
    );
    let short = format!("a {head}{}! z", filler(MAX_HELD / 2, ALNUM));
    assert_eq!(masked(&short), short);
}

#[test]
fn a_json_web_token_is_found_in_a_path_and_encoded_data_is_none() {
    let part = filler(60, ALNUM);
    let token = format!("eyJ{part}.eyJ{part}.{part}");
    let out = masked(&format!("https://a.example/verify/{token}?x=1"));
    assert!(
        out.starts_with("https://a.example/verify/[masked:jwt:") && out.ends_with("]?x=1"),
        "{out}"
    );
    let data = format!("{0}/eyJ{0}+eyJ{0}", filler(2 * MAX_HELD, ALNUM));
    assert_eq!(masked(&data), data);
}

#[test]
fn a_secret_that_the_end_of_the_stream_cuts_off_at_the_cap_is_masked() {
    let secret = format!("eyJ{0}.eyJ{1}", filler(20, ALNUM), filler(MAX_HELD, ALNUM));
    let out = masked(&secret);
    assert_eq!(out, replacement("secrets/jwt", &secret));
}

#[test]
fn a_private_key_without_its_end_is_masked_up_to_its_last_full_line() {
    let key = pem("PRIVATE KEY", "\n", 25);
    let cut = &key[..key.find("\n-----END").unwrap()];
    let cut = &cut[..cut.rfind('\n').unwrap()];
    let text = format!("{cut}\nand so on, said the story.");
    let expected = format!(
        "{}\nand so on, said the story.",
        replacement("secrets/private-key", cut)
    );
    assert_eq!(masked(&text), expected);
}

#[test]
fn a_private_key_longer_than_the_cap_is_masked_whole() {
    let key = pem("RSA PRIVATE KEY", "\n", 400);
    assert!(key.len() > 3 * MAX_HELD);
    let text = format!("x: |\n  {key}\ny: 1\n");
    let expected = format!(
        "x: |\n  {}\ny: 1\n",
        replacement("secrets/private-key", &key)
    );
    assert_eq!(masked(&text), expected);
}

#[test]
fn many_false_beginnings_do_not_grow_what_is_held() {
    let text = "sk-ant-x-".repeat(3000) + &"-----BEGIN ".repeat(2000) + &"eyJ".repeat(4000);
    let (out, _) = in_pieces(text.as_bytes(), &(1..text.len()).collect::<Vec<_>>());
    assert_eq!(out, whole(&text).0);
}

#[test]
fn debug_output_of_a_masker_shows_nothing_of_what_it_holds() {
    let mut masker = Masker::new(plan(), key(), &Content::text());
    masker.push(pat().as_bytes());
    let shown = format!("{masker:?} {:?}", key());
    assert!(
        !shown.contains("EXAMPLE") && !shown.contains('7'),
        "{shown}"
    );
}

#[test]
fn urls_and_header_values_are_masked_as_text() {
    let (url, findings) = mask_text(
        &plan(),
        &key(),
        &format!("/c/\u{e9}?sig={}%3D&x=1", filler(43, ALNUM)),
    );
    assert!(
        url.starts_with("/c/\u{e9}?sig=[masked:azure-sas:") && url.ends_with("]&x=1"),
        "{url}"
    );
    assert_eq!(findings.total(), 1);
}

#[test]
fn masking_what_was_masked_changes_nothing() {
    for case in super::cases::cases() {
        let once = masked(&format!("{}{}{}", case.before, case.secret, case.after));
        assert_eq!(masked(&once), once);
    }
}
