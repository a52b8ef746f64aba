//! What holds for every policy and every request.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::policy;
use crate::identity::Principal;
use crate::policy::{
    ApproveTerms, AuditLevel, CompiledPolicy, Connection, Decision, Effect, Match, Policy,
    RequestFacts, Rule, parse_json,
};
use crate::upstreams::Operation;

// Few values, so that rules and requests meet.
const ISSUERS: [&str; 2] = ["https://idp.example.com", "https://other.example.com"];
const WORDS: [&str; 3] = ["a", "b", "c"];
const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];
const HOSTS: [&str; 4] = [
    "x.example.com",
    "a.y.example.com",
    "b.c.y.example.com",
    "management.azure.com",
];
const HOST_PATTERNS: [&str; 5] = [
    "x.example.com",
    "a.y.example.com",
    "*.y.example.com",
    "*.c.y.example.com",
    "management.azure.com",
];
const PATHS: [&str; 6] = ["/", "/a", "/A", "/a/b", "/a/b/c", "/c"];
const PATH_PATTERNS: [&str; 8] = [
    "/", "/a", "/*", "/**", "/a/**", "/**/b/*", "/**/C", "/a/*/c",
];
const ACTIONS: [&str; 4] = [
    "Ns/type/read",
    "ns/TYPE/write",
    "Ns/other/delete",
    "GET /a/b",
];
const ACTION_PATTERNS: [&str; 7] = [
    "*",
    "*/read",
    "ns/*",
    "NS/type/*",
    "ns/type/WRITE",
    "get *",
    "*t*e*",
];

fn some<T: Clone + std::fmt::Debug + 'static>(
    values: &'static [T],
) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![2 => Just(Vec::new()), 3 => subsequence(values, 1..=values.len().min(3))]
}

fn texts(values: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    some(values).prop_map(|list| list.into_iter().map(String::from).collect())
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>(
    values: &'static [&'static str],
) -> impl Strategy<Value = Vec<T>> {
    some(values).prop_map(|list| list.into_iter().map(|text| text.parse().unwrap()).collect())
}

fn connections() -> Vec<Connection> {
    policy(
        r#""connections": [
            { "name": "a", "hosts": ["x.example.com"], "protocol": "http", "labels": { "a": "a", "b": "b" } },
            { "name": "b", "hosts": ["*.y.example.com"], "protocol": "http", "labels": { "a": "b" } },
            { "name": "c", "hosts": ["management.azure.com"], "protocol": "azure-arm" }
        ], "rules": []"#,
    )
    .connections
}

fn a_match() -> impl Strategy<Value = Match> {
    let who = (texts(&ISSUERS), texts(&WORDS), texts(&WORDS), texts(&WORDS));
    let what = (
        parsed(&METHODS),
        parsed(&HOST_PATTERNS),
        parsed(&PATH_PATTERNS),
        parsed(&ACTION_PATTERNS),
    );
    let labels = select(vec![
        None,
        None,
        None,
        Some(("a", "a")),
        Some(("a", "b")),
        Some(("b", "b")),
    ]);
    (texts(&WORDS), labels, who, what).prop_map(
        |(
            connections,
            label,
            (issuers, subjects, groups, agents),
            (methods, hosts, paths, operations),
        )| {
            let mut wanted = Match {
                any: false,
                connections,
                labels: label
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v.to_owned()))
                    .collect(),
                issuers,
                subjects,
                groups,
                agents,
                methods,
                hosts,
                paths,
                operations,
            };
            wanted.any = wanted.is_unrestricted();
            wanted
        },
    )
}

fn a_rule() -> impl Strategy<Value = Rule> {
    (
        a_match(),
        select(&Effect::STRONGEST_FIRST[..]),
        any::<bool>(),
        select(&WORDS[..]),
    )
        .prop_map(|(wanted, effect, audit, by)| Rule {
            name: String::new(),
            r#match: wanted,
            effect,
            approve: (effect == Effect::Approve).then(|| ApproveTerms::by([by])),
            reason: None,
            audit: if audit {
                AuditLevel::Required
            } else {
                AuditLevel::Normal
            },
        })
}

