//! May they? The policy document, its compiled form, and evaluation.
