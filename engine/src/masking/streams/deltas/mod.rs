//! What the dialects of upstreams say in their events: which strings are pieces of one text, and
//! where such a text ends.
//!
//! Dialects are recognised by the shape of the JSON, not by who was asked: gateways and local
//! models speak each other's. What is known of all of them together stands in
//! [`known`](mod@known).

pub(in crate::masking::streams) mod known;
mod paths;

use super::tape::{Kind, Tape, Token};
use crate::masking::{
    bodies::plan::Plan,
    formats::json::{Kubernetes, Role},
};
use crate::upstreams::{DELTA, Dialect, INDEX, Index, Part, Sign, TYPE, kubernetes};
use known::{MAX_INDICES, Member, known};
use paths::{Node, loose};
use std::collections::BTreeMap;

/// Separates what identifies a text. It occurs in no UTF-8.
const SEPARATOR: u8 = 0xFF;

/// Longest identity of a text. What stands at a longer path is a text of its own: else one long
/// name would be remembered with each string below it.
const MAX_KEY: usize = 256;

/// What is kept from event to event, in elements.
const KEPT: usize = 64;

/// Members of an object that are compared with each other one by one.
const FEW: usize = 16;

/// A piece of a text that goes on over events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking::streams) struct Delta {
    /// The string, in the tape.
    pub(in crate::masking::streams) at: usize,
    /// What identifies the text: a range of [`Deltas::keys`].
    key: (usize, usize),
    /// The text is JSON.
    pub(in crate::masking::streams) is_json: bool,
    /// The string may also be a text of its own.
    pub(in crate::masking::streams) perhaps: bool,
}

/// What one event says about texts that go on over events. Kept from event to event for its memory.
#[derive(Debug, Clone, Default)]
pub(in crate::masking::streams) struct Deltas {
    /// In the order of their places.
    pub(in crate::masking::streams) pieces: Vec<Delta>,
    /// Texts that end with this event, by the beginning of what identifies them.
    ends: Vec<(usize, usize)>,
    /// All texts end with this event.
    pub(in crate::masking::streams) end_all: bool,
    /// The dialect that the event shows.
    pub(in crate::masking::streams) dialect: Option<&'static Dialect>,
    /// The number of the event among those of the response.
    pub(in crate::masking::streams) sequence_number: Option<u64>,
    /// The request (JSON-RPC) that this event answers, as it stands there.
    pub(in crate::masking::streams) answers: Option<Box<[u8]>>,
    keys: Vec<u8>,
    /// Keys that name a secret, in the tape: their strings are masked whole, and are pieces of
    /// nothing.
    secret: Vec<usize>,
    /// What is read is the value of such a key, or an element of it.
    is_secret: bool,
    /// What the request says of Secrets of Kubernetes.
    kubernetes: Kubernetes,
    /// Strings of such, in the tape: their values are masked whole, and are pieces of nothing,
    /// whatever their keys are called. Their kinds are needed to know it.
    kept: Vec<usize>,
    /// What identifies the place that is being read.
    path: Vec<u8>,
}

/// What the members of the root say.
#[derive(Clone, Default)]
struct Root {
    indices: [Option<usize>; MAX_INDICES],
    id: Option<usize>,
    kind: Option<usize>,
    delta: Option<usize>,
    /// What identifies the request that is answered, if this is an answer.
    request: Option<usize>,
    is_answer: bool,
    /// The dialect has its pieces in elements.
    has_elements: bool,
}

impl Delta {
    /// What identifies its text; `keys` are those of the [`Deltas`] that it is from.
    pub(in crate::masking::streams) fn key(self, keys: &[u8]) -> &[u8] {
        keys.get(self.key.0..self.key.1).unwrap_or_default()
    }
}

impl Deltas {
    /// Forgets what was read.
    pub(in crate::masking::streams) fn clear(&mut self) {
        self.pieces.clear();
        self.pieces.shrink_to(KEPT);
        self.ends.clear();
        self.ends.shrink_to(KEPT);
        self.keys.clear();
        self.keys.shrink_to(KEPT.saturating_mul(8));
        self.path.shrink_to(KEPT);
        self.end_all = false;
        self.dialect = None;
        self.answers = None;
        self.is_secret = false;
        self.secret.clear();
        self.secret.shrink_to(KEPT);
        self.kept.clear();
        self.kept.shrink_to(KEPT);
    }

    /// What is read answers a request with this path.
    pub(in crate::masking::streams) fn at_path(path: Option<&[u8]>) -> Self {
        Self {
            kubernetes: Kubernetes::at_path(path),
            ..Self::default()
        }
    }

