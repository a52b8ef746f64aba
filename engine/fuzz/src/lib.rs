//! What must hold of every input. Shared by the fuzz targets and by the test that runs their kept
//! corpora (`engine/tests/corpus.rs`).

mod masking;

pub use masking::body;
