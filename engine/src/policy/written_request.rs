//! A request as people write it: `METHOD URL`.

use std::fmt;

use super::document::Method;
use crate::request::{RequestTarget, host_of};

/// A request as it stands in a policy's tests and on the command line, read.
pub(super) struct WrittenRequest<'a> {
    pub(super) method: &'a str,
    pub(super) host: String,
    pub(super) target: RequestTarget,
}

/// Why a text is no request: a sentence that says what was expected, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRequest(String);

impl<'a> WrittenRequest<'a> {
    pub(super) fn parse(request: &'a str) -> Result<Self, UnreadableRequest> {
        const EXPECTED: &str =
            "expected a method and a URL, as in `GET https://api.example.com/v1/models`";
        let because = |why: &dyn fmt::Display| UnreadableRequest(format!("{EXPECTED}; {why}"));
        let (method, url) = request
            .split_once(' ')
            .ok_or_else(|| UnreadableRequest(EXPECTED.to_owned()))?;
        method.parse::<Method>().map_err(|why| because(&why))?;
        let (authority, target) = RequestTarget::from_url(url).map_err(|why| because(&why))?;
        let host = host_of(authority).map_err(|why| because(&why))?;
        Ok(Self {
            method,
            host,
            target,
        })
    }
}

impl fmt::Display for UnreadableRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnreadableRequest {}
