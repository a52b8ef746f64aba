//! The tests of a document: that each can be read, and can pass.

use super::checks::{MAX_TEXT_BYTES, text};
use super::targets::Targets;
use crate::policy::document::PolicyTest;
use crate::policy::error::{Faults, Place};
use crate::policy::wording::{shorten, suggest};
use crate::policy::written_request::WrittenRequest;

pub(super) fn check(place: &Place, test: &PolicyTest, targets: &Targets<'_>, faults: &mut Faults) {
    if let Some(name) = &test.name {
        text(&place.key("name"), name, MAX_TEXT_BYTES, faults);
    }
    if let Some(issuer) = &test.as_.issuer {
        let place = place.key("as").key("issuer");
        if targets.issuers.complete && !targets.issuers.known.contains(&issuer.as_str()) {
            faults.at(
                place,
                format!("unknown issuer{}", suggest(issuer, &targets.issuers.known)),
            );
        }
    }
    if let Err(error) = WrittenRequest::parse(&test.request) {
        faults.at(place.key("request"), error.to_string());
    }
    let Some(rule) = &test.rule else { return };
    match targets.effects.get(rule.as_str()) {
        None if targets.rules.complete => {
            let shown = shorten(rule);
            let hint = suggest(rule, &targets.rules.known);
            faults.at(place.key("rule"), format!("unknown rule `{shown}`{hint}"));
        }
        Some((index, effect)) if *effect != test.expect => {
            let deciding = Place::default().key("rules").index(*index).key("effect");
            faults.between(
                place.key("rule"),
                &[place.key("expect"), deciding],
                format!(
                    "this test cannot pass: it expects `{}` of rule `{rule}`, whose effect is `{effect}`",
                    test.expect
                ),
            );
        }
        _ => {}
    }
}
