//! Arguments that several commands take.

use chaperone_api::{DEFAULT_LIMIT, MAX_LIMIT};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::policy::Effect;
use clap::{Args, ValueEnum};

use super::failure::ArgumentError;
use super::output::now;

/// Which part of a list is printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageArgs {
    /// Entries to show at most, 500 or fewer
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIMIT)))]
    limit: u32,
    /// Go on where the list before ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl PageArgs {
    /// The same as parameters of the API.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        let mut query = vec![("limit".to_owned(), self.limit.to_string())];
        query.extend(
            self.cursor
                .clone()
                .map(|cursor| ("cursor".to_owned(), cursor)),
        );
        query
    }
}

/// A verdict, as flags spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EffectArg {
    Allow,
    Approve,
    Deny,
}

impl EffectArg {
    /// The effect of a rule that it names.
    pub(crate) const fn effect(self) -> Effect {
        match self {
            Self::Allow => Effect::Allow,
            Self::Approve => Effect::Approve,
            Self::Deny => Effect::Deny,
        }
    }
}

/// A point in time: `15m` ago, or RFC 3339.
///
/// # Errors
/// When it is neither.
pub(crate) fn point_in_time(text: &str) -> Result<UnixMillis, ArgumentError> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(UnixMillis(now().0.saturating_sub(ago)));
    }
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| {
        ArgumentError::new(
            "expected how long ago, as in 15m, or a time in UTC, as in 2026-01-31T12:00:00Z",
        )
    })?;
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(UnixMillis(
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_distances_or_instants() {
        let now = now().0;
        let hour_ago = point_in_time("1h").unwrap().0;
        assert!((now - hour_ago).abs_diff(3_600_000) < 10_000);
        assert_eq!(point_in_time("1970-01-01T00:01:00Z").unwrap().0, 60_000);
        assert!(point_in_time("yesterday").is_err());
    }
}
