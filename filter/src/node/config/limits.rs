//! Bounds on memory and time, with their defaults.

use chaperone_engine::audit::QueueLimits;

use super::error::ConfigError;
use super::reader::Object;

/// Bounds on memory and time, each with its unit in the name or `bytes`/entries otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Serialised events that may wait for acknowledgement.
    pub audit_queue_bytes: usize,
    /// Serialised events per batch.
    pub batch_bytes: usize,
    /// Events per batch.
    pub batch_events: usize,
    /// Longest that an event waits for company before its batch is sent.
    pub flush_ms: u64,
    /// Verified tokens remembered.
    pub token_cache_entries: usize,
    /// Streams that may wait for a human at once; the next one gets a ticket.
    pub hold_streams: usize,
    /// Request body that may be held for a decision in the "body" profile.
    pub body_bytes: usize,
    /// Milliseconds that something waits for the next bytes of a body.
    pub body_wait_ms: u64,
    /// Bytes that bodies may become beyond a few times what they are, all streams together.
    pub expanded_bytes: usize,
    /// Body bytes recorded per direction.
    pub record_body_bytes: usize,
    /// Masked body bytes shown to approvers.
    pub preview_bytes: usize,
}

impl Limits {
    /// The bounds of the event queue.
    pub const fn queue(&self) -> QueueLimits {
        QueueLimits {
            max_bytes: self.audit_queue_bytes,
            batch_bytes: self.batch_bytes,
            batch_events: self.batch_events,
        }
    }
}

/// One number of [`Limits`]: its name, default and bounds.
pub(super) struct Bound {
    name: &'static str,
    default: u64,
    min: u64,
    max: u64,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * 1024;

const fn bound(name: &'static str, default: u64, min: u64, max: u64) -> Bound {
    Bound {
        name,
        default,
        min,
        max,
    }
}

/// Seconds of a busy node's events fit the queue (an event is 0.3 to 1 KiB); the VM has 1 GiB.
const AUDIT_QUEUE_BYTES: Bound = bound("audit_queue_bytes", 8 * MIB, 64 * KIB, 256 * MIB);
/// Stays under the 1 MiB at which Envoy's default connection buffers begin to push back.
const BATCH_BYTES: Bound = bound("batch_bytes", 256 * KIB, 4 * KIB, 4 * MIB);
const BATCH_EVENTS: Bound = bound("batch_events", 1_000, 1, 10_000);
/// Two ticks: short enough for `audit tail` to feel live, long enough to batch under load.
const FLUSH_MS: Bound = bound("flush_ms", 50, 1, 10_000);
const TOKEN_CACHE_ENTRIES: Bound = bound("token_cache_entries", 10_000, 16, 200_000);
const HOLD_STREAMS: Bound = bound("hold_streams", 1_000, 0, 10_000);
/// Just under Envoy's default `per_connection_buffer_limit_bytes`, above which Envoy itself answers
/// 413 without our explanation.
const BODY_BYTES: Bound = bound("body_bytes", MIB - 64 * KIB, 0, 64 * MIB);
/// Longer than a sender that is not waiting itself pauses, and shorter than any client's patience.
const BODY_WAIT_MS: Bound = bound("body_wait_ms", 3_000, 100, 60_000);
/// Twice what one body gets, which is more than any list of an API; and with it a worker stays far
/// below the memory that Envoy's own buffers take under load.
const EXPANDED_BYTES: Bound = bound("expanded_bytes", 32 * MIB, MIB, 512 * MIB);
const RECORD_BODY_BYTES: Bound = bound("record_body_bytes", 64 * KIB, 0, 16 * MIB);
const PREVIEW_BYTES: Bound = bound("preview_bytes", 16 * KIB, 0, 256 * KIB);
/// A local control plane answers in single milliseconds; a database failover takes a second.
pub(super) const TIMEOUT_MS: Bound = bound("timeout_ms", 2_000, 100, 30_000);

/// Reads `limits`; each that is not given has its default.
pub(super) fn limits(given: Option<Object>) -> Result<Limits, ConfigError> {
    let mut given = given.unwrap_or_else(|| Object::empty("limits"));
    let limits = Limits {
        audit_queue_bytes: size(&mut given, &AUDIT_QUEUE_BYTES)?,
        batch_bytes: size(&mut given, &BATCH_BYTES)?,
        batch_events: size(&mut given, &BATCH_EVENTS)?,
        flush_ms: number(&mut given, &FLUSH_MS)?,
        token_cache_entries: size(&mut given, &TOKEN_CACHE_ENTRIES)?,
        hold_streams: size(&mut given, &HOLD_STREAMS)?,
        body_bytes: size(&mut given, &BODY_BYTES)?,
        body_wait_ms: number(&mut given, &BODY_WAIT_MS)?,
        expanded_bytes: size(&mut given, &EXPANDED_BYTES)?,
        record_body_bytes: size(&mut given, &RECORD_BODY_BYTES)?,
        preview_bytes: size(&mut given, &PREVIEW_BYTES)?,
    };
    given.close()?;
    Ok(limits)
}

/// One number, or its default.
pub(super) fn number(object: &mut Object, bound: &Bound) -> Result<u64, ConfigError> {
    Ok(object
        .whole_number(bound.name, bound.min, bound.max)?
        .unwrap_or(bound.default))
}

fn size(object: &mut Object, bound: &Bound) -> Result<usize, ConfigError> {
    Ok(usize::try_from(number(object, bound)?).unwrap_or(usize::MAX))
}
