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
        if !targets.issuers.contains(&issuer.as_str()) {
            faults.between(
                place,
                format!("unknown issuer{}", suggest(issuer, &targets.issuers)),
            );
        }
    }
    if let Err(error) = WrittenRequest::parse(&test.request) {
        faults.at(place.key("request"), error.to_string());
    }
    let Some(rule) = &test.rule else { return };
    match targets.rules.get(rule.as_str()) {
        None => {
            let names: Vec<&str> = targets.rules.keys().copied().collect();
            let shown = shorten(rule);
            faults.between(place.key("rule"), format!("unknown rule `{shown}`{}", suggest(rule, &names)));
        }
        Some(effect) if *effect != test.expect => faults.between(
            place.key("rule"),
            format!("this test cannot pass: it expects `{}` of rule `{rule}`, whose effect is `{effect}`", test.expect),
        ),
        Some(_) => {}
    }
}
