//! Reading names against the table.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::rule::{Claim, Does, Name, Place, Rule};
use super::table::RULES;

/// Most characters of a header's name that are shown to anybody.
const MAX_SHOWN: usize = 64;

/// What the headers of a request say besides the request line, and what becomes of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadersRead {
    claimed: Option<(String, Claim)>,
    removed: Vec<String>,
    silently: Vec<String>,
    rewritten: Vec<(String, String)>,
}

/// A list of which only some elements stay. All lines of one header are one list.
struct List<'a> {
    name: &'a str,
    lines: Vec<&'a [u8]>,
    kept: &'static [&'static str],
}

impl HeadersRead {
    /// Of these headers: names in lower case, with their values.
    pub fn of<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut read = Self::default();
        let mut lists: Vec<List<'a>> = Vec::new();
        for (name, value) in headers {
            // `:method` and the like are no headers.
            if name.starts_with(':') {
                continue;
            }
            let spelled = normal(name);
            let rule = HEADERS.get(&spelled);
            if let Some(Does::Refuse(claim)) = rule.map(|rule| rule.does) {
                read.claimed.get_or_insert_with(|| (shown(name), claim));
            } else if spelled != name {
                push_once(&mut read.removed, name);
            } else {
                match rule.map(|rule| rule.does) {
                    Some(Does::Remove) => push_once(&mut read.removed, name),
                    Some(Does::RemoveSilently) => push_once(&mut read.silently, name),
                    Some(Does::KeepOnly(kept)) => {
                        match lists.iter_mut().find(|list| list.name == name) {
                            Some(list) => list.lines.push(value),
                            None => lists.push(List {
                                name,
                                lines: vec![value],
                                kept,
                            }),
                        }
                    }
                    _ => {}
                }
            }
        }
        for list in &lists {
            read.cut(list);
        }
        read
    }

    fn cut(&mut self, List { name, lines, kept }: &List<'_>) {
        let all: Vec<&[u8]> = lines.iter().flat_map(|line| elements(line)).collect();
        let stays: Vec<&str> = all
            .iter()
            .filter_map(|element| {
                let is = |kept: &&&str| kept.as_bytes().eq_ignore_ascii_case(element);
                kept.iter().find(is).copied()
            })
            .collect();
        if stays.is_empty() {
            push_once(&mut self.removed, name);
        } else if stays.len() < all.len() {
            self.rewritten.push(((*name).to_owned(), stays.join(", ")));
        }
    }

    /// The first header that asks for something else than the request line, for which the request
    /// is refused: its name as it came, cut, and what it asks for.
    pub fn claimed(&self) -> Option<(&str, Claim)> {
        let (name, claim) = self.claimed.as_ref()?;
        Some((name, *claim))
    }

    /// Names of headers that do not go upstream, as they came, each once. Those that the proxy
    /// writes into nearly every request are not among them.
    pub fn removed(&self) -> &[String] {
        &self.removed
    }

    /// Every name that does not go upstream.
    pub fn all_removed(&self) -> impl Iterator<Item = &str> {
        self.removed
            .iter()
            .chain(&self.silently)
            .map(String::as_str)
    }

    /// Headers that go upstream with another value, and that value.
    pub fn rewritten(&self) -> &[(String, String)] {
        &self.rewritten
    }
}

/// A name in the spelling in which names are compared: lower case, and a dash for every byte that
/// is no letter or digit.
pub fn normal(name: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let dashed = |b: u8| match b {
        b if b.is_ascii_alphanumeric() => char::from(b.to_ascii_lowercase()),
        _ => '-',
    };
    Cow::Owned(name.bytes().map(dashed).collect())
}