    /// Finds the strings of Kubernetes Secrets, in the order and with the rules in which all else
    /// in an event is read: what is no piece here is masked there.
    fn find_kept(&mut self, tape: &Tape, event: &[u8]) {
        let is_one = |token: &Token| {
            let length = token.end.saturating_sub(token.start);
            token.kind == Kind::Key && (token.escaped || kubernetes::has_length_of_one(length))
        };
        // Nearly no event has one.
        if !tape.tokens().iter().any(is_one) {
            return;
        }
        let mut kubernetes = self.kubernetes.anew();
        for (at, token) in (0..).zip(tape.tokens()) {
            match token.kind {
                Kind::Object => kubernetes.structure(b'{'),
                Kind::Array => kubernetes.structure(b'['),
                Kind::Close => kubernetes.structure(b'}'),
                Kind::Key => kubernetes.key(&tape.says(event, at)),
                Kind::Text => match kubernetes.role() {
                    Role::Secret | Role::Encoded => self.kept.push(at),
                    Role::Kind => {
                        let says = tape.says(event, at);
                        kubernetes.kind(&says);
                        if kubernetes::Kind::of(&says) != kubernetes::Kind::Other {
                            self.kept.push(at);
                        }
                    }
                    Role::Perhaps | Role::Other => {}
                },
                Kind::Scalar => {}
            }
        }
    }

    /// Reads what the tape holds.
    pub(in crate::masking::streams) fn read(&mut self, plan: &Plan, tape: &Tape, event: &[u8]) {
        self.clear();
        if !plan.keys.is_empty() {
            let keys = (0..).zip(tape.tokens());
            let keys = keys.filter(|(_, token)| token.kind == Kind::Key);
            let secret = |&at: &usize| plan.keys.get(&tape.says(event, at)).is_some();
            self.secret.extend(keys.map(|(at, _)| at).filter(secret));
        }
        if plan.kubernetes {
            self.find_kept(tape, event);
        }
        for root in tape.roots() {
            self.path.clear();
            match tape.kind(root) {
                Some(Kind::Object) => self.root(tape, event, root),
                Some(Kind::Text) => self.piece(tape, root, Part::Perhaps),
                Some(Kind::Array) => {
                    for element in tape.elements(root) {
                        self.path.clear();
                        if tape.kind(element) == Some(Kind::Object) {
                            self.root(tape, event, element);
                        }
                    }
                }
                _ => {}
            }
        }
        // A string that two dialects have a place for is found twice: the first one counts.
        self.pieces.sort_by_key(|piece| piece.at);
        self.pieces.dedup_by_key(|piece| piece.at);
    }

    /// Whether strings are no pieces because Kubernetes keeps secrets there.
    pub(in crate::masking::streams) fn has_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    /// What identifies the texts of the pieces.
    pub(in crate::masking::streams) fn keys(&self) -> &[u8] {
        &self.keys
    }

    /// Whether a text ends with this event.
    pub(in crate::masking::streams) fn end_some(&self) -> bool {
        self.end_all || !self.ends.is_empty()
    }

    /// The beginnings of what identifies texts that end with this event.
    pub(in crate::masking::streams) fn ends(&self) -> impl Iterator<Item = &[u8]> {
        self.ends
            .iter()
            .map(|&(from, to)| self.keys.get(from..to).unwrap_or_default())
    }

    /// Reads an object at the root.
    fn root(&mut self, tape: &Tape, event: &[u8], root: usize) {
        let facts = self.facts(tape, event, root);
        let sign = self.dialect.map(|dialect| dialect.sign);
        if let Some(Sign::Message { .. }) = sign {
            self.answers(tape, event, &facts);
            return;
        }
        let kind = facts.kind.map(|at| tape.says(event, at));
        let kind = kind.unwrap_or_default();
        if !facts.has_elements
            && let Some(shown) = known().shown(&kind)
        {
            self.dialect = Some(shown);
        }
        self.end_all |= known().is_last(&kind);
        self.identify(tape, event, &facts, &kind);
        if self.typed(tape, event, &facts, &kind) {
            return;
        }
        if facts.has_elements {
            self.path.clear();
            self.object(tape, event, root, Some(&known().root), 0);
        } else if let Some(delta) = facts.delta {
            self.path.extend_from_slice(&kind);
            self.piece(tape, delta, Part::Perhaps);
        } else if self.holds_pieces(&kind) {
            let root_node = Some(&known().root);
            self.object(tape, event, root, root_node, self.path.len());
        }
    }

