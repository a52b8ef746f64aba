//! The same reading of keys where nothing is masked: it notes what keys say as the other does, and
//! says where the first value stands that is not read as other text is. From before there on the
//! document is read again, in the other way.

use super::{Inner, Keys, Reads, Role, Value};
use crate::base::tokens::{Containers, Skims};
use crate::masking::{
    bodies::{keys::MAX_NAME, plan::Plan},
    formats::json::{
        Tokenizer, inner,
        inner::MAX_NESTED,
        kubernetes::Kubernetes,
        quiet::{Decoded, Quiet},
    },
};
use crate::upstreams::LOG_PROBABILITIES;

/// What is known of keys at one place, to go back to it.
pub(in crate::masking::formats::json) struct Saved {
    kubernetes: Kubernetes,
    text: Vec<u8>,
    reads: Reads,
    is_blank: bool,
    expects_logprobs: bool,
    /// Of the document in the value that was being read.
    inner: Option<Box<inner::Saved>>,
}

impl Keys {
    /// Whether nothing is known that makes a value more than text.
    pub(in crate::masking::formats::json) fn is_quiet(&self) -> bool {
        let is_quiet = match self.value {
            Value::Text => true,
            Value::Inner => self.inner.as_ref().is_some_and(|inner| inner.is_quiet()),
            _ => false,
        };
        is_quiet && self.armed.is_none() && self.logprobs.is_none()
    }

    /// See [`Inner::is_cut`].
    pub(in crate::masking::formats::json) fn is_cut(&self) -> bool {
        let inner = self.inner.as_ref();
        matches!(self.value, Value::Inner) && inner.is_some_and(|inner| inner.is_cut())
    }

    pub(in crate::masking::formats::json) fn save(&self) -> Saved {
        let inner = match self.value {
            Value::Inner => self.inner.as_ref(),
            _ => None,
        };
        Saved {
            kubernetes: self.kubernetes.clone(),
            text: self.text.clone(),
            reads: self.reads,
            is_blank: self.is_blank,
            expects_logprobs: self.expects_logprobs,
            inner: inner.map(|inner| Box::new(inner.save())),
        }
    }

    /// Goes back to where this was saved, if all since was quiet.
    pub(in crate::masking::formats::json) fn restore(&mut self, saved: Saved) {
        self.kubernetes = saved.kubernetes;
        self.text = saved.text;
        self.reads = saved.reads;
        self.is_blank = saved.is_blank;
        self.expects_logprobs = saved.expects_logprobs;
        self.value = match (saved.inner, &mut self.inner) {
            (Some(saved), Some(inner)) => {
                inner.restore(*saved);
                Value::Inner
            }
            (_, Some(inner)) => {
                inner.reset();
                Value::Text
            }
            _ => Value::Text,
        };
    }

    /// See [`structure`](Self::structure). Gives whether it is more than structure.
    #[inline]
    pub(in crate::masking::formats::json) fn quiet_structure(
        &mut self,
        plan: &Plan,
        byte: u8,
    ) -> bool {
        if byte == b':' {
            return false;
        }
        if plan.kubernetes && byte != b',' {
            self.kubernetes.structure(byte);
        }
        std::mem::take(&mut self.expects_logprobs) && matches!(byte, b'{' | b'[')
    }

    /// See [`string_start`](Self::string_start). Gives whether the string is more than text.
    #[inline]
    pub(in crate::masking::formats::json) fn quiet_start(
        &mut self,
        plan: &Plan,
        is_key: bool,
    ) -> bool {
        if is_key {
            if plan.restores.is_none() {
                self.reads = Reads::Key;
                self.text.clear();
            }
            return false;
        }
        self.expects_logprobs = false;
        let role = match plan.kubernetes {
            true => self.kubernetes.role(),
            false => Role::Other,
        };
        match role {
            Role::Other => self.is_blank = self.reads_documents(plan),
            Role::Kind => {
                self.reads = Reads::Kind;
                self.text.clear();
            }
            _ => return true,
        }
        false
    }

    /// Whether a string may be a document of its own.
    #[inline]
    fn reads_documents(&self, plan: &Plan) -> bool {
        plan.has_keys() && self.nested < MAX_NESTED
    }

    /// What matters about the strings that come next, if all of them are read as other text is
    /// until a [key](Self::interests) says more.
    pub(in crate::masking::formats::json) fn skims(&self, plan: &Plan) -> Option<Skims> {
        let is_idle = !self.is_read() && !self.is_blank && !self.expects_logprobs;
        let known = match (is_idle, plan.kubernetes) {
            (false, _) => None,
            (true, true) => self.kubernetes.rests(),
            (true, false) => Some(0),
        }?;
        Some(Skims {
            documents: self.reads_documents(plan),
            known: u8::try_from(known).unwrap_or(u8::MAX),
        })
    }

