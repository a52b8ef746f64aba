//! Lengths of time, and grants.

#[cfg(feature = "authoring")]
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::invalid_value::InvalidValue;

/// A length of time in whole seconds, written `60s`, `5m`, `1h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Duration {
    /// Longest duration a document can name: ten years. It keeps every sum far from overflow.
    pub const MAX: Self = Self(10 * 365 * 86_400);

    /// `seconds`, at most [`Duration::MAX`].
    pub const fn from_secs(seconds: u64) -> Self {
        if seconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(seconds)
        }
    }

    /// In seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// In milliseconds, the unit of [`crate::base::time::UnixMillis`].
    pub const fn as_millis(self) -> u64 {
        self.0.saturating_mul(1000)
    }
}

const DURATION: &str = "a duration such as `60s`, `5m`, `1h` or `7d`";
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

impl FromStr for Duration {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let wrong = || InvalidValue(format!("expected {DURATION}, found {text:?}"));
        let mut chars = text.chars();
        let unit = chars.next_back().ok_or_else(wrong)?;
        let digits = chars.as_str();
        let (_, scale) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        digits
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(*scale))
            .filter(|seconds| *seconds <= Self::MAX.0)
            .map(Self)
            .ok_or_else(|| {
                InvalidValue(format!(
                    "expected a duration of at most {}, found {text:?}",
                    Self::MAX
                ))
            })
    }
}

impl fmt::Display for Duration {
    /// In the largest unit that divides it, so that equal durations are written alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, scale) in UNITS {
            if self.0 != 0
                && let (Some(0), Some(n)) = (self.0.checked_rem(scale), self.0.checked_div(scale))
            {
                return write!(f, "{n}{name}");
            }
        }
        write!(f, "{}s", self.0)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText {
            expected: DURATION,
            read: str::parse,
        })
    }
}

/// What an approval gives: `once`, or a window such as `30m`.
///
/// One key with one of two spellings, rather than two keys, so that a document cannot say both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grant {
    /// The one request that was asked for passes, exactly once.
    Once,
    /// The same request passes any number of times until this long after the decision.
    Window(Duration),
}

const GRANT: &str = "`once`, or a duration such as `30m`";

impl FromStr for Grant {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "once" => Ok(Self::Once),
            _ => match text.parse::<Duration>() {
                Ok(window) => Ok(Self::Window(window)),
                Err(_) => Err(InvalidValue(format!("expected {GRANT}, found {text:?}"))),
            },
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => f.write_str("once"),
            Self::Window(window) => window.fmt(f),
        }
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText {
            expected: GRANT,
            read: str::parse,
        })
    }
}

/// Reads a string with a parser of ours. Anything else (`hold: 60`) gives an error that names the
/// expected form.
struct FromText<T> {
    expected: &'static str,
    read: fn(&str) -> Result<T, InvalidValue>,
}

impl<T> serde::de::Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(E::custom)
    }
}

#[cfg(feature = "authoring")]
mod schema {
    use super::{Cow, Duration, Grant};
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    impl JsonSchema for Duration {
        fn schema_name() -> Cow<'static, str> {
            "Duration".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": "string",
                "pattern": "^[0-9]+[smhd]$",
                "description": "A length of time: `60s`, `5m`, `1h` or `7d`.",
                "examples": ["60s", "5m", "1h"],
            })
        }
    }

    impl JsonSchema for Grant {
        fn schema_name() -> Cow<'static, str> {
            "Grant".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": "string",
                "pattern": "^(once|[0-9]+[smhd])$",
                "description": "What an approval gives: `once`, or a window such as `30m`.",
                "examples": ["once", "30m"],
            })
        }
    }
}
