//! How long a callback looks through bytes.

use crate::host::Host;
use crate::node::{Histogram, Node};

/// Callbacks with fewer bytes are not measured: reading the clock is a call of the host.
const MEASURED: usize = 4 * 1024;

/// A callback that looks through bytes.
pub(super) struct Scan {
    began: Option<u64>,
}

impl Scan {
    /// It begins, and has so many bytes to look through.
    pub(super) fn begin(host: &dyn Host, bytes: usize) -> Self {
        Self {
            began: (bytes >= MEASURED).then(|| host.micros()),
        }
    }

    /// When it began, if it is measured.
    pub(super) const fn began(&self) -> Option<u64> {
        self.began
    }

    /// It ends.
    pub(super) fn end(self, host: &dyn Host, node: &Node) {
        if let Some(began) = self.began {
            let took = host.micros().saturating_sub(began);
            node.metrics().record(host, Histogram::ScanUs, took);
        }
    }
}
