//! Where the texts of a body are: one module for each format.
//!
//! A format reads raw bytes as they come, gives every text that it finds a
//! [`Tap`](crate::masking::text::tap::Tap) of its own, and says how far the stream is decided. It
//! changes nothing but by edits; what it does not understand it treats as text, so that nothing
//! escapes by being malformed.
//!
//! A new format is a module here, a [`Kind`] with its content types, and a place where it is
//! chosen: in `open_within` where the type alone decides, in [`sniff`] where the first bytes may
//! know better. The compiler asks for the first only: a kind that `Sniff::open` does not name is
//! read as text.

mod form;
mod format;
mod grpc;
pub(super) mod json;
mod multipart;
mod sniff;
mod text;
mod transcript;
mod whole;

use crate::masking::bodies::content::{Content, Kind};

pub(super) use format::Format;

/// The format of a body.
pub(super) fn open(content: &Content) -> Box<dyn Format> {
    open_within(content, 0)
}

/// Most multiparts that one is in.
const MAX_NESTED: u8 = 3;

/// The format of a part that is in so many multiparts.
fn open_within(content: &Content, nested: u8) -> Box<dyn Format> {
    match content.kind() {
        Kind::Plain => Box::new(text::Text::new()),
        Kind::Multipart(boundary) if nested < MAX_NESTED => {
            Box::new(multipart::Multipart::new(&boundary, nested))
        }
        kind @ (Kind::Json
        | Kind::JsonLines
        | Kind::EventStream
        | Kind::Form
        | Kind::Multipart(_)
        | Kind::Grpc
        | Kind::Binary
        | Kind::Octets
        | Kind::Text) => Box::new(sniff::Sniff::new(kind, content.path.clone())),
    }
}
