//! Personal data. Its forms are those of harmless text too (numbers, addresses of machines), so
//! what has check digits or a fixed structure must have them right. None of it is masked unless a
//! policy chooses `pii/*`.

use super::{
    super::{
        checksum::pii as checksum,
        detector::{Builtin, Severity, Shape},
        rule::Left,
    },
    detector, only_if, token,
};
use crate::masking::search::bytes::ByteSet;

const DIGIT: ByteSet = ByteSet::range(b'0', b'9');
const CAPITAL: ByteSet = ByteSet::range(b'A', b'Z');
const LETTER_OR_DIGIT: ByteSet = DIGIT.union(CAPITAL).union(ByteSet::range(b'a', b'z'));
const LOCAL_PART: ByteSet = LETTER_OR_DIGIT.union(ByteSet::of(b"._%+-"));
const DASH: ByteSet = ByteSet::byte(b'-');
const BETWEEN: ByteSet = ByteSet::of(b" .-");

/// Anchors of sets instead of literals.
const fn sets(sets: &'static [&'static [ByteSet]], left: Left, secret: &'static str) -> Shape {
    Shape {
        sets,
        ..token(&[], left, secret)
    }
}

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "pii/credit-card",
        Severity::High,
        "Number of a payment card, with right check digit (Luhn)",
        "https://www.iso.org/standard/70484.html",
        &[only_if(
            checksum::card,
            sets(
                &[&[ByteSet::range(b'2', b'6'), DIGIT, DIGIT, DIGIT]],
                Left::NotNumber,
                concat!(
                    r"(?:[2-6][0-9]{12,18}\b",
                    r"|[2-6][0-9]{3}(?: [0-9]{4}){3}(?: [0-9]{3})?\b",
                    r"|[2-6][0-9]{3}(?:-[0-9]{4}){3}(?:-[0-9]{3})?\b",
                    r"|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}\b)"
                ),
            ),
        )],
    ),
    detector(
        "pii/iban",
        Severity::Medium,
        "International bank account number, with right check digits (mod 97) and its country's length",
        "https://www.swift.com/standards/data-standards/iban-international-bank-account-number",
        &[only_if(
            checksum::iban,
            sets(
                &[&[CAPITAL, CAPITAL, DIGIT, DIGIT]],
                Left::NotToken,
                concat!(
                    "(?:NO[0-9]{2}(?: ?[A-Z0-9]{4}){2} ?[A-Z0-9]{3}",
                    "|BE[0-9]{2}(?: ?[A-Z0-9]{4}){3}",
                    "|(?:DK|FI|NL|FO|GL)[0-9]{2}(?: ?[A-Z0-9]{4}){3} ?[A-Z0-9]{2}",
                    "|(?:MK|SI)[0-9]{2}(?: ?[A-Z0-9]{4}){3} ?[A-Z0-9]{3}",
                    "|(?:AT|BA|EE|KZ|LT|LU|XK)[0-9]{2}(?: ?[A-Z0-9]{4}){4}",
                    "|(?:CH|HR|LI|LV|CR)[0-9]{2}(?: ?[A-Z0-9]{4}){4} ?[A-Z0-9]",
                    "|(?:BG|BH|DE|GB|GE|IE|ME|RS|VA)[0-9]{2}(?: ?[A-Z0-9]{4}){4} ?[A-Z0-9]{2}",
                    "|(?:AE|GI|IL|IQ|TL)[0-9]{2}(?: ?[A-Z0-9]{4}){4} ?[A-Z0-9]{3}",
                    "|(?:AD|CZ|ES|MD|PK|RO|SA|SE|SK|TN|VG)[0-9]{2}(?: ?[A-Z0-9]{4}){5}",
                    "|(?:PT|ST|LY)[0-9]{2}(?: ?[A-Z0-9]{4}){5} ?[A-Z0-9]",
                    "|(?:IS|TR)[0-9]{2}(?: ?[A-Z0-9]{4}){5} ?[A-Z0-9]{2}",
                    "|(?:FR|GR|IT|MC|MR|SM)[0-9]{2}(?: ?[A-Z0-9]{4}){5} ?[A-Z0-9]{3}",
                    "|(?:AL|AZ|BY|CY|DO|GT|HU|LB|PL|SV)[0-9]{2}(?: ?[A-Z0-9]{4}){6}",
                    "|(?:BR|EG|PS|QA|UA)[0-9]{2}(?: ?[A-Z0-9]{4}){6} ?[A-Z0-9]",
                    "|(?:JO|KW|MU)[0-9]{2}(?: ?[A-Z0-9]{4}){6} ?[A-Z0-9]{2}",
                    "|(?:MT|SC)[0-9]{2}(?: ?[A-Z0-9]{4}){6} ?[A-Z0-9]{3}",
                    "|LC[0-9]{2}(?: ?[A-Z0-9]{4}){7}",
                    r")\b"
                ),
            ),
        )],
    ),
    detector(
        "pii/us-ssn",
        Severity::High,
        "Social security number of the USA, not from the ranges that were never given out",
        "https://www.ssa.gov/employer/randomizationfaqs.html",
        &[only_if(
            checksum::ssn,
            sets(
                &[&[DIGIT, DIGIT, DIGIT, DASH, DIGIT, DIGIT, DASH, DIGIT]],
                Left::NotNumber,
                r"[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b",
            ),
        )],
    ),
    detector(
        "pii/email",
        Severity::Low,
        "E-mail address",
        "https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2",
        &[only_if(
            checksum::email,
            Shape {
                run: Some((LOCAL_PART, 64)),
                ..sets(
                    &[&[ByteSet::byte(b'@'), LETTER_OR_DIGIT]],
                    Left::Any,
                    r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)+[A-Za-z]{2,24}\b",
                )
            },
        )],
    ),
    detector(
        "pii/phone",
        Severity::Low,
        "Telephone number: international with +, or of North America with separators",
        "https://www.itu.int/rec/T-REC-E.164",
        &[
            sets(
                &[&[
                    ByteSet::byte(b'+'),
                    ByteSet::range(b'1', b'9'),
                    DIGIT.union(ByteSet::of(b" .()/-")),
                ]],
                Left::NotNumber,
                r"\+[1-9](?:[ .()/-]{0,2}[0-9]){7,14}\b",
            ),
            sets(
                &[&[
                    ByteSet::range(b'2', b'9'),
                    DIGIT,
                    DIGIT,
                    BETWEEN,
                    ByteSet::range(b'2', b'9'),
                    DIGIT,
                    DIGIT,
                    BETWEEN,
                    DIGIT,
                ]],
                Left::NotNumber,
                r"[2-9][0-9]{2}(?:-[2-9][0-9]{2}-|\.[2-9][0-9]{2}\.| [2-9][0-9]{2} )[0-9]{4}\b",
            ),
            sets(
                &[&[
                    ByteSet::byte(b'('),
                    ByteSet::range(b'2', b'9'),
                    DIGIT,
                    DIGIT,
                    ByteSet::byte(b')'),
                ]],
                Left::NotNumber,
                r"\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .-][0-9]{4}\b",
            ),
        ],
    ),
];
