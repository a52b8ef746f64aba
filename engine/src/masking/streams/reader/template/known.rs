//! The last few events that others may be like.
//!
//! One is not enough: texts are interleaved (two choices, two calls of tools, reasoning and
//! content), and between the events of a text stand others (`ping`). What a template says does not
//! depend on what came before it.

use super::{At, Template, own::Own};
use crate::masking::streams::{deltas::Deltas, tape::Tape};

/// Most templates of a stream. Each takes up to some kilobytes.
const MAX_TEMPLATES: usize = 3;

/// Templates, each with what is known of it.
#[derive(Clone, Default)]
pub(in crate::masking::streams::reader) struct Templates {
    all: Vec<(Template, Own)>,
    /// The one that was compared with last.
    last: usize,
    /// Room to make one.
    spare: Template,
}

impl Templates {
    /// Makes an event one to compare with, if it can be: see [`Template::set`].
    pub(in crate::masking::streams::reader) fn add(
        &mut self,
        event: &[u8],
        tape: &Tape,
        deltas: &Deltas,
        data: impl Iterator<Item = (usize, usize)>,
        is_plain: bool,
    ) {
        if !self.spare.set(event, tape, deltas, data, is_plain) {
            return;
        }
        let next = match self.all.len() {
            0 => 0,
            _ => self.last.saturating_add(1) % MAX_TEMPLATES,
        };
        if next >= self.all.len() {
            self.all.push(Default::default());
        }
        self.last = next.min(self.all.len().saturating_sub(1));
        if let Some((template, own)) = self.all.get_mut(self.last) {
            std::mem::swap(template, &mut self.spare);
            own.clear();
        }
    }

    /// Compares the event with which `bytes` begin: which template it is like, and its length.
    pub(in crate::masking::streams::reader) fn compare(
        &mut self,
        bytes: &[u8],
        places: &mut Vec<At>,
    ) -> Option<(usize, usize)> {
        let last = self.last;
        let mut compare = |of: usize| {
            let (template, _) = self.all.get(of)?;
            Some((of, template.compare(bytes, places)?))
        };
        let others = (0..MAX_TEMPLATES).filter(|of| *of != last);
        let found = std::iter::once(last).chain(others).find_map(&mut compare);
        self.last = found.map_or(last, |(of, _)| of);
        found
    }

    /// One of them, with what is known of it.
    pub(in crate::masking::streams::reader) fn get(&self, of: usize) -> Option<&Template> {
        self.all.get(of).map(|(template, _)| template)
    }

    pub(in crate::masking::streams::reader) fn get_mut(
        &mut self,
        of: usize,
    ) -> Option<(&Template, &mut Own)> {
        self.all
            .get_mut(of)
            .map(|(template, own)| (&*template, own))
    }

    /// All of them.
    pub(in crate::masking::streams::reader) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (&Template, &mut Own)> {
        self.all.iter_mut().map(|(template, own)| (&*template, own))
    }
}
