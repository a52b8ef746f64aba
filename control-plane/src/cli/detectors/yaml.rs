//! Detectors as YAML that people go on editing: one key a line, patterns without escapes where YAML
//! can do without.

use std::fmt::Write as _;

use chaperone_engine::masking::{Allow, AllowOn, CustomDetector};

/// The keys `detectors` and `detectors_allow` of a policy.
pub(super) fn detectors(detectors: &[CustomDetector], shared: &[Allow]) -> String {
    let mut out = String::from("detectors:");
    if detectors.is_empty() {
        out.push_str(" []");
    }
    out.push('\n');
    for detector in detectors {
        let CustomDetector {
            name,
            description,
            severity,
            regex,
            secret_group,
            keywords,
            entropy,
            allow,
        } = detector;
        line(&mut out, "  - name: ", name);
        if !description.is_empty() {
            line(&mut out, "    description: ", &scalar(description));
        }
        line(&mut out, "    severity: ", &severity.to_string());
        line(&mut out, "    regex: ", &scalar(regex));
        if let Some(group) = secret_group {
            line(&mut out, "    secret_group: ", &group.to_string());
        }
        if !keywords.is_empty() {
            line(&mut out, "    keywords: ", &flow(keywords));
        }
        if let Some(entropy) = entropy {
            line(&mut out, "    entropy: ", &entropy.to_string());
        }
        if !allow.is_empty() {
            out.push_str("    allow:\n");
            allows(&mut out, "      ", allow);
        }
    }
    if !shared.is_empty() {
        out.push_str("detectors_allow:\n");
        allows(&mut out, "  ", shared);
    }
    out
}

fn allows(out: &mut String, indent: &str, allows: &[Allow]) {
    for allow in allows {
        let Allow {
            description,
            regexes,
            stopwords,
            on,
            all,
        } = allow;
        let on = match on {
            AllowOn::Secret => None,
            AllowOn::Match => Some("match"),
            AllowOn::Line => Some("line"),
        };
        let mut keys: Vec<(&str, String)> = Vec::new();
        if !description.is_empty() {
            keys.push(("description", scalar(description)));
        }
        keys.extend(on.map(|on| ("on", on.to_owned())));
        if *all {
            keys.push(("all", "true".to_owned()));
        }
        if !regexes.is_empty() {
            let list = regexes
                .iter()
                .map(|r| format!("\n{indent}    - {}", scalar(r)));
            keys.push(("regexes", list.collect()));
        }
        if !stopwords.is_empty() {
            keys.push(("stopwords", flow(stopwords)));
        }
        if keys.is_empty() {
            let _ = writeln!(out, "{indent}- {{}}");
        }
        for (n, (key, value)) in keys.iter().enumerate() {
            let dash = if n == 0 { "- " } else { "  " };
            let space = if value.starts_with('\n') { "" } else { " " };
            let _ = writeln!(out, "{indent}{dash}{key}:{space}{value}");
        }
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key}{value}");
}

fn flow(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| scalar(word)).collect();
    format!("[{}]", words.join(", "))
}

/// Text in quotes: single ones, in which nothing but themselves is special; double ones, with
/// JSON's escapes, which are YAML's too, for what cannot stand on one line.
fn scalar(text: &str) -> String {
    let printable = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    if text.chars().all(printable) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chaperone_engine::masking::Severity;
    use chaperone_engine::policy::parse_detectors;

    #[test]
    fn what_is_written_reads_back_as_itself() {
        let detector = |name: &str, regex: &str, allow: Vec<Allow>| CustomDetector {
            name: format!("custom/{name}"),
            description: "It's: a #test".to_owned(),
            severity: Severity::Critical,
            regex: regex.to_owned(),
            secret_group: Some(1),
            keywords: vec!["acme".to_owned(), "a, b: 'c'".to_owned()],
            entropy: Some(3.5),
            allow,
        };
        let allow = Allow {
            description: "harmless".to_owned(),
            regexes: vec![r"^example['\x22]".to_owned(), "a\tb\\n".to_owned()],
            stopwords: vec!["yes".to_owned(), "off".to_owned()],
            on: AllowOn::Line,
            all: true,
        };
        let list = vec![
            detector("one", r"acme[_-]('[a-z0-9]{32}')", vec![allow.clone()]),
            detector("two", "acme:(\t[a-z0-9]{32}\\s)", Vec::new()),
        ];
        let text = detectors(&list, std::slice::from_ref(&allow));
        let read = parse_detectors(&text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        assert_eq!(read.detectors, list);
        assert_eq!(read.detectors_allow, [allow]);
    }
}
