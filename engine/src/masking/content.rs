//! What is known of a body before its first byte.

/// What a body is, from its headers and from what is known of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    pub(super) media_type: Option<Box<[u8]>>,
}

impl Content {
    /// A body with this `Content-Type` (RFC 9110 §8.3), or with none.
    pub fn of(content_type: Option<&[u8]>) -> Self {
        Self {
            media_type: content_type.map(Into::into),
        }
    }

    pub(super) fn media_type(&self) -> &[u8] {
        self.media_type.as_deref().unwrap_or_default()
    }

    /// Plain text.
    pub fn text() -> Self {
        Self::of(Some(b"text/plain"))
    }
}
