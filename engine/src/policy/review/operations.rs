//! Operations that the upstreams of a rule never have: a rule for them is a decoration.

use std::rc::Rc;

use super::expressions::{self, Known, Texts};
use super::findings::Findings;
use super::scope::Scopes;
use crate::policy::document::{OperationPattern, PathPattern, Rule};
use crate::policy::error::Place;
use crate::policy::wording::shorten;
use crate::request::RequestTarget;
use crate::upstreams::{Protocol, Requests};

/// Words for what Azure calls `read`, `write`, `delete` and `action`.
const OTHER_WORDS: [(&str, &str); 17] = [
    ("get", "read"),
    ("list", "read"),
    ("head", "read"),
    ("view", "read"),
    ("reads", "read"),
    ("put", "write"),
    ("patch", "write"),
    ("create", "write"),
    ("update", "write"),
    ("writes", "write"),
    ("edit", "write"),
    ("remove", "delete"),
    ("deletes", "delete"),
    ("post", "action"),
    ("execute", "action"),
    ("actions", "action"),
    ("invoke", "action"),
];
/// How the names of Azure's actions begin; other last words are types.
const VERBS: [&str; 9] = [
    "list",
    "regenerate",
    "start",
    "stop",
    "restart",
    "deallocate",
    "register",
    "run",
    "reset",
];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub(super) fn review(
    place: &Place,
    rule: &Rule,
    scopes: &Scopes<'_>,
    known: &mut Known,
    found: &mut Findings,
) {
    let wanted = &rule.r#match;
    if wanted.operations.is_empty() {
        return;
    }
    let Some(connections) = scopes.connections_of(place, rule) else {
        return;
    };
    if !connections.iter().all(|c| scopes.was_read(c, "protocol")) {
        return;
    }
    let place = place.key("match");
    let mut protocols: Vec<Protocol> = connections.iter().map(|c| c.protocol).collect();
    protocols.sort_unstable();
    protocols.dedup();
    // What could not be read may have been anything.
    let was_read = |key: &str| scopes.faults().unread().has(&place.key(key));
    let methods: Vec<&str> = match was_read("methods") {
        true => wanted.methods.iter().map(|m| m.as_str()).collect(),
        false => Vec::new(),
    };
    let paths: Option<Vec<String>> = match was_read("paths") {
        true => wanted.paths.iter().map(expressions::paths).collect(),
        false => None,
    };
    let has_paths = paths.as_ref().is_some_and(|paths| !paths.is_empty());
    let paths = paths
        .filter(|paths| !paths.is_empty())
        .map(|paths| paths.join("|"));
    let narrow = Requests {
        methods: &methods,
        paths: paths.as_deref(),
    };
    let any = Requests::default();
    let mut produced = |requests: &Requests<'_>| -> Option<Vec<Rc<Texts>>> {
        protocols
            .iter()
            .map(|p| known.texts(p.operations(requests)))
            .collect()
    };
    let (Some(by_rule), Some(by_any)) = (produced(&narrow), produced(&any)) else {
        return;
    };
    for (index, pattern) in wanted.operations.iter().enumerate() {
        if pattern.as_str() == "*" {
            continue;
        }
        let Some(texts) = Texts::of_operation(pattern) else {
            continue;
        };
        let meets = |sets: &[Rc<Texts>]| sets.iter().any(|set| set.meet(&texts));
        let shown = shorten(pattern.as_str());
        if meets(&by_rule) {
            // It is met, by requests whose path happens to end so.
            if protocols == [Protocol::Http]
                && !pattern.as_str().contains(' ')
                && let Some(methods) = methods_for(pattern.as_str())
                && let Some((_, last)) = pattern.as_str().rsplit_once('/')
            {
                found.warnings.at(
                    place.key("operations").index(index),
                    format!(
                        "operations of `http` are {}, so `{shown}` is only about paths that end in `/{last}`; did you mean `methods: [{methods}]`?",
                        Protocol::Http.example()
                    ),
                );
            }
            continue;
        }
        let message = if meets(&by_any) {
            let others = match (methods.is_empty(), !has_paths) {
                (false, true) => "`methods`",
                (true, _) => "`paths`",
                (false, false) => "`methods` and `paths`",
            };
            format!(
                "no request has an operation like `{shown}` and is one of this rule's {others}: all dimensions of a match must be met"
            )
        } else {
            let are: Vec<String> = protocols
                .iter()
                .map(|p| format!("operations of `{p}` are {}", p.example()))
                .collect();
            let hint = meant(pattern, &protocols, |text| {
                let pattern: Option<OperationPattern> = text.parse().ok();
                let texts = pattern.as_ref().and_then(Texts::of_operation);
                texts.is_some_and(|texts| by_rule.iter().any(|set| set.meet(&texts)))
            });
            format!(
                "no request of the connections that this rule is about has an operation like `{shown}`: {}{}",
                are.join("; "),
                hint.map_or_else(String::new, |hint| format!("; did you mean {hint}?"))
            )
        };
        found
            .errors
            .at(place.key("operations").index(index), message);
    }
}

