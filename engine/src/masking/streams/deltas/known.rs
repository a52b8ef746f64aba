//! What all dialects say, put together.
//!
//! An event is read by all of it, whichever dialects it shows: gateways and local models speak each
//! other's. The facts stand in [`upstreams`](crate::upstreams), one file for each upstream.

use super::paths::Node;
use crate::upstreams::{DELTAS, DIALECTS, Dialect, Index, Last, Sign, Stem, Typed};
use std::sync::OnceLock;

/// Most indices that the dialects may have together.
pub(in crate::masking::streams) const MAX_INDICES: usize = 8;

/// What is known of events.
pub(in crate::masking::streams) struct Known {
    /// Where texts stand.
    pub(in crate::masking::streams) root: Node,
    /// Members of an event's root that mean something, with what they mean.
    members: Vec<(&'static [u8], Member)>,
    /// What the indices count: the widest first.
    pub(in crate::masking::streams) indices: Vec<Index>,
    pub(in crate::masking::streams) types: Vec<&'static Typed>,
    json: Vec<Stem>,
    /// Dialects that a type shows, by its beginning.
    shown: Vec<(&'static [u8], &'static Dialect)>,
    ends: Vec<(&'static [u8], Index)>,
    last_types: Vec<&'static [u8]>,
    last_data: Vec<&'static [u8]>,
    apart: Vec<(&'static [u8], &'static [u8])>,
    reasons: Vec<&'static [u8]>,
    names: Vec<&'static [u8]>,
    texts: Vec<&'static [u8]>,
    varying: Vec<&'static [u8]>,
    sequences: Vec<&'static [u8]>,
    /// Members of which a record of a streamed answer has one.
    pub(in crate::masking::streams) records: Vec<&'static [u8]>,
    whole: Vec<&'static [u8]>,
}

/// What a member of an event's root means.
#[derive(Debug, Clone, Copy)]
pub(in crate::masking::streams) enum Member {
    /// One of [`Known::indices`].
    Index(usize),
    Id,
    /// The number of the event.
    Sequence,
    /// All texts end if this is its value.
    Last(&'static [u8]),
    /// It shows the dialect.
    Shows(&'static Dialect),
    /// The request that the event answers, if it is an answer.
    Request,
    /// The event is an answer.
    Answer,
}

/// What is known of events.
pub(in crate::masking::streams) fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| Known::of(DIALECTS))
}

impl Known {
    fn of(dialects: &[&'static Dialect]) -> Self {
        let mut root = Node::default();
        for (path, part) in dialects.iter().flat_map(|dialect| dialect.paths) {
            root.add(path, *part);
        }
        let mut indices = all(dialects, |dialect| dialect.indices);
        indices.sort_by_key(|(_, index)| *index);
        debug_assert!(indices.len() <= MAX_INDICES, "an index is not read");
        let last = all(dialects, |dialect| dialect.last);
        let sequences: Vec<_> = dialects
            .iter()
            .filter_map(|dialect| dialect.sequence)
            .collect();
        let varying = all(dialects, |dialect| dialect.varying);
        let places = (0..).zip(&indices);
        let mut members: Vec<_> = places
            .map(|(at, (name, _))| (*name, Member::Index(at)))
            .collect();
        members.extend(
            all(dialects, |dialect| dialect.ids)
                .iter()
                .map(|name| (*name, Member::Id)),
        );
        members.extend(sequences.iter().map(|name| (*name, Member::Sequence)));
        members.extend(last.iter().filter_map(|last| match last {
            Last::Member(name, value) => Some((*name, Member::Last(value))),
            _ => None,
        }));
        let mut shown = Vec::new();
        for dialect in dialects {
            match dialect.sign {
                Sign::Nothing => {}
                Sign::Type(begins) => shown.extend(begins.iter().map(|begin| (*begin, *dialect))),
                Sign::Elements(name) => members.push((name, Member::Shows(dialect))),
                Sign::Message {
                    member,
                    id,
                    answers,
                } => {
                    members.push((member, Member::Shows(dialect)));
                    members.push((id, Member::Request));
                    members.extend(answers.iter().map(|name| (*name, Member::Answer)));
                }
            }
        }
        let last_types = last.iter().filter_map(|last| match last {
            Last::Type(says) => Some(*says),
            _ => None,
        });
        let last_data = last.iter().filter_map(|last| match last {
            Last::Data(says) => Some(*says),
            _ => None,
        });
        Self {
            root,
            members,
            indices: indices.iter().map(|(_, index)| *index).collect(),
            types: dialects.iter().flat_map(|dialect| dialect.types).collect(),
            json: all(dialects, |dialect| dialect.json),
            shown,
            ends: all(dialects, |dialect| dialect.ends),
            last_types: last_types.collect(),
            last_data: last_data.collect(),
            apart: all(dialects, |dialect| dialect.apart),
            reasons: all(dialects, |dialect| dialect.reasons),
            names: all(dialects, |dialect| dialect.names),
            texts: all(dialects, |dialect| dialect.texts),
            varying: varying
                .into_iter()
                .chain(sequences.iter().copied())
                .collect(),
            sequences,
            records: all(dialects, |dialect| dialect.records),
            whole: all(dialects, |dialect| dialect.whole),
        }
    }

    /// What a member of an event's root means; it may mean several things.
    pub(in crate::masking::streams) fn member(&self, name: &[u8]) -> impl Iterator<Item = Member> {
        let members = self.members.iter();
        members
            .filter(move |(known, _)| *known == name)
            .map(|(_, member)| *member)
    }

    /// The dialect that an event of this type shows.
    pub(in crate::masking::streams) fn shown(&self, kind: &[u8]) -> Option<&'static Dialect> {
        let found = self.shown.iter().find(|(begin, _)| kind.starts_with(begin));
        found.map(|(_, dialect)| *dialect)
    }

    /// Whether the text of such a type is always JSON; `stem` is the type without its end.
    pub(in crate::masking::streams) fn is_json(&self, stem: &[u8]) -> bool {
        self.json.iter().any(|part| match part {
            Stem::Begins(begin) => stem.starts_with(begin),
            Stem::Ends(end) => stem.ends_with(end),
        })
    }

    /// Up to which indices texts have to be the same to end with an event of this type.
    pub(in crate::masking::streams) fn ends(&self, kind: &[u8]) -> Option<Index> {
        let found = self.ends.iter().find(|(ends, _)| *ends == kind);
        found.map(|(_, index)| *index)
    }

    /// Whether no text goes on after an event of this type.
    pub(in crate::masking::streams) fn is_last(&self, kind: &[u8]) -> bool {
        has(&self.last_types, kind)
    }

    /// Whether no text goes on after an event with this data.
    pub(in crate::masking::streams) fn is_last_data(&self, data: &[u8]) -> bool {
        has(&self.last_data, data)
    }

    /// The members, with their values, by which an element is none of the pieces among which it
    /// stands.
    pub(in crate::masking::streams) fn apart(&self) -> &[(&'static [u8], &'static [u8])] {
        &self.apart
    }

    /// Whether a model stops because of this.
    pub(in crate::masking::streams) fn is_reason(&self, says: &[u8]) -> bool {
        has(&self.reasons, says)
    }

    /// Whether a member of a `delta` is said whole each time.
    pub(in crate::masking::streams) fn is_name(&self, name: &[u8]) -> bool {
        has(&self.names, name)
    }

    /// Whether what has this name may be the piece of a text, wherever it stands.
    pub(in crate::masking::streams) fn may_be_text(&self, name: &[u8]) -> bool {
        self.is_text(name) || DELTAS.iter().any(|end| name.ends_with(end))
    }

    /// Whether a text that has this name decides nothing about its event.
    pub(in crate::masking::streams) fn is_text(&self, name: &[u8]) -> bool {
        has(&self.texts, name)
    }

    /// Whether what has this name differs from event to event, and says nothing about texts.
    pub(in crate::masking::streams) fn is_varying(&self, name: &[u8]) -> bool {
        has(&self.varying, name)
    }

    /// Whether the data of the first event of this name, which is no JSON, is whole.
    pub(in crate::masking::streams) fn is_whole(&self, name: &[u8]) -> bool {
        has(&self.whole, name)
    }

    /// Whether the number of an event has this name.
    pub(in crate::masking::streams) fn is_sequence(&self, name: &[u8]) -> bool {
        has(&self.sequences, name)
    }
}

fn has(names: &[&[u8]], name: &[u8]) -> bool {
    names.contains(&name)
}

fn all<T: Copy + 'static>(
    dialects: &[&'static Dialect],
    of: impl Fn(&'static Dialect) -> &'static [T],
) -> Vec<T> {
    dialects
        .iter()
        .flat_map(|dialect| of(dialect))
        .copied()
        .collect()
}
