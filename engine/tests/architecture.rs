//! Which module may import which: no import of the engine runs up, and no files import each other in a
//! circle.
//!
//! The order of the engine's modules stands in one place, the table at the head of `src/lib.rs`. Files
//! are read as text: an import is a path that begins with `crate`, `super` or `self`, wherever it stands
//! outside of tests. A path through a re-export counts as one to the file that has the item.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of the engine whose files may still import each other in a circle.
const CIRCLES_ALLOWED: [&str; 1] = ["masking"];

fn engine() -> House {
    House::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn no_import_of_the_engine_runs_up() {
    let house = engine();
    let order = order_of_modules();
    let floor = |file: &str| {
        let module = house.top(file);
        let floor = order.iter().position(|name| name == module);
        floor.unwrap_or_else(|| panic!("`{module}` is missing in the table at the head of lib.rs"))
    };
    let mut upward = Vec::new();
    for (from, to) in house.arrows() {
        if house.top(from) != house.top(to) && floor(to) > floor(from) {
            upward.push(format!("{from} imports {to}"));
        }
    }
    assert!(
        upward.is_empty(),
        "A module imports only modules above it in the table of lib.rs; these run the other way:\n{}",
        upward.join("\n")
    );
}

#[test]
fn no_files_of_the_engine_import_each_other_in_a_circle() {
    let house = engine();
    let (allowed, circles): (Vec<_>, Vec<_>) = house.circles().into_iter().partition(|circle| {
        let of = |folder: &&str| circle.iter().all(|file| house.top(file) == *folder);
        CIRCLES_ALLOWED.iter().any(of)
    });
    assert!(
        circles.is_empty(),
        "Circles of imports:\n{}",
        told(&circles)
    );
    for folder in CIRCLES_ALLOWED {
        let still = allowed
            .iter()
            .any(|circle| circle.iter().any(|file| house.top(file) == folder));
        assert!(
            still,
            "`{folder}` has no circle any more: take it out of CIRCLES_ALLOWED"
        );
    }
}

fn told(circles: &[Vec<String>]) -> String {
    let lines: Vec<String> = circles.iter().map(|files| files.join(" -> ")).collect();
    lines.join("\n")
}

/// The modules in the order of the table at the head of `lib.rs`, the lowest first.
fn order_of_modules() -> Vec<String> {
    let lib = include_str!("../src/lib.rs");
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let order: Vec<String> = rows
        .filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect();
    assert!(
        order.len() > 5,
        "the table at the head of lib.rs is gone: {order:?}"
    );
    order
}

/// The files of a crate with their imports.
struct House {
    /// By module path: `["policy", "check"]` is `policy/check/mod.rs`.
    files: BTreeMap<Vec<String>, Source>,
}

struct Source {
    /// As it is shown: `policy/check/mod.rs`.
    name: String,
    /// What is imported by `use`: the name here, and the path. Re-exports among them.
    names: BTreeMap<String, Vec<String>>,
    /// All paths to other files but those that only hand a name on.
    paths: BTreeSet<Vec<String>>,
}

impl House {
    fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if path.is_dir() {
                    if path.file_name().is_some_and(|name| name != "tests") {
                        folders.push(path);
                    }
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path
                        .strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .replace('\\', "/");
                    let module = module_of(&name);
                    if !is_left_out(&module) {
                        let text = fs::read_to_string(&path).unwrap();
                        files.insert(module.clone(), Source::read(name, &module, &text));
                    }
                }
            }
        }
        assert!(
            !files.is_empty(),
            "no source files below {}",
            root.display()
        );
        Self { files }
    }

    /// The first folder, or the file itself where it stands in none.
    fn top<'a>(&self, file: &'a str) -> &'a str {
        let first = file.split('/').next().unwrap_or(file);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Each file with each that it imports.
    fn arrows(&self) -> BTreeSet<(&str, &str)> {
        let mut arrows = BTreeSet::new();
        for source in self.files.values() {
            for path in &source.paths {
                if let Some(target) = self.find(path, 0) {
                    arrows.insert((source.name.as_str(), target));
                }
            }
        }
        arrows.retain(|(from, to)| from != to);
        arrows
    }

    /// The file that has the item that a path from the crate's root leads to.
    fn find(&self, path: &[String], depth: u8) -> Option<&str> {
        let length = (1..=path.len())
            .rev()
            .find(|length| self.files.contains_key(&path[..*length]))?;
        let source = &self.files[&path[..length]];
        let rest = &path[length..];
        match rest.first().and_then(|name| source.names.get(name)) {
            Some(handed_on) if depth < 8 => {
                let path: Vec<String> = handed_on.iter().chain(&rest[1..]).cloned().collect();
                self.find(&path, depth + 1).or(Some(&source.name))
            }
            _ => Some(&source.name),
        }
    }

    /// Groups of files that reach each other, each group sorted.
    fn circles(&self) -> Vec<Vec<String>> {
        let arrows = self.arrows();
        let reached = |from: &str| {
            let mut seen = BTreeSet::new();
            let mut next = vec![from.to_owned()];
            while let Some(file) = next.pop() {
                for (_, to) in arrows.iter().filter(|(from, _)| *from == file) {
                    if seen.insert((*to).to_owned()) {
                        next.push((*to).to_owned());
                    }
                }
            }
            seen
        };
        let reach: BTreeMap<&str, BTreeSet<String>> = self
            .files
            .values()
            .map(|s| (s.name.as_str(), reached(&s.name)))
            .collect();
        let mut circles = BTreeSet::new();
        for (file, reaches) in &reach {
            if reaches.contains(*file) {
                let back = |other: &&String| reach[other.as_str()].contains(*file);
                circles.insert(reaches.iter().filter(back).cloned().collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }
}

/// `policy/check/mod.rs` is `["policy", "check"]`, `link.rs` is `["link"]`.
fn module_of(name: &str) -> Vec<String> {
    let mut module: Vec<String> = name
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if module.len() > 1 && module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// The crate's root, which only names the modules, and tests.
fn is_left_out(module: &[String]) -> bool {
    let root = ["lib", "main", "testing"];
    match module {
        [only] => root.contains(&only.as_str()),
        _ => module.last().is_some_and(|last| last == "tests"),
    }
}

impl Source {
    fn read(name: String, module: &[String], text: &str) -> Self {
        let code = without_tests(&without_comments_and_strings(text));
        let is_folder = name.ends_with("/mod.rs");
        let (mut names, mut paths) = (BTreeMap::new(), BTreeSet::new());
        let children: BTreeSet<&str> = if is_folder {
            let declared = code.split(';').filter_map(|item| item.rsplit_once("mod "));
            declared.map(|(_, name)| name.trim()).collect()
        } else {
            BTreeSet::new()
        };
        for (at, _) in code.match_indices("use ") {
            if code[..at]
                .chars()
                .next_back()
                .is_some_and(|c| c.is_alphanumeric() || c == '_')
            {
                continue;
            }
            let Some(end) = code[at..].find(';') else {
                continue;
            };
            let line = code[..at]
                .rsplit(['\n', ';', '}'])
                .next()
                .unwrap_or_default();
            let hands_on = line.trim_start().starts_with("pub");
            for (path, alias) in expand(&code[at + 4..at + end]) {
                let first = path.first().map(String::as_str).unwrap_or_default();
                let path = if children.contains(first) {
                    module.iter().chain(&path).cloned().collect()
                } else if let Some(path) = absolute(module, &path) {
                    path
                } else {
                    continue;
                };
                names.insert(alias, path.clone());
                if !hands_on {
                    paths.insert(path);
                }
            }
        }
        // Paths in code: `crate::base::digest::hex(...)`.
        for first in ["crate::", "super::", "self::"] {
            for (at, _) in code.match_indices(first) {
                let before = &code[..at];
                let inside =
                    before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
                let statement = before.rsplit([';', '}']).next().unwrap_or_default();
                if inside || statement.contains("use ") || statement.contains("pub(in ") {
                    continue;
                }
                let path =
                    code[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
                let path: Vec<String> = path
                    .clone()
                    .next()
                    .unwrap_or_default()
                    .split("::")
                    .map(str::to_owned)
                    .collect();
                paths.extend(absolute(module, &path));
            }
        }
        Self { name, names, paths }
    }
}

/// The paths of a `use`, each with the name that it gives: `a::{b, c as d}` is `a::b` and `a::c`.
fn expand(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let head: Vec<String> = segments(head);
        let inside = rest.trim_end().strip_suffix('}').unwrap_or(rest);
        let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(&inside[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        parts.push(&inside[start..]);
        let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
        return parts
            .flat_map(expand)
            .map(|(path, alias)| {
                let path = head
                    .iter()
                    .cloned()
                    .chain(path.into_iter().filter(|s| s != "self"));
                (path.collect(), alias)
            })
            .collect();
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (segments(path), alias.trim().to_owned()),
        None => {
            let path = segments(tree);
            let alias = path.last().cloned().unwrap_or_default();
            (path, alias)
        }
    };
    vec![(path, alias)]
}

fn segments(path: &str) -> Vec<String> {
    let parts = path
        .split("::")
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// A path from the crate's root; `None` for one into another crate.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut base = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    let mut rest = &path[1..];
    while rest.first().is_some_and(|segment| segment == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// Code without what stands behind `#[cfg(test)]`: an item up to its `;`, or its braces.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let (brace, end) = (item.find('{'), item.find(';'));
        let length = match (brace, end) {
            (Some(brace), end) if end.is_none_or(|end| brace < end) => {
                let mut depth = 0_i32;
                let closing = item[brace..].char_indices().find(|(_, c)| {
                    depth += i32::from(*c == '{') - i32::from(*c == '}');
                    depth == 0
                });
                closing.map_or(item.len(), |(at, _)| brace + at + 1)
            }
            (_, Some(end)) => end + 1,
            _ => item.len(),
        };
        rest = &item[length..];
    }
    out + rest
}

/// Comments and the insides of strings and characters become nothing.
fn without_comments_and_strings(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(raw) = raw_string(rest) {
            raw
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[skipped..];
    }
    out
}

/// Length of a raw string, `r#"…"#` with any number of `#`.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text
        .strip_prefix('r')?
        .chars()
        .take_while(|c| *c == '#')
        .count();
    text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = hashes + 2;
    Some(
        text[begin..]
            .find(&end)
            .map_or(text.len(), |at| begin + at + end.len()),
    )
}

/// Length of a string or character that begins here.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a `'` begins a character and no lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    let first = chars.next();
    first == Some('\\') || chars.next() == Some('\'')
}

/// The reader itself: what it takes for an import.
mod reading {
    use super::*;

    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(name, text)| {
            let module = module_of(name);
            let source = Source::read((*name).to_owned(), &module, text);
            (module, source)
        });
        let house = House {
            files: files.collect(),
        };
        house
            .arrows()
            .into_iter()
            .map(|(from, to)| format!("{from} -> {to}"))
            .collect()
    }

    #[test]
    fn an_import_is_found_in_every_spelling() {
        let leaf = ("a/leaf.rs", "pub struct Leaf;");
        let face = ("a/mod.rs", "mod leaf;\npub use leaf::Leaf;");
        for user in [
            "use crate::a::Leaf;",
            "use crate::a::{leaf::Leaf as Other};",
            "use super::a::Leaf;",
            "use crate::{\n    a::{Leaf},\n};",
            "pub use crate::a::leaf;\nfn f() -> crate::a::Leaf { todo!() }",
        ] {
            assert_eq!(
                arrows(&[leaf, face, ("b.rs", user)]),
                ["b.rs -> a/leaf.rs"],
                "{user}"
            );
        }
    }

    #[test]
    fn comments_strings_tests_and_other_crates_are_no_imports() {
        let leaf = ("a.rs", "pub struct Leaf;");
        let user = r##"
            //! See [`crate::a::Leaf`].
            /* use crate::a::Leaf; */
            use serde::Leaf;
            const TEXT: &str = "use crate::a::Leaf;";
            const RAW: &str = r#"use crate::a::Leaf;"#;
            #[cfg(test)]
            use crate::a::Leaf;
            #[cfg(test)]
            mod tests { use crate::a::Leaf; fn f() { { } } }
        "##;
        assert!(arrows(&[leaf, ("b.rs", user)]).is_empty());
    }

    #[test]
    fn a_circle_is_found_through_a_face() {
        let files = [
            ("a/mod.rs", "mod one;\nmod two;\npub use one::One;"),
            ("a/one.rs", "use super::two::Two;\npub struct One;"),
            ("a/two.rs", "use super::One;\npub struct Two;"),
        ];
        let expected = ["a/one.rs -> a/two.rs", "a/two.rs -> a/one.rs"];
        assert_eq!(arrows(&files), expected);
    }
}
