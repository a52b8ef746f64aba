//! Patterns and methods of a policy document, each checked when it is read.
//!
//! A value that exists is valid: a [`HostPattern`] is lower case and has no port, a
//! [`PathPattern`] starts with a slash. An error is a sentence that names the expected form; the
//! caller adds the place.

#[cfg(feature = "authoring")]
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::invalid_value::InvalidValue;
use crate::policy::expression_like;
use crate::request::{RequestTarget, host_of};

/// Longest pattern, in bytes. Generous for people, small enough that matching stays cheap.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// A string type that is read through a check and written as it was understood.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:path, pattern: $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text, in its canonical spelling.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                $check(text).map(|text| Self(text.into())).map_err(InvalidValue)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        #[cfg(feature = "authoring")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_PATTERN_BYTES,
                    "pattern": $pattern,
                })
            }
        }
    };
}

checked_string!(
    /// A host name, `api.example.com`, or every host below a domain, `*.example.com`.
    ///
    /// `*.` stands for one or more labels, as in Envoy's virtual hosts and the Gateway API, and
    /// never for none: `*.example.com` does not match `example.com`. Ports are not part of it.
    HostPattern, check_host,
    pattern: r"^(\*\.)?[A-Za-z0-9_.:\[\]-]+$"
);

checked_string!(
    /// A pattern over the path of a request, without its query.
    ///
    /// `*` stands for any run of characters within one segment; `**`, alone between slashes, for
    /// any number of segments, none among them: `/v1/**` matches `/v1`, `/v1/a` and `/v1/a/b`.
    /// Compared in the normal form of [`RequestTarget::path`], which has no trailing slash.
    PathPattern, check_path,
    pattern: r"^/[\x21-\x7e]*$"
);

checked_string!(
    /// A pattern over an operation, compared without regard to case. `*` stands for any run of
    /// characters, `/` among them.
    OperationPattern, check_operation,
    pattern: r"^[\x20-\x7e]+$"
);

checked_string!(
    /// An HTTP method (RFC 9110 §9) in upper case.
    Method, check_method,
    pattern: r"^[A-Z0-9_.-]+$"
);

fn check_length(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("expected {what}, found an empty string"));
    }
    if text.len() > MAX_PATTERN_BYTES {
        return Err(format!(
            "expected {what} of at most {MAX_PATTERN_BYTES} bytes, found {}",
            text.len()
        ));
    }
    Ok(())
}

const HOST: &str = "a host name such as `api.example.com` or `*.example.com`";

fn check_host(text: &str) -> Result<String, String> {
    check_length(HOST, text)?;
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or(rest);
        return Err(format!(
            "expected {HOST}, found a URL: leave out the scheme; did you mean `{host}`?"
        ));
    }
    if let Some((host, _)) = text.split_once('/') {
        return Err(format!(
            "expected {HOST}, found `/`: paths belong in `paths`; did you mean `{host}`?"
        ));
    }
    let host = text.to_ascii_lowercase();
    if !host.is_ascii() {
        return Err(format!(
            "expected {HOST} in ASCII: write international names as `xn--…`"
        ));
    }
    if host.starts_with('[') {
        if !host.ends_with(']') {
            return Err(format!("expected {HOST}: leave out the port"));
        }
    } else if let Some((name, port)) = host.split_once(':') {
        let hint = if port.bytes().all(|b| b.is_ascii_digit()) {
            format!("; did you mean `{name}`?")
        } else {
            String::new()
        };
        return Err(format!(
            "expected {HOST}, found `:`: leave out the port (IPv6 addresses go in brackets){hint}"
        ));
    }
    let (prefix, name) = match host.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", host.as_str()),
    };
    if name.contains('*') {
        return Err(format!(
            "expected {HOST}: `*` may only be the whole first label"
        ));
    }
    if !prefix.is_empty() && (!name.contains('.') || name.parse::<std::net::Ipv4Addr>().is_ok()) {
        return Err(format!(
            "`*.{name}` is too wide: expected at least two labels of a name after `*.`"
        ));
    }
    // The spelling that the hosts of requests are brought to: they must be comparable.
    match host_of(name) {
        Ok(name) => Ok(format!("{prefix}{name}")),
        Err(_) => Err(format!(
            "expected {HOST}: labels are 1 to 63 letters, digits, `-` or `_`, separated by dots"
        )),
    }
}

