//! Methods that no client sends, or that no request may have.

use super::findings::Findings;
use crate::policy::document::Rule;
use crate::policy::error::Place;
use crate::policy::wording::near_miss;
use crate::upstreams::{ECHOING_METHODS, MAX_METHOD_BYTES};

/// IANA's registry of HTTP methods (RFC 9110 §16.1), as of November 2026, and two that are no
/// standard and are used.
const KNOWN: [&str; 41] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LIST",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

pub(super) fn review(place: &Place, rule: &Rule, found: &mut Findings) {
    for (index, method) in rule.r#match.methods.iter().enumerate() {
        let place = place.key("methods").index(index);
        let method = method.as_str();
        if method.len() > MAX_METHOD_BYTES {
            found.errors.at(
                place,
                format!(
                    "no request has such a method: one of more than {MAX_METHOD_BYTES} bytes is refused"
                ),
            );
        } else if ECHOING_METHODS.contains(&method) {
            found.errors.at(place, never(method));
        } else if matches!(method, "ANY" | "ALL") {
            found.warnings.at(
                place,
                format!("this is the method `{method}` itself, which no client sends; leave `methods` out to match every method"),
            );
        } else if !KNOWN.contains(&method) {
            let hint = match method {
                "READ" => Some("GET"),
                "WRITE" | "CREATE" => Some("PUT"),
                _ => near_miss(
                    method,
                    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
                ),
            };
            let hint = hint.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            found.warnings.at(
                place,
                format!("`{method}` is no registered HTTP method{hint}"),
            );
        }
    }
    for (index, operation) in rule.r#match.operations.iter().enumerate() {
        if let Some(method) = echoed_by(operation.as_str()) {
            let place = place.key("operations").index(index);
            found.errors.at(place, never(method));
        }
    }
}

/// The method that only an operation of this name could have, if none may.
fn echoed_by(operation: &str) -> Option<&'static str> {
    let method = match operation.split_once(' ') {
        Some((method, _)) => method,
        None => operation.strip_prefix("unknown/http-")?,
    };
    let mut echoing = ECHOING_METHODS.into_iter();
    echoing.find(|name| name.eq_ignore_ascii_case(method))
}

fn never(method: &str) -> String {
    format!(
        "no request can have the method `{method}`: it is refused before any rule is asked, since its answer would show \
         the upstream's credential; take it out"
    )
}
