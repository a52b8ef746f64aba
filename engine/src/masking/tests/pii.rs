//! Personal data: what is found, and which numbers of the same form are not.

use super::{
    super::{Content, DetectorSet, Plan, mask_whole},
    key,
};
use crate::masking::catalogue;
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn masked(text: &str) -> String {
    static PLAN: OnceLock<Arc<Plan>> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let set = DetectorSet::compile(&["pii/*"]).unwrap();
        Arc::new(Plan::masking(Arc::new(set)))
    });
    let (body, _) = mask_whole(plan, &key(), &Content::text(), text.as_bytes());
    String::from_utf8(body.into_bytes()).unwrap()
}

/// Detector and data. Published test numbers and reserved ranges: nobody's own.
const DATA: &[(&str, &str)] = &[
    ("pii/credit-card", "4111111111111111"),
    ("pii/credit-card", "4111 1111 1111 1111"),
    ("pii/credit-card", "5555-5555-5555-4444"),
    ("pii/credit-card", "3782 822463 10005"),
    ("pii/iban", "DE89370400440532013000"),
    ("pii/iban", "DE89 3704 0044 0532 0130 00"),
    ("pii/iban", "AT61 1904 3002 3457 3201"),
    ("pii/iban", "NO9386011117947"),
    ("pii/us-ssn", "536-90-4399"),
    ("pii/email", "jane.doe@example.org"),
    ("pii/email", "j_d+list@mail.example.co.uk"),
    ("pii/phone", "+442079460958"),
    ("pii/phone", "+49 (0) 30 2345 6789"),
    ("pii/phone", "+1 (202) 555-0143"),
    ("pii/phone", "202-555-0143"),
    ("pii/phone", "(202) 555-0143"),
];

#[test]
fn personal_data_is_masked_and_nothing_around_it() {
    let mut wrong = Vec::new();
    for (detector, data) in DATA {
        let short = detector.trim_start_matches("pii/");
        let replacement = format!("[masked:{short}:{}]", key().fingerprint(data.as_bytes()));
        for (before, after) in [
            ("", ""),
            ("\"", "\""),
            ("it is ", ", she said"),
            ("\u{e9} (", ")"),
            ("{\"x\":\"\\n", "\"}"),
            ("a\n", "\nb"),
            ("x=", "&y=1"),
            ("<", ">"),
            ("is ", " EUR 2024"),
        ] {
            // A number goes on after a space; and the letter of an escape that is not resolved
            // belongs to an address.
            if (*detector == "pii/phone" && after == " EUR 2024")
                || (*detector == "pii/email" && before.ends_with('n'))
            {
                continue;
            }
            let found = masked(&format!("{before}{data}{after}"));
            if found != format!("{before}{replacement}{after}") {
                wrong.push(format!("{before}{data}{after} gives {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kind_of_personal_data_is_tried() {
    let tried: BTreeSet<_> = DATA.iter().map(|(detector, _)| *detector).collect();
    let known: BTreeSet<_> = catalogue()
        .iter()
        .map(|d| d.name())
        .filter(|name| name.starts_with("pii/"))
        .collect();
    assert_eq!(tried, known);
}

#[test]
fn numbers_and_addresses_of_machines_pass() {
    for text in [
        "4111111111111112 and 4111 1111 1111 1112 have wrong check digits",
        "1700000000000000 1234567890123456 0.4111111111111111 x4111111111111111",
        "DE89370400440532013001 AB12CDEF34567890 GB29 NWBK",
        "000-12-3456 666-12-3456 900-12-3456 2024-12-3456 123-45-67890 1-536-90-4399",
        "git@github.com:acme/x.git pkg@1.2.3 lodash@^4.17.21 icon@2x.png user@localhost @scope/name",
        "v1.2.3-555-0143 2024-01-15T10:20:30+0100 +1 +1.5 1+2345678901 10.0.0.1 192.168.100.200",
        "550e8400-e29b-41d4-a716-446655440000 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "sha512-+442079460958aB/x== 202-555-01434",
    ] {
        assert_eq!(masked(text), text);
    }
}
