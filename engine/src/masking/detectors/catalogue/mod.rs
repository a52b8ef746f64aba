//! The detectors that come with Chaperone, one file per family.
//!
//! Patterns are lenient at the end: a token that is longer than its documentation says is masked
//! whole rather than passed (providers lengthen their formats, GitHub did in 2026). They are strict
//! where harmless text could match: a literal prefix or a keyword before, an exact length, a
//! structure.
//!
//! The order matters: of two detectors that find the same text the first in the catalogue gives its
//! name. So what is particular stands before what is general, and assigned values come last.

#[macro_use]
mod forms;

mod ai;
mod aws;
mod azure;
mod azure_signed;
mod chat;
mod cloud;
mod code_hosts;
mod crypto;
mod databases;
mod devtools;
mod generic;
mod google;
mod kubernetes;
mod mail;
mod monitoring;
mod packages;
mod payments;
mod pii;

use super::{
    detector::{Builtin, Detector, Severity, Shape},
    doubt,
    rule::{ContextStart, Left},
};
use std::sync::LazyLock;

/// All detectors, in the order in which ties are resolved.
pub fn catalogue() -> &'static [Detector] {
    static ALL: LazyLock<Vec<Detector>> = LazyLock::new(|| {
        [
            crypto::FAMILY,
            code_hosts::FAMILY,
            aws::FAMILY,
            azure_signed::FAMILY,
            azure::FAMILY,
            google::FAMILY,
            ai::FAMILY,
            chat::FAMILY,
            mail::FAMILY,
            payments::FAMILY,
            packages::FAMILY,
            kubernetes::FAMILY,
            cloud::FAMILY,
            monitoring::FAMILY,
            devtools::FAMILY,
            databases::FAMILY,
            generic::FAMILY,
            pii::FAMILY,
        ]
        .into_iter()
        .flatten()
        .map(Builtin::detector)
        .collect()
    });
    &ALL
}

/// A detector whose matches nothing confirms.
const fn detector(
    name: &'static str,
    severity: Severity,
    description: &'static str,
    source: &'static str,
    shapes: &'static [Shape],
) -> Builtin {
    Builtin {
        name,
        description,
        severity,
        source,
        shapes,
        confirm: None,
    }
}

/// A detector whose matches a checksum or a structure inside the secret confirms.
const fn confirmed(by: fn(&[u8]) -> bool, detector: Builtin) -> Builtin {
    Builtin {
        confirm: Some(by),
        ..detector
    }
}

/// The secret is the whole match.
const fn token(anchors: &'static [&'static str], left: Left, secret: &'static str) -> Shape {
    Shape {
        anchors,
        ignore_case: false,
        sets: &[],
        lead: 0,
        run: None,
        left,
        context: None,
        from: ContextStart::Match,
        secret,
        tail: None,
        after: 0,
        must: None,
        refuted: None,
    }
}

/// A JSON Web Token, which is refuted where base64 of other JSON goes on too long.
const fn web_token(secret: &'static str) -> Shape {
    Shape {
        refuted: Some(doubt::is_no_header),
        // Also in a path, where encoded data could stand.
        ..token(&["eyJ"], Left::NotWord, secret)
    }
}

/// The usual token: a prefix that does not continue a word.
const fn prefixed(prefixes: &'static [&'static str], secret: &'static str) -> Shape {
    token(prefixes, Left::NotWord, secret)
}

/// A token whose unmistakable part stands `lead` characters after its beginning. It is only looked
/// for where a value is assigned: otherwise the beginning of every word would have to be held back
/// while prose streams.
const fn led(lead: u8, anchors: &'static [&'static str], secret: &'static str) -> Shape {
    Shape {
        lead,
        ..token(anchors, Left::Value, secret)
    }
}

/// The secret follows a name, in either case, and what stands between them. Neither is masked.
const fn keyed(
    names: &'static [&'static str],
    between: &'static str,
    secret: &'static str,
) -> Shape {
    Shape {
        ignore_case: true,
        context: Some(between),
        from: ContextStart::AnchorEnd,
        ..token(names, Left::Any, secret)
    }
}

/// The secret follows a name directly.
const fn after(names: &'static [&'static str], secret: &'static str) -> Shape {
    keyed(names, "", secret)
}

/// For shapes that harmless text has too: what must hold of the secret beyond its pattern.
const fn only_if(must: fn(&[u8]) -> bool, shape: Shape) -> Shape {
    Shape {
        must: Some(must),
        ..shape
    }
}
