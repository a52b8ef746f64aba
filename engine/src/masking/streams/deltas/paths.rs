//! Where texts stand in an event: the paths that dialects state, as a tree that is walked along
//! with the event's JSON.

use crate::upstreams::{DELTA, Part};
use std::sync::OnceLock;

/// One place, with those below it. The root is the paths of all dialects as a tree.
#[derive(Debug, Default)]
pub(in crate::masking::streams) struct Node {
    children: Vec<(&'static [u8], Node)>,
    pub(in crate::masking::streams) each: Option<Box<Each>>,
    pub(in crate::masking::streams) part: Option<Part>,
    pub(in crate::masking::streams) in_delta: bool,
}

/// The elements of an array.
#[derive(Debug, Default)]
pub(in crate::masking::streams) struct Each {
    pub(in crate::masking::streams) node: Node,
    pub(in crate::masking::streams) joined: bool,
}

impl Node {
    pub(in crate::masking::streams) fn child(&self, name: &[u8]) -> Option<&Self> {
        self.children
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, node)| node)
    }

    pub(in crate::masking::streams) fn add(&mut self, path: &'static str, part: Part) {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let (key, mut arrays) = match first.find('[') {
            Some(at) => first.split_at_checked(at).unwrap_or((first, "")),
            None => (first, ""),
        };
        let in_delta = self.in_delta || key.as_bytes() == DELTA;
        let at = match self.children.iter().position(|(k, _)| *k == key.as_bytes()) {
            Some(at) => at,
            None => {
                self.children.push((key.as_bytes(), Self::default()));
                self.children.len().saturating_sub(1)
            }
        };
        let Some((_, mut node)) = self.children.get_mut(at).map(|(k, n)| (k, n)) else {
            return;
        };
        node.in_delta = in_delta;
        while let Some((array, more)) = arrays.split_once(']') {
            let each = node.each.get_or_insert_default();
            each.joined = array == "[+";
            each.node.in_delta = in_delta;
            node = &mut each.node;
            arrays = more;
        }
        if rest.is_empty() {
            node.part = Some(part);
        } else {
            node.add(rest, part);
        }
    }
}

/// Where nothing is known.
pub(in crate::masking::streams) fn loose() -> &'static Node {
    static LOOSE: OnceLock<Node> = OnceLock::new();
    LOOSE.get_or_init(Node::default)
}
