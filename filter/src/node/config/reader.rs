//! Reads a JSON object member by member; a member that nobody has read at the end is an error.

use serde_json::{Map, Value};

use super::error::ConfigError;

/// One JSON object, with the place where it stands.
pub(super) struct Object {
    place: String,
    members: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Object {
    pub(super) fn open(place: &str, value: Value) -> Result<Self, ConfigError> {
        match value {
            Value::Object(members) => Ok(Self {
                place: place.to_owned(),
                members,
                known: Vec::new(),
            }),
            _ => Err(ConfigError::new(place, "expected a JSON object")),
        }
    }

    pub(super) fn empty(place: &str) -> Self {
        Self {
            place: place.to_owned(),
            members: Map::new(),
            known: Vec::new(),
        }
    }

    fn at(&self, name: &str) -> String {
        if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        }
    }

    /// The member's value; an explicit `null` is the same as absent, as in JSON made from protobuf.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn optional_object(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Object>, ConfigError> {
        let place = self.at(name);
        self.value(name)
            .map(|value| Object::open(&place, value))
            .transpose()
    }

    pub(super) fn object(&mut self, name: &'static str) -> Result<Object, ConfigError> {
        self.optional_object(name)?
            .ok_or_else(|| ConfigError::new(self.at(name), "this setting is required"))
    }

    pub(super) fn optional_text(
        &mut self,
        name: &'static str,
        min: usize,
        max: usize,
    ) -> Result<Option<String>, ConfigError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if (min..=max).contains(&text.len()) => Ok(Some(text)),
            Some(_) => Err(ConfigError::new(
                self.at(name),
                format!("expected a string of {min} to {max} bytes"),
            )),
        }
    }

    pub(super) fn text(
        &mut self,
        name: &'static str,
        min: usize,
        max: usize,
    ) -> Result<String, ConfigError> {
        self.optional_text(name, min, max)?
            .ok_or_else(|| ConfigError::new(self.at(name), "this setting is required"))
    }

    /// A list of strings.
    pub(super) fn texts(
        &mut self,
        name: &'static str,
        min: usize,
        max: usize,
    ) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let place = self.at(name);
        let Value::Array(values) = value else {
            return Err(ConfigError::new(place, "expected a list of strings"));
        };
        let texts = values
            .into_iter()
            .enumerate()
            .map(|(at, value)| match value {
                Value::String(text) if (min..=max).contains(&text.len()) => Ok(text),
                _ => Err(ConfigError::new(
                    format!("{place}[{at}]"),
                    format!("expected a string of {min} to {max} bytes"),
                )),
            });
        texts.collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(ConfigError::new(self.at(name), "expected true or false")),
        }
    }

    pub(super) fn choice(
        &mut self,
        name: &'static str,
        choices: &[&'static str],
    ) -> Result<Option<&'static str>, ConfigError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let found = choices.iter().find(|choice| value.as_str() == Some(choice));
        found.copied().map(Some).ok_or_else(|| {
            let quoted: Vec<String> = choices.iter().map(|c| format!("\"{c}\"")).collect();
            ConfigError::new(self.at(name), format!("expected {}", quoted.join(" or ")))
        })
    }

    /// Istio and Envoy carry configurations as protobuf `Struct`, where every number is a double:
    /// `5.0` is five.
    pub(super) fn whole_number(
        &mut self,
        name: &'static str,
        min: u64,
        max: u64,
    ) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let whole = value.as_u64().or_else(|| {
            let double = value
                .as_f64()
                .filter(|d| d.fract() == 0.0 && (0.0..1e15).contains(d))?;
            // In range and without fraction, so the text is a whole number.
            format!("{double:.0}").parse().ok()
        });
        match whole {
            Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(ConfigError::new(
                self.at(name),
                format!("expected a whole number from {min} to {max}"),
            )),
        }
    }

    /// A setting that nothing reads is a mistake: a misspelt limit would silently be the default.
    pub(super) fn close(self) -> Result<(), ConfigError> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                let shown: String = unknown.chars().take(64).collect();
                Err(ConfigError::new(
                    self.at(&shown),
                    format!(
                        "there is no such setting; known here are {}",
                        self.known.join(", ")
                    ),
                ))
            }
        }
    }
}
