//! Headers and query parameters that would make the upstream act on another request.

/// Request headers that ask the upstream to act on another method than the one that was decided on.
///
/// Lower case. ASP.NET, OData services, Google APIs, Rails, Laravel and Express middleware honour
/// one or the other, so a `POST` that was allowed would be executed as a `DELETE`. A caller must
/// refuse a request that has any of these; removing them silently would change what the agent meant.
pub const METHOD_OVERRIDE_HEADERS: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Request headers that ask the upstream to act on another path than the one that was decided on.
///
/// Lower case. The rewriting modules of IIS and several frameworks (Symfony, Laminas, ASP.NET) route by
/// them, so an allowed `/public` would be executed as `/admin`. To be refused, as
/// [`METHOD_OVERRIDE_HEADERS`] are.
pub const PATH_OVERRIDE_HEADERS: &[&str] = &["x-original-url", "x-rewrite-url"];

/// Query parameters with the effect of [`METHOD_OVERRIDE_HEADERS`]; compared without case.
const METHOD_OVERRIDE_PARAMETERS: &[&str] = &[
    "_method",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Whether a query parameter of this name asks the upstream to act on another method.
pub(super) fn is_method_override(parameter: &str) -> bool {
    METHOD_OVERRIDE_PARAMETERS
        .iter()
        .any(|name| name.eq_ignore_ascii_case(parameter))
}
