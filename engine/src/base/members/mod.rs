//! Members of a JSON document, as it streams: the few that one asks for, and nothing is kept of the
//! rest.
//!
//! ```
//! use chaperone_engine::base::members::{Found, Members, Value, Wanted};
//! use std::sync::Arc;
//!
//! let wanted = Arc::new(Wanted::of(&["model", "tools[].function.name"], 256).unwrap());
//! let mut members = Members::new(wanted);
//! let mut said = Vec::new();
//! let mut note = |found: Found<'_>| {
//!     if let Found::Member { path, value: Value::Text(text), .. } = found {
//!         said.push((path, text.to_owned()));
//!     }
//! };
//! members.push(br#"{"model":"gpt-x","tools":[{"function":{"na"#, &mut note)?;
//! members.push(br#"me":"write"}},{"function":{}}],"n":1}"#, &mut note)?;
//! members.finish(&mut note)?;
//! assert_eq!(said, [(0, "gpt-x".to_owned()), (1, "write".to_owned())]);
//! # Ok::<(), chaperone_engine::base::members::Malformed>(())
//! ```
//!
//! # Promises
//!
//! - *Any cut*: what is found does not depend on how the bytes come in parts.
//! - *One meaning*: whoever decides by a member must see what the upstream will see. RFC 8259 §4
//!   leaves open which of two members of one name counts, and some readers take `Model` for
//!   `model`. Both are told ([`Found::Again`], [`Found::Alike`]), wherever on the way to a wanted
//!   member they stand. What strict readers refuse and lenient ones take is [`Malformed`]: raw
//!   control characters and unknown escapes in strings, text after the document, names and wanted
//!   values that are not UTF-8.
//! - *Bounded*: it holds one string that is wanted, up to its bound, and a few bytes for each step
//!   of the paths. A longer string is told as such ([`Value::TooLong`]).
//!
//! What it does not do: it does not check numbers for their range, nor that what nobody asked for
//! is UTF-8.
//!
//! The alternatives: `serde_json` wants the document whole, and a type for each set of members; a
//! reader that stops at the last wanted member does not see its duplicate.

mod found;
mod reading;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
mod wanted;

use super::tokens::Tokenizer;
pub use found::{Found, Malformed, Value};
use reading::{Reading, State};
use std::sync::Arc;
pub use wanted::{NoPath, Wanted};

/// Reads one document.
#[derive(Debug)]
pub struct Members {
    wanted: Arc<Wanted>,
    tokenizer: Tokenizer,
    state: State,
    read: u64,
    fault: Option<Malformed>,
}

impl Members {
    /// At the beginning of a document.
    pub fn new(wanted: Arc<Wanted>) -> Self {
        Self {
            wanted,
            tokenizer: Tokenizer::new(),
            state: State::new(),
            read: 0,
            fault: None,
        }
    }

    /// Reads the next bytes, and tells `each` what is found in them.
    ///
    /// # Errors
    /// What came is no document. Nothing more is read then.
    pub fn push(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Found<'_>),
    ) -> Result<(), Malformed> {
        self.read_on(each, |tokenizer, raw, reading| {
            let read = tokenizer.read(bytes, raw, reading);
            read.map_err(|fault| Malformed { at: fault.raw })
        })?;
        self.read = self.read.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// The document ended.
    ///
    /// # Errors
    /// It is not whole.
    pub fn finish(&mut self, each: &mut impl FnMut(Found<'_>)) -> Result<(), Malformed> {
        self.read_on(each, |tokenizer, raw, reading| {
            let is_whole = tokenizer.is_whole() && reading.has_begun();
            reading.end_scalar();
            is_whole.then_some(()).ok_or(Malformed { at: raw })
        })
    }

    fn read_on<F: FnMut(Found<'_>)>(
        &mut self,
        each: &mut F,
        read: impl FnOnce(&mut Tokenizer, u64, &mut Reading<'_, F>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut reading = Reading::new(&self.wanted, &mut self.state, each);
        let read = read(&mut self.tokenizer, self.read, &mut reading);
        let fault = reading.fault().map_or(read, Err);
        self.fault = fault.err();
        fault
    }
}