    /// What the members of the root say. What they say of the whole event is noted.
    fn facts(&mut self, tape: &Tape, event: &[u8], root: usize) -> Root {
        let mut facts = Root::default();
        for (key, value) in tape.members(root) {
            let is_text = tape.kind(value) == Some(Kind::Text);
            let name = tape.says(event, key);
            for member in known().member(&name) {
                match member {
                    Member::Index(at) => {
                        if let Some(index) = facts.indices.get_mut(at) {
                            *index = Some(value);
                        }
                    }
                    Member::Id => facts.id = Some(value),
                    Member::Sequence => {
                        let number = tape.says(event, value);
                        self.sequence_number = std::str::from_utf8(&number)
                            .ok()
                            .and_then(|n| n.parse().ok());
                    }
                    Member::Last(says) => self.end_all |= *tape.says(event, value) == *says,
                    Member::Shows(dialect) => {
                        self.dialect = Some(dialect);
                        facts.has_elements |= matches!(dialect.sign, Sign::Elements(_));
                    }
                    Member::Request => facts.request = Some(value),
                    Member::Answer => facts.is_answer = true,
                }
            }
            match &*name {
                TYPE if is_text => facts.kind = Some(value),
                DELTA if is_text && !self.names_secret(key) => facts.delta = Some(value),
                _ => {}
            }
        }
        facts
    }

    /// Notes the request that a message answers, as it stands there.
    fn answers(&mut self, tape: &Tape, event: &[u8], facts: &Root) {
        if let (true, Some(request)) = (facts.is_answer, facts.request) {
            let (mut from, mut to) = tape.offsets(request);
            if tape.kind(request) == Some(Kind::Text) {
                (from, to) = (from.saturating_sub(1), to.saturating_add(1));
            }
            self.answers = event.get(from..to).map(Into::into);
        }
    }

    /// Writes to the path what the indices of an event of type `kind` identify, the widest first.
    /// Texts of which the type says that they end, do.
    fn identify(&mut self, tape: &Tape, event: &[u8], facts: &Root, kind: &[u8]) {
        let widest = known().ends(kind);
        let mut ends_to = None;
        for (index, counts) in facts.indices.iter().zip(&known().indices) {
            let says = index.map(|at| tape.says(event, at)).unwrap_or_default();
            self.path.extend_from_slice(&says);
            self.path.push(SEPARATOR);
            if widest.is_some_and(|widest| *counts <= widest) {
                ends_to = Some(self.path.len());
            }
        }
        if let Some(to) = ends_to {
            self.end(to);
        }
    }

    /// Reads the delta of an event whose type says what it is a piece of, and ends the text of
    /// which the type says so. Gives whether no more is to be read.
    fn typed(&mut self, tape: &Tape, event: &[u8], facts: &Root, kind: &[u8]) -> bool {
        let known = known();
        let before = self.path.len();
        let mut indices = facts.indices.iter().zip(&known.indices);
        let has_item = indices.any(|(index, counts)| index.is_some() && *counts == Index::Item);
        if let (false, Some(id)) = (has_item, facts.id) {
            self.path.extend_from_slice(&tape.says(event, id));
        }
        self.path.push(SEPARATOR);
        for typed in &known.types {
            if let Some(stem) = kind.strip_suffix(typed.ended) {
                let from = self.path.len();
                self.path.extend_from_slice(stem);
                self.end(self.path.len());
                self.path.truncate(from);
            }
            if let (Some(delta), Some(stem)) = (facts.delta, kind.strip_suffix(typed.goes_on)) {
                self.path.extend_from_slice(stem);
                let part = match typed.is_json || known.is_json(stem) {
                    true => Part::Json,
                    false => Part::Piece,
                };
                self.piece(tape, delta, part);
                if !facts.has_elements {
                    return true;
                }
            }
        }
        self.path.truncate(before);
        false
    }

    /// Whether an event of this type may hold pieces of texts.
    fn holds_pieces(&self, kind: &[u8]) -> bool {
        let only = self.dialect.and_then(|dialect| dialect.only);
        only.is_none_or(|end| kind.ends_with(end))
    }

    /// Whether the value of this key is a secret whatever it looks like.
    fn names_secret(&self, key: usize) -> bool {
        self.secret.binary_search(&key).is_ok()
    }

    fn end(&mut self, to: usize) {
        if to > MAX_KEY {
            return;
        }
        let from = self.keys.len();
        self.keys
            .extend_from_slice(self.path.get(..to).unwrap_or_default());
        self.ends.push((from, self.keys.len()));
    }

