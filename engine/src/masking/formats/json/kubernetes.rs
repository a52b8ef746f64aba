//! Secrets of Kubernetes: objects whose values are secret whatever they look like.
//!
//! An object is a Secret if it says so (`kind`), if its list does, or if the request's path does;
//! the last is what helps where `kind` comes after `data`, as in what `kubectl apply` sends. It
//! also covers patches. Where neither is known yet, values of `data` that are base64 are decoded
//! and looked into.
//!
//! What members and kinds are called is [known](crate::upstreams::kubernetes) of Kubernetes; this
//! follows where in a document they stand.

use crate::upstreams::kubernetes::{Kind, Member, OF_ANY_OBJECT, is_about_secrets};

/// Deepest container that is known.
const MAX_LEVELS: usize = 32;

/// What is known at one place of a document.
#[derive(Debug, Default, Clone)]
pub(in crate::masking) struct Kubernetes {
    /// The request's path says that this is about Secrets.
    hint: bool,
    levels: Vec<Level>,
    deeper: usize,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    /// What the object says that it is; `None`: nothing yet.
    kind: Option<Kind>,
    /// The last key, if it is an object.
    key: Member,
    /// Its strings are these fields of an object that is a Secret (`true`) or may be one.
    members: Option<(Field, bool)>,
    /// An element of a list of Secrets.
    listed: bool,
    is_array: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Data,
    StringData,
}

/// What a string value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) enum Role {
    /// Nothing that matters here.
    Other,
    /// The object's kind; see [`Kubernetes::kind`].
    Kind,
    /// A secret.
    Secret,
    /// A secret in base64.
    Encoded,
    /// Perhaps a secret in base64.
    Perhaps,
}

impl Kubernetes {
    /// A document in the body of a request to `path`, or of its answer.
    pub(in crate::masking) fn at_path(path: Option<&[u8]>) -> Self {
        Self {
            hint: path.is_some_and(is_about_secrets),
            ..Self::default()
        }
    }

    /// Before a document with the same hint.
    pub(in crate::masking) fn anew(&self) -> Self {
        Self {
            hint: self.hint,
            ..Self::default()
        }
    }

    /// Reads one of `{ } [ ] , :`.
    pub(in crate::masking) fn structure(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' if self.levels.len() >= MAX_LEVELS => {
                self.deeper = self.deeper.saturating_add(1);
            }
            b'{' | b'[' => {
                let level = self.opened(byte == b'[');
                self.levels.push(level);
            }
            b'}' | b']' if self.deeper > 0 => self.deeper = self.deeper.saturating_sub(1),
            b'}' | b']' => {
                self.levels.pop();
            }
            _ => {}
        }
    }

    /// Reads a whole key.
    pub(in crate::masking) fn key(&mut self, key: &[u8]) {
        if let (Some(level), 0) = (self.levels.last_mut(), self.deeper) {
            level.key = Member::of(key);
        }
    }

    /// What the string value is that begins now.
    pub(in crate::masking) fn role(&self) -> Role {
        let (Some(level), 0) = (self.levels.last(), self.deeper) else {
            return Role::Other;
        };
        match (level.members, level.key) {
            (Some((Field::Data, true)), _) => Role::Encoded,
            (Some((Field::StringData, true)), _) => Role::Secret,
            (Some((Field::Data, false)), _) => Role::Perhaps,
            (_, Member::Kind) => Role::Kind,
            (_, Member::Value) if self.is_patch() => Role::Encoded,
            // The whole object stands in there once more.
            (_, Member::LastApplied) if self.levels.iter().any(|l| self.is_secret(l)) => {
                Role::Secret
            }
            _ => Role::Other,
        }
    }

    /// The object says that it is of this kind.
    pub(in crate::masking) fn kind(&mut self, kind: &[u8]) {
        if let (Some(level), 0) = (self.levels.last_mut(), self.deeper) {
            level.kind = Some(Kind::of(kind));
        }
    }

    /// How many containers, from the outermost one on, something is known of that may matter, if
    /// all that can make a string matter from now on are [these](Self::is_of_any_object) keys.
    pub(super) fn rests(&self) -> Option<usize> {
        let is_resting = |level: &Level| {
            let says = matches!(level.kind, None | Some(Kind::Other));
            says && level.members.is_none() && !level.listed
        };
        let last = self.levels.last().map_or(Member::Other, |level| level.key);
        if self.hint || last != Member::Other || !self.levels.iter().all(is_resting) {
            return None;
        }
        let known = self.levels.iter().rposition(|level| level.kind.is_some());
        Some(known.map_or(0, |known| known.saturating_add(1)))
    }

    /// Whether this is a key that matters where all [rests](Self::rests).
    pub(super) fn is_of_any_object(key: &[u8]) -> bool {
        OF_ANY_OBJECT.contains(&key)
    }

    /// Others are open now than when all [rested](Self::rests): `depth` containers, of which the
    /// outermost `known` are the same as then. No key was read that matters.
    pub(super) fn go_on(&mut self, depth: usize, known: usize, is_array: impl Fn(usize) -> bool) {
        self.levels.truncate(known);
        for at in self.levels.len()..depth.min(MAX_LEVELS) {
            self.levels.push(Level {
                kind: None,
                key: Member::Other,
                members: None,
                listed: false,
                is_array: is_array(at),
            });
        }
        self.deeper = depth.saturating_sub(MAX_LEVELS);
        if let Some(last) = self.levels.last_mut() {
            last.key = Member::Other;
        }
    }

    fn opened(&self, is_array: bool) -> Level {
        let parent = self.levels.last();
        let mut level = Level {
            kind: None,
            key: Member::Other,
            members: None,
            listed: false,
            is_array,
        };
        let Some(parent) = parent else { return level };
        match parent.key {
            // Its strings are not in `data` itself, but no reader expects them there.
            _ if parent.members.is_some() => level.members = parent.members,
            Member::Data | Member::StringData if !is_array && parent.kind != Some(Kind::Other) => {
                let field = match parent.key {
                    Member::Data => Field::Data,
                    _ => Field::StringData,
                };
                level.members = Some((field, self.is_secret(parent)));
            }
            Member::Value if self.is_patch() => level.members = Some((Field::Data, true)),
            Member::Items if is_array => level.listed = parent.kind == Some(Kind::SecretList),
            _ => level.listed = parent.is_array && parent.listed,
        }
        level
    }

    fn is_secret(&self, level: &Level) -> bool {
        match level.kind {
            Some(Kind::Secret) => true,
            None => self.hint || level.listed,
            _ => false,
        }
    }

    /// In an operation of a JSON patch (RFC 6902).
    fn is_patch(&self) -> bool {
        self.hint && self.levels.len() == 2 && self.levels.first().is_some_and(|l| l.is_array)
    }
}
