//! Secrets on their way back: what was masked in a request, for the answer that repeats the
//! placeholder.

use super::placeholder;
use crate::masking::{
    DetectorError,
    detectors::{
        detector::{Detector, Severity},
        rule::{Ends, Lead, Left, RuleSpec},
    },
    search::{bytes::Anchor, set::DetectorSet},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

/// Most secrets that are remembered for one body or session; later ones stay masked.
pub const MAX_REMEMBERED: usize = 256;
/// Most bytes of secrets that are remembered.
const MAX_BYTES: usize = 64 * 1024;

/// Secrets by their placeholders. Shows nothing of them.
#[derive(Clone, Default)]
pub struct Secrets {
    by_placeholder: BTreeMap<Box<[u8]>, Box<[u8]>>,
    bytes: usize,
}

impl Secrets {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_placeholder.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_placeholder.len()
    }

    /// Length of the longest.
    pub fn longest(&self) -> usize {
        self.by_placeholder
            .values()
            .map(|secret| secret.len())
            .max()
            .unwrap_or(0)
    }

    /// Bytes that they take.
    pub fn size(&self) -> usize {
        self.bytes
    }

    /// Takes over what another body remembered, as far as there is room.
    pub fn merge(&mut self, other: &Self) {
        for (placeholder, secret) in &other.by_placeholder {
            self.remember(placeholder, secret);
        }
    }

    pub(in crate::masking) fn remember(&mut self, placeholder: &[u8], secret: &[u8]) {
        let size = placeholder.len().saturating_add(secret.len());
        let bytes = self.bytes.saturating_add(size);
        if self.len() < MAX_REMEMBERED
            && bytes <= MAX_BYTES
            && !self.by_placeholder.contains_key(placeholder)
        {
            self.bytes = bytes;
            self.by_placeholder
                .insert(placeholder.into(), secret.into());
        }
    }

    pub(in crate::masking) fn get(&self, placeholder: &[u8]) -> Option<&[u8]> {
        self.by_placeholder.get(placeholder).map(|secret| &**secret)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.len())
    }
}

/// What finds placeholders.
fn detector() -> Detector {
    let rule = RuleSpec {
        anchors: vec![Anchor::literal(placeholder::beginning())],
        lead: Lead::Fixed(0),
        left: Left::Any,
        context: None,
        secret: placeholder::pattern().into(),
        tail: None,
        after: 0,
        ends: Ends::Longest,
        must: None,
        refuted: None,
    };
    Detector::custom(
        "chaperone/placeholder".to_owned(),
        "What stands where a secret was masked".to_owned(),
        Severity::Low,
        String::new(),
        vec![rule],
    )
}

/// The detector of placeholders, compiled once.
pub(in crate::masking) fn placeholders() -> Result<Arc<DetectorSet>, DetectorError> {
    static SET: OnceLock<Arc<DetectorSet>> = OnceLock::new();
    if let Some(set) = SET.get() {
        return Ok(Arc::clone(set));
    }
    let set = Arc::new(DetectorSet::of([detector()])?);
    Ok(Arc::clone(SET.get_or_init(|| set)))
}
