//! The streams of Vercel's AI SDK.
//!
//! Source: <https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol>.

use super::dialect::{Dialect, Last, Stem, Typed};

/// Its stream of data. Type and text are said as `text-delta` and `delta`.
pub(super) static DATA_STREAM: Dialect = Dialect {
    name: "Vercel AI SDK",
    types: &[Typed {
        goes_on: b"-delta",
        ended: b"-end",
        is_json: false,
    }],
    json: &[Stem::Begins(b"tool")],
    ids: &[b"toolCallId"],
    last: &[Last::Type(b"finish")],
    ..Dialect::NONE
};
