//! The description that each dialect gives of itself.
//!
//! A dialect is how a family of upstreams writes the bodies of its answers: OpenAI's chat
//! completions, Anthropic's messages, JSON-RPC. Nobody says which one a body is in: gateways and
//! local models speak each other's, and one event may show two. So masking puts together what all
//! of them say, and reads each event by all of it.

use serde_json::Value;
use std::fmt;

/// All that is known of one dialect, most of it about the events of a streamed answer. A file
/// states what its upstream has, and takes the rest from [`Dialect::NONE`].
pub(crate) struct Dialect {
    /// For people.
    pub(crate) name: &'static str,
    /// How an event shows that it is in this dialect. Needed for what is not common to all:
    /// [`only`](Self::only), and [`error`](Self::error).
    pub(crate) sign: Sign,
    /// If said, the types of events that hold pieces end so; other events say their texts whole.
    pub(crate) only: Option<&'static [u8]>,
    /// Where the texts of an event stand: paths from the root of its JSON.
    ///
    /// Members are joined by dots. The elements of `[]` each have texts of their own, told apart by
    /// their member `index`, or else by their place; those of `[+]` go on with one text. What
    /// stands elsewhere in an object called `delta` is [`Part::Perhaps`].
    pub(crate) paths: &'static [(&'static str, Part)],
    /// Types of events whose member `delta` is the next piece of a text.
    pub(crate) types: &'static [Typed],
    /// Texts of [`types`](Self::types) that are JSON, by what their type says without its end.
    pub(crate) json: &'static [Stem],
    /// Members of an event's root that tell texts apart by numbers.
    pub(crate) indices: &'static [(&'static [u8], Index)],
    /// Members of an event's root that tell texts apart by identifiers.
    pub(crate) ids: &'static [&'static [u8]],
    /// Members of an element of `[+]`, and their values, that say: this one stands among the pieces
    /// of a text and is none of them. Such elements have a text of their own.
    pub(crate) apart: &'static [(&'static [u8], &'static [u8])],
    /// Types of events with which texts end: those with the same indices, up to this kind.
    pub(crate) ends: &'static [(&'static [u8], Index)],
    /// After what no text goes on.
    pub(crate) last: &'static [Last],
    /// Why a model stops, as it stands at a [`Part::End`]. Whatever else stands there may stand in
    /// every event, and ends nothing.
    pub(crate) reasons: &'static [&'static [u8]],
    /// Members of a `delta` that are said whole each time.
    pub(crate) names: &'static [&'static [u8]],
    /// Names under which texts stand that go on over events, wherever an event has them: an
    /// upstream may wrap what a dialect says, or speak one that is not known here. Such a text may
    /// as well be whole each time.
    ///
    /// What strings of these names say must decide nothing about the event: only then are events
    /// that differ in nothing else read fast.
    pub(crate) texts: &'static [&'static [u8]],
    /// Names of strings and numbers that differ from event to event and say nothing about texts:
    /// numbers, times, and what hides how long a text is. An event that differs from one of
    /// the last in nothing else but its texts is read fast.
    pub(crate) varying: &'static [&'static [u8]],
    /// The member of an event's root that numbers events. It is varying.
    pub(crate) sequence: Option<&'static [u8]>,
    /// Members that show, each alone, that a line of JSON is one of a streamed answer: lines of
    /// other data have members called `text`, too, which have nothing to do with each other.
    pub(crate) records: &'static [&'static [u8]],
    /// Media types of such lines, in small letters, that are not known as lines of JSON otherwise.
    pub(crate) lines: &'static [&'static [u8]],
    /// How paths of requests end whose answer, if it is an array of JSON, is a stream: each of its
    /// elements is read as an event is.
    pub(crate) arrays: &'static [&'static [u8]],
    /// Names of events with data that is no JSON, and whole the first time.
    pub(crate) whole: &'static [&'static [u8]],
    /// The event that says that the stream ended with an error. Official clients raise it. `None`
    /// if no reader would understand one now.
    pub(crate) error: Option<fn(&Refused<'_>) -> Option<ErrorEvent>>,
}

/// How an event shows its dialect.
#[derive(Clone, Copy)]
pub(crate) enum Sign {
    /// It does not.
    Nothing,
    /// By the beginning of its type.
    Type(&'static [&'static [u8]]),
    /// By a member of its root, an array. Its elements say themselves which texts they go on with,
    /// whatever else the event says.
    Elements(&'static [u8]),
    /// By a member of its root. Such an event is a message of its own, with which no text goes on.
    /// It answers the request that the member `id` names, if it has one of the members `answers`.
    Message {
        member: &'static [u8],
        id: &'static [u8],
        answers: &'static [&'static [u8]],
    },
}

/// Why a stream ends with an error, and how far it came.
pub(crate) struct Refused<'a> {
    /// For people.
    pub(crate) message: &'a str,
    /// For programs.
    pub(crate) code: &'a str,
    /// The number of the last event that had one.
    pub(crate) sequence: Option<u64>,
    /// The identifier of the request that was being answered, as it stands in JSON.
    pub(crate) answers: Option<&'a [u8]>,
}

/// An event that means an error.
pub(crate) struct ErrorEvent {
    pub(crate) name: Option<&'static str>,
    pub(crate) data: Value,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The next piece of a text; readers put the pieces together as they are.
    Piece,
    /// The same, and the text is JSON (arguments of a tool).
    Json,
    /// Perhaps the next piece of a text, perhaps a text of its own.
    Perhaps,
    /// A text of its own.
    Own,
    /// If it is one of [`Dialect::reasons`], the texts end that belong to the same element.
    End,
}

/// A type of events whose `delta` is a piece.
pub(crate) struct Typed {
    /// How the type ends while the text goes on.
    pub(crate) goes_on: &'static [u8],
    /// What stands there when the text ends.
    pub(crate) ended: &'static [u8],
    /// The text is always JSON.
    pub(crate) is_json: bool,
}

/// A part of what a type says without its end.
#[derive(Clone, Copy)]
pub(crate) enum Stem {
    Begins(&'static [u8]),
    Ends(&'static [u8]),
}

/// What an index counts, from the widest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Index {
    /// Blocks, of which those with other identifiers are others.
    Block,
    /// Items. Some gateways give an item a new identifier in each event, so beside this index
    /// identifiers count for nothing.
    Item,
    /// Parts of an item.
    Part,
}

/// After what no text goes on.
#[derive(Clone, Copy)]
pub(crate) enum Last {
    /// An event of this type.
    Type(&'static [u8]),
    /// An event whose root has this member with this value.
    Member(&'static [u8], &'static [u8]),
    /// An event whose data is this, which is no JSON.
    Data(&'static [u8]),
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Dialect {
    /// What a dialect has that says nothing.
    pub(crate) const NONE: Self = Self {
        name: "",
        sign: Sign::Nothing,
        only: None,
        paths: &[],
        types: &[],
        json: &[],
        indices: &[],
        ids: &[],
        apart: &[],
        ends: &[],
        last: &[],
        reasons: &[],
        names: &[],
        texts: &[],
        varying: &[],
        sequence: None,
        records: &[],
        lines: &[],
        arrays: &[],
        whole: &[],
        error: None,
    };
}
