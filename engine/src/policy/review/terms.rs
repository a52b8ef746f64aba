//! Terms of approval that leave nobody the time.

use super::findings::Findings;
use crate::policy::document::{Duration, Grant, Rule};
use crate::policy::error::Place;

/// A human who is asked reads, thinks, and answers. Below this nobody does.
const TO_DECIDE: Duration = Duration::from_secs(30);
/// An agent that was not waiting asks again after a while of its own.
const TO_COME_BACK: Duration = Duration::from_secs(60);

pub(super) fn review(place: &Place, rule: &Rule, found: &mut Findings) {
    let Some(terms) = &rule.approve else { return };
    let place = place.key("approve");
    if terms.expires < TO_DECIDE {
        found.warnings.at(
            place.key("expires"),
            format!(
                "within `{}` hardly anybody decides, and silence denies; the default is `1h`",
                terms.expires
            ),
        );
    }
    if let Grant::Window(window) = terms.grant
        && window < TO_COME_BACK
    {
        found.warnings.at(
            place.key("grant"),
            format!(
                "the window begins with the decision: a request that does not wait in the proxy then would have to come within `{window}`; \
                 for one request write `once`"
            ),
        );
    }
    if terms.hold.as_secs() > 0 && terms.hold < Duration::from_secs(5) {
        found.warnings.at(
            place.key("hold"),
            format!(
                "within `{}` nobody decides; `0s` gives the ticket at once",
                terms.hold
            ),
        );
    }
}
