//! The policy's own detectors: that they can be told apart, are used, and can be compiled.

use super::checks::{MAX_TEXT_BYTES, Names, text, unique};
#[cfg(feature = "authoring")]
use crate::masking::{Allow, check_allow, check_custom};
use crate::masking::{CustomDetector, MAX_CUSTOM_DETECTORS, catalogue, chooses};
use crate::policy::document::Policy;
use crate::policy::error::{Faults, Place};
use crate::policy::unread::Unread;
use crate::policy::wording::near_miss;

/// The most detectors that a document may bring.
pub(super) const MAX_CUSTOM: usize = MAX_CUSTOM_DETECTORS;
/// The group of all detectors that a document brings.
pub(super) const GROUP: &str = "custom/";
const MAX_NAME_BYTES: usize = 63;

/// The names of all detectors that rules can choose, the built-in ones first. `meant` are what
/// [`meant_names`] gives.
pub(super) fn names<'a>(
    custom: &'a [CustomDetector],
    meant: &'a [String],
    unread: &Unread,
) -> Names<'a> {
    let own = custom.iter().map(|d| d.name.as_str());
    let meant = meant.iter().map(String::as_str);
    let built_in = catalogue().iter().map(|d| d.name());
    Names {
        known: built_in.chain(own).chain(meant).collect(),
        complete: unread.has_each(&Place::default().key("detectors"), custom.len(), "name"),
    }
}

/// The names that detectors with bad ones were probably meant to have: whoever chooses them has
/// made no other mistake.
pub(super) fn meant_names(custom: &[CustomDetector]) -> Vec<String> {
    let bad = custom.iter().filter(|d| check_name(&d.name).is_err());
    bad.filter_map(|d| meant_name(&d.name)).collect()
}

/// Whether the document's own detectors have good names and a use. Their patterns are not compiled
/// here.
pub(super) fn check(policy: &Policy, faults: &mut Faults) {
    let root = Place::default();
    check_names(&policy.detectors, faults);
    let selectors = || policy.masking.iter().flat_map(|rule| &rule.detectors);
    let names = names(&policy.detectors, &[], faults.unread());
    // Choices of something that there is not.
    let lost: Vec<&str> = selectors()
        .map(String::as_str)
        .filter(|selector| !names.known.iter().any(|name| chooses(selector, name)))
        .collect();
    let masking = root.key("masking");
    let keys = [
        "name",
        "keys",
        "on",
        "action",
        "keep",
        "restore",
        "connections",
    ];
    let all_read = faults.unread().len() == 0
        || (faults.unread().has_list(&masking)
            && (0..policy.masking.len())
                .all(|index| faults.unread().has_all_but(&masking.index(index), &keys)));
    for (index, detector) in policy.detectors.iter().enumerate() {
        let place = root.key("detectors").index(index);
        let name = detector.name.as_str();
        let is_meant = |lost: &&str| near_miss(lost, [name]).is_some() || lost.starts_with(GROUP);
        if all_read
            && faults.unread().has(&place.key("name"))
            && check_name(name).is_ok()
            && !selectors().any(|selector| chooses(selector, name))
            && !lost.iter().any(is_meant)
        {
            // Whoever wrote it believes that it masks.
            faults.certainly(
                place,
                format!(
                    "no masking rule chooses `{name}`, so it would find nothing; choose it, for example with \
                     `detectors: [\"custom/*\"]`"
                ),
            );
        }
    }
    if policy.detectors.is_empty() && !policy.detectors_allow.is_empty() {
        let place = root.key("detectors_allow");
        if faults.unread().has_list(&place) && faults.unread().has(&root.key("detectors")) {
            faults.certainly(
                place,
                "this is about the document's own `detectors`, and there are none; the built-in ones do not ask it",
            );
        }
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
    if name.strip_prefix(GROUP).is_some_and(is_own_name) {
        return Ok(());
    }
    let hint =
        meant_name(name).map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
    Err(format!(
        "expected `{GROUP}` and then 1 to {MAX_NAME_BYTES} of `a-z`, `0-9`, `.`, `_` or `-`, beginning with a letter or \
         digit{hint}"
    ))
}

fn is_own_name(own: &str) -> bool {
    let inner =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_NAME_BYTES).contains(&own.len())
        && own.bytes().all(inner)
        && own.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn meant_name(name: &str) -> Option<String> {
    let own = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    is_own_name(&own).then(|| format!("{GROUP}{own}"))
}

/// Whether the document's own detectors can be compiled, each by itself, so that one run names all
/// that cannot. Those of which not all was read are left out, and so are allow lists with faults.
#[cfg(feature = "authoring")]
pub(in crate::policy) fn compile(
    detectors: &[CustomDetector],
    shared: &[Allow],
    faults: &mut Faults,
) {
    let root = Place::default();
    let good = |place: &Place, lists: &[Allow], faults: &mut Faults| -> Vec<Allow> {
        let mut good = Vec::new();
        for (index, list) in lists.iter().enumerate() {
            let place = place.index(index);
            match check_allow(list) {
                Ok(()) if faults.unread().has(&place) => good.push(list.clone()),
                Ok(()) => {}
                Err(error) => faults.at(place, error.to_string()),
            }
        }
        good
    };
    let shared = good(&root.key("detectors_allow"), shared, faults);
    let (mut places, mut usable) = (Vec::new(), Vec::new());
    for (index, detector) in detectors.iter().enumerate() {
        let place = root.key("detectors").index(index);
        let allow = good(&place.key("allow"), &detector.allow, faults);
        // A name tells nothing about the expression, and bad ones were named already.
        let other = ["name", "description", "severity", "allow"];
        if faults.unread().has_all_but(&place, &other) {
            places.push(index);
            usable.push(CustomDetector {
                name: format!("{GROUP}{index}"),
                allow,
                ..detector.clone()
            });
        }
    }
    for (index, reason) in check_custom(&usable, &shared) {
        if let Some(index) = places.get(index) {
            let place = root.key("detectors").index(*index);
            faults.certainly(place.key("regex"), reason);
        }
    }
}
