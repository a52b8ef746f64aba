//! Streams of events or records, and in them the texts of models and tools.
//!
//! # What is a text
//!
//! - A string in an event's JSON is a text of its own, unless it is a piece of a text that goes on
//!   over events: a delta of a model's answer, of its reasoning, of a tool's arguments, for each
//!   choice, block or tool call. See [`deltas`].
//! - Data that is no JSON is a text that goes on over the events of the same name, since models and
//!   tools stream text like this. It may as well be a text for each event, so a secret may also
//!   begin wherever an event does.
//! - Comments, names of events, identifiers and unknown fields of one event are one text, line by
//!   line.
//!
//! # What happens to events
//!
//! They are never made, dropped or reordered. An event leaves with its last byte, unless a text is
//! undecided: then all events wait from the first on that holds an undecided byte, and leave as
//! they came if it was a false alarm. The first piece of a secret gets the replacement, the pieces
//! in later events become empty. A text ends, and is decided, where its protocol says so, or with
//! the stream.
//!
//! An event that has not ended waits; no reader can use a part of it. No more than 32 KiB of it
//! wait, and 256 KiB of whole events. If more whole events wait, the leftmost undecided places are
//! let go, emptied: their text is held still, and the replacement stands in the last piece. A
//! longer event is read as it comes, and each of its strings is a text of its own: no protocol
//! sends such deltas.
//!
//! The same holds for records: lines of JSON, and the elements of an array that grows.
//!
//! # Words
//!
//! - A *unit* is an event or a record.
//! - A *piece* is what one unit has of a text that goes on. All else in a unit is its *own*.
//! - A unit *waits* that has been read and holds bytes that are undecided, or stands behind one.
//! - A *template* is a unit that was read and that later ones are compared with; its *slots* are
//!   where these may differ.
//!
//! # Where to look
//!
//! | file | is about |
//! |---|---|
//! | `units` | what waits, and how a body of units is read: the same for events and for records |
//! | `sse`, `records` | what tells them apart: where a unit ends, and what one is that is too long |
//! | `reader` | one unit that is there as a whole: its texts, and units that are like one of the last |
//! | `tape` | the JSON of one unit as a flat list of tokens |
//! | `deltas` | which strings on the tape are pieces of texts that go on, and what ends these |
//! | `channels` | the texts that go on, and the units that wait for them |

mod channels;
mod deltas;
mod reader;
mod records;
mod sse;
mod tape;
mod units;

use crate::masking::formats::Format;
use deltas::known::known;
use reader::Reader;
use records::Records;
use sse::Events;
use units::Units;

/// A body of server-sent events.
pub(in crate::masking) fn events() -> Box<dyn Format> {
    Box::new(Units::of(Events::default(), Reader::events()))
}

/// A body of lines of JSON, in the answer to a request with this path.
pub(in crate::masking) fn lines(path: Option<&[u8]>) -> Box<dyn Format> {
    let reader = Reader::records(path, &known().records);
    Box::new(Units::of(Records::lines(path), reader))
}

/// A body that is an array whose elements are the deltas of a stream.
pub(in crate::masking) fn elements() -> Box<dyn Format> {
    Box::new(Units::of(Records::elements(), Reader::records(None, &[])))
}
