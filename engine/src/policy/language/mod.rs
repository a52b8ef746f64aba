//! Which filters can read a document, said before it is sent.
//!
//! A filter refuses a bundle that has anything in it that the filter does not know, and keeps the
//! policy that it has. So a document with a construct that came later splits a fleet: new nodes
//! enforce it, old ones do not. Whoever publishes is told before that happens.
//!
//! Every construct of the language came with a *revision*. A node says in each poll which revision
//! it reads ([`REVISION`] of its build), and [`needs`] says which one a document takes. Weighed:
//! comparing versions of the filter, which are not ordered where there are forks and backports, and
//! say nothing of a document that uses nothing new; and a list of construct names in each poll,
//! which needs no order but travels every ten seconds. A number is enough, because the constructs
//! of a build are those of a prefix of [`TABLE`].
//!
//! What a document means is outside of this: two filters of one revision may differ in limits (the
//! size of compiled detectors, say), and a bundle that is too much for one of them is refused by
//! that node, which says so.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::Policy;
use crate::identity::ClaimPath;
use crate::masking::chooses;

/// The revision that this build reads.
pub const REVISION: u32 = 2;

/// The revision of filters that do not say which one they read: they are from before it was
/// reported.
pub const UNREPORTED: u32 = 1;

/// What may stand at a place of the document.
enum Takes {
    /// Anything, or members that have places of their own.
    Anything,
    /// These words alone.
    Words(&'static [&'static str]),
    /// Content that is not the language's: names and values of the author, keys of an issuer.
    Free,
    /// Names of detectors and patterns of them.
    Detectors,
    /// The path of a claim with an escape. A filter that does not know escapes finds no such claim,
    /// and takes the caller for one without groups.
    EscapedPath,
}

