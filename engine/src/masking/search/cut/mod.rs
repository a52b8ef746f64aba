//! Beginnings of matches that the end of a chunk cuts.
//!
//! An anchor that stands whole in a chunk is found by the [prefilter](super::prefilter). What the
//! end of a chunk may have cut must be known too: from there on text waits. So the last bytes are
//! compared with the beginnings of all heads, at every place where one could have begun. Streamed
//! answers pay this for each word, so heads are sorted into a few groups, and four questions, each
//! a bit per group, refute nearly every place: have its heads all the bytes from here to the end
//! (`inside`: where none has, the search ends), may one follow the byte before (`after`), does one
//! begin with this byte (`first`), with these three (`grams`)? What is left is looked up in a trie,
//! whose nodes also carry an anchor that is cut from one chunk to the next, however many rules have
//! it in common.
//!
//! Measured against it, with the default detectors and chunks of 100 bytes: each head by itself,
//! listed by its first byte or first three, reads a fifteenth as fast; heads that begin like any
//! word (`[0-9A-Za-z]{52}JQQJ`) are why.

use super::{
    bytes::{Anchor, ByteSet},
    compile::{Head, Rule},
};
use crate::masking::detectors::rule::{BEHIND, ContextStart, Left};
use std::collections::{BTreeMap, HashMap};

/// The tries of a set's heads, one for each [`Root`].
pub(in crate::masking) struct Cuts {
    roots: Vec<Root>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    entries: Vec<u32>,
    sets: Vec<ByteSet>,
    /// What the nodes list.
    lists: Vec<u16>,
    /// For each byte the roots of which a head begins with it.
    first: Box<[Roots; 256]>,
    /// For each byte the roots of which a head has it anywhere but at its end.
    inside: Box<[Roots; 256]>,
    /// For each byte the roots of which a head may follow it; more than those for which it is
    /// certain.
    after: Box<[Roots; 256]>,
    /// Which hashes the first three bytes of heads have, but for those of `wide` roots.
    grams: Box<[u64; 1024]>,
    /// Roots whose heads begin with too many runs of three bytes to list them.
    wide: Roots,
    /// The longest head: of what begins earlier before a chunk's end nothing is cut.
    reach: usize,
}

/// A set of roots: one bit for each. At most 48 groups could be told apart, of which no set of
/// detectors has many.
type Roots = u64;

/// The trie of the heads for which this is the same, and also whether they are wide, and whether
/// they have spaces in them (`BEGIN PRIVATE KEY`): of those without, none can lie over the last
/// space before a chunk's end.
struct Root {
    left: Left,
    /// The context begins after the anchor: nothing waits while the anchor is cut, its node is
    /// carried.
    carried: bool,
    /// For each byte the nodes behind it, in [`Cuts::entries`].
    entries: [(u32, u32); 256],
}

/// One head while its trie is built.
#[derive(Clone, Copy)]
struct Member<'a> {
    text: &'a Anchor,
    /// Where its anchor ends.
    own: usize,
    head: u16,
    rule: u16,
}

#[derive(Clone, Copy)]
struct Node {
    /// Of [`Cuts::edges`].
    edges: (u32, u32),
    /// In [`Cuts::lists`]: the rules of which a match begins if the chunk ends here; of a carried
    /// trie the heads whose anchor is whole here and their windows are not.
    cut: (u32, u32),
    /// In a carried trie: the heads whose anchor ends exactly here.
    ends: (u32, u32),
    /// Whether an anchor goes on behind it.
    goes_on: bool,
}

#[derive(Clone, Copy)]
struct Edge {
    set: u32,
    node: u32,
}

/// What the end of a chunk cut.
pub(in crate::masking) enum Cut {
    /// A match of this rule may have begun at this place.
    Rule(u16, usize),
    /// The anchor of this head, which begins at this place, is whole.
    Whole(u16, usize),
    /// The anchors behind this node are cut.
    Node(u32),
}

impl Cuts {
    /// Most runs of three bytes for which a head is listed.
    const LISTED: u32 = 128;

