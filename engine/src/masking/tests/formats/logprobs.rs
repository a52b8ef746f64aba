//! Log probabilities in answers that are not streamed.

use super::masked_as;
use crate::masking::{
    Content, Findings, KeyNames, Masker, Plan,
    tests::{
        all,
        cases::{ALNUM, filler, pem},
        key,
    },
};
use proptest::{prelude::*, sample};
use serde_json::{Value, json};
use std::sync::Arc;

fn content() -> Content {
    Content::of(Some(b"application/json"))
}

fn plan() -> Arc<Plan> {
    Arc::new(Plan::masking(all()).with_keys(KeyNames::of(["password"])))
}

/// Masked, the same for every cut in two and in single bytes.
fn masked(body: &str) -> (String, Findings) {
    let whole = masked_as(&plan(), &content(), body.as_bytes(), &[]);
    for cut in 0..=body.len() {
        let out = masked_as(&plan(), &content(), body.as_bytes(), &[cut]);
        assert_eq!(
            String::from_utf8_lossy(&out.0),
            String::from_utf8_lossy(&whole.0),
            "cut at {cut}"
        );
        assert_eq!(out.1, whole.1, "cut at {cut}");
    }
    let all: Vec<usize> = (1..body.len()).collect();
    assert_eq!(masked_as(&plan(), &content(), body.as_bytes(), &all), whole);
    (String::from_utf8(whole.0).unwrap(), whole.1)
}

fn pat() -> String {
    format!("ghp_{}", filler(36, ALNUM))
}

fn placeholder(name: &str, secret: &str) -> String {
    format!("[masked:{name}:{}]", key().fingerprint(secret.as_bytes()))
}

/// The text in tokens of three characters.
fn tokens(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters
        .chunks(3)
        .map(|some| some.iter().collect())
        .collect()
}

