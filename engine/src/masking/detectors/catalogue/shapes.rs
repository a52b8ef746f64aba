//! How detectors of the catalogue are written: the usual shapes in which secrets stand.

use crate::masking::detectors::{
    detector::{Builtin, Severity, Shape},
    doubt,
    rule::{ContextStart, Left},
};

/// A detector whose matches nothing confirms.
pub(in crate::masking::detectors) const fn detector(
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
pub(in crate::masking::detectors) const fn confirmed(
    by: fn(&[u8]) -> bool,
    detector: Builtin,
) -> Builtin {
    Builtin {
        confirm: Some(by),
        ..detector
    }
}

/// The secret is the whole match.
pub(in crate::masking::detectors) const fn token(
    anchors: &'static [&'static str],
    left: Left,
    secret: &'static str,
) -> Shape {
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
pub(in crate::masking::detectors) const fn web_token(secret: &'static str) -> Shape {
    Shape {
        refuted: Some(doubt::is_no_header),
        // Also in a path, where encoded data could stand.
        ..token(&["eyJ"], Left::NotWord, secret)
    }
}

/// The usual token: a prefix that does not continue a word.
pub(in crate::masking::detectors) const fn prefixed(
    prefixes: &'static [&'static str],
    secret: &'static str,
) -> Shape {
    token(prefixes, Left::NotWord, secret)
}

/// A token whose unmistakable part stands `lead` characters after its beginning. It is only looked
/// for where a value is assigned: otherwise the beginning of every word would have to be held back
/// while prose streams.
pub(in crate::masking::detectors) const fn led(
    lead: u8,
    anchors: &'static [&'static str],
    secret: &'static str,
) -> Shape {
    Shape {
        lead,
        ..token(anchors, Left::Value, secret)
    }
}

/// The secret follows a name, in either case, and what stands between them. Neither is masked.
pub(in crate::masking::detectors) const fn keyed(
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
pub(in crate::masking::detectors) const fn after(
    names: &'static [&'static str],
    secret: &'static str,
) -> Shape {
    keyed(names, "", secret)
}

/// For shapes that harmless text has too: what must hold of the secret beyond its pattern.
pub(in crate::masking::detectors) const fn only_if(must: fn(&[u8]) -> bool, shape: Shape) -> Shape {
    Shape {
        must: Some(must),
        ..shape
    }
}
