//! Where in a JSON document we are.

/// Deepest place that has a path.
const MAX_PATH: usize = 16;
/// Longest key that is remembered.
pub(in crate::masking) const MAX_KEY: usize = 64;

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) enum Step {
    /// The member of this name.
    Key(&'static str),
    /// Any element of an array.
    Element,
    /// Any member or element.
    Any,
}

/// The containers that are open and where in each of them we are. Fed with what a
/// [`Tokenizer`](super::Tokenizer) says; of bounded size.
#[derive(Debug, Clone, Default)]
pub(in crate::masking) struct Path {
    levels: Vec<Level>,
    /// Open containers beyond [`MAX_PATH`].
    deeper: usize,
}

#[derive(Debug, Clone)]
enum Level {
    /// In an object, after this key.
    Member { key: Vec<u8>, is_cut: bool },
    /// In an array, at this element.
    Element(u64),
}

impl Path {
    /// At the top of a document.
    pub(in crate::masking) fn new() -> Self {
        Self::default()
    }

    /// Reads one of `{ } [ ] , :`.
    pub(in crate::masking) fn structure(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' if self.levels.len() >= MAX_PATH => {
                self.deeper = self.deeper.saturating_add(1);
            }
            b'{' => self.levels.push(Level::Member {
                key: Vec::new(),
                is_cut: false,
            }),
            b'[' => self.levels.push(Level::Element(0)),
            b'}' | b']' if self.deeper > 0 => self.deeper = self.deeper.saturating_sub(1),
            b'}' | b']' => {
                self.levels.pop();
            }
            b',' if self.deeper == 0 => match self.levels.last_mut() {
                Some(Level::Member { key, is_cut }) => {
                    key.clear();
                    *is_cut = false;
                }
                Some(Level::Element(at)) => *at = at.saturating_add(1),
                None => {}
            },
            _ => {}
        }
    }

    /// Reads a part of a key.
    pub(in crate::masking) fn key(&mut self, text: &[u8]) {
        if self.deeper > 0 {
            return;
        }
        if let Some(Level::Member { key, is_cut }) = self.levels.last_mut() {
            if key.len().saturating_add(text.len()) > MAX_KEY {
                *is_cut = true;
            } else {
                key.extend_from_slice(text);
            }
        }
    }

    /// The key that we are at, if it is a whole one.
    pub(in crate::masking) fn last_key(&self) -> Option<&[u8]> {
        match self.levels.last() {
            Some(Level::Member { key, is_cut: false }) if self.deeper == 0 => Some(key),
            _ => None,
        }
    }

    /// How many containers are open.
    pub(in crate::masking) fn depth(&self) -> usize {
        self.levels.len().saturating_add(self.deeper)
    }

    /// Whether these are the steps from the top to here.
    pub(in crate::masking) fn matches(&self, steps: &[Step]) -> bool {
        self.deeper == 0
            && self.levels.len() == steps.len()
            && self
                .levels
                .iter()
                .zip(steps)
                .all(|(level, step)| match (level, step) {
                    (_, Step::Any) | (Level::Element(_), Step::Element) => true,
                    (Level::Member { key, is_cut: false }, Step::Key(name)) => {
                        key == name.as_bytes()
                    }
                    _ => false,
                })
    }

    /// The index in the array that is open at this depth (0: the outermost container).
    pub(in crate::masking) fn index(&self, depth: usize) -> Option<u64> {
        match self.levels.get(depth)? {
            Level::Element(at) => Some(*at),
            Level::Member { .. } => None,
        }
    }
}