/// A construct: its place, what may stand there, and the revision that it came with. A word that
/// comes later gets a row of its own for the same place.
type Construct = (u32, &'static str, Takes);

use Takes::{Anything, Detectors, EscapedPath, Free, Words};

/// Every construct of the language. A test compares it with the JSON Schema of the document, so
/// nothing can be added to the language and forgotten here. Another one does so for the forms of
/// values (`forms.txt`): a new word in a pattern is in no place of its own.
///
/// A construct that is not released yet gets the revision after the released one, which all
/// constructs of the next release share; [`REVISION`] is then that number.
const TABLE: &[Construct] = &[
    (1, "apiVersion", Words(&["chaperone/v1"])),
    (1, "issuers", Anything),
    (1, "issuers[].issuer", Anything),
    (1, "issuers[].audiences", Anything),
    (1, "issuers[].claims", Anything),
    (1, "issuers[].claims.subject", Anything),
    (2, "issuers[].claims.subject", EscapedPath),
    (1, "issuers[].claims.groups", Anything),
    (2, "issuers[].claims.groups", EscapedPath),
    (1, "issuers[].claims.agent", Anything),
    (2, "issuers[].claims.agent", EscapedPath),
    (1, "issuers[].claims.session", Anything),
    (2, "issuers[].claims.session", EscapedPath),
    (1, "issuers[].algorithms", Anything),
    (
        1,
        "issuers[].algorithms[]",
        Words(&[
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
        ]),
    ),
    (2, "issuers[].algorithms[]", Words(&["ES512"])),
    (1, "issuers[].leeway_seconds", Anything),
    (1, "issuers[].jwks_uri", Anything),
    (1, "issuers[].jwks", Free),
    (1, "connections", Anything),
    (1, "connections[].name", Anything),
    (1, "connections[].hosts", Anything),
    (1, "connections[].protocol", Words(&["http", "azure-arm"])),
    (1, "connections[].credential", Anything),
    (1, "connections[].labels", Free),
    (1, "rules", Anything),
    (1, "rules[].name", Anything),
    (1, "rules[].match", Anything),
    (1, "rules[].match.any", Anything),
    (1, "rules[].match.connections", Anything),
    (1, "rules[].match.labels", Free),
    (1, "rules[].match.issuers", Anything),
    (1, "rules[].match.subjects", Anything),
    (1, "rules[].match.groups", Anything),
    (1, "rules[].match.agents", Anything),
    (1, "rules[].match.operations", Anything),
    (1, "rules[].match.methods", Anything),
    (1, "rules[].match.hosts", Anything),
    (1, "rules[].match.paths", Anything),
    (1, "rules[].effect", Words(&["allow", "approve", "deny"])),
    (1, "rules[].approve", Anything),
    (1, "rules[].approve.by", Anything),
    (1, "rules[].approve.count", Anything),
    (1, "rules[].approve.hold", Anything),
    (1, "rules[].approve.expires", Anything),
    (1, "rules[].approve.grant", Anything),
    (1, "rules[].reason", Anything),
    (1, "rules[].audit", Words(&["normal", "required"])),
    (1, "detectors", Anything),
    (1, "detectors[].name", Anything),
    (1, "detectors[].description", Anything),
    (
        1,
        "detectors[].severity",
        Words(&["low", "medium", "high", "critical"]),
    ),
    (1, "detectors[].regex", Anything),
    (1, "detectors[].secret_group", Anything),
    (1, "detectors[].keywords", Anything),
    (1, "detectors[].entropy", Anything),
    (1, "detectors[].allow", Anything),
    (1, "detectors[].allow[].description", Anything),
    (1, "detectors[].allow[].regexes", Anything),
    (1, "detectors[].allow[].stopwords", Anything),
    (
        1,
        "detectors[].allow[].on",
        Words(&["secret", "match", "line"]),
    ),
    (1, "detectors[].allow[].all", Anything),
    (1, "detectors_allow", Anything),
    (1, "detectors_allow[].description", Anything),
    (1, "detectors_allow[].regexes", Anything),
    (1, "detectors_allow[].stopwords", Anything),
    (
        1,
        "detectors_allow[].on",
        Words(&["secret", "match", "line"]),
    ),
    (1, "detectors_allow[].all", Anything),
    (1, "masking", Anything),
    (1, "masking[].name", Anything),
    (1, "masking[].detectors", Anything),
    (1, "masking[].detectors[]", Detectors),
    (1, "masking[].keys", Words(&["default"])),
    (1, "masking[].on", Anything),
    (1, "masking[].on[]", Words(&["request", "response"])),
    (1, "masking[].action", Words(&["mask", "block", "report"])),
    (1, "masking[].keep", Anything),
    (1, "masking[].restore", Anything),
    (1, "masking[].connections", Anything),
    (1, "tests", Anything),
    (1, "tests[].name", Anything),
    (1, "tests[].as", Anything),
    (1, "tests[].as.issuer", Anything),
    (1, "tests[].as.subject", Anything),
    (1, "tests[].as.groups", Anything),
    (1, "tests[].as.agent", Anything),
    (1, "tests[].request", Anything),
    (1, "tests[].expect", Words(&["allow", "approve", "deny"])),
    (1, "tests[].rule", Anything),
];

/// The built-in detectors: the revision that each came with, and its name. A pattern needs the
/// lowest revision that has a detector of that pattern, since a filter refuses a pattern that
/// chooses nothing.
const DETECTORS: &str = include_str!("detectors.txt");

/// What a document takes to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The lowest revision that reads it.
    pub revision: u32,
    /// The constructs for which it is not a lower one, each once, e.g. `rules[].effect: shadow`.
    /// Empty where every revision reads the document.
    pub constructs: Vec<String>,
}

/// What this policy takes to be read.
pub fn needs(policy: &Policy) -> Needs {
    match serde_json::to_value(policy) {
        Ok(document) => needs_by(TABLE, &detectors(DETECTORS), &document),
        // It cannot be sent either. Until then the strict answer: only nodes like this build read
        // it.
        Err(_) => Needs {
            revision: REVISION,
            constructs: Vec::new(),
        },
    }
}

/// Every place of the table, and whether a word stands there.
#[cfg(test)]
pub(crate) fn places() -> impl Iterator<Item = (&'static str, bool)> {
    TABLE
        .iter()
        .map(|(_, place, takes)| (*place, matches!(takes, Takes::Words(_))))
}

fn detectors(list: &str) -> Vec<(u32, &str)> {
    let lines = list.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter_map(|(revision, name)| Some((revision.parse().ok()?, name)))
        .collect()
}

