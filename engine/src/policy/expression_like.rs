//! Path patterns that were written as regular expressions, and the patterns that were probably
//! meant.
//!
//! A path may contain most characters that expressions are made of: OData has `/users('ada')` and
//! `/$batch`. So single characters tell nothing; what they stand beside does.

/// Names that OData gives to segments.
#[cfg(feature = "authoring")]
const ODATA: [&str; 12] = [
    "all",
    "batch",
    "count",
    "crossjoin",
    "each",
    "entity",
    "filter",
    "links",
    "metadata",
    "query",
    "ref",
    "value",
];

/// Whether a pattern looks as if it was meant to be a regular expression.
pub(super) fn is_one(pattern: &str) -> bool {
    pattern.starts_with('^') || pattern.contains("[^/]") || pattern.split('/').any(is_segment)
}

fn is_segment(segment: &str) -> bool {
    let has = |part: &str| segment.contains(part);
    let repeated = [".+", ")+", ")*", ")?", "]+", "]*", "}+"];
    segment.contains(['^', '|', '[', ']', '\\'])
        || segment == ".*"
        || segment.starts_with('(')
        || segment.ends_with('$')
        || repeated.into_iter().any(has)
}

/// A variable of a shell or a template, as a segment: `$id`.
#[cfg(feature = "authoring")]
pub(super) fn is_variable(segment: &str) -> bool {
    segment.strip_prefix('$').is_some_and(|name| {
        !ODATA.contains(&name)
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// The pattern that was probably meant, where that is one pattern. Whoever suggests it must see
/// whether it is good.
pub(super) fn as_pattern(expression: &str) -> Option<String> {
    let text = expression.trim_start_matches('^').trim_end_matches('$');
    let text = text
        .replace("[^/]+", "*")
        .replace("[^/]*", "*")
        .replace("\\", "");
    let text = text
        .strip_prefix('/')
        .unwrap_or(&text)
        .trim_end_matches('/');
    let count = text.split('/').count();
    let mut pattern = String::new();
    for (index, segment) in text.split('/').enumerate() {
        let is_last = index.saturating_add(1) == count;
        pattern.push('/');
        match segment {
            ".*" | ".+" | "(.*)" | "(.+)" if is_last => pattern.push_str("**"),
            // Several paths, which one pattern cannot name.
            other if other.contains(['|', '(']) => return None,
            // A class: any text within the segment.
            other if is_segment(other) => {
                let begin = other.find(['[', '.']).unwrap_or(other.len());
                pattern.push_str(other.get(..begin).unwrap_or_default());
                pattern.push('*');
            }
            other => pattern.push_str(other),
        }
    }
    (!is_one(&pattern)).then_some(pattern)
}
