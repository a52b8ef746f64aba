//! Words that errors of a document share: choices, near misses, and text cut to fit.

/// `text`, cut so that it fits into a message.
pub(super) fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// `` `a`, `b` or `c` ``
pub(super) fn choices<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{}`", shorten(name)))
        .collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// Of `names`, the one that `wrong` was probably meant to be.
pub(super) fn near_miss<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = shorten(wrong).to_lowercase();
    // A third of the letters may differ: `alow` is `allow`, `http` is not `https-proxy`.
    let tolerance = wrong.chars().count().div_ceil(3).min(3);
    names
        .into_iter()
        .map(|name| (edit_distance(&wrong, &shorten(name).to_lowercase()), name))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `; did you mean ...?` or, without a near miss, the names that were expected.
pub(super) fn suggest(wrong: &str, names: &[&str]) -> String {
    /// More choices than this are a list to look up, not a hint.
    const MAX_CHOICES: usize = 16;
    match near_miss(wrong, names.iter().copied()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None if names.is_empty() => String::new(),
        None if names.len() > MAX_CHOICES => {
            let first = names.iter().copied().take(MAX_CHOICES);
            format!("; expected one of {}, …", choices(first))
        }
        None => format!("; expected {}", choices(names.iter().copied())),
    }
}

/// Levenshtein distance. Its callers bound the lengths.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal.saturating_add(usize::from(x != y));
            diagonal = *cell;
            left = replaced
                .min(left.saturating_add(1))
                .min(cell.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let keys = ["connections", "groups", "subjects", "apiVersion"];
        for (wrong, right) in [
            ("goups", Some("groups")),
            ("group", Some("groups")),
            ("Groups", Some("groups")),
            ("apiversion", Some("apiVersion")),
            ("connectoins", Some("connections")),
            ("x", None),
            ("verbs", None),
        ] {
            assert_eq!(near_miss(wrong, keys), right, "{wrong}");
        }
    }

    #[test]
    fn the_edit_distance_counts_insertions_deletions_and_replacements() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("abc", "abc", 0),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }
}
