//! One file: the modules that it declares and the paths that it names.

use std::collections::{BTreeMap, BTreeSet};

/// What is to be known of a file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Modules that it declares, without those for tests.
    pub(crate) children: BTreeSet<String>,
    /// Paths that it names, but for those below.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// Paths that it hands on, by `pub use`.
    pub(crate) handed: BTreeSet<Vec<String>>,
    /// What `use` declarations bring into scope, by the name that it has here.
    uses: BTreeMap<String, Vec<String>>,
    /// Whether the declaration that is read is a `pub use`.
    hands_on: bool,
    /// How deep the place that is read lies in modules that have no file of their own.
    inline: usize,
}

impl Source {
    pub(crate) fn read(text: &str) -> Self {
        let tokens = without_tests(&tokens(text));
        let mut source = Self::default();
        let mut at = 0;
        let mut depth = 0_usize;
        // How deep in braces each module begins that has no file of its own.
        let mut inline = Vec::new();
        while let Some(token) = tokens.get(at) {
            let next = |n: usize| tokens.get(at + n).map(String::as_str);
            match token.as_str() {
                // `pub(in crate::a)` says who may see something, and takes nothing from there.
                "pub" if next(2) == Some("in") => {
                    let rest = tokens.get(at..).unwrap_or_default();
                    at += rest.iter().position(|token| token == ")").unwrap_or(1);
                }
                "mod" if next(2) == Some(";") => {
                    source.children.extend(next(1).map(str::to_owned));
                    at += 3;
                }
                "mod" if next(2) == Some("{") => {
                    inline.push(depth);
                    source.inline += 1;
                    at += 2;
                }
                "{" => {
                    depth += 1;
                    at += 1;
                }
                "}" => {
                    depth = depth.saturating_sub(1);
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        source.inline -= 1;
                    }
                    at += 1;
                }
                "use" => {
                    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
                    // `pub use`, `pub(crate) use`: nothing else may stand before it with a bracket.
                    source.hands_on = before.is_some_and(|token| token == "pub" || token == ")");
                    at = source.declaration(&tokens, at + 1, &mut Vec::new()) + 1;
                }
                first if next(1) == Some("::") && is_name(first) => {
                    at = source.path(&tokens, at);
                }
                _ => at += 1,
            }
        }
        source
    }

    /// Where a name comes from that a `use` declaration brings into scope.
    pub(crate) fn handed_on(&self, name: &str) -> Option<&[String]> {
        self.uses.get(name).map(Vec::as_slice)
    }

    /// One tree of a `use` declaration; returns the place after it.
    fn declaration(&mut self, tokens: &[String], mut at: usize, stem: &mut Vec<String>) -> usize {
        let depth = stem.len();
        while let Some(token) = tokens.get(at) {
            match token.as_str() {
                "::" => at += 1,
                "{" => {
                    at += 1;
                    while tokens.get(at).is_some_and(|token| token != "}") {
                        at = self.declaration(tokens, at, stem);
                        if tokens.get(at).is_some_and(|token| token == ",") {
                            at += 1;
                        }
                    }
                    stem.truncate(depth);
                    return at + 1;
                }
                "as" => {
                    let name = tokens.get(at + 1).cloned().unwrap_or_default();
                    let path = self.seen_from_the_file(stem.clone());
                    self.declared(name, path);
                    stem.truncate(depth);
                    return at + 2;
                }
                name if is_name(name) || name == "*" => {
                    stem.push(name.to_owned());
                    at += 1;
                }
                _ => break,
            }
        }
        if stem.len() > depth {
            // `a::{self}` names `a`.
            let mut path = stem.clone();
            if path.len() > 1
                && path
                    .last()
                    .is_some_and(|last| last == "self" || last == "*")
            {
                path.pop();
            }
            let path = self.seen_from_the_file(path);
            self.declared(path.last().cloned().unwrap_or_default(), path);
        }
        stem.truncate(depth);
        at
    }

    fn declared(&mut self, name: String, path: Vec<String>) {
        self.uses.insert(name, path.clone());
        if self.hands_on {
            self.handed.insert(path);
        } else {
            self.paths.insert(path);
        }
    }

    /// A path in code; returns the place after it.
    fn path(&mut self, tokens: &[String], mut at: usize) -> usize {
        let mut path = Vec::new();
        while let Some(name) = tokens.get(at).filter(|token| is_name(token)) {
            path.push(name.clone());
            at += 1;
            if tokens.get(at).is_none_or(|token| token != "::") {
                break;
            }
            at += 1;
        }
        // `Type::member` begins with a name in scope: its `use` has been seen.
        let first = path.first().map(String::as_str).unwrap_or_default();
        if first.starts_with(|c: char| c.is_ascii_lowercase()) && path.len() > 1 {
            let path = self.seen_from_the_file(path);
            self.paths.insert(path);
        }
        at
    }

    /// In a module without a file of its own, each `super` up to the file's own module is one less.
    fn seen_from_the_file(&self, mut path: Vec<String>) -> Vec<String> {
        let supers = path.iter().take_while(|name| *name == "super").count();
        let inside = supers.min(self.inline);
        if inside > 0 {
            path.splice(..inside, ["self".to_owned()]);
        }
        path
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and single signs, without comments, strings and characters.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' || rest.starts_with("b\"") {
            string(rest)
        } else if first == '\'' {
            character(rest)
        } else if first.is_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            tokens.push(rest.get(..length).unwrap_or_default().to_owned());
            length
        } else if first.is_ascii_digit() {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

/// The length of the raw string that `text` begins with.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = body.bytes().take_while(|byte| *byte == b'#').count();
    let inside = body.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begins = text.len() - inside.len();
    Some(
        inside
            .find(&end)
            .map_or(text.len(), |at| begins + at + end.len()),
    )
}

