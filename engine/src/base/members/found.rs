//! What is told of members.

use std::fmt;

/// Something about a wanted member. `path` is the number of its path, from 0, in the order in which
/// they were given; where several lead through a place, the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// It stands there.
    Member {
        /// Which it is.
        path: usize,
        /// Where its value begins, in bytes from the beginning of the document.
        at: u64,
        /// Its value. Those of objects and arrays are told at their end, after what is in them.
        value: Value<'a>,
    },
    /// On the way to it, or it itself, a name stands twice in one object.
    Again {
        /// Which it is.
        path: usize,
        /// Where the second name begins.
        at: u64,
    },
    /// On the way to it, or instead of it, stands a name that differs in the case of letters only.
    Alike {
        /// Which it is.
        path: usize,
        /// Where that name begins.
        at: u64,
    },
}

/// The value of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string: what it means.
    Text(&'a str),
    /// A string that means more bytes than were to be kept.
    TooLong,
    /// A number, as it is written.
    Number(&'a str),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`.
    Null,
    /// An object: from its value's beginning up to this offset.
    Object {
        /// Offset after its last byte.
        end: u64,
    },
    /// An array: the same.
    Array {
        /// Offset after its last byte.
        end: u64,
    },
}

/// The bytes are not one JSON document that all readers take the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// At or before this offset.
    pub at: u64,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no JSON document at byte {}", self.at)
    }
}

impl std::error::Error for Malformed {}