    pub(in crate::masking) fn of(heads: &[Head], rules: &[Rule]) -> Self {
        let mut this = Self {
            roots: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            entries: Vec::new(),
            sets: Vec::new(),
            lists: Vec::new(),
            first: Box::new([0; 256]),
            inside: Box::new([0; 256]),
            after: Box::new([0; 256]),
            grams: Box::new([0; 1024]),
            wide: 0,
            reach: 0,
        };
        let mut groups: BTreeMap<_, Vec<Member<'_>>> = BTreeMap::new();
        for (number, head) in (0_u16..).zip(heads) {
            let Some(rule) = rules.get(usize::from(head.rule)) else {
                continue;
            };
            if rule.run.is_some() {
                continue;
            }
            let wide = !this.list(head.text.sets());
            let spaced = inner(&head.text).iter().any(|set| set.contains(b' '));
            let carried = matches!(
                rule.context,
                Some((_, ContextStart::AnchorEnd | ContextStart::Near))
            );
            this.reach = this.reach.max(head.text.sets().len());
            let group = groups.entry((rule.left, wide, spaced, carried));
            group.or_default().push(Member {
                text: &head.text,
                own: head.own,
                head: number,
                rule: head.rule,
            });
        }
        let mut known = HashMap::new();
        for (bit, ((left, wide, _, carried), mut members)) in (0..Roots::BITS).zip(groups) {
            let bit = Roots::wrapping_shl(1, bit);
            members.sort_unstable_by(|a, b| (a.text, a.head).cmp(&(b.text, b.head)));
            let node = this.add(&members, 0, carried, &mut known);
            let mut root = Root {
                left,
                carried,
                entries: [(0, 0); 256],
            };
            for (byte, entries) in (0_u8..=255).zip(root.entries.iter_mut()) {
                let from = count(this.entries.len());
                let next: Vec<u32> = this.next(node, byte).map(|edge| edge.node).collect();
                this.entries.extend(next);
                *entries = (from, count(this.entries.len()));
            }
            this.roots.push(root);
            if wide {
                this.wide |= bit;
            }
            let sets = |some: fn(&[ByteSet]) -> &[ByteSet]| {
                let all = members.iter().flat_map(|m| some(inner(m.text)));
                all.fold(ByteSet::EMPTY, |all, set| all.union(*set))
            };
            let first = sets(|sets| sets.get(..1).unwrap_or_default());
            let inside = sets(|sets| sets);
            let after: ByteSet = (0..=255).filter(|&byte| left.may_follow(byte)).collect();
            for (set, table) in [
                (first, &mut this.first),
                (inside, &mut this.inside),
                (after, &mut this.after),
            ] {
                for byte in set.iter() {
                    if let Some(roots) = table.get_mut(usize::from(byte)) {
                        *roots |= bit;
                    }
                }
            }
        }
        this
    }

    /// Notes with which runs of three bytes a head begins; `false` if they are too many.
    fn list(&mut self, sets: &[ByteSet]) -> bool {
        let [a, b, c, ..] = *sets else { return false };
        if a.len().saturating_mul(b.len()).saturating_mul(c.len()) > Self::LISTED {
            return false;
        }
        let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
        for (a, b, c) in pairs.flat_map(|(a, b)| c.iter().map(move |c| (a, b, c))) {
            let (word, bit) = Self::place([a, b, c]);
            if let Some(word) = self.grams.get_mut(word) {
                *word |= bit;
            }
        }
        true
    }