/// An element of a list, its members in one of the orders that servers have.
fn element(token: &str, sorted: bool) -> String {
    let bytes = json!(token.as_bytes());
    let top = json!([{"token": token, "logprob": -0.1, "bytes": token.as_bytes()}, {"token": "x", "logprob": -3, "bytes": [120]}]);
    let token = json!(token);
    match sorted {
        false => {
            format!(r#"{{"token":{token},"logprob":-0.1,"bytes":{bytes},"top_logprobs":{top}}}"#)
        }
        true => format!(
            r#"{{ "bytes": {bytes}, "logprob": -0.1, "token": {token}, "top_logprobs": {top} }}"#
        ),
    }
}

fn list(text: &str, sorted: bool) -> String {
    let elements: Vec<String> = tokens(text)
        .iter()
        .map(|token| element(token, sorted))
        .collect();
    format!("[{}]", elements.join(","))
}

/// Nothing of a secret is left, as tokens or as numbers.
fn assert_gone(out: &str, secret: &str) {
    for token in tokens(secret).into_iter().filter(|token| token.len() == 3) {
        assert!(!out.contains(&json!(token).to_string()), "{token} in {out}");
        let numbers = json!(token.as_bytes()).to_string();
        assert!(!out.contains(&numbers), "{numbers} in {out}");
    }
}

/// Reads a list; what belongs to a token that is masked must be gone, and nothing else.
fn read(list: &Value, expected: &str) {
    let mut text = String::new();
    let mut gone = 0;
    for element in list.as_array().unwrap() {
        let token = element["token"].as_str().unwrap();
        text.push_str(token);
        assert_eq!(element["logprob"], json!(-0.1));
        if element["bytes"].is_null() {
            gone += 1;
            assert_eq!(element["top_logprobs"], json!([]));
        } else {
            assert_eq!(element["bytes"], json!(token.as_bytes()));
            assert_eq!(element["top_logprobs"][0]["token"], token);
        }
    }
    assert_eq!(text, expected);
    assert_eq!(gone > 0, expected.contains("[masked:"));
}

#[test]
fn what_is_masked_in_an_answer_is_masked_in_its_log_probabilities_whichever_comes_first() {
    let text = |secret: &str| format!("the token is {secret} he said é");
    let (said, expected) = (text(&pat()), text(&placeholder("github-pat", &pat())));
    for sorted in [false, true] {
        let message = json!({"role": "assistant", "content": said}).to_string();
        let probabilities = format!(r#"{{"content": {}, "refusal": null}}"#, list(&said, sorted));
        for body in [
            format!(
                r#"{{"choices":[{{"index":0,"message":{message},"logprobs":{probabilities}}},{{"index":1,"message":{{"content":"x"}},"logprobs":null}}]}}"#
            ),
            format!(
                r#"{{"choices":[{{"logprobs":{probabilities},"message":{message}}},{{"logprobs":{probabilities},"message":{message}}}],"n":1}}"#
            ),
        ] {
            let (out, findings) = masked(&body);
            assert_gone(&out, &pat());
            let value: Value = serde_json::from_str(&out).unwrap();
            let choice = &value["choices"][0];
            assert_eq!(choice["message"]["content"], expected);
            read(&choice["logprobs"]["content"], &expected);
            assert_eq!(choice["logprobs"]["refusal"], Value::Null);
            assert_eq!(findings.total() % 2, 0);
        }
        // Responses.
        let body = format!(
            r#"{{"output":[{{"content":[{{"type":"output_text","logprobs":{},"text":{}}}]}}]}}"#,
            list(&said, sorted),
            json!(said)
        );
        let (out, _) = masked(&body);
        assert_gone(&out, &pat());
        let value: Value = serde_json::from_str(&out).unwrap();
        let content = &value["output"][0]["content"][0];
        assert_eq!(content["text"], expected);
        read(&content["logprobs"], &expected);
    }
}

#[test]
fn what_holds_no_secret_passes_byte_for_byte_and_at_once() {
    let said = "let me see, gh or so: ghp_short, \u{e9}\u{1F600} and \"quotes\"\n";
    for sorted in [false, true] {
        let body = format!(
            r#"{{"choices":[{{"logprobs":{{"content":{},"refusal":{}}},"message":{{"content":"x"}}}}]}}"#,
            list(said, sorted),
            list("no", sorted)
        );
        assert_eq!(masked(&body).0, body);
        // Nothing waits for more than its own element, and the next one after `gh`.
        let mut masker = Masker::new(plan(), key(), &content());
        for byte in body.bytes() {
            masker.push(&[byte]);
            assert!(masker.held() < 800, "{}", masker.held());
        }
    }
    for body in [
        r#"{"logprobs":true,"top_logprobs":5,"x":{"logprobs":[],"y":["tokens"]},"logprobs":{}}"#,
        r#"{"logprobs":{"content":[{"bytes":[1,2],"x":"y"},{"token":"a"},{"token":1},["token"],"token",null]}}"#,
        r#"{"logprobs":[[{"token":"gh"}],{"token":["gh"]}],"token":"p_"}"#,
    ] {
        assert_eq!(masked(body).0, body);
    }
}

/// The number behind the bracket turns out to be none: bracket and number are a text from then on.
/// A cut behind the first digit must not make the bracket a list.
#[test]
fn a_list_that_turns_out_to_be_none_in_its_first_number_is_the_same_for_every_cut() {
    let start = r#"{"choices":[{"logprobs":[{"token":"ghp_","bytes":[103]},"#;
    for number in ["53", "-1.5e3", "nul", "t"] {
        let token = format!(
            r#"{{"token":"{} a","bytes":[{number}a {}"#,
            &pat()[4..],
            pat()
        );
        let (out, _) = masked(&format!("{start}{token}"));
        assert!(!out.contains(&pat()[8..]), "{out}");
        assert!(out.contains(&format!(r#""bytes":[{number}a ["#)), "{out}");
    }
}

#[test]
fn completions_say_their_tokens_in_lists_that_go_together() {
    let body = |said: &[String], top: &str| {
        let offsets: Vec<usize> = (0..said.len()).collect();
        format!(
            r#"{{"choices":[{{"text":{},"logprobs":{{"text_offset":{offsets:?},"token_logprobs":{offsets:?},"tokens":{},"top_logprobs":{top}}},"index":0}}]}}"#,
            json!(said.concat()),
            json!(said)
        )
    };
    let top = |said: &[String]| {
        let each: Vec<Value> = said
            .iter()
            .map(|token| json!({token: -0.5, "x": -1}))
            .collect();
        json!(each).to_string()
    };
    let clean = tokens("nothing of ghp_ here");
    let whole = body(&clean, &top(&clean));
    assert_eq!(masked(&whole).0, whole);
    let said = tokens(&format!("it is {} ok", pat()));
    let (out, _) = masked(&body(&said, &top(&said)));
    assert_gone(&out, &pat());
    let value: Value = serde_json::from_str(&out).unwrap();
    let probabilities = &value["choices"][0]["logprobs"];
    let left: String = probabilities["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(left, value["choices"][0]["text"]);
    assert_eq!(
        probabilities["tokens"].as_array().unwrap().len(),
        said.len()
    );
    assert_eq!(probabilities["top_logprobs"], Value::Null);
    assert_eq!(
        probabilities["token_logprobs"].as_array().unwrap().len(),
        said.len()
    );
    // Before the tokens nobody knows what they are.
    let early = format!(
        r#"{{"logprobs":{{"top_logprobs":{},"tokens":{}}}}}"#,
        top(&said),
        json!(said)
    );
    let (out, _) = masked(&early);
    assert_gone(&out, &pat());
    assert!(
        out.starts_with(r#"{"logprobs":{"top_logprobs":null,"tokens":["#),
        "{out}"
    );
}

#[test]
fn keys_that_name_a_secret_choose_in_an_answer_that_is_json() {
    let said = |value: &str| json!({"user": "me", "password": value, "n": 1}).to_string();
    let body = format!(
        r#"{{"choices":[{{"logprobs":{{"content":{}}},"message":{{"content":{}}}}}]}}"#,
        list(&said("hunter2"), false),
        json!(said("hunter2"))
    );
    let (out, _) = masked(&body);
    let value: Value = serde_json::from_str(&out).unwrap();
    let expected = said(&placeholder("password", "hunter2"));
    assert_eq!(value["choices"][0]["message"]["content"], expected);
    let list = value["choices"][0]["logprobs"]["content"]
        .as_array()
        .unwrap();
    let left: String = list
        .iter()
        .filter_map(|element| element["token"].as_str())
        .collect();
    assert_eq!(left, expected);
    assert!(!out.contains(&json!(b"hun").to_string()) && !out.contains(&json!(b"ter").to_string()));
}

#[test]
fn elements_wait_only_up_to_a_cap_and_are_masked_there() {
    // A key of many tokens, each with many alternatives, and one that never ends.
    let secret = pem("PRIVATE KEY", "\n", 20);
    let open = secret.split("-----END").next().unwrap();
    let filling = json!(vec![
        json!({"token": "abc", "bytes": [1, 2, 3], "logprob": -1.5});
        20
    ]);
    for text in [format!("x {secret} y"), format!("x {open}")] {
        let elements: Vec<String> = tokens(&text)
            .iter()
            .map(|token| {
                json!({"token": token, "bytes": token.as_bytes(), "top_logprobs": filling})
                    .to_string()
            })
            .collect();
        let body = format!(r#"{{"logprobs":[{}],"a":"b"}}"#, elements.join(", "));
        let whole = masked_as(&plan(), &content(), body.as_bytes(), &[]);
        let value: Value = serde_json::from_slice(&whole.0).unwrap();
        let list = value["logprobs"].as_array().unwrap();
        let left: String = list
            .iter()
            .filter_map(|element| element["token"].as_str())
            .collect();
        assert!(
            left.starts_with("x [masked:private-key:") && left.len() < 60,
            "{left}"
        );
        assert_eq!(list.len(), elements.len());
        for size in [1, 777, 5000] {
            let cuts: Vec<usize> = (size..body.len()).step_by(size).collect();
            let out = masked_as(&plan(), &content(), body.as_bytes(), &cuts);
            assert!(out == whole, "cut each {size}");
        }
    }
    // What is said of a token before it, without end.
    let body = format!(
        r#"{{"logprobs":[{{"bytes":[{}1],"token":"gh","top_logprobs":[{{"token":"gh"}}]}},{{"bytes":[1],"token":"x"}}]}}"#,
        "103,104,".repeat(40_000)
    );
    let expected =
        r#"{"logprobs":[{"bytes":null,"token":"gh","top_logprobs":[]},{"bytes":[1],"token":"x"}]}"#;
    for size in [777, 40_000, 300_000] {
        let cuts: Vec<usize> = (size..body.len()).step_by(size).collect();
        let (out, _) = masked_as(&plan(), &content(), body.as_bytes(), &cuts);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "cut each {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(100), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn documents_that_break_off_or_are_none_are_the_same_for_every_cut(
        sorted: bool, end in any::<sample::Index>(), junk in "[a-z'}\\],:{\\[-]{0,3}",
        legacy: bool, at in prop::collection::vec(any::<sample::Index>(), 0..12),
    ) {
        let said = format!("so {} and gh", pat());
        let list = match legacy {
            true => format!(r#"{{"tokens":{},"top_logprobs":[{{"gh":1}}]}}"#, json!(tokens(&said))),
            false => list(&said, sorted),
        };
        let body = format!(r#"{{"choices":[{{"logprobs":{list},"text":"x"}}],"logprobs":{list}}}"#);
        let end = end.index(body.len() + 1);
        prop_assume!(body.is_char_boundary(end));
        let body = format!("{}{junk} {}", &body[..end], pat());
        let whole = masked_as(&plan(), &content(), body.as_bytes(), &[]);
        prop_assert!(!String::from_utf8_lossy(&whole.0).contains(&pat()[8..]));
        let mut cuts: Vec<usize> = at.iter().map(|at| at.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&masked_as(&plan(), &content(), body.as_bytes(), &cuts), &whole);
        let all: Vec<usize> = (1..body.len()).collect();
        prop_assert_eq!(&masked_as(&plan(), &content(), body.as_bytes(), &all), &whole);
    }
}