const PATH: &str = "a path pattern that starts with `/`, such as `/v1/models/*` or `/v1/**`";

fn check_path(text: &str) -> Result<String, String> {
    check_length(PATH, text)?;
    if let Some((_, rest)) = text.split_once("://") {
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        let path = path.split(['?', '#']).next().unwrap_or(path);
        let hint = match check_path(path) {
            Ok(_) => format!("; did you mean `{path}`?"),
            Err(_) => String::new(),
        };
        return Err(format!(
            "expected {PATH}, found a URL: hosts belong in `hosts`{hint}"
        ));
    }
    // Only what is good itself is suggested.
    let hint = |meant: String| match check_path(&meant) {
        Ok(_) if meant != text => format!("; did you mean `{meant}`?"),
        _ => String::new(),
    };
    if !text.starts_with('/') {
        let meant = match expression_like::is_one(text) {
            true => expression_like::as_pattern(text).unwrap_or_default(),
            // Everything below it, or the path alone? Only its author knows.
            false if text.ends_with('/') => String::new(),
            false => format!("/{text}"),
        };
        return Err(format!("expected {PATH}{}", hint(meant)));
    }
    if let Some((path, _)) = text.split_once(['?', '#']) {
        return Err(format!(
            "expected {PATH}, found `?` or `#`: a path is matched without its query{}",
            hint(path.to_owned())
        ));
    }
    let segments = || text.split('/');
    if segments().any(|segment| segment != "**" && segment.contains("**")) {
        let apart: Vec<String> = segments().map(stars_apart).collect();
        return Err(format!(
            "expected {PATH}: `**` stands alone between slashes{}",
            hint(apart.join("/"))
        ));
    }
    // The spelling that the paths of requests are brought to. A pattern that is not in it would
    // never match, which turns a deny rule into a decoration.
    match RequestTarget::parse(text) {
        Ok(target) => Ok(target.path().to_owned()),
        Err(fault) => Err(format!(
            "expected {PATH}; no request has such a path: {fault}"
        )),
    }
}

/// A segment with `**` in it as segments that may have one.
fn stars_apart(segment: &str) -> String {
    if segment == "**" {
        return segment.to_owned();
    }
    match segment.split_once("**") {
        None => segment.to_owned(),
        Some((before, after)) => {
            let after = after.trim_start_matches('*');
            let mut parts = Vec::new();
            match (before, after) {
                ("", _) => {}
                (before, "") => parts.push(before.to_owned()),
                (before, _) => parts.push(format!("{before}*")),
            }
            parts.push("**".to_owned());
            if !after.is_empty() {
                parts.push(stars_apart(&format!("*{after}")));
            }
            parts.join("/")
        }
    }
}

const OPERATION: &str = "an operation pattern such as `*/read` or `Microsoft.Storage/*`";

fn check_operation(text: &str) -> Result<String, String> {
    check_length(OPERATION, text)?;
    if !text.bytes().all(|b| (0x20..=0x7e).contains(&b)) || text.trim() != text {
        return Err(format!(
            "expected {OPERATION}, in ASCII, without spaces at either end"
        ));
    }
    Ok(text.to_owned())
}

fn check_method(text: &str) -> Result<String, String> {
    const METHOD: &str = "an HTTP method in upper case such as `GET`";
    check_length(METHOD, text)?;
    let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text == "*" {
        return Err(format!(
            "expected {METHOD}: leave out `methods` to match every method"
        ));
    }
    if !text.bytes().all(token) {
        return Err(format!("expected {METHOD}, found {text:?}"));
    }
    let upper = text.to_ascii_uppercase();
    if upper != text {
        return Err(format!("expected {METHOD}: did you mean `{upper}`?"));
    }
    Ok(upper)
}