fn needs_by(table: &[Construct], detectors: &[(u32, &str)], document: &Value) -> Needs {
    let mut rows: BTreeMap<&str, Vec<&Construct>> = BTreeMap::new();
    for row in table {
        rows.entry(row.1).or_default().push(row);
    }
    let mut walk = Walk {
        rows,
        detectors,
        found: Needs {
            revision: 1,
            constructs: Vec::new(),
        },
    };
    walk.members("", document);
    walk.found
}

struct Walk<'a> {
    rows: BTreeMap<&'a str, Vec<&'a Construct>>,
    detectors: &'a [(u32, &'a str)],
    found: Needs,
}

impl Walk<'_> {
    fn members(&mut self, place: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let dot = if place.is_empty() { "" } else { "." };
                    self.value(&format!("{place}{dot}{name}"), member);
                }
            }
            Value::Array(items) => {
                let place = format!("{place}[]");
                for item in items {
                    self.value(&place, item);
                }
            }
            _ => {}
        }
    }

    fn value(&mut self, place: &str, value: &Value) {
        let rows = self.rows.get(place).cloned().unwrap_or_default();
        let Some(first) = rows.iter().map(|(revision, ..)| *revision).min() else {
            // What stands in a list has no row of its own unless it is a word.
            if !place.ends_with("[]") {
                self.take(REVISION, || place.to_owned());
            }
            return self.members(place, value);
        };
        self.take(first, || place.to_owned());
        for (revision, _, takes) in rows {
            match (takes, value) {
                (Takes::Free, _) => return,
                (Takes::Words(words), Value::String(word)) if words.contains(&word.as_str()) => {
                    self.take(*revision, || format!("{place}: {word}"));
                }
                (Takes::Detectors, Value::String(pattern)) => {
                    let chosen = self
                        .detectors
                        .iter()
                        .filter(|(_, name)| chooses(pattern, name));
                    // None of them: it chooses the document's own.
                    let since = chosen.map(|(revision, _)| *revision).min().unwrap_or(1);
                    self.take(since, || format!("{place}: {pattern}"));
                }
                (Takes::EscapedPath, Value::String(path)) if ClaimPath::has_escapes(path) => {
                    self.take(*revision, || format!("{place}: {path}"));
                }
                _ => {}
            }
        }
        self.members(place, value);
    }

    /// Notes a construct that came with this revision.
    fn take(&mut self, revision: u32, construct: impl FnOnce() -> String) {
        if revision > self.found.revision {
            self.found.revision = revision;
            self.found.constructs.clear();
        }
        if revision == self.found.revision && revision > 1 {
            let construct = construct();
            if !self.found.constructs.contains(&construct) {
                self.found.constructs.push(construct);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::masking::catalogue;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_highest_revision_of_the_table_is_the_one_that_this_build_reads() {
        let constructs = TABLE.iter().map(|(revision, ..)| *revision);
        let names = detectors(DETECTORS);
        let all = constructs.chain(names.iter().map(|(revision, _)| *revision));
        assert_eq!(all.max(), Some(REVISION));
    }

    /// A filter of the first revision would read the escape as a part of a name, find no such
    /// claim, and let the caller past every rule that denies a group.
    #[test]
    fn the_path_of_a_claim_with_an_escape_needs_the_revision_that_reads_it() {
        let needed = |groups: &str| {
            let document = json!({"issuers": [{"issuer": "i", "claims": {"groups": groups}}]});
            needs_by(TABLE, &detectors(DETECTORS), &document)
        };
        for path in ["groups", "realm_access.roles", "https://example.com/groups"] {
            assert_eq!(needed(path).revision, 1, "{path}");
        }
        for path in [
            r"resource_access.my\.app.roles",
            "/resource_access/my.app/roles",
        ] {
            let needs = needed(path);
            assert_eq!(needs.revision, 2, "{path}");
            assert_eq!(
                needs.constructs,
                [format!("issuers[].claims.groups: {path}")]
            );
        }
    }

    #[test]
    fn every_built_in_detector_has_a_revision() {
        let listed: BTreeSet<&str> = detectors(DETECTORS).iter().map(|(_, name)| *name).collect();
        let built_in: BTreeSet<&str> = catalogue().iter().map(|detector| detector.name()).collect();
        assert_eq!(
            listed, built_in,
            "add the new ones to language/detectors.txt"
        );
    }

    /// Places and words of the JSON Schema.
    #[cfg(feature = "authoring")]
    fn of_schema(root: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
        fn walk(
            root: &Value,
            node: &Value,
            place: &str,
            places: &mut BTreeSet<String>,
            words: &mut BTreeSet<String>,
        ) {
            if let Some(reference) = node["$ref"].as_str() {
                let definition = root.pointer(reference.trim_start_matches('#')).unwrap();
                walk(root, definition, place, places, words);
            }
            let one = node.get("const").into_iter();
            for word in one.chain(node["enum"].as_array().into_iter().flatten()) {
                words.insert(format!("{place}: {}", word.as_str().unwrap()));
            }
            for choices in ["anyOf", "oneOf", "allOf"] {
                for choice in node[choices].as_array().into_iter().flatten() {
                    walk(root, choice, place, places, words);
                }
            }
            for (name, member) in node["properties"].as_object().into_iter().flatten() {
                let dot = if place.is_empty() { "" } else { "." };
                let place = format!("{place}{dot}{name}");
                walk(root, member, &place, places, words);
                places.insert(place);
            }
            if let Some(items) = node.get("items") {
                walk(root, items, &format!("{place}[]"), places, words);
            }
        }
        let (mut places, mut words) = (BTreeSet::new(), BTreeSet::new());
        walk(root, root, "", &mut places, &mut words);
        (places, words)
    }

    #[cfg(feature = "authoring")]
    #[test]
    fn every_construct_of_the_language_has_a_revision() {
        let (places, words) = of_schema(&crate::policy::schema());
        let listed = TABLE.iter().map(|(_, place, _)| (*place).to_owned());
        let listed: BTreeSet<String> = listed.filter(|place| !place.ends_with("[]")).collect();
        assert_eq!(listed, places);
        let listed: BTreeSet<String> = TABLE
            .iter()
            .flat_map(|(_, place, takes)| match takes {
                Takes::Words(words) => words
                    .iter()
                    .map(|word| format!("{place}: {word}"))
                    .collect(),
                _ => Vec::new(),
            })
            .collect();
        assert_eq!(listed, words);
    }

    /// Keywords of JSON Schema that say what a value has to be like.
    #[cfg(feature = "authoring")]
    const FORM: [&str; 16] = [
        "type",
        "format",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "uniqueItems",
        "multipleOf",
        "required",
    ];

    /// What the JSON Schema wants of the value at each place.
    #[cfg(feature = "authoring")]
    fn forms(root: &Value, node: &Value, place: &str, found: &mut BTreeSet<String>) {
        if let Some(reference) = node["$ref"].as_str() {
            let definition = root.pointer(reference.trim_start_matches('#')).unwrap();
            forms(root, definition, place, found);
        }
        let form: serde_json::Map<String, Value> = FORM
            .iter()
            .filter_map(|keyword| Some(((*keyword).to_owned(), node.get(keyword)?.clone())))
            .collect();
        if !form.is_empty() {
            let place = if place.is_empty() {
                "(document)"
            } else {
                place
            };
            found.insert(format!("{place} {}", Value::Object(form)));
        }
        for choices in ["anyOf", "oneOf", "allOf"] {
            for choice in node[choices].as_array().into_iter().flatten() {
                forms(root, choice, place, found);
            }
        }
        for (name, member) in node["properties"].as_object().into_iter().flatten() {
            let dot = if place.is_empty() { "" } else { "." };
            forms(root, member, &format!("{place}{dot}{name}"), found);
        }
        if let Some(items) = node.get("items") {
            forms(root, items, &format!("{place}[]"), found);
        }
        if let Some(others @ Value::Object(_)) = node.get("additionalProperties") {
            forms(root, others, &format!("{place}.*"), found);
        }
    }

    /// A word in a pattern, a wider range and a member that may be left out are constructs, too,
    /// and no place tells of them. `forms.txt` has the form of each place, behind the revision that
    /// it came with.
    #[cfg(feature = "authoring")]
    #[test]
    fn every_form_of_a_value_has_a_revision() {
        let lines = include_str!("forms.txt").lines();
        let listed: BTreeMap<&str, u32> = lines
            .map(|line| {
                let (revision, form) = line.split_once(' ').unwrap();
                (form, revision.parse().unwrap())
            })
            .collect();
        let root = crate::policy::schema();
        let mut is = BTreeSet::new();
        forms(&root, &root, "", &mut is);
        let is: BTreeSet<&str> = is.iter().map(String::as_str).collect();
        let was: BTreeSet<&str> = listed.keys().copied().collect();
        let new: Vec<_> = is.difference(&was).collect();
        let gone: Vec<_> = was.difference(&is).collect();
        assert!(
            new.is_empty() && gone.is_empty(),
            "values have another form than forms.txt says. If an older filter refuses what is allowed \
             now, what is new needs a revision of its own, which `needs` has to find in a document. \
             Then write it to language/forms.txt.\nnew: {new:#?}\ngone: {gone:#?}"
        );
        assert!(listed.values().all(|revision| *revision <= REVISION));
    }

    #[test]
    fn a_document_needs_the_lowest_revision_that_has_all_of_its_constructs() {
        const LATER: &[Construct] = &[
            (1, "rules", Anything),
            (1, "rules[].effect", Words(&["allow", "deny"])),
            (2, "rules[].effect", Words(&["shadow"])),
            (2, "rules[].when", Anything),
            (3, "rules[].when.language", Words(&["cel"])),
            (1, "labels", Free),
            (1, "masking", Anything),
            (1, "masking[].detectors", Anything),
            (1, "masking[].detectors[]", Detectors),
        ];
        let detectors = [
            (1, "secrets/old-one"),
            (2, "secrets/old-two"),
            (2, "pii/new"),
        ];
        for (document, revision, constructs) in [
            (json!({"rules": [{"effect": "allow"}]}), 1, vec![]),
            (
                json!({"labels": {"when": "shadow", "x": {"y": 1}}}),
                1,
                vec![],
            ),
            (
                json!({"rules": [{"effect": "shadow"}, {"effect": "shadow"}]}),
                2,
                vec!["rules[].effect: shadow"],
            ),
            (
                json!({"rules": [{"effect": "shadow", "when": "x"}, {"effect": "allow"}]}),
                2,
                vec!["rules[].effect: shadow", "rules[].when"],
            ),
            (
                json!({"rules": [{"effect": "shadow"}, {"when": {"language": "cel"}}]}),
                3,
                vec!["rules[].when.language", "rules[].when.language: cel"],
            ),
            (
                json!({"masking": [{"detectors": ["secrets/*", "custom/x"]}]}),
                1,
                vec![],
            ),
            (
                json!({"masking": [{"detectors": ["secrets/old-t*", "pii/*", "secrets/old-one"]}]}),
                2,
                vec![
                    "masking[].detectors[]: secrets/old-t*",
                    "masking[].detectors[]: pii/*",
                ],
            ),
        ] {
            let needs = needs_by(LATER, &detectors, &document);
            assert_eq!(
                (needs.revision, needs.constructs),
                (
                    revision,
                    constructs.into_iter().map(str::to_owned).collect()
                ),
                "{document}"
            );
        }
    }

    #[test]
    fn every_filter_reads_a_policy_of_the_first_revision() {
        let policy = crate::policy::parse_json(
            br#"{"apiVersion":"chaperone/v1",
                "issuers":[{"issuer":"https://issuer.example","audiences":["chaperone"],"algorithms":["ES256"]}],
                "connections":[{"name":"api","hosts":["api.example.com"],"protocol":"http","labels":{"env":"x"}}],
                "rules":[{"name":"reads","match":{"groups":["dev"],"labels":{"env":"x"}},"effect":"allow"}],
                "masking":[{"name":"m","detectors":["secrets/*","pii/*"],"on":["request"]}]}"#,
        )
        .unwrap();
        let needs = needs(&policy);
        assert_eq!(
            (needs.revision, needs.constructs),
            (1, Vec::<String>::new())
        );
    }
}
