//! Habits of other programs in path patterns.
//!
//! A proxy's `location /admin/` and a firewall's `/v1/files*` mean everything below. Here they mean
//! one path, and a rule that should keep something from happening leaves the rest open.

use super::findings::{Findings, Written};
use super::scope::guards;
use crate::policy::decide::{Matcher, PathGlob};
use crate::policy::document::{Effect, PathPattern, Rule};
use crate::policy::error::Place;
use crate::policy::expression_like;
use crate::policy::wording::shorten;

pub(super) fn review(place: &Place, rule: &Rule, written: &Written<'_>, found: &mut Findings) {
    let effect = place.key("effect");
    let place = place.key("match").key("paths");
    let paths = &rule.r#match.paths;
    for (index, pattern) in paths.iter().enumerate() {
        let place = place.index(index);
        let as_written = written(&place).unwrap_or(pattern.as_str());
        if let Some(placeholder) = placeholder(as_written) {
            found.warnings.at(
                place,
                format!(
                    "`{placeholder}` stands for itself here, and no request has it; did you mean `{}`?",
                    widened(filled(as_written), rule)
                ),
            );
            continue;
        }
        if expression_like::is_one(as_written) {
            let meant = expression_like::as_pattern(as_written).map(|meant| widened(meant, rule));
            let hint = match meant {
                Some(meant) if meant.parse::<PathPattern>().is_ok() => {
                    format!("; did you mean `{meant}`?")
                }
                _ => "; write one pattern for each path that is meant".to_owned(),
            };
            found.warnings.at(
                place,
                format!(
                    "this is no regular expression: but for `*` and `**`, each character stands for itself{hint}"
                ),
            );
            continue;
        }
        if !guards(rule) {
            continue;
        }
        let passes = match rule.effect {
            Effect::Deny => "is not denied",
            _ => "needs no approval",
        };
        if let Some(prefix) = prefix(pattern, as_written)
            && !PathGlob::new(pattern, false).matches(&prefix.missed)
            && !prefix.above.ends_with("/**")
            && !paths.iter().any(|other| covers(other, &prefix.above))
        {
            found.warnings.between(
                place,
                std::slice::from_ref(&effect),
                format!(
                    "`{}` matches {}, so `{}` {passes} by this rule; did you mean `{}/**`?",
                    shorten(as_written),
                    prefix.exactly,
                    prefix.missed,
                    prefix.above
                ),
            );
        }
    }
}

/// A part of a path that other programs fill in: `{id}`, `:id`, `<id>`.
fn placeholder(pattern: &str) -> Option<&str> {
    pattern.split('/').find(|segment| {
        let inside = |open, close| {
            segment.len() > 2 && segment.starts_with(open) && segment.ends_with(close)
        };
        let is_name = |rest: &str| {
            rest.starts_with(|c: char| c.is_ascii_alphabetic())
                && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        inside('{', '}')
            || inside('<', '>')
            || segment.strip_prefix(':').is_some_and(is_name)
            || expression_like::is_variable(segment)
    })
}

/// A pattern with a star for each placeholder.
fn filled(pattern: &str) -> String {
    let segments = pattern
        .split('/')
        .map(|segment| match placeholder(segment) {
            Some(_) => "*",
            None => segment,
        });
    segments.collect::<Vec<_>>().join("/")
}

/// What is suggested for a rule that keeps something from happening must not be too narrow itself.
fn widened(pattern: String, rule: &Rule) -> String {
    match pattern.strip_suffix("/*") {
        Some(above) if guards(rule) && !above.is_empty() && !above.ends_with("/**") => {
            format!("{above}/**")
        }
        _ => pattern,
    }
}

/// A pattern that looks as if it meant all that begins with it.
struct Prefix {
    /// What it matches.
    exactly: &'static str,
    /// Above what the rest was probably meant to be.
    above: String,
    /// A path that was meant and is not matched.
    missed: String,
}

fn prefix(pattern: &PathPattern, as_written: &str) -> Option<Prefix> {
    let pattern = pattern.as_str();
    let found = |exactly, above: String, rest: &str| {
        let missed = format!("{}{rest}", above.replace("**", "x").replace('*', "x"));
        Some(Prefix {
            exactly,
            above,
            missed,
        })
    };
    if pattern.len() > 1 && as_written.ends_with('/') {
        let exactly = "that one path, with and without the slash";
        return found(exactly, pattern.to_owned(), "/1");
    }
    let (parent, last) = pattern.rsplit_once('/')?;
    match last.strip_suffix('*') {
        Some("") if !parent.is_empty() => found(
            "paths with exactly one more segment",
            parent.to_owned(),
            "/1/2",
        ),
        Some(name) if !name.is_empty() && !name.contains('*') => {
            found("within one segment only", format!("{parent}/{name}"), "/1")
        }
        _ => None,
    }
}

/// Whether a pattern matches everything below a path.
fn covers(pattern: &PathPattern, path: &str) -> bool {
    let above = pattern.as_str().strip_suffix("/**");
    above.is_some_and(|above| {
        path.strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
