//! The policy's own detectors: that they can be told apart, are used, and can be compiled.

use super::checks::{MAX_TEXT_BYTES, text, unique};
#[cfg(feature = "authoring")]
use crate::masking::{Allow, check_allow, check_custom};
use crate::masking::{CustomDetector, MAX_CUSTOM_DETECTORS, catalogue, chooses};
use crate::policy::document::Policy;
use crate::policy::error::{Faults, Place};

/// The most detectors that a document may bring.
pub(super) const MAX_CUSTOM: usize = MAX_CUSTOM_DETECTORS;
/// The group of all detectors that a document brings.
pub(super) const GROUP: &str = "custom/";
const MAX_NAME_BYTES: usize = 63;

/// The names of all detectors that rules can choose, the built-in ones first.
pub(super) fn names(custom: &[CustomDetector]) -> impl Iterator<Item = &str> {
    let own = custom.iter().map(|d| d.name.as_str());
    catalogue().iter().map(|d| d.name()).chain(own)
}

/// Whether the document's own detectors have good names and a use. Their patterns are not compiled here.
pub(super) fn check(policy: &Policy, faults: &mut Faults) {
    let root = Place::default();
    check_names(&policy.detectors, faults);
    let selectors = || policy.masking.iter().flat_map(|rule| &rule.detectors);
    for (index, detector) in policy.detectors.iter().enumerate() {
        let place = root.key("detectors").index(index);
        if check_name(&detector.name).is_ok()
            && !selectors().any(|selector| chooses(selector, &detector.name))
        {
            // Whoever wrote it believes that it masks.
            faults.between(
                place,
                format!(
                    "no masking rule chooses `{}`, so it would find nothing; choose it, for example with \
                     `detectors: [\"custom/*\"]`",
                    detector.name
                ),
            );
        }
    }
    if policy.detectors.is_empty() && !policy.detectors_allow.is_empty() {
        faults.between(
            root.key("detectors_allow"),
            "this is about the document's own `detectors`, and there are none; the built-in ones do not ask it",
        );
    }
}

/// Whether detectors have good names that are unique, and descriptions of one line.
pub(in crate::policy) fn check_names(detectors: &[CustomDetector], faults: &mut Faults) {
    let list = Place::default().key("detectors");
    let names = detectors.iter().map(|d| d.name.as_str());
    unique(&list, "name", names, faults);
    for (index, detector) in detectors.iter().enumerate() {
        let place = list.index(index);
        if !detector.description.is_empty() {
            let place = place.key("description");
            text(&place, &detector.description, MAX_TEXT_BYTES, faults);
        }
        if let Err(message) = check_name(&detector.name) {
            faults.at(place.key("name"), message);
        }
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let inner =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let good = |own: &str| {
        (1..=MAX_NAME_BYTES).contains(&own.len())
            && own.bytes().all(inner)
            && own.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    if name.strip_prefix(GROUP).is_some_and(good) {
        return Ok(());
    }
    let own = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let hint = if good(&own) {
        format!("; did you mean `{GROUP}{own}`?")
    } else {
        String::new()
    };
    Err(format!(
        "expected `{GROUP}` and then 1 to {MAX_NAME_BYTES} of `a-z`, `0-9`, `.`, `_` or `-`, beginning with a letter or \
         digit{hint}"
    ))
}

/// Whether the document's own detectors can be compiled, each by itself, so that one run names all that cannot.
#[cfg(feature = "authoring")]
pub(in crate::policy) fn compile(
    detectors: &[CustomDetector],
    shared: &[Allow],
    faults: &mut Faults,
) {
    let root = Place::default();
    let allow = |place: &Place, lists: &[Allow], faults: &mut Faults| {
        let mut good = true;
        for (index, list) in lists.iter().enumerate() {
            if let Err(error) = check_allow(list) {
                faults.at(place.index(index), error.to_string());
                good = false;
            }
        }
        good
    };
    let shared_good = allow(&root.key("detectors_allow"), shared, faults);
    let mut good = shared_good;
    for (index, detector) in detectors.iter().enumerate() {
        let place = root.key("detectors").index(index).key("allow");
        good &= allow(&place, &detector.allow, faults);
    }
    if good {
        for (index, reason) in check_custom(detectors, shared) {
            let place = root.key("detectors").index(index);
            faults.at(place.key("regex"), reason);
        }
    }
}
