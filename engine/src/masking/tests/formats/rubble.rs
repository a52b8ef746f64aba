//! Documents of shards: nothing is known about them but that they are full of beginnings and ends.

use super::masked_as;
use crate::masking::{
    Content, KeyNames, Plan,
    tests::{
        all,
        cases::{ALNUM, filler},
    },
};
use proptest::{prelude::*, sample};
use std::sync::Arc;

pub(super) fn shard() -> impl Strategy<Value = String> {
    let fixed = vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\\"",
        "\\\\",
        "\\\\\\\"",
        "\n",
        " ",
        "\\n",
        "\\\\n",
        "\\u0022",
        "\\\\u0041",
        "\\ud83d",
        "\\\\ud83d",
        "\\\\ude00",
        "\\u",
        "\\\\u0",
        "1",
        "true",
        "null",
        "é",
        "\\q",
        "\"password\":",
        "\\\"password\\\":\\\"",
        "{\\\"password\\\":\\\"hunter2\\\"}",
        "\"{\\\"password\\\":\\\"",
        "\"logprobs\":",
        "{\"logprobs\":[{\"token\":\"",
        "\"tokens\":[\"",
        "\"top_logprobs\":",
        "\"bytes\":[",
        "\"},{\"token\":\"",
        "\",\"",
        "\"content\":[",
        "{\"done\":false,\"response\":\"",
        "\"}\n",
        "{\\\"kind\\\":\\\"Secret\\\",\\\"data\\\":{\\\"a\\\":\\\"",
        "\\\"data\\\":{\\\"a\\\":\\\"aGk\\\\/",
        "hunter2",
        "gh",
        "p_",
        "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"",
        "\"}]}}]},",
    ];
    prop_oneof![
        12 => sample::select(fixed).prop_map(str::to_owned),
        1 => Just(filler(36, ALNUM)),
        1 => Just(format!("ghp_{}", filler(36, ALNUM))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_gives_what_the_whole_gives(
        shards in prop::collection::vec(shard(), 0..40), at in prop::collection::vec(any::<sample::Index>(), 0..8),
    ) {
        let plan = Arc::new(Plan::masking(all()).with_keys(KeyNames::of(["password"])));
        for content in [
            Content::of(Some(b"application/json")),
            Content::of(Some(b"application/x-ndjson")),
            Content::of(Some(b"application/json")).at_path(b"/v1/models/x:streamGenerateContent"),
        ] {
            for begin in ["", "{\"a\":\"", "[", "{\"logprobs\":"] {
                let body = format!("{begin}{}", shards.concat());
                let whole = masked_as(&plan, &content, body.as_bytes(), &[]);
                let mut cuts: Vec<usize> = at.iter().map(|at| at.index(body.len() + 1)).collect();
                cuts.sort_unstable();
                prop_assert_eq!(
                    &masked_as(&plan, &content, body.as_bytes(), &cuts), &whole, "{} cut at {:?}", body, cuts
                );
                let all: Vec<usize> = (1..body.len()).collect();
                prop_assert_eq!(&masked_as(&plan, &content, body.as_bytes(), &all), &whole, "{}", body);
                if whole.1.is_empty() && !body.contains("top_logprobs") {
                    prop_assert_eq!(String::from_utf8_lossy(&whole.0), body);
                }
            }
        }
    }
}

#[test]
fn a_document_in_a_string_may_end_in_the_middle_of_an_escape() {
    let plan = Arc::new(Plan::masking(all()).with_keys(KeyNames::of(["password"])));
    let content = Content::of(Some(b"application/json"));
    for body in [
        r#""{\"password\":\"\\"#,
        r#""{\"password\":\"\\u00"#,
        r#"["{\"password\":\"ab\\"#,
    ] {
        let whole = masked_as(&plan, &content, body.as_bytes(), &[]);
        assert!(String::from_utf8_lossy(&whole.0).contains("[masked:password:"));
        let every: Vec<usize> = (1..body.len()).collect();
        assert_eq!(masked_as(&plan, &content, body.as_bytes(), &every), whole);
    }
}
