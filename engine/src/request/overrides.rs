//! Headers and query parameters that would make the upstream act on another request.

/// Request headers that ask the upstream to act on another method than the one that was decided on.
///
/// Lower case. ASP.NET, OData services, Google APIs, Rails, Laravel and Express middleware honour
/// one or the other, so a `POST` that was allowed would be executed as a `DELETE`. A request that
/// has any of these is refused: removing them silently would change what the agent meant.
const METHOD_OVERRIDE_HEADERS: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Request headers that ask the upstream to act on another path than the one that was decided on.
///
/// Lower case. The rewriting modules of IIS and several frameworks (Symfony, Laminas, ASP.NET)
/// route by them, so an allowed `/public` would be executed as `/admin`. Refused for the same
/// reason.
const PATH_OVERRIDE_HEADERS: &[&str] = &["x-original-url", "x-rewrite-url"];

/// Query parameters with the effect of `METHOD_OVERRIDE_HEADERS`; compared without case.
const METHOD_OVERRIDE_PARAMETERS: &[&str] = &[
    "_method",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Which headers of a request ask the upstream to act on another request than the one that was
/// decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// One asks for another method.
    pub method: bool,
    /// One asks for another path.
    pub path: bool,
}

impl Overrides {
    /// Those among headers of these names, in lower case.
    pub fn among<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        for name in names {
            found.method |= METHOD_OVERRIDE_HEADERS.contains(&name);
            found.path |= PATH_OVERRIDE_HEADERS.contains(&name);
        }
        found
    }
}

/// Whether a query parameter of this name asks the upstream to act on another method.
pub(super) fn is_method_override(parameter: &str) -> bool {
    METHOD_OVERRIDE_PARAMETERS
        .iter()
        .any(|name| name.eq_ignore_ascii_case(parameter))
}
