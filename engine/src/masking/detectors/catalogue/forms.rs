//! Pieces of patterns that several families share. All stand after a name, which is an anchor: so
//! that the many detectors that differ only in their names share one automaton.

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

/// What may stand between the lines of a PEM block: line ends, indentation, the quotes and plus
/// signs of string literals, and line ends escaped any number of times.
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

/// A sign before or behind a line of a PEM block that is shown as part of something else: quotes,
/// comments, diffs, tables (also U+2192 and U+2502), string literals. `+` needs none: it is base64.
macro_rules! pem_sign {
    () => {
        r#"(?:[\s"'`,;>|*#%!-]|\\+(?:[nrt"]|u2192)|\xE2(?:\x86\x92|\x94\x82)|///?[\s!])"#
    };
}

/// What stands between two lines of such a block: the line's end, then signs and numbers of lines
/// (two in diffs).
macro_rules! pem_lead {
    () => {
        concat!(
            "(?:",
            pem_sign!(),
            r"*(?:[\r\n]|\\+[nr]|<br ?/?>)",
            pem_sign!(),
            "*(?:[0-9]+[.)]?",
            pem_sign!(),
            "+)*)",
        )
    };
}

/// The same in the output of `grep`: the line's end, the file, perhaps the line's number.
macro_rules! pem_file {
    () => {
        r"(?:[ \t]*(?:[\r\n]|\\+[nr])+[A-Za-z0-9._/@~:-]+[:-][ \t]*)"
    };
}

/// A PEM block that tools show with `$lead` between its lines. A path or a word is easily 16
/// characters long, and may stand below a BEGIN line that is only mentioned: a line has 32 here,
/// shorter ones count only if the END line follows.
macro_rules! pem_shown {
    ($lead:ident) => {
        concat!(
            "-----BEGIN ",
            pem_label!(),
            "(?:(?:",
            $lead!(),
            r"(?:\+?[A-Z][A-Za-z-]+: [^\r\n\\<]*|\+))*",
            $lead!(),
            "+[A-Za-z0-9/+=]{32,})+(?:(?:",
            $lead!(),
            "+[A-Za-z0-9/+=]+)*",
            $lead!(),
            r"+\+?-----END ",
            pem_label!(),
            ")?",
        )
    };
}

macro_rules! pem_label {
    () => {
        "(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    };
}
