//! Patterns of paths below a provider, as tables write them.

/// A path below a provider: `connections/*/sharedKey`. `*` stands for any one segment, where names
/// stand; everything else is compared without case, as Azure does.
///
/// A deployment slot of a web app is served all that the app is served: `sites/*` stands for
/// `sites/*/slots/*`, too.
#[derive(Clone, Copy)]
pub(super) struct Pattern {
    pub(super) provider: &'static str,
    pub(super) path: &'static str,
}

/// How a pattern is the beginning of a path.
pub(super) struct Begun<'s, 'a> {
    /// The segments that the pattern has as words, as they were sent: what the action is called by.
    pub(super) words: Vec<&'a str>,
    /// The segments that a `*` stands for.
    pub(super) names: Vec<&'a str>,
    /// What comes after.
    pub(super) below: &'s [&'a str],
}

const ANY: &str = "*";
const SITE: &str = "sites/*";
const SLOTS: &str = "slots";

impl Pattern {
    /// Reads the beginning of a path. `None` when the path begins otherwise.
    pub(super) fn begin<'s, 'a>(
        self,
        provider: &str,
        path: &'s [&'a str],
    ) -> Option<Begun<'s, 'a>> {
        if !provider.eq_ignore_ascii_case(self.provider) {
            return None;
        }
        let mut begun = Begun {
            words: Vec::new(),
            names: Vec::new(),
            below: path,
        };
        let path = match self.path.strip_prefix(SITE) {
            Some(rest) => {
                begun.take(SITE)?;
                if let [slots, name, below @ ..] = begun.below
                    && slots.eq_ignore_ascii_case(SLOTS)
                {
                    begun.words.push(slots);
                    begun.names.push(name);
                    begun.below = below;
                }
                rest.trim_start_matches('/')
            }
            None => self.path,
        };
        begun.take(path)?;
        Some(begun)
    }

    /// A regular expression in lower case for what actions of such paths are called, without their
    /// last part.
    #[cfg(feature = "authoring")]
    pub(super) fn expression(self) -> String {
        let mut words = self.provider.replace('.', "[.]");
        for part in self.path.split('/').filter(|part| *part != ANY) {
            words.push('/');
            words.push_str(part);
        }
        words
            .to_ascii_lowercase()
            .replace("/sites/", "/sites(?:/slots)?/")
    }
}

impl Begun<'_, '_> {
    /// Takes the segments of a pattern off the path.
    fn take(&mut self, pattern: &str) -> Option<()> {
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let (segment, below) = self.below.split_first()?;
            if part == ANY {
                self.names.push(segment);
            } else if segment.eq_ignore_ascii_case(part) {
                self.words.push(segment);
            } else {
                return None;
            }
            self.below = below;
        }
        Some(())
    }
}
