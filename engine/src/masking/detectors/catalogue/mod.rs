//! The detectors that come with Chaperone, one file per family.
//!
//! Patterns are lenient at the end: a token that is longer than its documentation says is masked
//! whole rather than passed (providers lengthen their formats, GitHub did in 2026). They are strict
//! where harmless text could match: a literal prefix or a keyword before, an exact length, a
//! structure.
//!
//! The order matters: of two detectors that find the same text the first in the catalogue gives its
//! name. So what is particular stands before what is general, and assigned values come last.

#[macro_use]
mod forms;

mod ai;
mod aws;
mod azure;
mod azure_signed;
mod chat;
mod cloud;
mod code_hosts;
mod crypto;
mod databases;
mod devtools;
mod generic;
mod google;
mod kubernetes;
mod mail;
mod monitoring;
mod packages;
mod payments;
mod pii;
mod shapes;

use super::detector::{Builtin, Detector};
use std::sync::LazyLock;

pub(super) use shapes::{
    after, confirmed, detector, keyed, led, only_if, prefixed, token, web_token,
};

/// All detectors, in the order in which ties are resolved.
pub fn catalogue() -> &'static [Detector] {
    static ALL: LazyLock<Vec<Detector>> = LazyLock::new(|| {
        [
            crypto::FAMILY,
            code_hosts::FAMILY,
            aws::FAMILY,
            azure_signed::FAMILY,
            azure::FAMILY,
            google::FAMILY,
            ai::FAMILY,
            chat::FAMILY,
            mail::FAMILY,
            payments::FAMILY,
            packages::FAMILY,
            kubernetes::FAMILY,
            cloud::FAMILY,
            monitoring::FAMILY,
            devtools::FAMILY,
            databases::FAMILY,
            generic::FAMILY,
            pii::FAMILY,
        ]
        .into_iter()
        .flatten()
        .map(Builtin::detector)
        .collect()
    });
    &ALL
}
