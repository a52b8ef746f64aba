//! What is found, against `serde_json` and at every cut.

use super::{Found, Malformed, Members, Value, Wanted};
use proptest::prelude::*;
use std::sync::Arc;

/// What was found, in words.
fn found(paths: &[&str], parts: &[&[u8]]) -> (Vec<String>, Result<(), Malformed>) {
    let mut members = Members::new(Arc::new(Wanted::of(paths, 16).unwrap()));
    let mut said = Vec::new();
    let mut note = |found: Found<'_>| {
        said.push(match found {
            Found::Member { path, at, value } => {
                let value = match value {
                    Value::Text(text) => format!("{text:?}"),
                    Value::TooLong => "too long".to_owned(),
                    Value::Number(number) => number.to_owned(),
                    Value::Boolean(value) => value.to_string(),
                    Value::Null => "null".to_owned(),
                    Value::Object { end } => format!("object to {end}"),
                    Value::Array { end } => format!("array to {end}"),
                };
                format!("{} at {at}: {value}", paths[path])
            }
            Found::Again { path, at } => format!("{} again at {at}", paths[path]),
            Found::Alike { path, at } => format!("{} alike at {at}", paths[path]),
        });
    };
    let read = parts
        .iter()
        .try_for_each(|part| members.push(part, &mut note));
    let read = read.and_then(|()| members.finish(&mut note));
    (said, read)
}

fn whole(paths: &[&str], text: &str) -> Vec<String> {
    let (said, read) = found(paths, &[text.as_bytes()]);
    assert_eq!(read, Ok(()), "{text}");
    said
}

#[test]
fn members_are_found_where_their_paths_lead() {
    let text = r#"{"model":"gpt-\u0078","n": 12,"stream":true,"x":{"model":"no"},"tools":[{"name":"a","f":[1]},"b",{"name":null,"f":{"name":2}}],"long":"0123456789abcdefg"}"#;
    let paths = [
        "model",
        "n",
        "stream",
        "tools[].name",
        "tools[].f",
        "x",
        "long",
        "tools",
        "none",
    ];
    assert_eq!(
        whole(&paths, text),
        [
            "model at 9: \"gpt-x\"",
            "n at 27: 12",
            "stream at 39: true",
            "x at 48: object to 62",
            "tools[].name at 80: \"a\"",
            "tools[].f at 88: array to 91",
            "tools[].name at 105: null",
            "tools[].f at 114: object to 124",
            "tools at 71: array to 126",
            "long at 134: too long",
        ]
    );
    assert_eq!(whole(&["[].a", "[][]"], r#"[{"a":1},[2,"x"],3]"#).len(), 3);
}

#[test]
fn a_second_member_of_one_name_is_told_and_so_is_one_in_other_letters() {
    assert_eq!(
        whole(&["m.a"], r#"{"m":{"a":1,"\u0061":2},"m":{"a":3},"M":{}}"#),
        [
            "m.a at 10: 1",
            "m.a again at 12",
            "m.a at 21: 2",
            "m.a again at 24",
            "m.a at 33: 3",
            "m.a alike at 36"
        ]
    );
    assert_eq!(
        whole(&["a"], r#"{"b":{"a":1,"a":2},"c":[{"a":1}]}"#),
        [""; 0]
    );
}

#[test]
fn what_readers_do_not_take_the_same_way_is_malformed() {
    for text in [
        "",
        " ",
        "{",
        "{\"a\":1",
        "[1,]",
        "{\"a\" 1}",
        "{}{}",
        "1 2",
        "tru",
        "-",
        "\"a",
        "{\"a\":\"\\q\"}",
        "{\"a\":\"\n\"}",
        "{\"b\":\"\\q\"}",
        "{\"b\\q\":1}",
        "[1]x",
        "\"a\" \"b\"",
        "01",
    ] {
        let (_, read) = found(&["a"], &[text.as_bytes()]);
        assert!(read.is_err(), "{text}");
    }
    let (said, read) = found(&["a"], &[b"{\"a\":\"\xFF\"}"]);
    assert_eq!((said.len(), read.is_err()), (0, true));
    assert!(Wanted::of(&["a..b"], 1).is_err() && Wanted::of(&["a[0]"], 1).is_err());
}

/// Documents with the names that are asked for at many depths.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[a-c\\\\\"\n\u{e9}\u{1f600}]{0,9}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// The strings, numbers and literals at a path.
fn leaves(value: &serde_json::Value, path: &str, to: &mut Vec<serde_json::Value>) {
    if path.is_empty() {
        if !value.is_array() && !value.is_object() {
            to.push(value.clone());
        }
    } else if let Some(path) = path.strip_prefix("[]") {
        for element in value.as_array().into_iter().flatten() {
            leaves(element, path.trim_start_matches('.'), to);
        }
    } else {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        if let Some(member) = value.get(&path[..end]) {
            leaves(member, path[end..].trim_start_matches('.'), to);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn it_finds_what_a_whole_reader_finds(document in document(), is_pretty in any::<bool>()) {
        let text = match is_pretty {
            true => serde_json::to_string_pretty(&document),
            false => serde_json::to_string(&document),
        }.unwrap();
        for path in ["a", "a.b", "a[].b", "b[]", "[].a", "[][]", "c.a[].b"] {
            let mut expected = Vec::new();
            leaves(&document, path, &mut expected);
            let mut told = Vec::new();
            let mut members = Members::new(Arc::new(Wanted::of(&[path], 64).unwrap()));
            let mut note = |found: Found<'_>| {
                if let Found::Member { value, .. } = found {
                    told.extend(match value {
                        Value::Text(text) => Some(serde_json::Value::from(text)),
                        Value::Number(number) => serde_json::from_str(number).ok(),
                        Value::Boolean(value) => Some(value.into()),
                        Value::Null => Some(serde_json::Value::Null),
                        _ => None,
                    });
                }
            };
            prop_assert_eq!(members.push(text.as_bytes(), &mut note), Ok(()));
            prop_assert_eq!(members.finish(&mut note), Ok(()));
            prop_assert_eq!(told, expected);
        }
    }

    #[test]
    fn every_cut_finds_the_same(
        document in document(), fault in any::<prop::sample::Index>(), breaks in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut bytes = format!(" {{\"a\":{document},\"\\u0061\":{document},\"A\":1}} ").into_bytes();
        if breaks {
            let at = fault.index(bytes.len());
            bytes[at] = b'"';
        }
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.push(bytes.len());
        places.sort_unstable();
        let (mut parts, mut from) = (Vec::new(), 0);
        for to in places {
            parts.push(&bytes[from..to]);
            from = to;
        }
        let paths = ["a", "a.b", "a[].b", "a.c[]"];
        let (some, whole) = (found(&paths, &parts), found(&paths, &[&bytes]));
        prop_assert_eq!(&some.0, &whole.0);
        prop_assert_eq!(some.1.is_err(), whole.1.is_err());
    }
}