/// What was probably meant by an operation that cannot be met; `can_be_met` tells which operations
/// can.
fn meant(
    pattern: &OperationPattern,
    protocols: &[Protocol],
    can_be_met: impl Fn(&str) -> bool,
) -> Option<String> {
    let text = pattern.as_str();
    if METHODS.contains(&text.to_ascii_uppercase().as_str()) {
        return Some(format!("`methods: [{}]`", text.to_ascii_uppercase()));
    }
    // Where only paths have operations, an action of Azure would be met by chance.
    let is_better =
        |text: &String| can_be_met(text) && (protocols != [Protocol::Http] || text.contains(' '));
    if let Some(better) = respelled(text).into_iter().find(is_better) {
        return Some(format!("`{better}`"));
    }
    if let Some((method, path)) = text.split_once(' ')
        && METHODS.contains(&method.to_ascii_uppercase().as_str())
        && path.starts_with('/')
    {
        let method = method.to_ascii_uppercase();
        return Some(match path.parse::<PathPattern>() {
            Ok(_) => format!("`methods: [{method}]` and `paths: [{path}]`"),
            Err(_) => format!("`methods: [{method}]` and `paths`"),
        });
    }
    if text.starts_with('/') {
        let is_good = text.parse::<PathPattern>().is_ok();
        return is_good.then(|| format!("`paths: [{text}]`"));
    }
    if !protocols.contains(&Protocol::Http) {
        return None;
    }
    methods_for(text).map(|methods| format!("`methods: [{methods}]`"))
}

/// The methods of what Azure calls by the last word of an operation.
fn methods_for(text: &str) -> Option<&'static str> {
    let last = text.rsplit('/').next().unwrap_or(text).to_ascii_lowercase();
    match word(&last).unwrap_or(&last) {
        "read" => Some("GET, HEAD"),
        "write" => Some("PUT, PATCH"),
        "delete" => Some("DELETE"),
        "action" => Some("POST"),
        _ => None,
    }
}

/// The same operation in spellings that requests may have.
fn respelled(text: &str) -> Vec<String> {
    let mut spellings = Vec::new();
    if !text.contains(['/', ' ', '*']) {
        // The last word alone.
        let last = text.to_ascii_lowercase();
        let last = word(&last).unwrap_or(&last);
        if OTHER_WORDS.iter().any(|(_, known)| *known == last) {
            spellings.push(format!("*/{last}"));
        }
    }
    if let Some((method, target)) = text.split_once(' ') {
        let path = target.split(['?', '#']).next().unwrap_or(target).trim();
        let path = match path.split_once("://") {
            Some((_, rest)) => rest
                .split_once('/')
                .map_or("/".into(), |(_, path)| format!("/{path}")),
            None if path.starts_with('/') => path.to_owned(),
            None => format!("/{path}"),
        };
        if let Ok(target) = RequestTarget::parse(&path) {
            spellings.push(format!("{method} {}", target.path()));
        }
    }
    if let Some((before, last)) = text.rsplit_once('/')
        && let Some(word) = word(&last.to_ascii_lowercase())
    {
        spellings.push(format!("{before}/{word}"));
    }
    let text = text.trim_end_matches('/');
    let last = text.rsplit('/').next().unwrap_or(text).to_ascii_lowercase();
    if VERBS.iter().any(|verb| last.starts_with(verb)) {
        spellings.push(format!("{text}/action"));
    }
    spellings.push(format!("{text}/*"));
    spellings.push(text.to_owned());
    spellings
}

fn word(last: &str) -> Option<&'static str> {
    let known = OTHER_WORDS.iter().find(|(other, _)| *other == last);
    known.map(|(_, word)| *word)
}