    /// Whether this key makes more of what comes next than text.
    pub(in crate::masking::formats::json) fn interests(&self, plan: &Plan, name: &[u8]) -> bool {
        // Where secrets are restored nobody asks for keys.
        plan.restores.is_none()
            && (plan.keys.get(name).is_some()
                || plan.kubernetes && Kubernetes::is_of_any_object(name)
                || self.nested == 0 && name == LOG_PROBABILITIES.member)
    }

    /// These containers are open now; nothing [interested](Self::interests) since it was asked
    /// what [matters](Self::skims).
    pub(in crate::masking::formats::json) fn skimmed(&mut self, plan: &Plan, open: Containers) {
        if plan.kubernetes {
            let (depth, known) = (usize::from(open.depth), usize::from(open.known));
            let is_array = |at| u8::try_from(at).is_ok_and(|at| open.is_array(at));
            self.kubernetes.go_on(depth, known, is_array);
        }
    }

    /// Whether it is to be asked what the string begins with.
    #[inline]
    pub(in crate::masking::formats::json) fn is_blank(&self) -> bool {
        self.is_blank
    }

    /// The first part of a string, or the next one if it is blank so far. Gives whether a document
    /// begins in it.
    #[inline]
    pub(in crate::masking::formats::json) fn quiet_begins(&mut self, text: &[u8]) -> bool {
        if text.first().is_some_and(u8::is_ascii_alphanumeric) {
            self.is_blank = false;
            return false;
        }
        let begins = inner::begins(text);
        self.is_blank = begins.is_none();
        if begins != Some(true) {
            return false;
        }
        self.value = Value::Inner;
        let nested = self.nested.saturating_add(1);
        self.inner
            .get_or_insert_with(|| Box::new(Inner::new(nested)));
        true
    }

    /// Whether somebody has to read the string that is open.
    #[inline]
    pub(in crate::masking::formats::json) fn is_read(&self) -> bool {
        self.reads != Reads::Nothing || matches!(self.value, Value::Inner)
    }

    /// Reads a part of a string that [somebody reads](Self::is_read), which may go on after it.
    /// Gives whether something in it is more than text.
    pub(in crate::masking::formats::json) fn quiet_part(
        &mut self,
        plan: &Plan,
        text: &[u8],
    ) -> bool {
        if self.reads != Reads::Nothing && self.text.len() <= MAX_NAME {
            self.text
                .extend(text.iter().take(MAX_NAME.saturating_add(1)));
        }
        match (&self.value, &mut self.inner) {
            (Value::Inner, Some(inner)) => inner.quiet_push(plan, text),
            _ => false,
        }
    }

    /// The string ended; `text` is its last part. Gives whether something in it is more than text.
    #[inline]
    pub(in crate::masking::formats::json) fn quiet_end(
        &mut self,
        plan: &Plan,
        text: &[u8],
    ) -> bool {
        self.is_blank = false;
        match std::mem::take(&mut self.reads) {
            Reads::Nothing => {}
            reads if self.text.is_empty() => return self.quiet_name(plan, reads, text),
            reads => {
                self.text
                    .extend(text.iter().take(MAX_NAME.saturating_add(1)));
                let name = std::mem::take(&mut self.text);
                let found = self.quiet_name(plan, reads, &name);
                self.text = name;
                return found;
            }
        }
        if let Value::Inner = self.value {
            self.value = Value::Text;
            if let Some(inner) = &mut self.inner {
                let found = inner.quiet_push(plan, text);
                inner.reset();
                return found;
            }
        }
        false
    }

    #[inline]
    fn quiet_name(&mut self, plan: &Plan, reads: Reads, name: &[u8]) -> bool {
        if reads == Reads::Kind {
            self.kubernetes.kind(name);
            return false;
        }
        if plan.kubernetes {
            self.kubernetes.key(name);
        }
        self.expects_logprobs = self.nested == 0 && name == LOG_PROBABILITIES.member;
        plan.keys.get(name).is_some()
    }
}

/// Reads a part of a document that stands in a string. Gives whether it is none, and whether
/// something in it is more than text.
pub(in crate::masking::formats::json) fn read_inner(
    tokenizer: &mut Tokenizer,
    keys: &mut Keys,
    plan: &Plan,
    text: &[u8],
    at: u64,
) -> (bool, bool) {
    let mut quiet = Quiet::new(keys, plan, Decoded::new(Vec::new(), text, at));
    let read = tokenizer.read_skimming(text, at, &mut quiet);
    quiet.suspend(at.saturating_add(text.len() as u64));
    (read.is_err(), quiet.is_stopped())
}
