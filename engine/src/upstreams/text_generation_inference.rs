//! Text Generation Inference of Hugging Face; it also speaks OpenAI's chat completions.
//!
//! Source: <https://huggingface.co/docs/text-generation-inference/messages_api>.

use super::dialect::{Dialect, Part};

/// `/generate_stream`.
pub(super) static TOKENS: Dialect = Dialect {
    name: "Text Generation Inference",
    paths: &[("token.text", Part::Perhaps)],
    reasons: &[b"eos_token"],
    ..Dialect::NONE
};