    /// Adds the node that these heads, sorted, have in common after `depth` bytes, and what is
    /// behind it.
    fn add(
        &mut self,
        members: &[Member<'_>],
        depth: usize,
        carried: bool,
        known: &mut HashMap<ByteSet, u32>,
    ) -> u32 {
        let number = count(self.nodes.len());
        let longer = || members.iter().filter(|m| m.text.sets().len() > depth);
        let mut list = |numbers: Vec<u16>| {
            let from = count(self.lists.len());
            self.lists.extend(numbers);
            (from, count(self.lists.len()))
        };
        let (cut, ends) = if carried {
            let whole = longer()
                .filter(|m| m.own <= depth)
                .map(|m| m.head)
                .collect();
            let ends = longer()
                .filter(|m| m.own == depth)
                .map(|m| m.head)
                .collect();
            (list(whole), list(ends))
        } else {
            let mut rules: Vec<u16> = longer().map(|m| m.rule).collect();
            rules.sort_unstable();
            rules.dedup();
            (list(rules), (0, 0))
        };
        self.nodes.push(Node {
            edges: (0, 0),
            cut,
            ends,
            goes_on: carried && members.iter().any(|m| m.own > depth),
        });
        let next = |m: &Member<'_>| m.text.sets().get(depth).copied();
        // A head is cut only if bytes of it are missing, so its last byte needs no node.
        let inner: Vec<_> = members
            .chunk_by(|a, b| next(a) == next(b))
            .filter_map(|same| Some((next(same.first()?)?, same)))
            .filter(|(_, same)| {
                same.iter()
                    .any(|m| m.text.sets().len() > depth.saturating_add(1))
            })
            .collect();
        let mut edges = Vec::new();
        for (set, same) in inner {
            let fresh = count(self.sets.len());
            let set = *known.entry(set).or_insert_with(|| {
                self.sets.push(set);
                fresh
            });
            let node = self.add(same, depth.saturating_add(1), carried, known);
            edges.push(Edge { set, node });
        }
        let from = count(self.edges.len());
        self.edges.extend(edges);
        let to = count(self.edges.len());
        if let Some(node) = self.nodes.get_mut(number as usize) {
            node.edges = (from, to);
        }
        number
    }

    /// Calls `each` with what the end of `chunk` cuts. `earlier` stood before the chunk; at
    /// `breaks`, sorted, a match may begin whatever stands before.
    pub(in crate::masking) fn at_end(
        &self,
        chunk: &[u8],
        earlier: [u8; BEHIND],
        breaks: &[usize],
        mut each: impl FnMut(Cut),
    ) {
        let [.., last] = earlier;
        let mut alive = Roots::MAX;
        let places = chunk.len().saturating_sub(self.reach.saturating_sub(1))..chunk.len();
        for at in places.rev() {
            let rest = chunk.get(at..).unwrap_or_default();
            let Some(&byte) = rest.first() else { continue };
            let of =
                |table: &[Roots; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or(0);
            alive &= of(&self.inside, byte);
            if alive == 0 {
                break;
            }
            let mut roots = alive & of(&self.first, byte);
            if breaks.is_empty() {
                let before = at.checked_sub(1).and_then(|at| chunk.get(at));
                roots &= of(&self.after, before.copied().unwrap_or(last));
            }
            if let Some(run) = rest.first_chunk() {
                let (word, bit) = Self::place(*run);
                if self.grams.get(word).is_none_or(|word| word & bit == 0) {
                    roots &= self.wide;
                }
            }
            while roots != 0 {
                let root = self.roots.get(roots.trailing_zeros() as usize);
                roots &= roots.wrapping_sub(1);
                let Some(root) = root else { continue };
                let allows = || root.left.allows(behind(earlier, chunk, at));
                if root.left == Left::Any || allows() || breaks.binary_search(&at).is_ok() {
                    self.cut(root, rest, at, &mut each);
                }
            }
        }
    }

    /// What of the trie of `root` the end of a chunk cuts that ends with `rest`, which begins at
    /// `at`.
    fn cut(&self, root: &Root, rest: &[u8], at: usize, each: &mut impl FnMut(Cut)) {
        let Some(&byte) = rest.first() else { return };
        let (from, to) = root
            .entries
            .get(usize::from(byte))
            .copied()
            .unwrap_or_default();
        for &node in self
            .entries
            .get(from as usize..to as usize)
            .unwrap_or_default()
        {
            self.walk(node, rest, 1, &mut |number, node, read| {
                if read < rest.len() {
                    return;
                }
                for &number in self.listed(node.cut) {
                    each(match root.carried {
                        true => Cut::Whole(number, at),
                        false => Cut::Rule(number, at),
                    });
                }
                if node.goes_on {
                    each(Cut::Node(number));
                }
            });
        }
    }

    /// Goes on in the next chunk from a node that was carried: calls `whole` with the heads whose
    /// anchors become whole and where they end, `cut` with the nodes that its end cuts.
    pub(in crate::masking) fn resume(
        &self,
        node: u32,
        chunk: &[u8],
        mut whole: impl FnMut(u16, usize),
        mut cut: impl FnMut(u32),
    ) {
        self.walk(node, chunk, 0, &mut |number, node, read| {
            if read > 0 {
                self.listed(node.ends)
                    .iter()
                    .for_each(|&head| whole(head, read));
            }
            if read == chunk.len() && node.goes_on {
                cut(number);
            }
        });
    }

    /// Calls `visit` with every node that is reached from node `number` through `text`, of which
    /// `read` bytes lead to it, and how many bytes lead to that one.
    fn walk(
        &self,
        mut number: u32,
        text: &[u8],
        mut read: usize,
        visit: &mut impl FnMut(u32, &Node, usize),
    ) {
        loop {
            let Some(node) = self.nodes.get(number as usize) else {
                return;
            };
            visit(number, node, read);
            let Some(&byte) = text.get(read) else { return };
            read = read.saturating_add(1);
            let mut next = self.next(number, byte);
            let Some(first) = next.next() else { return };
            // As deep as heads are long; as a rule there is one way.
            next.for_each(|edge| self.walk(edge.node, text, read, visit));
            number = first.node;
        }
    }

    /// The edges of a node that have this byte.
    #[inline]
    fn next(&self, node: u32, byte: u8) -> impl Iterator<Item = &Edge> {
        let (from, to) = self
            .nodes
            .get(node as usize)
            .map_or((0, 0), |node| node.edges);
        let edges = self
            .edges
            .get(from as usize..to as usize)
            .unwrap_or_default();
        edges.iter().filter(move |edge| {
            self.sets
                .get(edge.set as usize)
                .is_some_and(|set| set.contains(byte))
        })
    }

    fn listed(&self, (from, to): (u32, u32)) -> &[u16] {
        self.lists
            .get(from as usize..to as usize)
            .unwrap_or_default()
    }

    /// Where three bytes stand in `grams`: the word and the bit.
    #[inline]
    fn place(run: [u8; 3]) -> (usize, u64) {
        let [a, b, c] = run;
        let run = u32::from_le_bytes([a, b, c, 0]);
        // The upper sixteen bits of the product with 2^32 over the golden ratio.
        let hash = run.wrapping_mul(0x9E37_79B1) >> 16;
        ((hash >> 6) as usize, 1_u64.wrapping_shl(hash))
    }

    /// Bytes of memory that the tries occupy.
    pub(in crate::masking) fn memory(&self) -> usize {
        [
            size_of_val(&*self.roots),
            size_of_val(&*self.nodes),
            size_of_val(&*self.edges),
            size_of_val(&*self.sets),
            size_of_val(&*self.lists),
            size_of_val(&*self.entries),
            size_of_val(&*self.inside),
            size_of_val(&*self.first),
            size_of_val(&*self.after),
            size_of_val(&*self.grams),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }
}

/// An index, or how many there are.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The sets of a head that can stand before the end of a chunk that cuts it.
fn inner(text: &Anchor) -> &[ByteSet] {
    text.sets().split_last().map_or(&[], |(_, inner)| inner)
}

/// The last bytes before `at` in `chunk`, which follows `earlier`.
#[inline]
pub(in crate::masking) fn behind(earlier: [u8; BEHIND], chunk: &[u8], at: usize) -> [u8; BEHIND] {
    let seen = chunk.get(..at).unwrap_or(chunk);
    if let Some(last) = seen.last_chunk() {
        return *last;
    }
    let mut out = [0; BEHIND];
    let bytes = earlier.iter().skip(seen.len()).chain(seen);
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
