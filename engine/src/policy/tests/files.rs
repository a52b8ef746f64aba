//! The files that people read: the guide and the schema say what the code does.

use crate::gate::MaskingPlans;
use crate::policy::{CompiledPolicy, parse, schema};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const GUIDE: &str = include_str!("../../../../docs/policy.md");
const SCHEMA: &str = include_str!("../../../../docs/policy.schema.json");

#[test]
fn the_schema_file_is_what_the_types_say() {
    let mut now = serde_json::to_string_pretty(&schema()).unwrap();
    now.push('\n');
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.schema.json");
        std::fs::write(path, &now).unwrap();
        return;
    }
    assert!(
        SCHEMA == now,
        "docs/policy.schema.json is not what the types say; \
         run the tests with UPDATE_DOCS=1 and look at what changed"
    );
}

/// The YAML blocks of the guide, with the line that each begins on.
fn examples() -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in GUIDE.lines().enumerate() {
        match (&mut open, line) {
            (None, "```yaml") => open = Some((number + 2, String::new())),
            (Some(_), "```") => found.extend(open.take()),
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "a block of the guide does not end");
    found
}

#[test]
fn every_example_of_the_guide_is_a_good_policy_whose_tests_pass() {
    let examples = examples();
    assert!(examples.len() >= 5, "the guide has lost its examples");
    let mut tests = 0;
    for (line, text) in &examples {
        let policy = match parse(&whole(text)) {
            Ok(policy) => policy,
            Err(errors) => panic!("the example on line {line} of docs/policy.md: {errors}"),
        };
        if let Err(why) = MaskingPlans::compile(&policy, None) {
            panic!("the example on line {line} of docs/policy.md: {why}");
        }
        for outcome in CompiledPolicy::compile(policy).unwrap().run_tests() {
            assert!(
                outcome.passed,
                "the example on line {line} of docs/policy.md: {outcome}"
            );
            tests += 1;
        }
    }
    assert!(tests >= 5, "the guide's examples test nothing");
}

/// An example that shows some keys is completed by those of the first, which is whole.
fn whole(text: &str) -> String {
    let (_, first) = examples().swap_remove(0);
    let mut whole = String::new();
    for key in ["apiVersion", "issuers", "connections", "rules"] {
        let missing = !text
            .lines()
            .any(|line| line.starts_with(&format!("{key}:")));
        if missing && key == "rules" {
            whole.push_str("rules: []\n");
        } else if missing {
            let mut lines = first
                .lines()
                .skip_while(|line| !line.starts_with(&format!("{key}:")));
            whole.extend(lines.next().map(|line| format!("{line}\n")));
            let block = lines.take_while(|line| line.starts_with([' ', '#']) || line.is_empty());
            whole.extend(block.map(|line| format!("{line}\n")));
        }
    }
    whole + text
}

#[test]
fn the_guide_names_every_key_that_default_stands_for() {
    let written = GUIDE
        .split_once("`default` stands for\n\n")
        .and_then(|(_, rest)| rest.split_once("\n\n"))
        .map(|(list, _)| list.replace(['`', '\n', '.'], " "))
        .unwrap();
    let written: Vec<&str> = written
        .split([',', ' '])
        .filter(|w| !w.is_empty())
        .collect();
    let names = crate::masking::KeyNames::common();
    assert_eq!(written, names.iter().collect::<Vec<_>>());
}
