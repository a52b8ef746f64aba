//! Plain HTTP: the operation is the method and the path.

use std::collections::BTreeMap;

use super::operation::{Operation, OperationError};
use super::upstream::Upstream;
use crate::request::RequestTarget;

pub(super) const UPSTREAM: Upstream = Upstream {
    name: "http",
    folds_paths: false,
    describe,
    #[cfg(feature = "authoring")]
    operations: |requests| {
        let paths = requests.paths.unwrap_or(PATHS);
        format!("{} (?:{paths})", requests.method())
    },
    #[cfg(feature = "authoring")]
    example: "the method and the path, such as `GET /v1/models` or `POST /v1/*`",
};

/// Paths in their normal form (see [`RequestTarget::path`]), in lower case: no empty segment, none
/// of dots alone, and percent-encoding only of what needs it.
#[cfg(feature = "authoring")]
const PATHS: &str = "/|(?:/[.]*(?:[a-z0-9_~!$&'()*+,=:@-]|%(?:2[0235]|3[bcef]|5[bde]|60|7[bcd]|[89a-f][0-9a-f]))\
                     (?:[a-z0-9._~!$&'()*+,=:@-]|%(?:2[0235]|3[bcef]|5[bde]|60|7[bcd]|[89a-f][0-9a-f]))*)+";

/// `GET /v1/models`: the method, a space, and the target's path in its normal form.
///
/// A raw `;` is refused: servlet containers cut path parameters off before they look for a handler,
/// so `/admin;x/keys` would pass a rule that denies `/admin/**` and still reach it. Where `;` is
/// meant as data it can be sent as `%3B`, which no server cuts at.
fn describe(method: &str, target: &RequestTarget) -> Result<Operation, OperationError> {
    if target.raw_path().contains(';') {
        return Err(OperationError::AmbiguousPath(
            "it has a path parameter (`;`), which some servers ignore; send a literal `;` as `%3B`",
        ));
    }
    Ok(Operation {
        action: format!("{method} {}", target.path()),
        attributes: BTreeMap::new(),
    })
}
