//! Secrets of Kubernetes: objects whose values are secret whatever they look like.
//!
//! An object is a Secret if it says so (`kind`), if its list does, or if the request's path does;
//! the last is what helps where `kind` comes after `data`, as in what `kubectl apply` sends. The
//! path `…/api/v1/…/secrets…` also covers patches. Where neither is known yet, values of `data`
//! that are base64 are decoded and looked into.

/// Deepest container that is known.
const MAX_LEVELS: usize = 32;

/// What is known at one place of a document.
#[derive(Default, Clone)]
pub(super) struct Kubernetes {
    /// The request's path says that this is about Secrets.
    hint: bool,
    levels: Vec<Level>,
    deeper: usize,
}

#[derive(Clone, Copy)]
struct Level {
    kind: Kind,
    /// The last key, if it is an object.
    key: Key,
    /// Its strings are these fields of an object that is a Secret (`true`) or may be one.
    members: Option<(Field, bool)>,
    /// An element of a list of Secrets.
    listed: bool,
    is_array: bool,
}

/// What an object says that it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Secret,
    SecretList,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Kind,
    Data,
    StringData,
    Items,
    LastApplied,
    Value,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Data,
    StringData,
}

/// What a string value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
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
    pub(super) fn at_path(path: Option<&[u8]>) -> Self {
        let path = path.unwrap_or_default();
        let path = path.split(|b| *b == b'?').next().unwrap_or_default();
        let mut segments = path.split(|b| *b == b'/').skip_while(|s| *s != b"api");
        Self {
            hint: segments.nth(1) == Some(b"v1") && segments.any(|s| s == b"secrets"),
            ..Self::default()
        }
    }

    /// Reads one of `{ } [ ] , :`.
    pub(super) fn structure(&mut self, byte: u8) {
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
    pub(super) fn key(&mut self, key: &[u8]) {
        if let (Some(level), 0) = (self.levels.last_mut(), self.deeper) {
            level.key = match key {
                b"kind" => Key::Kind,
                b"data" => Key::Data,
                b"stringData" => Key::StringData,
                b"items" => Key::Items,
                b"value" => Key::Value,
                b"kubectl.kubernetes.io/last-applied-configuration" => Key::LastApplied,
                _ => Key::Other,
            };
        }
    }

    /// What the string value is that begins now.
    pub(super) fn role(&self) -> Role {
        let (Some(level), 0) = (self.levels.last(), self.deeper) else {
            return Role::Other;
        };
        match (level.members, level.key) {
            (Some((Field::Data, true)), _) => Role::Encoded,
            (Some((Field::StringData, true)), _) => Role::Secret,
            (Some((Field::Data, false)), _) => Role::Perhaps,
            (_, Key::Kind) => Role::Kind,
            (_, Key::Value) if self.is_patch() => Role::Encoded,
            // The whole object stands in there once more.
            (_, Key::LastApplied) if self.levels.iter().any(|l| self.is_secret(l)) => Role::Secret,
            _ => Role::Other,
        }
    }

    /// The object says that it is of this kind.
    pub(super) fn kind(&mut self, kind: &[u8]) {
        if let (Some(level), 0) = (self.levels.last_mut(), self.deeper) {
            level.kind = match kind {
                b"Secret" => Kind::Secret,
                b"SecretList" => Kind::SecretList,
                _ => Kind::Other,
            };
        }
    }

    fn opened(&self, is_array: bool) -> Level {
        let parent = self.levels.last();
        let mut level = Level {
            kind: Kind::Unknown,
            key: Key::Other,
            members: None,
            listed: false,
            is_array,
        };
        let Some(parent) = parent else { return level };
        match parent.key {
            // Its strings are not in `data` itself, but no reader expects them there.
            _ if parent.members.is_some() => level.members = parent.members,
            Key::Data | Key::StringData if !is_array && parent.kind != Kind::Other => {
                let field = match parent.key {
                    Key::Data => Field::Data,
                    _ => Field::StringData,
                };
                level.members = Some((field, self.is_secret(parent)));
            }
            Key::Value if self.is_patch() => level.members = Some((Field::Data, true)),
            Key::Items if is_array => level.listed = parent.kind == Kind::SecretList,
            _ => level.listed = parent.is_array && parent.listed,
        }
        level
    }

    fn is_secret(&self, level: &Level) -> bool {
        match level.kind {
            Kind::Secret => true,
            Kind::Unknown => self.hint || level.listed,
            _ => false,
        }
    }

    /// In an operation of a JSON patch (RFC 6902).
    fn is_patch(&self) -> bool {
        self.hint && self.levels.len() == 2 && self.levels.first().is_some_and(|l| l.is_array)
    }
}
