//! Reads a gitleaks configuration (TOML), so that a rule set that exists can be used as it is.
//!
//! Source: <https://github.com/gitleaks/gitleaks#configuration>. Keys are read without regard to
//! case, as gitleaks does. Keys that mean nothing for text on the wire (paths, commits) and
//! `[extend]` are left out. Each is named in [`Imported::notes`]; nothing is left out in silence.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use chaperone_engine::masking::{
    Allow, AllowOn, CustomDetector, Severity, check_allow, check_custom,
};
use serde::Deserialize;
use toml::{Table, Value};

#[cfg(test)]
mod tests;

/// Largest configuration, in bytes.
const MAX_CONFIGURATION: usize = 8 << 20;
/// Most rules that a note names.
const NAMED: usize = 5;

/// What a configuration gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Imported {
    /// A detector for each rule, in the same order.
    pub(super) detectors: Vec<CustomDetector>,
    /// The global allow lists: for all of these detectors.
    pub(super) allow: Vec<Allow>,
    /// Rules that cannot be used.
    pub(super) refused: Vec<Refused>,
    /// What was left out or changed, as sentences.
    pub(super) notes: Vec<String>,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// The rule's id.
    pub(super) rule: String,
    /// Why, as a sentence.
    pub(super) reason: String,
}

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ImportError {
    /// So many bytes are more than are read.
    TooLong(usize),
    /// It is no TOML, or a key of a rule has a value of another type than gitleaks gives it. The
    /// line counts from 1; it is not known of values, whose keys were changed to lower case.
    Malformed {
        message: String,
        line: Option<usize>,
    },
    /// It is TOML and says nothing of rules.
    NoRules,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(
                f,
                "the configuration has {bytes} bytes; at most {MAX_CONFIGURATION} are read"
            ),
            Self::Malformed { message, line } => {
                write!(f, "this is no gitleaks configuration: {message}")?;
                line.map_or(Ok(()), |line| write!(f, " (line {line})"))
            }
            Self::NoRules => f.write_str(
                "this is no gitleaks configuration: it has neither [[rules]] nor an allowlist",
            ),
        }
    }
}

impl std::error::Error for ImportError {}

/// Makes custom detectors of a gitleaks configuration. Each of them compiles.
///
/// # Errors
/// The text is no TOML, or says nothing of rules.
pub(super) fn import(text: &str) -> Result<Imported, ImportError> {
    if text.len() > MAX_CONFIGURATION {
        return Err(ImportError::TooLong(text.len()));
    }
    let malformed = |error: &toml::de::Error, line| ImportError::Malformed {
        message: error.message().to_owned(),
        line,
    };
    let table: Table = toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| {
            let before = text.as_bytes().get(..span.start).unwrap_or_default();
            before.iter().filter(|&&b| b == b'\n').count() + 1
        });
        malformed(&error, Some(line))
    })?;
    let config: Config = Value::Table(in_lower_case(table))
        .try_into()
        .map_err(|error: toml::de::Error| malformed(&error, None))?;
    if config.rules.is_empty() && config.allowlist.is_none() && config.allowlists.is_empty() {
        return Err(ImportError::NoRules);
    }
    let mut importer = Importer::default();
    importer.config(config);
    Ok(importer.finish())
}

#[derive(Deserialize)]
struct Config {
    extend: Option<Table>,
    allowlist: Option<List>,
    #[serde(default)]
    allowlists: Vec<List>,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(default)]
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    path: Option<String>,
    secretgroup: Option<u32>,
    entropy: Option<f64>,
    #[serde(default)]
    keywords: Vec<String>,
    allowlist: Option<List>,
    #[serde(default)]
    allowlists: Vec<List>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    description: String,
    condition: Option<String>,
    #[serde(default)]
    commits: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    regextarget: Option<String>,
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default)]
    stopwords: Vec<String>,
    #[serde(default)]
    targetrules: Vec<String>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

#[derive(Default)]
struct Importer {
    out: Imported,
    names: HashSet<String>,
    /// What was left out, and of which rules.
    left_out: BTreeMap<String, Vec<String>>,
    /// The detector of each rule id.
    of_rule: BTreeMap<String, usize>,
}

impl Importer {
    fn config(&mut self, config: Config) {
        if let Some(extend) = config.extend {
            let keys: Vec<&str> = extend.keys().map(String::as_str).collect();
            self.out.notes.push(format!(
                "[extend] ({}) is not followed: import the configuration that it names as well, and leave out the rules that it disables",
                keys.join(", ")
            ));
        }
        let other: Vec<String> = config.other.into_keys().collect();
        if !other.is_empty() {
            self.out.notes.push(format!(
                "top-level keys that say nothing of what is found are not kept: {}",
                other.join(", ")
            ));
        }
        for rule in config.rules {
            self.rule(rule);
        }
        for list in config.allowlist.into_iter().chain(config.allowlists) {
            let targets = list.targetrules.clone();
            let Some(allow) = self.list("the global allowlist", list) else {
                continue;
            };
            if targets.is_empty() {
                self.out.allow.push(allow);
                continue;
            }
            for target in targets {
                let detector = self.of_rule.get(&target);
                match detector.and_then(|&at| self.out.detectors.get_mut(at)) {
                    Some(detector) => detector.allow.push(allow.clone()),
                    None => self.leave_out("targetRules that name no rule are not kept", &target),
                }
            }
        }
    }

