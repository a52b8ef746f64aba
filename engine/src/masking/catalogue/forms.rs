//! Pieces of patterns that several families share. All stand after a name, which is an anchor: so that the many detectors
//! that differ only in their names share one automaton.

/// What stands between a name and its value in JSON (also inside a JSON string), YAML, XML, shell,
/// headers and most languages.
macro_rules! assigned {
    () => {
        r#"(?:\\{0,3}["'])?\]?\s{0,8}(?:=>|:=|[=:>]|\s)\s{0,8}(?:\\{0,3}["'`])?"#
    };
}

/// The same after a name that begins with a service's name (`COHERE_API_KEY=`, `"cohereToken": "`).
/// A space alone assigns nothing here: what follows a service's name in prose is no secret.
macro_rules! named {
    () => {
        r#"[A-Za-z0-9_.-]{0,24}(?:\\{0,3}["'])?\]?\s{0,4}(?:=>|:=|[=:>,])\s{0,4}(?:\\{0,3}["'`])?"#
    };
}

/// A UUID in lower case.
macro_rules! uuid {
    () => {
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    };
}

/// What may stand between the lines of a PEM block: line ends, indentation, the quotes and plus signs of
/// string literals, and line ends escaped any number of times.
macro_rules! pem_gap {
    () => {
        r#"(?:[\s"',]|\\+[nrt"]|\+[\s"\\])"#
    };
}

/// A base64 line of a PEM block is at least this long, except the last one before the end.
macro_rules! pem_line {
    () => {
        "[A-Za-z0-9/+=]{16,}"
    };
}

macro_rules! pem_label {
    () => {
        "(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    };
}