    /// Reads an object, which stands at `node`. `None`: at no path that is known, in a `delta`. The
    /// path's first `scope` bytes identify the element that it belongs to.
    fn object(
        &mut self,
        tape: &Tape,
        event: &[u8],
        at: usize,
        node: Option<&'static Node>,
        scope: usize,
    ) {
        let known = known();
        let len = self.path.len();
        // Of many members each would be compared with all others: an event of 32 KiB can have
        // thousands.
        let mut last_of_many = BTreeMap::new();
        if tape.members(at).nth(FEW).is_some() {
            let members = tape.members(at);
            last_of_many.extend(members.map(|(key, value)| (tape.says(event, key), value)));
        }
        for (key, value) in tape.members(at) {
            let name = tape.says(event, key);
            self.is_secret = self.names_secret(key);
            let mut next = node.and_then(|node| node.child(&name));
            let is_last = || {
                if let Some(last) = last_of_many.get(&*name) {
                    return *last == value;
                }
                let same = |&(other, _): &(usize, usize)| *tape.says(event, other) == *name;
                tape.members(at).filter(same).last().map(|(_, last)| last) == Some(value)
            };
            let is_loose = next.is_none() && node.is_some_and(|node| !node.in_delta);
            if is_loose {
                let is_text = tape.kind(value) == Some(Kind::Text);
                if is_text && known.may_be_text(&name) && is_last() {
                    self.path.extend_from_slice(&name);
                    self.piece(tape, value, Part::Perhaps);
                    self.path.truncate(len);
                }
                if is_text {
                    continue;
                }
                next = (*name != *DELTA).then(loose);
            } else if next.is_none() && known.is_name(&name) {
                continue;
            }
            // Of members of one name the last counts, for all that read JSON.
            if tape.kind(value) == Some(Kind::Text) && !is_last() {
                continue;
            }
            let is_string = tape.kind(value) == Some(Kind::Text);
            // What is known needs no name but its own: a block's first text and its deltas are one
            // text.
            let is_unknown = is_loose || next.is_none();
            if is_string || is_unknown {
                self.path.extend_from_slice(&name);
            }
            if !is_string && is_unknown {
                self.path.push(SEPARATOR);
            }
            self.value(tape, event, value, next, scope);
            self.path.truncate(len);
        }
        self.is_secret = false;
    }

    fn value(
        &mut self,
        tape: &Tape,
        event: &[u8],
        at: usize,
        node: Option<&'static Node>,
        scope: usize,
    ) {
        match tape.kind(at) {
            Some(Kind::Text) => match node.map_or(Some(Part::Perhaps), |node| node.part) {
                Some(Part::End) if known().is_reason(&tape.says(event, at)) => self.end(scope),
                Some(part @ (Part::Piece | Part::Json | Part::Perhaps)) => {
                    self.piece(tape, at, part);
                }
                _ if node.is_some_and(|node| node.in_delta && node.part.is_none()) => {
                    self.piece(tape, at, Part::Perhaps);
                }
                _ => {}
            },
            Some(Kind::Object) if node.is_none_or(|node| node.part != Some(Part::Own)) => {
                self.object(tape, event, at, node, scope);
            }
            Some(Kind::Array) => self.array(tape, event, at, node),
            _ => {}
        }
    }

    fn array(&mut self, tape: &Tape, event: &[u8], at: usize, node: Option<&'static Node>) {
        let each = match node {
            None => None,
            Some(node) => match &node.each {
                Some(each) => Some(each),
                None if node.part == Some(Part::Own) => return,
                None => None,
            },
        };
        // What is not known in a `delta` is a piece whatever its name is.
        let unknown = node.filter(|node| !node.in_delta).map(|_| loose());
        let len = self.path.len();
        for (place, element) in tape.elements(at).enumerate() {
            self.path.push(SEPARATOR);
            if each.is_none_or(|each| !each.joined) {
                let mut index = None;
                if tape.kind(element) == Some(Kind::Object) {
                    index = tape
                        .members(element)
                        .filter(|&(key, _)| *tape.says(event, key) == *INDEX)
                        .last();
                }
                match index {
                    Some((_, index)) => self.path.extend_from_slice(&tape.says(event, index)),
                    None => self.path.extend_from_slice(place.to_string().as_bytes()),
                }
                self.path.push(SEPARATOR);
            } else if tape.kind(element) == Some(Kind::Object) {
                let is_there = |&&(name, says): &&(&[u8], &[u8])| {
                    tape.members(element).any(|(key, value)| {
                        *tape.says(event, key) == *name && *tape.says(event, value) == *says
                    })
                };
                if let Some((name, _)) = known().apart().iter().find(is_there) {
                    self.path.extend_from_slice(name);
                }
            }
            let scope = self.path.len();
            let inner = each.map(|each| &each.node).or(unknown);
            self.value(tape, event, element, inner, scope);
            self.path.truncate(len);
        }
    }

    fn piece(&mut self, tape: &Tape, at: usize, part: Part) {
        let is_kept = self.kept.binary_search(&at).is_ok();
        if self.is_secret || is_kept || tape.is_empty(at) || self.path.len() > MAX_KEY {
            return;
        }
        let from = self.keys.len();
        self.keys.extend_from_slice(&self.path);
        self.pieces.push(Delta {
            at,
            key: (from, self.keys.len()),
            is_json: part == Part::Json,
            perhaps: part == Part::Perhaps,
        });
    }
}
