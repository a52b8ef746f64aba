//! Where the texts of a body are: one module for each format.
//!
//! A format reads raw bytes as they come, gives every text that it finds a
//! [`Tap`](crate::masking::text::tap::Tap) of its own, and says how far the stream is decided. It
//! changes nothing but by edits; what it does not understand it treats as text, so that nothing
//! escapes by being malformed.
//!
//! A new format is a module here, a [`Kind`] with its content types, and a place where it is
//! chosen: in `open_within` where the type alone decides, in [`sniff`] where the first bytes may
//! know better. The compiler asks for both.

mod form;
mod grpc;
pub(super) mod json;
mod multipart;
mod sniff;
mod text;
mod transcript;
mod whole;

use crate::masking::bodies::{
    content::{Content, Kind},
    desk::Desk,
};

/// Reads one body.
pub(super) trait Format: Send + Sync {
    /// Reads the next bytes, which begin at the raw offset `from`. Gives the raw offset up to which
    /// everything is decided: all edits before it are on the desk. It never goes back.
    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64;

    /// The body ended at the raw offset `end`: everything is decided.
    fn finish(&mut self, desk: &mut Desk<'_>, end: u64);

    /// Where the body can end if it has to end before the raw offset `at` (a secret that is
    /// blocked): there, or at the beginning of the event that it stands in.
    fn cut(&self, at: u64) -> u64 {
        at
    }

    /// How the format itself tells its reader that the body ends here with an error; nothing if it
    /// cannot.
    fn ending(&self, message: &str) -> Option<Vec<u8>> {
        let _ = message;
        None
    }
}

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
        Kind::Grpc => Box::new(grpc::Grpc::new()),
        Kind::Binary => Box::new(text::Text::octets()),
        Kind::Multipart(boundary) if nested < MAX_NESTED => {
            Box::new(multipart::Multipart::new(&boundary, nested))
        }
        kind @ (Kind::Json
        | Kind::JsonLines
        | Kind::EventStream
        | Kind::Form
        | Kind::Multipart(_)
        | Kind::Octets
        | Kind::Text) => Box::new(sniff::Sniff::new(kind, content.path.clone())),
    }
}