/// What a query parameter asks for that the request line does not, by its decoded name.
///
/// Read as PHP reads it, too, which is the widest reading: blanks in front are dropped, a bracket
/// ends the name, or is an underscore where it begins it.
pub(in crate::request) fn claim_of_parameter(name: &str) -> Option<Claim> {
    let name = name.trim_start_matches([' ', '+']);
    let end = name
        .char_indices()
        .skip(1)
        .find(|(_, c)| matches!(c, '[' | '\0'));
    let name = end.and_then(|(at, _)| name.get(..at)).unwrap_or(name);
    let is = |rule: &&&Rule| rule.name.text().eq_ignore_ascii_case(name);
    let literally = PARAMETERS.literals.iter().find(is).copied();
    match literally.or_else(|| PARAMETERS.get(&normal(name)))?.does {
        Does::Refuse(claim) => Some(claim),
        _ => None,
    }
}

fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN).collect()
}

fn push_once(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// The elements of a list (RFC 9110 §5.6.1), without blanks and empty ones.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// The rows about one place, ready to be asked. Every header of every request is looked up, so rows
/// stand under the beginning of their names: most headers are of no group, which one search tells.
struct Index {
    /// In the order of their beginnings.
    groups: Vec<(String, Vec<&'static Rule>)>,
    words: Vec<&'static Rule>,
    literals: Vec<&'static Rule>,
}

static HEADERS: LazyLock<Index> = LazyLock::new(|| Index::of(Place::Header));
static PARAMETERS: LazyLock<Index> = LazyLock::new(|| Index::of(Place::Query));

impl Index {
    fn of(place: Place) -> Self {
        let mut groups: BTreeMap<String, Vec<&'static Rule>> = BTreeMap::new();
        let (mut words, mut literals) = (Vec::new(), Vec::new());
        for rule in RULES.iter().filter(|rule| rule.place == place) {
            match rule.name {
                Name::Exact(name) | Name::Prefix(name) => {
                    let beginning = beginning(&normal(name)).to_owned();
                    groups.entry(beginning).or_default().push(rule);
                }
                Name::Word(_) => words.push(rule),
                Name::Literal(_) => literals.push(rule),
            }
        }
        Self {
            groups: groups.into_iter().collect(),
            words,
            literals,
        }
    }

    /// The row about a name in normal form: the one that names it, or else one that names a part
    /// of it, or else the one with the longest beginning.
    fn get(&self, name: &str) -> Option<&'static Rule> {
        let wanted = beginning(name);
        let at = self
            .groups
            .binary_search_by(|(beginning, _)| beginning.as_str().cmp(wanted));
        let group = at.ok().and_then(|at| self.groups.get(at));
        let rules = group.map_or(&[][..], |(_, rules)| rules);
        let named = |rule: &&&Rule| matches!(rule.name, Name::Exact(_)) && spells(rule, name);
        if let Some(rule) = rules.iter().find(named) {
            return Some(rule);
        }
        let of_word = |part: &[u8]| {
            let mut words = self.words.iter();
            words.find(|rule| part.starts_with(rule.name.text().as_bytes()))
        };
        if let Some(rule) = name.as_bytes().split(|b| *b == b'-').find_map(of_word) {
            return Some(rule);
        }
        let begins =
            |rule: &&&Rule| matches!(rule.name, Name::Prefix(_)) && begins_with(rule, name);
        let longest = |rule: &&&Rule| rule.name.text().len();
        rules.iter().filter(begins).max_by_key(longest).copied()
    }
}

/// The first part of a name, or the first two where the first is the `x` of half of all names.
fn beginning(name: &str) -> &str {
    let parts = if name.starts_with("x-") { 1 } else { 0 };
    let mut dashes = name.bytes().enumerate().filter(|(_, b)| *b == b'-');
    dashes
        .nth(parts)
        .and_then(|(at, _)| name.get(..at))
        .unwrap_or(name)
}

fn spells(rule: &Rule, name: &str) -> bool {
    normal(rule.name.text()) == name
}

fn begins_with(rule: &Rule, name: &str) -> bool {
    let rest = name.strip_prefix(rule.name.text());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
