//! Where documents end at secrets that are blocked: the same however they were cut.

use super::{Body, Dice, binary, form, json, multipart, nested, rubble, text};
use crate::masking::{
    Action, Content, KeyNames, Plan, Treatment,
    tests::{
        all,
        cases::{ALNUM, filler},
        ends::{ended, ends_alike, waits_alike},
    },
};
use proptest::{prelude::*, sample};
use std::sync::{Arc, OnceLock};

/// Plans that block all, some, the values of keys alone, and nothing.
pub(in crate::masking::tests) fn plans() -> &'static [Arc<Plan>; 4] {
    static PLANS: OnceLock<[Arc<Plan>; 4]> = OnceLock::new();
    PLANS.get_or_init(|| {
        let set = all();
        let names: Vec<&str> = set.detectors().map(|detector| detector.name()).collect();
        let keys = [
            "keys/password",
            "keys/clientsecret",
            "secrets/kubernetes-secret-data",
        ];
        let some = names.iter().step_by(2).chain(&keys[..1]).copied().collect();
        [[&names[..], &keys].concat(), some, keys.to_vec(), vec![]].map(|names| blocking(&names))
    })
}

fn blocking(names: &[&str]) -> Arc<Plan> {
    let block = Treatment {
        action: Action::Block,
        keep: 0,
    };
    let plan = Plan::masking(all()).with_keys(KeyNames::of(["password", "client_secret"]));
    let plan = names
        .iter()
        .fold(plan, |plan, name| plan.treating(name, block));
    Arc::new(plan)
}

fn content(kind: &str) -> Content {
    Content::of(Some(kind.as_bytes()))
}

pub(in crate::masking::tests) fn places() -> impl Strategy<Value = Vec<sample::Index>> {
    prop::collection::vec(any::<sample::Index>(), 0..6)
}

