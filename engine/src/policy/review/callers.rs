//! Who a rule is about: subjects, groups and agents are compared exactly, and look like patterns to some.

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
            found.warnings.at(
                place,
                format!("{a} {one} is compared exactly, and `{shown}` is no regular expression here; did you mean `{}`?",
                    name.trim_start_matches('^').trim_end_matches('$')),
            );
        } else if name.contains(',') && !name.contains('=') {
            let parts: Vec<String> = name.split(',').map(|part| part.trim().to_owned()).collect();
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

/// The part of a text that some template was to fill in.
pub(super) fn unfilled(text: &str) -> Option<String> {
    for (opening, closing) in [("{{", "}}"), ("${", "}"), ("{", "}"), ("<", ">")] {
        if let Some((_, after)) = text.split_once(opening)
            && let Some((inner, _)) = after.split_once(closing)
            && !inner.is_empty()
        {
            return Some(format!("{opening}{}{closing}", shorten(inner)));
        }
    }
    None
}
