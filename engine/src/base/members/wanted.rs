//! Which members are wanted.

use std::fmt;

/// Paths of members, ready to be looked for.
#[derive(Debug)]
pub struct Wanted {
    /// The first is that of the document itself.
    nodes: Vec<Node>,
    /// Most bytes of a string that are kept.
    most: usize,
    /// The longest name.
    longest: usize,
}

/// A place on the way to members.
#[derive(Debug, Default)]
struct Node {
    members: Vec<(Box<str>, usize)>,
    elements: Option<usize>,
    /// The path that ends here.
    path: Option<usize>,
    /// The first path that leads here or through here.
    first: usize,
}

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPath(pub String);

impl fmt::Display for NoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no path: write names with dots between them, and `[]` for each element of an array, such as `messages[].role`",
            self.0
        )
    }
}

impl std::error::Error for NoPath {}

/// Most members of one object that are looked for: a bit for each says whether it came.
pub(super) const MOST_MEMBERS: usize = 64;

/// What a name is among those that are looked for at one place.
pub(super) enum Name {
    /// Number `member` there; what is wanted of its value is at `node`.
    Wanted {
        member: u32,
        node: usize,
    },
    /// One of them but for the case of its letters.
    Alike {
        node: usize,
    },
    Other,
}

impl Wanted {
    /// These paths: names with dots between them, `[]` for each element of an array. Of strings at
    /// most so many bytes are kept.
    ///
    /// # Errors
    /// The first text that is no path, or with which more than 64 members of one object would have
    /// to be looked for.
    pub fn of(paths: &[impl AsRef<str>], most: usize) -> Result<Self, NoPath> {
        let mut this = Self {
            nodes: vec![Node::default()],
            most,
            longest: 0,
        };
        for (number, path) in paths.iter().enumerate() {
            let path = path.as_ref();
            if this.add(path, number).is_none() {
                return Err(NoPath(path.to_owned()));
            }
        }
        Ok(this)
    }

    fn add(&mut self, path: &str, number: usize) -> Option<()> {
        let mut at = 0;
        for step in path.split('.') {
            let name = step.trim_end_matches("[]");
            let arrays = step.len().saturating_sub(name.len()) / 2;
            // An array of the document itself has no name: `[].id`.
            if name.is_empty() && (at != 0 || arrays == 0) || name.contains(['[', ']']) {
                return None;
            }
            if !name.is_empty() {
                self.longest = self.longest.max(name.len());
                let members = &self.nodes.get(at)?.members;
                at = match members.iter().find(|(other, _)| **other == *name) {
                    Some((_, node)) => *node,
                    None if members.len() >= MOST_MEMBERS => return None,
                    None => {
                        let node = self.new_node(number);
                        let members = &mut self.nodes.get_mut(at)?.members;
                        members.push((name.into(), node));
                        node
                    }
                };
            }
            for _ in 0..arrays {
                at = match self.nodes.get(at)?.elements {
                    Some(node) => node,
                    None => {
                        let node = self.new_node(number);
                        self.nodes.get_mut(at)?.elements = Some(node);
                        node
                    }
                };
            }
        }
        self.nodes.get_mut(at)?.path.get_or_insert(number);
        Some(())
    }

    fn new_node(&mut self, first: usize) -> usize {
        let number = self.nodes.len();
        self.nodes.push(Node {
            first,
            ..Node::default()
        });
        number
    }

    /// The path that ends at a node.
    pub(super) fn path(&self, node: usize) -> Option<usize> {
        self.nodes.get(node)?.path
    }

    /// The first path that leads to a node or through it.
    pub(super) fn first(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(0, |node| node.first)
    }

    /// Whether members of an object there are wanted.
    pub(super) fn has_members(&self, node: usize) -> bool {
        let node = self.nodes.get(node);
        node.is_some_and(|node| !node.members.is_empty())
    }

    /// What is wanted of each element of an array there.
    pub(super) fn elements(&self, node: usize) -> Option<usize> {
        self.nodes.get(node)?.elements
    }

    /// What a name is in the object at a node.
    pub(super) fn name(&self, node: usize, name: &str) -> Name {
        let members = self.nodes.get(node).map_or(&[][..], |node| &node.members);
        for (member, (wanted, node)) in (0..).zip(members) {
            if **wanted == *name {
                return Name::Wanted {
                    member,
                    node: *node,
                };
            }
        }
        let mut members = members.iter();
        match members.find(|(wanted, _)| wanted.eq_ignore_ascii_case(name)) {
            Some((_, node)) => Name::Alike { node: *node },
            None => Name::Other,
        }
    }

    /// Most bytes of a string that are kept.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The length of the longest name.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }
}