pub(in crate::masking::tests) fn plan() -> impl Strategy<Value = Arc<Plan>> {
    sample::select(plans().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_and_messages_end_at_the_same_byte(
        messages in prop::collection::vec(text(), 0..4), at in places(), plan in plan(),
    ) {
        let (mut plain, mut grpc) = (Vec::new(), Vec::new());
        for parts in &messages {
            let mut body = Body::default();
            body.text(parts, |text| text.as_bytes().to_vec());
            grpc.extend(binary::frame(0, &body.raw));
            plain.extend(body.raw);
        }
        waits_alike(&plan, &content("text/plain"), &plain, &at)?;
        waits_alike(&plan, &content("application/octet-stream"), &plain, &at)?;
        waits_alike(&plan, &content("application/grpc"), &grpc, &at)?;
    }

    #[test]
    fn documents_end_at_the_same_byte(
        nodes in prop::collection::vec(json::node(), 1..3), keyed: bool, seed: u64, at in places(), plan in plan(),
    ) {
        let (mut body, mut dice) = (Body::default(), Dice(seed));
        for node in &nodes {
            body.push(if keyed { "{\"x\":" } else { "" });
            json::write(node, &mut body, &mut dice);
            body.push(if keyed { ",\"client_secret\":\"hunter2\"}\n" } else { "\n" });
        }
        waits_alike(&plan, &content("application/json"), &body.raw, &at)?;
    }

    #[test]
    fn documents_in_strings_end_at_the_same_byte(
        (raw, _) in nested::document(), levels in 1_usize..3, seed: u64, at in places(), plan in plan(),
    ) {
        let mut dice = Dice(seed);
        let mut text = raw.to_string();
        for _ in 0..levels {
            text = format!("{{\"t\":\"{}\"}}", String::from_utf8(json::escaped(&text, &mut dice)).unwrap());
        }
        ends_alike(&plan, &content("application/json"), text.as_bytes(), &at)?;
    }

    #[test]
    fn documents_of_shards_end_at_the_same_byte(
        shards in prop::collection::vec(rubble::shard(), 0..40), at in places(), plan in plan(),
        begin in sample::select(vec!["", "{\"a\":\"", "[", "{\"logprobs\":", "{\"logprobs\":[{\"token\":\""]),
    ) {
        let body = format!("{begin}{}", shards.concat());
        for content in [
            content("application/json"),
            content("application/x-ndjson"),
            content("application/json").at_path(b"/v1/models/x:streamGenerateContent"),
        ] {
            waits_alike(&plan, &content, body.as_bytes(), &at)?;
        }
    }

    #[test]
    fn forms_end_at_the_same_byte(
        pairs in prop::collection::vec((text(), text(), any::<bool>()), 1..5), seed: u64, at in places(), plan in plan(),
    ) {
        let (mut body, mut dice) = (Body::default(), Dice(seed));
        for (name, value, keyed) in &pairs {
            body.push("&");
            match keyed {
                true => body.push("password"),
                false => body.text(name, |text| form::encoded(text, &mut dice)),
            }
            body.push("=");
            body.text(value, |text| form::encoded(text, &mut dice));
        }
        waits_alike(&plan, &content("application/x-www-form-urlencoded"), &body.raw, &at)?;
    }

    #[test]
    fn parts_end_at_the_same_byte(
        parts in prop::collection::vec(multipart::kind(), 0..4), seed: u64, at in places(), plan in plan(),
        header in sample::select(vec!["", "X: y gh", "X: -----BEGIN PRIVATE KEY-----"]),
    ) {
        let body = multipart::written(&parts, seed, "", "\r\n", header);
        waits_alike(&plan, &content("multipart/form-data; boundary=\"b=x\""), &body.raw, &at)?;
    }
}

#[test]
fn a_line_that_is_no_record_ends_where_the_secret_is_decided() {
    // What stands behind it in the same chunk is not looked at.
    let lines = content("application/x-ndjson");
    let body = format!(
        "{{\"logprobs\":[{{\"token\":\"{}\"}}\n\"{{\\\"password\\\":\\\"{}",
        token(),
        filler(36, ALNUM)
    );
    ends_with(&lines, &body, "{\"logprobs\":[", "secrets/github-pat");
}

/// Cut in every way in two, it ends with this, at a secret of this detector.
fn ends_with(content: &Content, body: &str, out: &str, detector: &str) {
    let plan = blocking(&["secrets/github-pat", "keys/password"]);
    let (whole, _) = ended(&plan, content, body.as_bytes(), &[]);
    assert_eq!(String::from_utf8_lossy(&whole.out), out, "{body}");
    assert_eq!(whole.blocked.as_ref().unwrap().detector, detector, "{body}");
    for cut in 0..=body.len() {
        assert_eq!(
            ended(&plan, content, body.as_bytes(), &[cut]).0,
            whole,
            "{body}, cut at {cut}"
        );
    }
}

fn token() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

#[test]
fn another_text_that_is_undecided_before_the_secret_holds_back_what_stands_behind_it() {
    // The tokens are a text of their own, and go on behind the secret. Whether that decides them
    // is not asked any more.
    let body = format!(
        r#"{{"a":"b","logprobs":{{"content":[{{"token":"gh","top_logprobs":[{{"token":"c {} "}}]}},{{"token":" d"}}]}}}}"#,
        token()
    );
    let out = r#"{"a":"b","logprobs":{"content":["#;
    ends_with(
        &content("application/json"),
        &body,
        out,
        "secrets/github-pat",
    );
}

#[test]
fn the_first_secret_is_named_whatever_comes_with_it() {
    let json = content("application/json");
    let form = content("application/x-www-form-urlencoded");
    let token = token();
    // The value of a key is decided before the text that stands around it is read.
    let body = format!(r#"{{"a":"b {token}","password":"hunter2"}}"#);
    ends_with(&json, &body, r#"{"a":"b "#, "secrets/github-pat");
    let body = format!(r#"{{"password":"hunter2","a":"b {token}"}}"#);
    ends_with(&json, &body, r#"{"password":""#, "keys/password");
    let body = format!("a=b+{token}&password=hunter2&c=d");
    ends_with(&form, &body, "a=b+", "secrets/github-pat");
}

#[test]
fn nothing_that_says_a_blocked_token_of_log_probabilities_stands_before_the_end() {
    let token = token();
    for (first, rest) in [(&token[..3], &token[3..]), (&token[..], "")] {
        let bytes: Vec<String> = first.bytes().map(|byte| byte.to_string()).collect();
        let body = format!(
            r#"{{"logprobs":{{"content":[{{"bytes":[104],"token":"h "}},{{"bytes":[{}],"token":"{first}"}},{{"token":"{rest}"}},{{"token":" x"}}]}}}}"#,
            bytes.join(",")
        );
        let out = r#"{"logprobs":{"content":[{"bytes":[104],"token":"h "},"#;
        ends_with(
            &content("application/json"),
            &body,
            out,
            "secrets/github-pat",
        );
    }
}
