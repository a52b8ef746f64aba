//! The imports of a crate, read from its sources.
//!
//! [`House::read`] finds for every file of a crate the other files whose definitions it names, and
//! the other crates that it names. Tests say which of these there must not be, and that no files
//! name each other in a circle.
//!
//! It reads Rust as far as imports need it: `use` declarations with their groups, and paths that
//! begin with `crate`, `self`, `super` or a crate's name. A name that a module only hands on
//! (`pub use`) counts as an import of the file that defines it, not of the one that hands it on.
//! What is compiled for tests only is left out, since a test may look into anything. Macros are not
//! expanded, and a module that is declared elsewhere than in the file of its parent is not found.
//! No import of the workspace stands in a macro, and no module is declared so.
#![forbid(unsafe_code)]

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use source::Source;

/// The files of one crate, and what each names.
#[derive(Debug)]
pub struct House {
    files: BTreeMap<Module, File>,
}

/// A module by its path from the crate's root: `[]` is the root.
type Module = Vec<String>;

#[derive(Debug)]
struct File {
    /// Below the folder that was read, with `/`.
    path: String,
    source: Source,
}

/// One import.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The file that names something.
    pub from: String,
    /// What it names: a file of the same crate, or the name of another crate.
    pub to: Target,
    /// The path as it is written.
    pub path: String,
    /// It is only handed on, by `pub use`.
    pub handed_on: bool,
}

/// What is imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A file of the same crate, below its `src`.
    File(String),
    /// Another crate.
    Crate(String),
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} names {}", self.from, self.path)
    }
}

impl House {
    /// Reads the crate whose sources lie in `src`, from `root` on, which is `lib.rs` or `main.rs`.
    ///
    /// # Panics
    /// When a file that the sources declare cannot be read: a test should say so.
    pub fn read(src: &Path, root: &str) -> Self {
        Self::from_texts(root, &|file| std::fs::read_to_string(src.join(file)).ok())
    }

    fn from_texts(root: &str, text: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut house = Self {
            files: BTreeMap::new(),
        };
        house.enter(root.to_owned(), Vec::new(), text);
        house
    }

    fn enter(&mut self, path: String, module: Module, text: &dyn Fn(&str) -> Option<String>) {
        let source = text(&path).unwrap_or_else(|| panic!("{path} cannot be read"));
        let source = Source::read(&source);
        let folder: String = module
            .iter()
            .flat_map(|name| [name.as_str(), "/"])
            .collect();
        for child in &source.children {
            let file = format!("{folder}{child}.rs");
            let path = if text(&file).is_some() {
                file
            } else {
                format!("{folder}{child}/mod.rs")
            };
            let mut module = module.clone();
            module.push(child.clone());
            self.enter(path, module, text);
        }
        self.files.insert(module, File { path, source });
    }

