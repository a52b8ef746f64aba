//! Regular expressions as Go's RE2 and Rust's `regex` write them, read as byte patterns.

use std::fmt::Write as _;

use regex_syntax::{
    Error, ParserBuilder,
    hir::{ErrorKind, Hir, print::Printer},
};

/// Longest regular expression, in bytes.
pub(super) const MAX_REGEX: usize = 16 * 1024;
/// Deepest nesting of groups: the functions here recurse.
const MAX_NESTING: u32 = 64;
/// Most repetitions that `{n}` may ask for, as in RE2.
const MAX_REPEAT: u32 = 1000;

/// Reads a regular expression.
///
/// # Errors
/// A sentence for its author.
pub(super) fn parse(regex: &str) -> Result<Hir, String> {
    if regex.len() > MAX_REGEX {
        return Err(format!(
            "the regex has {} bytes; at most {MAX_REGEX} are allowed",
            regex.len()
        ));
    }
    let hir = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(MAX_NESTING)
        .build()
        .parse(&from_go(regex))
        .map_err(|error| explain(&error))?;
    if repeats(&hir) > MAX_REPEAT {
        return Err(format!(
            "the regex repeats something more than {MAX_REPEAT} times; write a smaller number or no upper limit"
        ));
    }
    Ok(hir)
}

/// The pattern of an expression, for the automata.
pub(super) fn print(hir: &Hir) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = Printer::new().print(hir, &mut out);
    out
}

fn explain(error: &Error) -> String {
    match error {
        Error::Parse(e) => {
            let mut out = format!("the regex cannot be read: {}", e.kind());
            let _ = write!(out, " (at character {})", e.span().start.column);
            out
        }
        Error::Translate(e) => match e.kind() {
            ErrorKind::UnicodeNotAllowed | ErrorKind::UnicodePropertyNotFound => {
                "the regex has a class beyond ASCII, and detectors work on bytes; write such characters as \
                 alternatives, `(?:é|è)` instead of `[éè]`"
                    .to_owned()
            }
            kind => format!("the regex cannot be read: {kind}"),
        },
        other => format!("the regex cannot be read: {other}"),
    }
}

/// The largest product of nested repetition counts.
fn repeats(hir: &Hir) -> u32 {
    use regex_syntax::hir::HirKind;
    match hir.kind() {
        HirKind::Repetition(r) => r
            .max
            .unwrap_or(r.min)
            .max(1)
            .saturating_mul(repeats(&r.sub)),
        HirKind::Capture(c) => repeats(&c.sub),
        HirKind::Concat(all) | HirKind::Alternation(all) => {
            all.iter().map(repeats).max().unwrap_or(1)
        }
        _ => 1,
    }
}

/// Rewrites what Go's syntax reads otherwise than Rust's: `{` that begins no repetition and `[`
/// inside of a class are themselves, classes know no set operations, `\<` is `<`, `\Q…\E` quotes.
fn from_go(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut rest = regex;
    let mut class = Class::Outside;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if c == '\\' {
            rest = escape(after, &mut out);
            class = class.goes_on();
            continue;
        }
        rest = after;
        match (class, c) {
            (Class::Outside, '[') => {
                out.push('[');
                if let Some(r) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = r;
                }
                class = Class::Begun;
            }
            (Class::Outside, '{') if !counts(rest) => out.push_str(r"\{"),
            (Class::Begun, ']') => {
                out.push_str(r"\]");
                class = Class::Inside;
            }
            (Class::Inside, ']') => {
                out.push(']');
                class = Class::Outside;
            }
            (Class::Begun | Class::Inside, '[') => {
                match rest.strip_prefix(':').and_then(|r| r.split_once(":]")) {
                    Some((name, r)) => {
                        out.push_str("[:");
                        out.push_str(name);
                        out.push_str(":]");
                        rest = r;
                    }
                    None => out.push_str(r"\["),
                }
                class = Class::Inside;
            }
            (Class::Begun, '-') => {
                out.push_str(r"\-");
                class = Class::Inside;
            }
            (Class::Inside, '-') if rest.starts_with('-') => {
                out.push_str(r"-\-");
                rest = rest.get(1..).unwrap_or_default();
            }
            (Class::Begun | Class::Inside, '&' | '~') => {
                out.push('\\');
                out.push(c);
                class = Class::Inside;
            }
            _ => {
                out.push(c);
                class = class.goes_on();
            }
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Outside,
    /// Directly after `[` or `[^`.
    Begun,
    Inside,
}

impl Class {
    fn goes_on(self) -> Self {
        match self {
            Self::Outside => Self::Outside,
            Self::Begun | Self::Inside => Self::Inside,
        }
    }
}

/// Copies what stands after a backslash; gives the rest.
fn escape<'a>(after: &'a str, out: &mut String) -> &'a str {
    let Some(c) = after.chars().next() else {
        out.push('\\');
        return "";
    };
    let rest = after.get(c.len_utf8()..).unwrap_or_default();
    match c {
        '<' | '>' => out.push(c),
        'Q' => {
            let (quoted, rest) = rest.split_once(r"\E").unwrap_or((rest, ""));
            out.push_str(&regex_syntax::escape(quoted));
            return rest;
        }
        _ => {
            out.push('\\');
            out.push(c);
            // `\x{41}`, `\p{Greek}`: these braces are not repetitions.
            if let ('x' | 'p' | 'P' | 'u' | 'U', Some((inside, more))) =
                (c, rest.strip_prefix('{').and_then(|r| r.split_once('}')))
            {
                out.push('{');
                out.push_str(inside);
                out.push('}');
                return more;
            }
        }
    }
    rest
}

/// Whether what follows a `{` makes it a repetition.
fn counts(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else {
        return false;
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    match inside.split_once(',') {
        Some((min, max)) => !min.is_empty() && digits(min) && digits(max),
        None => !inside.is_empty() && digits(inside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_go_reads_otherwise_is_rewritten() {
        for (go, rust) in [
            (r"\${(?:a)}", r"\$\{(?:a)}"),
            (r"a{2}b{2,}c{2,3}{x}{,3}", r"a{2}b{2,}c{2,3}\{x}\{,3}"),
            (r"[^]]+[][a]", r"[^\]]+[\]\[a]"),
            (r"[[:alnum:]_&&x~~]", r"[[:alnum:]_\&\&x\~\~]"),
            (r"[\s\S-]{64,}?", r"[\s\S-]{64,}?"),
            (r"[+--]", r"[+-\-]"),
            (r"\<a\>\Q{.\E\x{41}\/", r"<a>\{\.\x{41}\/"),
        ] {
            assert_eq!(from_go(go), rust, "{go}");
            assert!(parse(go).is_ok(), "{go}");
        }
    }

    #[test]
    fn what_cannot_run_is_refused_with_a_reason() {
        for (regex, reason) in [
            ("a(", "unclosed group"),
            (r"(a)\1", "backreferences"),
            ("(?=a)b", "look-around"),
            ("a{1001}", "more than 1000"),
            ("(?:a{100}){100}", "more than 1000"),
            ("[é]", "beyond ASCII"),
            (r"\pL", "beyond ASCII"),
        ] {
            let said = parse(regex).unwrap_err();
            assert!(said.contains(reason), "{regex}: {said}");
        }
        assert!(parse(&"a".repeat(MAX_REGEX + 1)).is_err());
        assert!(parse(&"(".repeat(MAX_REGEX)).is_err());
    }
}