/// Rules that may not be valid together with these connections (a host that is none of theirs) are
/// left out, as validation would.
fn a_policy(rules: std::ops::Range<usize>) -> impl Strategy<Value = Policy> {
    vec(a_rule(), rules).prop_map(|rules| {
        let mut base = policy(r#""connections": [], "rules": []"#);
        base.connections = connections();
        for mut rule in rules {
            rule.name = format!("r{}", base.rules.len());
            let mut one = base.clone();
            one.rules = vec![rule.clone()];
            if crate::policy::validate(&one).is_ok() {
                base.rules.push(rule);
            }
        }
        base
    })
}

#[derive(Debug, Clone)]
struct Request {
    principal: Principal,
    method: &'static str,
    host: &'static str,
    path: &'static str,
    operation: Operation,
}

fn a_request() -> impl Strategy<Value = Request> {
    let who = (
        select(&ISSUERS[..]),
        select(&WORDS[..]),
        subsequence(&WORDS[..], 0..=2),
        proptest::option::of(select(&WORDS[..])),
    );
    (
        who,
        select(&METHODS[..]),
        select(&HOSTS[..]),
        select(&PATHS[..]),
        select(&ACTIONS[..]),
    )
        .prop_map(
            |((issuer, subject, groups, agent), method, host, path, action)| Request {
                principal: Principal {
                    issuer: issuer.into(),
                    subject: subject.into(),
                    groups: groups.into_iter().map(String::from).collect(),
                    agent: agent.map(String::from),
                    session: None,
                },
                method,
                host,
                path,
                operation: Operation {
                    action: action.into(),
                    attributes: Default::default(),
                },
            },
        )
}

fn ask<T>(
    policy: &CompiledPolicy,
    request: &Request,
    ask: impl Fn(&CompiledPolicy, &RequestFacts<'_>) -> T,
) -> T {
    ask(
        policy,
        &RequestFacts {
            principal: &request.principal,
            connection: policy.connection_for_host(request.host).unwrap(),
            method: request.method,
            host: request.host,
            path: request.path,
            operation: &request.operation,
        },
    )
}

fn decide(policy: &CompiledPolicy, request: &Request) -> Decision {
    ask(policy, request, CompiledPolicy::decide)
}

fn compile(policy: &Policy) -> CompiledPolicy {
    CompiledPolicy::compile(policy.clone()).unwrap()
}

/// How much an effect lets through.
fn freedom(effect: Effect) -> u8 {
    match effect {
        Effect::Deny => 0,
        Effect::Approve => 1,
        Effect::Allow => 2,
    }
}

/// The definition, written a second time and as plainly as possible: regular expressions for the
/// patterns, one rule after the other.
mod reference {
    use super::*;
    use regex_lite::Regex;
    use std::cell::RefCell;
    use std::collections::HashMap;

    fn regex(pattern: &str, text: &str) -> bool {
        thread_local! {
            static KNOWN: RefCell<HashMap<String, Regex>> = RefCell::default();
        }
        KNOWN.with_borrow_mut(|known| {
            known
                .entry(pattern.to_owned())
                .or_insert_with(|| Regex::new(&format!("^(?:{pattern})$")).unwrap())
                .is_match(text)
        })
    }

    fn star(pattern: &str, by: &str) -> String {
        pattern.replace('.', "[.]").replace('*', by)
    }

    fn path(pattern: &str, path: &str) -> bool {
        let path = if path == "/" { "" } else { path };
        let mut translated = String::new();
        for segment in pattern.split('/').skip(1).filter(|s| !s.is_empty()) {
            match segment {
                "**" => translated.push_str("(?:/[^/]+)*"),
                segment => translated.push_str(&format!("/{}", star(segment, "[^/]*"))),
            }
        }
        regex(&translated, path)
    }

    fn host(pattern: &str, host: &str) -> bool {
        regex(&star(pattern, ".+"), host)
    }

    fn any<T>(wanted: &[T], meets: impl Fn(&T) -> bool) -> bool {
        wanted.is_empty() || wanted.iter().any(meets)
    }

    fn matches(rule: &Rule, connection: &Connection, request: &Request) -> bool {
        let wanted = &rule.r#match;
        let caller = &request.principal;
        let lower = |text: &str| text.to_lowercase();
        any(&wanted.connections, |name| *name == connection.name)
            && wanted
                .labels
                .iter()
                .all(|label| connection.labels.iter().any(|l| l == label))
            && any(&wanted.issuers, |i| *i == caller.issuer)
            && any(&wanted.subjects, |s| *s == caller.subject)
            && any(&wanted.groups, |g| caller.groups.contains(g))
            && any(&wanted.agents, |a| Some(a) == caller.agent.as_ref())
            && any(&wanted.methods, |m| m.as_str() == request.method)
            && any(&wanted.hosts, |h| host(h.as_str(), request.host))
            && any(&wanted.paths, |p| match connection.name.as_str() {
                "c" => path(&lower(p.as_str()), &lower(request.path)),
                _ => path(p.as_str(), request.path),
            })
            && any(&wanted.operations, |o| {
                regex(
                    &star(&lower(o.as_str()), ".*"),
                    &lower(&request.operation.action),
                )
            })
    }

    pub(super) fn decide(
        policy: &Policy,
        connection: &Connection,
        request: &Request,
    ) -> (Effect, Option<String>, bool) {
        let matching: Vec<&Rule> = policy
            .rules
            .iter()
            .filter(|r| matches(r, connection, request))
            .collect();
        let audit = matching
            .iter()
            .any(|rule| rule.audit == AuditLevel::Required);
        for effect in [Effect::Deny, Effect::Approve, Effect::Allow] {
            if let Some(rule) = matching.iter().find(|rule| rule.effect == effect) {
                return (effect, Some(rule.name.clone()), audit);
            }
        }
        (Effect::Deny, None, false)
    }
}

proptest! {
    // More rules than fit into one word of a set.
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(24), ..ProptestConfig::default() })]

    #[test]
    fn many_rules_decide_like_few(policy in a_policy(120..200), requests in vec(a_request(), 10)) {
        let compiled = compile(&policy);
        for request in &requests {
            let connection = compiled.connection_for_host(request.host).unwrap();
            let (effect, rule, audit) = reference::decide(&policy, connection, request);
            let decision = decide(&compiled, request);
            prop_assert_eq!(
                (decision.effect, decision.rule.as_deref(), decision.audit_required),
                (effect, rule.as_deref(), audit)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(256), ..ProptestConfig::default() })]

    #[test]
    fn the_indexes_decide_what_the_definition_decides(policy in a_policy(0..12), requests in vec(a_request(), 1..8)) {
        let compiled = compile(&policy);
        for request in &requests {
            let decision = decide(&compiled, request);
            let connection = compiled.connection_for_host(request.host).unwrap();
            let (effect, rule, audit) = reference::decide(&policy, connection, request);
            prop_assert_eq!(decision.effect, effect);
            prop_assert_eq!(decision.rule.as_deref(), rule.as_deref());
            prop_assert_eq!(decision.audit_required, audit);
            let terms = policy.rules.iter().find(|r| Some(&r.name) == rule.as_ref()).and_then(|r| r.approve.clone());
            prop_assert_eq!(decision.approve, terms);
        }
    }

    #[test]
    fn an_explanation_agrees_with_the_decision(policy in a_policy(0..12), request in a_request()) {
        let compiled = compile(&policy);
        let decision = decide(&compiled, &request);
        let explanation = ask(&compiled, &request, CompiledPolicy::explain);
        let matched = explanation.rules.iter().filter(|rule| rule.matched);
        let strongest = matched.clone().map(|rule| freedom(rule.effect)).min();
        prop_assert_eq!(strongest, decision.rule.as_ref().map(|_| freedom(decision.effect)));
        let decides = matched.clone().find(|rule| rule.effect == decision.effect).map(|rule| rule.rule.clone());
        prop_assert_eq!(&decides, &decision.rule);
        for rule in &explanation.rules {
            prop_assert_eq!(rule.decides, Some(&rule.rule) == decision.rule.as_ref());
            prop_assert_eq!(rule.matched, rule.mismatches.is_empty());
        }
        prop_assert_eq!(explanation.decision, decision);
    }

    #[test]
    fn the_order_of_rules_never_changes_the_effect(policy in a_policy(1..12), request in a_request(), seed in any::<u64>()) {
        let before = decide(&compile(&policy), &request);
        let mut shuffled = policy;
        let count = shuffled.rules.len().max(1) as u64;
        shuffled.rules.rotate_left((seed % count) as usize);
        if seed & 1 == 1 {
            shuffled.rules.reverse();
        }
        let after = decide(&compile(&shuffled), &request);
        prop_assert_eq!((before.effect, before.audit_required), (after.effect, after.audit_required));
    }

    #[test]
    fn another_rule_changes_a_decision_only_towards_itself(policy in a_policy(0..8), mut rule in a_rule(), at in any::<prop::sample::Index>(), request in a_request()) {
        rule.name = "added".into();
        let mut more = policy.clone();
        more.rules.insert(at.index(policy.rules.len() + 1), rule.clone());
        prop_assume!(crate::policy::validate(&more).is_ok());
        let before = decide(&compile(&policy), &request);
        let after = decide(&compile(&more), &request);
        match rule.effect {
            Effect::Deny => prop_assert!(freedom(after.effect) <= freedom(before.effect)),
            // An allow rule opens only what nothing else had matched.
            Effect::Allow if before.rule.is_some() => prop_assert_eq!(before.effect, after.effect),
            Effect::Approve if before.rule.is_some() => prop_assert!(freedom(after.effect) <= freedom(before.effect)),
            _ => {}
        }
        prop_assert!(before.audit_required <= after.audit_required);
    }

    #[test]
    fn a_written_policy_reads_back_as_itself(policy in a_policy(0..8)) {
        let json = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(&parse_json(json.as_bytes()).unwrap(), &policy);
        prop_assert_eq!(serde_json::to_string(&parse_json(json.as_bytes()).unwrap()).unwrap(), json.clone());
        #[cfg(feature = "authoring")]
        // Some of these rules could be met by no request, which is told only to whoever writes a
        // new document.
        prop_assert_eq!(&crate::policy::parse_published(&json, None).unwrap().policy, &policy);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = parse_json(&bytes);
        #[cfg(feature = "authoring")]
        let _ = crate::policy::parse_draft(&String::from_utf8_lossy(&bytes), None);
    }

    #[test]
    fn no_damaged_policy_makes_the_reader_panic(policy in a_policy(0..4), at in any::<prop::sample::Index>(), bytes in vec(any::<u8>(), 0..4), cut in 0..5_usize) {
        let mut json = serde_json::to_vec(&policy).unwrap();
        let start = at.index(json.len());
        let end = (start + cut).min(json.len());
        json.splice(start..end, bytes);
        let read = parse_json(&json);
        #[cfg(feature = "authoring")]
        if let Ok(text) = std::str::from_utf8(&json) {
            let _ = crate::policy::parse_draft(text, None);
            let authored = crate::policy::parse_published(text, None);
            if let Ok(policy) = read {
                prop_assert_eq!(authored.unwrap().policy, policy);
            }
        }
        #[cfg(not(feature = "authoring"))]
        drop(read);
    }
}