    fn rule(&mut self, rule: Rule) {
        let id = if rule.id.is_empty() {
            "(without id)".to_owned()
        } else {
            rule.id
        };
        for key in rule.other.into_keys() {
            let what = match key.as_str() {
                "tags" => "tags are not kept",
                "required" => {
                    "`required` is not looked at: the rule finds also where the others find nothing"
                }
                "skipreport" => "`skipReport` is not looked at: the rule acts as any other",
                _ => {
                    self.leave_out(&format!("the key {key:?} is not known"), &id);
                    continue;
                }
            };
            self.leave_out(what, &id);
        }
        let Some(regex) = rule.regex.filter(|regex| !regex.is_empty()) else {
            self.leave_out(
                "rules without a regex are left out: they look at the names of files",
                &id,
            );
            return;
        };
        if rule.path.is_some() {
            self.leave_out("`path` is not looked at: the rule applies to all text", &id);
        }
        let mut allow = Vec::new();
        for list in rule.allowlist.into_iter().chain(rule.allowlists) {
            if !list.targetrules.is_empty() {
                self.leave_out(
                    "`targetRules` is not looked at in a rule's own allowlist",
                    &id,
                );
            }
            allow.extend(self.list(&id, list));
        }
        let detector = CustomDetector {
            name: self.name(&id),
            description: rule.description,
            severity: Severity::High,
            regex,
            secret_group: rule.secretgroup.filter(|&group| group > 0),
            keywords: rule.keywords,
            entropy: rule.entropy.filter(|&bits| bits > 0.0),
            allow,
        };
        self.of_rule
            .entry(id.clone())
            .or_insert(self.out.detectors.len());
        self.out.detectors.push(detector);
    }

    fn list(&mut self, of: &str, list: List) -> Option<Allow> {
        for key in list.other.into_keys() {
            self.leave_out(&format!("the key {key:?} of an allowlist is not known"), of);
        }
        let all = match list.condition.as_deref() {
            None => false,
            Some(c) if c.eq_ignore_ascii_case("or") || c == "||" => false,
            Some(c) if c.eq_ignore_ascii_case("and") || c == "&&" => true,
            Some(c) => {
                self.leave_out(
                    &format!(
                        "an allowlist with the condition {c:?} is left out: AND and OR are known"
                    ),
                    of,
                );
                return None;
            }
        };
        let elsewhere = !list.paths.is_empty() || !list.commits.is_empty();
        if elsewhere && all {
            self.leave_out(
                "an allowlist that asks for a path or a commit AND for something else is left out: it never applies to text on the wire",
                of,
            );
            return None;
        }
        if elsewhere {
            self.leave_out(
                "`paths` and `commits` of an allowlist are not looked at",
                of,
            );
        }
        if list.regexes.is_empty() && list.stopwords.is_empty() {
            return None;
        }
        let on = match list.regextarget.as_deref() {
            None | Some("" | "secret") => AllowOn::Secret,
            Some("match") => AllowOn::Match,
            Some("line") => AllowOn::Line,
            Some(target) => {
                self.leave_out(
                    &format!("an allowlist with the regexTarget {target:?} is left out: match, line and secret are known"),
                    of,
                );
                return None;
            }
        };
        Some(Allow {
            description: list.description,
            all: all && !list.regexes.is_empty() && !list.stopwords.is_empty(),
            regexes: list.regexes,
            stopwords: list.stopwords,
            on,
        })
    }

    /// A name for the rule's detector that no other has.
    fn name(&mut self, id: &str) -> String {
        let mut own: String = id
            .chars()
            .map(|c| match c.to_ascii_lowercase() {
                c @ ('a'..='z' | '0'..='9' | '.' | '_' | '-') => c,
                _ => '-',
            })
            .skip_while(|c| !c.is_ascii_alphanumeric())
            .take(63)
            .collect();
        if own.is_empty() {
            "rule".clone_into(&mut own);
        }
        let mut name = format!("custom/{own}");
        let mut number = 2_u32;
        while !self.names.insert(name.clone()) {
            let short: String = own.chars().take(57).collect();
            name = format!("custom/{short}-{number}");
            number = number.saturating_add(1);
        }
        if name.strip_prefix("custom/") != Some(id) {
            self.out
                .notes
                .push(format!("the rule {id:?} is called {name:?}"));
        }
        name
    }

    fn leave_out(&mut self, what: &str, rule: &str) {
        let rules = self.left_out.entry(what.to_owned()).or_default();
        if rules.last().is_none_or(|last| last != rule) {
            rules.push(rule.to_owned());
        }
    }

    /// Compiles each detector, so that what is given can be published.
    fn finish(mut self) -> Imported {
        for (what, rules) in std::mem::take(&mut self.left_out) {
            let named: Vec<&str> = rules.iter().take(NAMED).map(String::as_str).collect();
            let more = match rules.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.out
                .notes
                .push(format!("{what} ({}{more})", named.join(", ")));
        }
        let allow = std::mem::take(&mut self.out.allow);
        for one in allow {
            match check_allow(&one) {
                Ok(()) => self.out.allow.push(one),
                Err(error) => self.out.refused.push(Refused {
                    rule: "the global allowlist".to_owned(),
                    reason: error.to_string(),
                }),
            }
        }
        for (place, reason) in check_custom(&self.out.detectors, &[]).into_iter().rev() {
            if place < self.out.detectors.len() {
                let rule = self.out.detectors.remove(place).name;
                self.out.refused.push(Refused { rule, reason });
            }
        }
        self.out.refused.reverse();
        self.out
    }
}

fn in_lower_case(table: Table) -> Table {
    fn inside(value: Value) -> Value {
        match value {
            Value::Table(table) => Value::Table(in_lower_case(table)),
            Value::Array(all) => Value::Array(all.into_iter().map(inside).collect()),
            other => other,
        }
    }
    table
        .into_iter()
        .map(|(key, v)| (key.to_ascii_lowercase(), inside(v)))
        .collect()
}
