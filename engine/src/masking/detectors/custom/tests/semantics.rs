//! Each construct that rule sets in use have, one by one.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn check(detector: &CustomDetector, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(
            find(detector, text),
            *expected,
            "{} in {text:?}",
            detector.regex
        );
    }
}

fn refusal(detector: &CustomDetector) -> String {
    match plan(std::slice::from_ref(detector)) {
        Ok(_) => panic!("{} was taken", detector.regex),
        Err(error) => error.to_string(),
    }
}

#[test]
fn without_a_group_the_whole_match_is_the_secret() {
    check(
        &regex("acme_[a-z0-9]{8}"),
        &[
            ("x acme_abcd1234 y", "x # y"),
            ("xacme_abcd1234567", "x#567"),
            ("acme_abcd123", "acme_abcd123"),
        ],
    );
}

#[test]
fn the_first_group_that_can_hold_a_secret_is_it() {
    check(
        &regex(r"acme[_-](?:id|key)=([a-z0-9]{8})\b"),
        &[
            ("acme_key=abcd1234;", "acme_key=#;"),
            ("acme_key=abcd12345", "acme_key=abcd12345"),
        ],
    );
    // Fixed words choose, they are no secret; nor is the last of several repetitions.
    check(
        &regex(r"acme-(live|test)-([a-z0-9]{8})"),
        &[("acme-live-abcd1234 ", "acme-live-# ")],
    );
    check(
        &regex(r"acme-([a-z0-9]{4}-){3}[a-z]{2}"),
        &[("x acme-ab12-cd34-ef56-zz.", "x #.")],
    );
    // Groups may stand in groups, and in one alternative each.
    check(
        &regex(r#"acme="(([a-f]{4})[0-9]{4})"|acme='([0-9]{8})'"#),
        &[
            (r#"acme="abcd1234""#, "acme=\"#\""),
            ("acme='12345678'", "acme='#'"),
        ],
    );
}

#[test]
fn secret_group_says_which_group_it_is() {
    let mut detector = regex(r"acme[_.-]?(login|token)=((?:sq_)?[a-z0-9]{8})");
    detector.secret_group = Some(2);
    check(
        &detector,
        &[
            ("acme.login=sq_abcd1234", "acme.login=#"),
            ("acmetoken=abcd1234", "acmetoken=#"),
        ],
    );
    detector.secret_group = Some(0);
    check(&detector, &[("x acmetoken=abcd1234 y", "x # y")]);
    detector.secret_group = Some(3);
    assert!(refusal(&detector).contains("has 2 groups"));
    let mut repeated = regex("acme=([a-z]{4}-){3}");
    repeated.secret_group = Some(1);
    assert!(refusal(&repeated).contains("repetition"));
}

#[test]
fn what_leads_to_a_secret_and_what_follows_it_stays() {
    let usual = regex(
        r#"(?i)[\w.-]{0,50}?(?:acme)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|:|=>|\?=|,)[\x60'"\s=]{0,5}([a-z0-9]{8})(?:[\x60'"\s;]|\\[nr]|$)"#,
    );
    check(
        &usual,
        &[
            ("my.ACME_api_key = 'abcd1234';", "my.ACME_api_key = '#';"),
            ("acme: abcd1234", "acme: #"),
            (r#"{"acme":"abcd1234"}"#, "{\"acme\":\"#\"}"),
            (r"acme=ABCD1234\n", r"acme=#\n"),
            ("acme=abcd12345 ", "acme=abcd12345 "),
            ("acme is abcd1234", "acme is abcd1234"),
            (
                "acme acme=abcd1234\nacme=abcd1234\n",
                "acme acme=#\nacme=#\n",
            ),
        ],
    );
}

#[test]
fn a_boundary_holds_also_behind_an_escape() {
    check(
        &regex(r"\bacme_[a-z]{6}\b"),
        &[
            ("acme_abcdef", "#"),
            ("xacme_abcdef", "xacme_abcdef"),
            ("acme_abcdefg", "acme_abcdefg"),
            (r"a\nacme_abcdef", r"a\n#"),
            ("a%3Dacme_abcdef", "a%3D#"),
        ],
    );
}

#[test]
fn one_byte_before_the_secret_is_asked_for_or_the_beginning_of_the_text() {
    check(
        &regex(
            r#"(?:^|[\\'"\x60\s>=:(,)])([a-z0-9_~.]{3}\dQ~[a-z0-9_~.-]{6,9})(?:$|[\\'"\x60\s<),])"#,
        ),
        &[
            ("abc8Q~abcdef", "#"),
            ("='abc8Q~abcdefg'", "='#'"),
            ("xabc8Q~abcdef", "xabc8Q~abcdef"),
            ("abc8Q~abcdef-abcdef", "abc8Q~abcdef-abcdef"),
        ],
    );
}

#[test]
fn case_can_be_ignored_in_parts() {
    check(
        &regex(r"\bLTAI(?i)[a-z]{4}|x(?-i:acc)_[a-z]{4}end"),
        &[
            ("Xacc_abCDend", "#"),
            ("xACC_abcdend", "xACC_abcdend"),
            ("LTAIabCD", "#"),
            ("ltaiabcd", "ltaiabcd"),
        ],
    );
}

#[test]
fn the_longest_secret_counts_not_the_first_alternative() {
    check(
        &regex("acme(?:[a-z]{4}|[a-z]{8})"),
        &[("acmeabcdefgh", "#"), ("acmeabcdefg", "#efg")],
    );
    check(
        &regex(r#"acme="(.{4,})""#),
        &[("acme=\"abcd\" b=\"c\"\n\"", "acme=\"#\"\n\"")],
    );
}

#[test]
fn after_a_lazy_repetition_the_first_closing_mark_ends_the_secret() {
    let key = regex(
        r"(?i)-----BEGIN[ A-Z0-9_-]{0,100}ACME KEY(?: BLOCK)?-----[\s\S-]{64,}?KEY(?: BLOCK)?-----",
    );
    let body = "abcdefghij+/0123".repeat(8);
    let block = format!("-----BEGIN MY ACME KEY-----\n{body}\n-----END MY ACME KEY-----");
    let text = format!("{block}\nbetween\n{block}\n");
    assert_eq!(find(&key, &text), "#\nbetween\n#\n");
    check(
        &regex(r#"acme="(.{4,}?)""#),
        &[("acme=\"abcd\" b=\"c\"", "acme=\"#\" b=\"c\"")],
    );
    // What could go on is not cut off.
    check(&regex(r"acme=.*?!\w+"), &[("acme=ab!cdef ", "# ")]);
}

#[test]
fn a_secret_may_begin_with_a_run_or_an_optional_part() {
    check(
        &regex(r"[a-z0-9.]+@acme\.example"),
        &[("to joe.doe@acme.example, ", "to #, ")],
    );
    check(
        &regex(r"(?:https?://)?hooks\.acme\.example/[A-Z]{6}"),
        &[
            ("see https://hooks.acme.example/ABCDEF", "see #"),
            ("see hooks.acme.example/ABCDEF", "see #"),
        ],
    );
    check(
        &regex(r"(x?acme[0-9]{4})"),
        &[("xacme1234", "#"), ("acme1234", "#")],
    );
}

/// The run begins where no boundary is, the match of the expression further inside: found by
/// generated texts.
#[test]
fn a_boundary_that_holds_only_inside_of_a_run_is_enough() {
    check(
        &regex(r#"\b[^"]{3,}?"[=:]"#),
        &[("{A$$\":", "#"), ("\"{A$$\":", "\"#")],
    );
    check(
        &regex(r"\b[a-z.]+@acme\.example"),
        &[("to ..joe.doe@acme.example", "to #")],
    );
    check(
        &regex(r"(?m)^[a-z]+@acme\.example"),
        &[
            ("a\njoe@acme.example", "a\n#"),
            ("a joe@acme.example", "a joe@acme.example"),
        ],
    );
    // Of a run over lines it cannot be said where in it a line begins.
    assert!(refusal(&regex(r#"(?m)^[^"]+"acme"#)).contains("keywords"));
}

#[test]
fn a_context_may_go_over_lines() {
    check(
        &regex(
            r#"\bcurl\b(?:.*?|.*?(?:[\r\n]{1,2}.*?){1,5})[ \t\n\r](?:-H|--header)(?:=|[ \t]{0,5})"(?i)Authorization:[ \t]{0,5}(?:Basic[ \t]([a-z0-9+/]{8,}={0,3})|Bearer[ \t]([\w.]{8,}))"(?:\B|\s|\z)"#,
        ),
        &[
            (
                "curl -X POST https://a.example -H \"authorization: Bearer abcd.efgh\" -v",
                "curl -X POST https://a.example -H \"authorization: Bearer #\" -v",
            ),
            (
                "curl \\\n  -v \\\n  --header \"Authorization: Basic YWJjZGVmZ2g=\"\n",
                "curl \\\n  -v \\\n  --header \"Authorization: Basic #\"\n",
            ),
            (
                "wget -H \"Authorization: Bearer abcd.efgh\"",
                "wget -H \"Authorization: Bearer abcd.efgh\"",
            ),
        ],
    );
}

#[test]
fn a_context_too_large_for_an_automaton_is_still_asked_for() {
    let manifest = regex(
        r#"(?i)\bkind:[ \t]*["']?\bsecret\b["']?(?s:.){0,200}?\bdata:(?s:.){0,100}?\s+[\w.-]+:[ \t]*([a-z0-9+/]{10,}={0,3})"#,
    );
    check(
        &manifest,
        &[
            (
                "kind: Secret\nmetadata: { name: a }\ndata:\n  a: YWJjZGVmZ2hpag==\n",
                "kind: Secret\nmetadata: { name: a }\ndata:\n  a: #\n",
            ),
            (
                "kind: ConfigMap\nmetadata: { name: a }\ndata:\n  a: YWJjZGVmZ2hpag==\n",
                "kind: ConfigMap\nmetadata: { name: a }\ndata:\n  a: YWJjZGVmZ2hpag==\n",
            ),
        ],
    );
}

#[test]
fn keywords_are_looked_for_only_where_the_regex_has_no_rare_part() {
    let mut hex = regex(r"\b([a-f0-9]{12})\b");
    assert!(refusal(&hex).contains("keywords"));
    hex.keywords = vec!["Acme".to_owned()];
    let far = format!("acme{}0123456789ab", " ".repeat(300));
    check(
        &hex,
        &[
            ("ACME commit 0123456789ab", "ACME commit #"),
            ("commit 0123456789ab", "commit 0123456789ab"),
            (&far, &far),
        ],
    );
    let mut near = regex("([0-9]{12})");
    near.keywords = vec!["acme".to_owned()];
    for (distance, is_near) in [(0, true), (1, true), (255, true), (256, false)] {
        let before = format!("acme{}", "-".repeat(distance));
        let (text, masked) = (format!("{before}012345678901 "), format!("{before}# "));
        check(&near, &[(&text, if is_near { &masked } else { &text })]);
    }
    let mut own = regex("acme_[a-z]{6}");
    own.keywords = vec!["elsewhere".to_owned()];
    check(&own, &[("acme_abcdef", "#")]);
}

#[test]
fn keywords_that_stand_everywhere_are_refused() {
    let with = |word: &str, expression: &str| CustomDetector {
        keywords: vec!["acme".to_owned(), word.to_owned()],
        ..regex(expression)
    };
    for word in ["   ", "", "aaa", "----", "a-a", "ab"] {
        let said = refusal(&with(word, "([a-f0-9]{12})"));
        assert!(said.contains(&format!("keyword {word:?}")), "{said}");
    }
    for word in ["a3-", "key", "v1.0-"] {
        assert!(plan(&[with(word, "([a-f0-9]{12})")]).is_ok(), "{word}");
    }
    // Where they are not looked for, a short one does no harm; a blank one is a mistake all the
    // same.
    assert!(plan(&[with("q~", "acme_[a-z]{6}")]).is_ok());
    assert!(refusal(&with(" ", "acme_[a-z]{6}")).contains("blank"));
}

#[test]
fn entropy_and_allow_lists_decide_about_a_find() {
    let mut detector = regex("acme=([a-z0-9]{8})");
    detector.entropy = Some(2.5);
    detector.allow = vec![
        Allow {
            stopwords: vec!["example".to_owned()],
            ..Allow::default()
        },
        Allow {
            regexes: vec![r"^pub_".to_owned()],
            on: AllowOn::Line,
            ..Allow::default()
        },
    ];
    check(
        &detector,
        &[
            ("acme=abcd1234", "acme=#"),
            ("acme=aaaabbbb", "acme=aaaabbbb"),
            ("acme=example1", "acme=example1"),
            (
                "pub_acme=abcd1234\nacme=abcd1234",
                "pub_acme=abcd1234\nacme=#",
            ),
        ],
    );
}

#[test]
fn shared_allow_lists_hold_for_all_detectors() {
    let shared = Allow {
        regexes: vec![
            r"^\$\{?[A-Z_]+}?$".to_owned(),
            "(?i)^true|false$".to_owned(),
        ],
        ..Allow::default()
    };
    let compiled = compile_custom(&[regex(r"acme=(\S{4,})")], &[shared]).unwrap();
    let set = DetectorSet::compile_with(&["custom/*"], &compiled).unwrap();
    let plan = Arc::new(Plan::masking(Arc::new(set)));
    let text = b"acme=${ACME} acme=true acme=xfalse acme=hunter22";
    assert_eq!(
        String::from_utf8(masked(&plan, &[text])).unwrap(),
        "acme=${ACME} acme=true acme=xfalse acme=#"
    );
}

#[test]
fn what_cannot_be_used_is_refused_with_a_sentence() {
    for (bad, reason) in [
        ("", "empty"),
        ("a*", "empty"),
        ("acme=([a-z]?[0-9]?)", "empty"),
        ("(?:", "cannot be read"),
        ("acme(?=x)", "look-around"),
        ("[a-z]{20}", "keywords"),
        ("[é]", "ASCII"),
        ("a{2000}", "1000"),
    ] {
        let said = refusal(&regex(bad));
        assert!(said.contains(reason), "{bad}: {said}");
    }
    let named = |name: &str| CustomDetector {
        name: name.to_owned(),
        ..regex("acme_[a-z]{6}")
    };
    for name in [
        "acme",
        "secrets/acme",
        "custom/",
        "custom/A",
        "custom/-a",
        "custom/a b",
    ] {
        assert!(refusal(&named(name)).contains("name"), "{name}");
    }
    let twice = [named("custom/a"), named("custom/a")];
    assert!(plan(&twice).unwrap_err().to_string().contains("another"));
    let mut entropy = named("custom/a");
    entropy.entropy = Some(f64::NAN);
    assert!(refusal(&entropy).contains("entropy"));
    let many: Vec<_> = (0..=MAX_CUSTOM_DETECTORS)
        .map(|n| named(&format!("custom/a{n}")))
        .collect();
    assert!(
        compile_custom(&many, &[])
            .unwrap_err()
            .to_string()
            .contains("more than 1000")
    );
}

#[test]
#[cfg(feature = "authoring")]
fn many_large_automata_are_refused_before_all_are_built() {
    let numbered = |n: usize| CustomDetector {
        name: format!("custom/a{n}"),
        ..regex(&format!("acme{n}_(a|b)*a(a|b){{11}}z"))
    };
    let all: Vec<CustomDetector> = (0..1000).map(numbered).collect();
    // Each has 4096 states, of which a quarter of a million may be built.
    let bad = check_custom(&all, &[]);
    let [(place, reason)] = bad.as_slice() else {
        panic!("{bad:?}")
    };
    assert!((32..=70).contains(place), "{place}");
    assert!(reason.contains("too long to compile"), "{reason}");
    let error = compile_custom(&all, &[]).unwrap_err().to_string();
    assert!(error.contains(&format!("custom/a{place}")), "{error}");
    assert_eq!(check_custom(&all[..20], &[]), []);
}

#[test]
#[cfg(not(target_arch = "wasm32"))]
fn a_hostile_regex_takes_bounded_time() {
    let deep = format!("{}acme{}", "(?:".repeat(60), "){0,9}".repeat(60));
    let alternatives: Vec<String> = (0..2000).map(|n| format!("a{n}x")).collect();
    for hostile in [
        "(?:a?){1000}(?:a*)acme".to_owned(),
        ".*a.{900}b.{900}".to_owned(),
        "acme.*a.{1000}".to_owned(),
        r"acme(?:\w{1,30}-){1,30}\w{1,900}x\w{1,900}".to_owned(),
        "acme[ab]*a[ab]{300}c".to_owned(),
        "(?:(?:(?:a{10}){10}){10}){9}".to_owned(),
        "(?i)".to_owned() + &"[a-z][0-9]".repeat(1500),
        "(?i)".to_owned() + &"acmekey".repeat(2000),
        "a?".repeat(6000) + "acme_key",
        format!("(?:{})(?:{0})", alternatives.join("|")),
        "(?:|a)(?:|b)(?:|c)(?:|d)(?:|e)(?:|f)(?:|g)(?:|h)".to_owned(),
        "(a|b|c|d|e|f)?".repeat(300),
        "(?:.{0,200}?data:){5}(x)".to_owned(),
        "acme(?:.{0,200}?data:){50}(x[a-z]{8,})".to_owned(),
        deep,
    ] {
        let begun = std::time::Instant::now();
        let _ = plan(&[regex(&hostile)]);
        let shown: String = hostile.chars().take(40).collect();
        // Unoptimised and beside other tests; optimised it is a tenth.
        assert!(begun.elapsed().as_secs() < 10, "{shown}");
    }
}