/// The length of the string that `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let begins = text.find('"').unwrap_or(0) + 1;
    for (at, c) in text.char_indices().filter(|(at, _)| *at >= begins) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the character or the lifetime that `text` begins with.
fn character(text: &str) -> usize {
    let mut inside = text.char_indices().skip(1);
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), _) => text
            .char_indices()
            .skip(3)
            .find(|(_, c)| *c == '\'')
            .map_or(text.len(), |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// Without what `#[cfg(test)]` or `#[cfg(all(test, …))]` stands before: an item, up to its `;` or
/// its closing brace.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if let Some(length) = mark_of_tests(tokens.get(at..).unwrap_or_default()) {
            at += length;
            let mut depth = 0_u32;
            while let Some(token) = tokens.get(at) {
                at += 1;
                match token.as_str() {
                    "{" | "(" | "[" => depth += 1,
                    "}" | ")" | "]" => {
                        depth = depth.saturating_sub(1);
                        if depth == 0 && token == "}" {
                            break;
                        }
                    }
                    ";" | "," if depth == 0 => break,
                    _ => {}
                }
            }
            continue;
        }
        kept.extend(tokens.get(at).cloned());
        at += 1;
    }
    kept
}

/// The length of the attribute that `tokens` begin with, if it is one of tests.
fn mark_of_tests(tokens: &[String]) -> Option<usize> {
    let begins = |with: &[&str]| {
        tokens.len() >= with.len() && tokens.iter().zip(with).all(|(token, mark)| token == mark)
    };
    let alone = begins(&["#", "[", "cfg", "(", "test", ")", "]"]);
    let with_more = begins(&["#", "[", "cfg", "(", "all", "(", "test", ","]);
    let end = tokens.iter().position(|token| token == "]")?;
    (alone || with_more).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let source = Source::read(text);
        let paths = source.paths.iter().chain(&source.handed);
        paths.map(|path| path.join("::")).collect()
    }

    #[test]
    fn groups_and_names_of_their_own_are_read() {
        let text = "use std::{fmt, io::{self, Read as _}};\npub(crate) use super::a::B as C;";
        let expected = ["std::fmt", "std::io", "std::io::Read", "super::a::B"];
        assert_eq!(paths(text), expected);
        let source = Source::read(text);
        let from = source.handed_on("C").map(|path| path.join("::"));
        assert_eq!(from.as_deref(), Some("super::a::B"));
    }

    #[test]
    fn paths_in_code_are_read_and_text_is_not() {
        let text = "pub(in crate::l) fn f<'a>(x: &'a str) -> crate::a::B { // crate::c::D\n
            let _ = (\"crate::e::F\", r#\"crate::g::H\"#, 'x', '\\'', b\"super::i\");
            super::j::k(); Vec::<u8>::new() }";
        assert_eq!(paths(text), ["crate::a::B", "super::j::k"]);
    }

    #[test]
    fn a_module_without_a_file_is_a_part_of_its_file() {
        let text = "mod a { use super::b::C; mod d { use super::super::super::e::F; } }\n
            use super::g::H;";
        assert_eq!(
            paths(text),
            ["self::b::C", "self::super::e::F", "super::g::H"]
        );
        assert!(Source::read(text).children.is_empty());
    }

    #[test]
    fn what_is_for_tests_is_left_out() {
        let text = "mod a; #[cfg(test)] mod b; #[cfg(test)] mod c { use crate::d; fn e() {} }\n
            struct F { #[cfg(test)] g: crate::h::I, j: crate::k::L } mod m;";
        assert_eq!(paths(text), ["crate::k::L"]);
        let source = Source::read(text);
        assert_eq!(source.children, ["a".to_owned(), "m".to_owned()].into());
    }
}
