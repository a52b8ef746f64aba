//! AG-UI, which agents speak to what people see of them.
//!
//! Source: <https://docs.ag-ui.com/concepts/events>.

use super::dialect::{Dialect, Last, Typed};

/// Its events.
pub(super) static EVENTS: Dialect = Dialect {
    name: "AG-UI",
    types: &[
        Typed {
            goes_on: b"_CONTENT",
            ended: b"_END",
            is_json: false,
        },
        Typed {
            goes_on: b"_ARGS",
            ended: b"_END",
            is_json: true,
        },
    ],
    ids: &[b"messageId", b"toolCallId"],
    last: &[Last::Type(b"RUN_FINISHED"), Last::Type(b"RUN_ERROR")],
    varying: &[b"timestamp"],
    ..Dialect::NONE
};
