//! Rules on what Azure creates that a deployment leads around.
//!
//! A deployment is one request, `Microsoft.Resources/deployments/write`. The resources that it
//! creates stand in a template in its body, or behind an address there, and are created by Azure
//! itself. The gate sees none of them: whoever may deploy creates what a rule denies by name.
//! Several kinds of requests do that, and the author of a rule hears of all that are left open.

use super::expressions::Texts;
use super::findings::Faulty;
use super::scope::{Scopes, each, guards, path_covered};
use crate::policy::decide::{Glob, Matcher};
use crate::policy::document::{Connection, Effect, OperationPattern, Policy, Rule};
use crate::policy::error::{Faults, Place};
use crate::policy::wording::shorten;
use crate::upstreams::Protocol;

/// Beyond so many rules nobody wrote the document by hand.
const MAX_RULES: usize = 1_000;

/// What creates resources that the gate does not see, and what it is called.
const DEPLOYMENTS: [(&str, &str); 7] = [
    ("Microsoft.Resources/deployments/write", "a template"),
    (
        "Microsoft.Resources/subscriptions/resourceGroups/deployments/write",
        "a template, by an older path",
    ),
    (
        "Microsoft.Resources/deploymentStacks/write",
        "a deployment stack",
    ),
    (
        "Microsoft.Resources/deploymentScripts/write",
        "a deployment script",
    ),
    (
        "Microsoft.Solutions/applications/write",
        "a managed application",
    ),
    (
        "Microsoft.Blueprint/blueprintAssignments/write",
        "a blueprint",
    ),
    (
        "Microsoft.PolicyInsights/remediations/write",
        "a remediation of a policy",
    ),
];

/// A rule with the connections to Azure that it is about.
struct About<'a> {
    place: Place,
    rule: &'a Rule,
    connections: Vec<&'a Connection>,
}

pub(super) fn review(
    policy: &Policy,
    scopes: &Scopes<'_>,
    faulty: &Faulty<'_>,
    warnings: &mut Faults,
) {
    if policy.rules.len() > MAX_RULES {
        return;
    }
    let Some(writes) = Texts::of("[a-z0-9._-]+(?:/[a-z0-9._:$()-]+)+/write") else {
        return;
    };
    let list = Place::default().key("rules");
    let mut rules = Vec::new();
    for (index, rule) in policy.rules.iter().enumerate() {
        let place = list.index(index);
        // What will be another rule may keep deployments away.
        if !faulty.is_sound(&place) {
            return;
        }
        let Some(mut connections) = scopes.connections_of(&place, rule) else {
            continue;
        };
        connections.retain(|c| c.protocol == Protocol::AzureArm && scopes.was_read(c, "protocol"));
        if !connections.is_empty() {
            rules.push(About {
                place,
                rule,
                connections,
            });
        }
    }
    for about in &rules {
        if !guards(about.rule) || !may_create(about.rule) {
            continue;
        }
        let open: Vec<String> = DEPLOYMENTS
            .iter()
            .filter(|(operation, _)| is_open(operation, about, &rules))
            .map(|(operation, what)| format!("`{operation}` ({what})"))
            .collect();
        if open.is_empty() {
            continue;
        }
        let place = about.place.key("match").key("operations");
        for (index, pattern) in about.rule.r#match.operations.iter().enumerate() {
            let is_about_deployments = DEPLOYMENTS
                .iter()
                .any(|(operation, _)| matches(pattern, operation));
            let is_about_writes =
                Texts::of_operation(pattern).is_some_and(|texts| texts.meet(&writes));
            if is_about_deployments || !is_about_writes {
                continue;
            }
            let (passes, remedy) = match about.rule.effect {
                Effect::Deny => (
                    "creates what is denied here",
                    "deny them, or have them approved",
                ),
                _ => (
                    "creates what needs approval here",
                    "have them approved, or deny them",
                ),
            };
            warnings.at(
                place.index(index),
                format!(
                    "a deployment {passes} (`{}`): the gate sees the deployment, not the resources in its template. Rules allow {}; {remedy}",
                    shorten(pattern.as_str()),
                    open.join(", "),
                ),
            );
        }
    }
}

/// Whether requests that create are among those that the rule is about.
fn may_create(rule: &Rule) -> bool {
    let methods = &rule.r#match.methods;
    methods.is_empty() || methods.iter().any(|m| m.as_str() == "PUT")
}

fn matches(pattern: &OperationPattern, operation: &str) -> bool {
    Glob::operation(pattern).matches(&operation.to_ascii_lowercase())
}

fn is_about(rule: &Rule, operation: &str) -> bool {
    let operations = &rule.r#match.operations;
    may_create(rule) && (operations.is_empty() || operations.iter().any(|p| matches(p, operation)))
}

/// Whether a request of those that `guarded` is about may do this and be let through unseen.
fn is_open(operation: &str, guarded: &About<'_>, rules: &[About<'_>]) -> bool {
    let (mut allowed, wanted) = (false, &guarded.rule.r#match);
    for other in rules {
        if !is_about(other.rule, operation) {
            continue;
        }
        let theirs = &other.rule.r#match;
        let has = |connection: &&Connection| {
            let mut own = other.connections.iter();
            own.any(|own| std::ptr::eq(*own, *connection))
        };
        if guards(other.rule) {
            // All that the guarded rule is about must be kept from deploying.
            let covers = guarded.connections.iter().all(has)
                && each(&theirs.groups, &wanted.groups, String::eq)
                && each(&theirs.subjects, &wanted.subjects, String::eq)
                && each(&theirs.agents, &wanted.agents, String::eq)
                && each(&theirs.issuers, &wanted.issuers, String::eq)
                && each(&theirs.paths, &wanted.paths, path_covered)
                && each(&theirs.hosts, &wanted.hosts, |a, b| a == b);
            if covers {
                return false;
            }
        } else {
            allowed = allowed
                || (guarded.connections.iter().any(has)
                    && !are_apart(&theirs.subjects, &wanted.subjects)
                    && !are_apart(&theirs.agents, &wanted.agents)
                    && !are_apart(&theirs.issuers, &wanted.issuers));
        }
    }
    allowed
}

/// Whether no caller is in both; an empty list is everybody.
fn are_apart(a: &[String], b: &[String]) -> bool {
    !a.is_empty() && !b.is_empty() && !a.iter().any(|name| b.contains(name))
}
