//! What one decision costs by the number of rules: `cargo run --release --example policy_cost`.
//!
//! Two policies of each size. *Mixed*: teams with rules of their own on several connections, as
//! people write them. *Worst*: every rule is about the same caller and connection and differs only
//! in a wildcard pattern, so that no index helps.
#![allow(clippy::print_stdout)] // It is a program that prints.

use std::hint::black_box;
use std::time::Instant;

use chaperone_engine::identity::Principal;
use chaperone_engine::policy::{CompiledPolicy, Effect, RequestFacts, parse_json};
use chaperone_engine::upstreams::Operation;

const ACTIONS: [&str; 5] = [
    "*/read",
    "*/write",
    "*/delete",
    "Microsoft.Storage/*",
    "*/listKeys/action",
];
const PATHS: [&str; 4] = [
    "/v1/models",
    "/v1/files/**",
    "/v1/*/completions",
    "/v1/batches/*",
];

fn policy(rules: usize, rule: fn(usize) -> String) -> CompiledPolicy {
    let rules: Vec<String> = (0..rules).map(rule).collect();
    let text = format!(
        r#"{{ "apiVersion": "chaperone/v1",
        "issuers": [{{ "issuer": "https://idp.example.com", "audiences": ["chaperone"] }}],
        "connections": [
            {{ "name": "arm", "hosts": ["management.azure.com"], "protocol": "azure-arm" }},
            {{ "name": "openai", "hosts": ["api.openai.com"], "protocol": "http" }},
            {{ "name": "azure-openai", "hosts": ["*.openai.azure.com"], "protocol": "http" }}
        ],
        "rules": [{}] }}"#,
        rules.join(",")
    );
    let policy = parse_json(text.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
    CompiledPolicy::compile(policy).unwrap_or_else(|errors| panic!("{errors}"))
}

fn mixed(n: usize) -> String {
    let team = n / 5;
    let (connection, what) = if n.is_multiple_of(2) {
        (
            "arm",
            format!(r#""operations": ["{}"]"#, ACTIONS[n % ACTIONS.len()]),
        )
    } else {
        (
            "openai",
            format!(r#""paths": ["{}"]"#, PATHS[n % PATHS.len()]),
        )
    };
    let effect = if n % 7 == 3 { "deny" } else { "allow" };
    format!(
        r#"{{ "name": "r{n}", "match": {{ "connections": ["{connection}"], "groups": ["team-{team}"], {what} }}, "effect": "{effect}" }}"#
    )
}

fn worst(n: usize) -> String {
    format!(
        r#"{{ "name": "r{n}", "match": {{ "connections": ["arm"], "groups": ["team-0"], "operations": ["*/type{n}/*"] }}, "effect": "deny" }}"#
    )
}

/// Nanoseconds per decision, the median of several rounds.
fn cost(policy: &CompiledPolicy, expect: Effect, groups: &[&str]) -> f64 {
    let principal = Principal {
        issuer: "https://idp.example.com".into(),
        subject: "ada".into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        agent: Some("copilot".into()),
        session: None,
    };
    let operation = Operation {
        action: "Microsoft.Compute/virtualMachines/read".into(),
        attributes: Default::default(),
    };
    let facts = RequestFacts {
        principal: &principal,
        connection: policy
            .connection_for_host("management.azure.com")
            .expect("arm is there"),
        method: "GET",
        host: "management.azure.com",
        path: "/subscriptions/1/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v",
        operation: &operation,
    };
    assert_eq!(policy.decide(&facts).effect, expect);
    let rounds = 2_000_u32;
    let mut measured: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..rounds {
                black_box(policy.decide(black_box(&facts)));
            }
            start.elapsed().as_nanos() as f64 / f64::from(rounds)
        })
        .collect();
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}

fn main() {
    println!("{:>6} {:>12} {:>12}", "rules", "mixed (ns)", "worst (ns)");
    for rules in [10, 100, 1000] {
        // In six groups, one of which has rules here.
        let groups = [
            "everybody",
            "eng",
            "team-0",
            "team-9999",
            "oncall",
            "azure-users",
        ];
        let mixed = cost(&policy(rules, mixed), Effect::Allow, &groups);
        let worst = cost(&policy(rules, worst), Effect::Deny, &groups);
        println!("{rules:>6} {mixed:>12.0} {worst:>12.0}");
    }
}
