//! Who a rule is about: subjects, groups and agents are compared exactly, and look like patterns to
//! some.

use super::findings::Findings;
use crate::policy::document::Rule;
use crate::policy::error::Place;
use crate::policy::wording::shorten;

pub(super) fn review(place: &Place, rule: &Rule, found: &mut Findings) {
    let wanted = place.key("match");
    for (key, one, names) in [
        ("subjects", "subject", &rule.r#match.subjects),
        ("groups", "group", &rule.r#match.groups),
        ("agents", "agent", &rule.r#match.agents),
    ] {
        each(&wanted.key(key), key, one, names, true, found);
    }
    if let Some(terms) = &rule.approve {
        let by = place.key("approve").key("by");
        each(&by, "by", "group", &terms.by, false, found);
    }
}

fn each(
    place: &Place,
    key: &str,
    one: &str,
    names: &[String],
    may_be_left_out: bool,
    found: &mut Findings,
) {
    let a = if one == "agent" { "an" } else { "a" };
    for (index, name) in names.iter().enumerate() {
        let place = place.index(index);
        let shown = shorten(name);
        if name == "*" && may_be_left_out {
            found.errors.at(
                place,
                format!("{key} are compared exactly, and no caller's {one} is `*`; to mean anybody, leave `{key}` out"),
            );
        } else if name.contains('*') && key == "by" {
            found.errors.at(
                place,
                "a group is compared exactly, and `*` stands for itself here; name each group whose members may \
                 approve, as in `by: [sre]`",
            );
        } else if name.contains('*') {
            found.errors.at(
                place,
                format!(
                    "{a} {one} is compared exactly, `*` stands for itself here, and no caller has `{shown}`; name each {one} \
                     that is meant{}",
                    instead_of(key)
                ),
            );
        } else if let Some(template) = unfilled(name) {
            found.errors.at(
                place,
                format!("`{template}` was not filled in: write the {one} that is meant"),
            );
        } else if name.starts_with('^') || name.ends_with('$') {
            let plain = name.trim_start_matches('^').trim_end_matches('$');
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b" ._@:/-".contains(&b);
            let hint = if !plain.is_empty() && plain.bytes().all(is_plain) {
                format!("; did you mean `{plain}`?")
            } else {
                format!("; name each {one} that is meant")
            };
            found.warnings.at(
                place,
                format!(
                    "{a} {one} is compared exactly, and `{shown}` is no regular expression here{hint}"
                ),
            );
        } else if one == "subject" && is_domain(name) {
            found.errors.at(
                place,
                format!(
                    "a subject is compared exactly, and `{shown}` is none of those that end so; name each subject that is \
                     meant{}",
                    instead_of(key)
                ),
            );
        } else if name.contains(',') && !name.contains('=') {
            let parts = name.split(',').map(|part| part.trim().to_owned());
            let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
            found.warnings.at(
                place,
                format!(
                    "this is one {one} with a comma in its name; did you mean `[{}]`?",
                    shorten(&parts.join(", "))
                ),
            );
        }
    }
}

fn instead_of(key: &str) -> &'static str {
    match key {
        "subjects" => ", or let `groups` say who they are",
        "groups" => ", or have the issuer put one group above them into its tokens",
        _ => "",
    }
}

/// The end of mail addresses without a name before it.
fn is_domain(name: &str) -> bool {
    name.strip_prefix('@')
        .is_some_and(|rest| rest.contains('.') && !rest.contains(['@', ':', '/']))
}

/// The part of a text that some template was to fill in, or its author.
pub(super) fn unfilled(text: &str) -> Option<String> {
    let pairs = [
        ("{{", "}}"),
        ("${", "}"),
        ("$(", ")"),
        ("{", "}"),
        ("<", ">"),
        ("@@", "@@"),
    ];
    for (opening, closing) in pairs {
        if let Some((_, after)) = text.split_once(opening)
            && let Some((inner, _)) = after.split_once(closing)
            && !inner.is_empty()
        {
            return Some(format!("{opening}{}{closing}", shorten(inner)));
        }
    }
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    let is_constant = |name: &str| is_name(name) && !name.bytes().any(|b| b.is_ascii_lowercase());
    // `%TEAM%`, and no `%AB%CD`, which are two bytes.
    if let Some((_, after)) = text.split_once('%')
        && let Some((inner, _)) = after.split_once('%')
        && is_name(inner)
        && (inner.len() != 2 || !inner.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Some(format!("%{}%", shorten(inner)));
    }
    let variable = text.strip_prefix('$').is_some_and(is_constant);
    let dunder = text
        .strip_prefix("__")
        .and_then(|rest| rest.strip_suffix("__"));
    let own = [
        "YOUR_",
        "YOUR-",
        "CHANGE_ME",
        "CHANGE-ME",
        "CHANGEME",
        "REPLACE_ME",
        "REPLACE-ME",
        "REPLACEME",
    ];
    let left = is_constant(text) && own.iter().any(|word| text.starts_with(word));
    (variable || dunder.is_some_and(is_constant) || left || text.eq_ignore_ascii_case("changeme"))
        .then(|| shorten(text))
}