    /// Every import, once for each path that names it.
    pub fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (module, file) in &self.files {
            let paths = file.source.paths.iter().map(|path| (path, false));
            let handed = file.source.handed.iter().map(|path| (path, true));
            for (path, handed_on) in paths.chain(handed) {
                let to = match self.resolve(module, path, 0) {
                    Some(Target::File(to)) if to == file.path => continue,
                    Some(to) => to,
                    None => continue,
                };
                imports.insert(Import {
                    from: file.path.clone(),
                    to,
                    path: path.join("::"),
                    handed_on,
                });
            }
        }
        imports
    }

    /// Which file defines what `path` names, as seen from `module`.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        // Names that are handed on in a circle lead nowhere.
        if depth > 16 {
            return None;
        }
        let mut at: Module = module.to_vec();
        let mut rest = path;
        let mut inside = false;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => {
                    at.pop();
                }
                _ => break,
            }
            inside = true;
            rest = others;
        }
        if !inside {
            let first = rest.first()?;
            let file = self.files.get(module)?;
            if !file.source.children.contains(first) {
                // Not a child: a name that is in scope already, or a crate.
                let known = file.source.handed_on(first).is_some();
                return (!known).then(|| Target::Crate(first.clone()));
            }
        }
        while let Some((first, others)) = rest.split_first() {
            let mut child = at.clone();
            child.push(first.clone());
            if self.files.contains_key(&child) {
                at = child;
                rest = others;
                continue;
            }
            if let Some(handed) = self.files.get(&at)?.source.handed_on(first)
                && at != module
            {
                let mut path = handed.to_vec();
                path.extend(others.iter().cloned());
                return self.resolve(&at, &path, depth + 1);
            }
            break;
        }
        self.files
            .get(&at)
            .map(|file| Target::File(file.path.clone()))
    }

    /// Groups of files of which each reaches every other one by imports. A face that hands on what
    /// its parts define takes nothing from them.
    pub fn circles(&self) -> Vec<BTreeSet<String>> {
        let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for import in self.imports() {
            if let Target::File(to) = import.to
                && !import.handed_on
            {
                arrows.entry(import.from).or_default().insert(to);
            }
        }
        let reached: BTreeMap<&String, BTreeSet<&String>> = arrows
            .keys()
            .map(|from| (from, reachable(&arrows, from)))
            .collect();
        let mut circles: BTreeSet<BTreeSet<String>> = BTreeSet::new();
        for (from, to) in &reached {
            if to.contains(from) {
                let circle = to
                    .iter()
                    .filter(|other| reached.get(*other).is_some_and(|back| back.contains(from)))
                    .map(|file| (*file).clone())
                    .collect();
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// The imports of files in `folder` (or of the file of this name) that `forbidden` says yes to.
    pub fn forbidden(&self, folder: &str, forbidden: impl Fn(&Target) -> bool) -> Vec<Import> {
        self.imports()
            .into_iter()
            .filter(|import| lies_in(&import.from, folder) && forbidden(&import.to))
            .collect()
    }

    /// The folders and files right below the root, each by the name of its module.
    pub fn parts(&self) -> BTreeSet<String> {
        let modules = self.files.keys();
        modules
            .filter_map(|module| module.first().cloned())
            .collect()
    }

    /// Whether a file lies in `folder`, so that a rule about it means something.
    pub fn has(&self, folder: &str) -> bool {
        self.files.values().any(|file| lies_in(&file.path, folder))
    }
}

/// Whether `file` lies in `folder`, or is it.
pub fn lies_in(file: &str, folder: &str) -> bool {
    file.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".rs")
}

fn reachable<'a>(
    arrows: &'a BTreeMap<String, BTreeSet<String>>,
    from: &str,
) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&String> = arrows.get(from).into_iter().flatten().collect();
    while let Some(file) = next.pop() {
        if seen.insert(file) {
            next.extend(arrows.get(file).into_iter().flatten());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let modules = files.iter().filter_map(|(file, _)| {
            let name = file.trim_end_matches(".rs").trim_end_matches("/mod");
            (!name.contains('/')).then(|| format!("pub mod {name};"))
        });
        let root: String = modules.collect();
        let house = House::from_texts("lib.rs", &|file| {
            let text = files.iter().find(|(name, _)| *name == file);
            let root = (file == "lib.rs").then(|| root.clone());
            text.map(|(_, text)| (*text).to_owned()).or(root)
        });
        let arrows: BTreeSet<String> = house
            .imports()
            .into_iter()
            .map(|import| match import.to {
                Target::File(to) => format!("{} -> {to}", import.from),
                Target::Crate(name) => format!("{} -> crate {name}", import.from),
            })
            .collect();
        arrows.into_iter().collect()
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
            "fn f() -> crate::a::Leaf { todo!() }",
        ] {
            let found = imports(&[leaf, face, ("b.rs", user)]);
            assert!(found.contains(&"b.rs -> a/leaf.rs".to_owned()), "{user}");
            assert!(!found.contains(&"b.rs -> a/mod.rs".to_owned()), "{user}");
        }
    }

    #[test]
    fn other_crates_are_found_and_the_standard_library_is_one() {
        let user = "use sqlx::{Row as _, Sqlite}; fn f() { axum::serve(std::mem::take(&mut g)); }";
        let expected = [
            "b.rs -> crate axum",
            "b.rs -> crate sqlx",
            "b.rs -> crate std",
        ];
        assert_eq!(imports(&[("b.rs", user)]), expected);
    }

    #[test]
    fn comments_strings_and_tests_are_no_imports() {
        let leaf = ("a.rs", "pub struct Leaf;");
        let user = r##"
            //! See [`crate::a::Leaf`].
            /* use crate::a::Leaf; */
            const TEXT: &str = "use crate::a::Leaf;";
            const RAW: &str = r#"use crate::a::Leaf;"#;
            #[cfg(test)]
            use crate::a::Leaf;
            #[cfg(all(test, unix))]
            mod tests { use crate::a::Leaf; fn f() { { } } }
        "##;
        assert!(imports(&[leaf, ("b.rs", user)]).is_empty());
    }

    #[test]
    fn a_circle_is_found_through_a_face() {
        let files = [
            ("a/mod.rs", "mod one;\nmod two;\npub use one::One;"),
            ("a/one.rs", "use super::two::Two;\npub struct One;"),
            ("a/two.rs", "use super::One;\npub struct Two;"),
        ];
        let found = imports(&files);
        assert!(
            found.contains(&"a/two.rs -> a/one.rs".to_owned()),
            "{found:?}"
        );
        let text = |file: &str| {
            let root = (file == "lib.rs").then(|| "mod a;".to_owned());
            let text = files.iter().find(|(name, _)| *name == file);
            text.map(|(_, text)| (*text).to_owned()).or(root)
        };
        let circles = House::from_texts("lib.rs", &text).circles();
        let circle = ["a/one.rs".to_owned(), "a/two.rs".to_owned()];
        assert_eq!(circles, [circle.into()]);
    }
}
