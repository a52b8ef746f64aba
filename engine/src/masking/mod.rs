//! What must not leave in a body? Detectors and the streaming masker.
