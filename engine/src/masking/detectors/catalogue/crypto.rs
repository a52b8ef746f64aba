//! Private keys and keys of encryption tools.

use super::{
    super::{detector::Builtin, detector::Left, detector::Severity, random},
    detector, keyed, only_if, prefixed, token,
};

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/private-key",
        Severity::Critical,
        "Private key in PEM or OpenPGP armour, whole with its body",
        "https://www.rfc-editor.org/rfc/rfc7468",
        &[
            token(
                &["-----BEGIN "],
                Left::Any,
                // Headers of encrypted keys (RFC 1421) and of OpenPGP stand before the body.
                // Without an END line the key ends with its last full line.
                concat!(
                    "-----BEGIN ",
                    pem_label!(),
                    "(?:",
                    pem_gap!(),
                    r"+[A-Z][A-Za-z-]{2,20}: [^\r\n\\]*)*",
                    pem_gap!(),
                    "+",
                    pem_line!(),
                    "(?:",
                    pem_gap!(),
                    "+",
                    pem_line!(),
                    ")*",
                    "(?:(?:",
                    pem_gap!(),
                    "+[A-Za-z0-9/+=]{1,15}){0,2}",
                    pem_gap!(),
                    "+-----END ",
                    pem_label!(),
                    ")?",
                ),
            ),
            // Two shapes, since one for all that may stand before a line needs several times their
            // states.
            token(&["-----BEGIN "], Left::Any, pem_shown!(pem_lead)),
            token(&["-----BEGIN "], Left::Any, pem_shown!(pem_file)),
        ],
    ),
    detector(
        "secrets/private-key-base64",
        Severity::Critical,
        "Private key in PEM, once more in base64, as in Kubernetes Secrets and environment variables",
        "https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets",
        // "-----BEGIN ", then "PRIVATE", "RSA PRIVATE", "EC PRIVATE", "DSA PRIVATE", "OPENSSH
        // PRIVATE", "ENCRYPTED PRIVATE".
        &[token(
            &["LS0tLS1CRUdJTi"],
            Left::NotToken,
            concat!(
                "LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJVkFU|BFQyBQUklWQVRF|BEU0EgUFJJVkFU|BPUEVOU1NIIFBSSVZBVE|BFTkNSWVBURUQgUFJJVkFU)",
                "[A-Za-z0-9+/]{40,}={0,2}",
            ),
        )],
    ),
    detector(
        "secrets/putty-private-key",
        Severity::Critical,
        "Private lines of a PuTTY key file",
        "https://the.earth.li/~sgtatham/putty/0.83/htmldoc/AppendixC.html",
        &[keyed(
            &["private-lines: "],
            concat!("[0-9]{1,4}", pem_gap!(), "{1,16}"),
            // Padding ends it: what follows is another text, perhaps another secret.
            concat!(
                "[A-Za-z0-9/+]{16,}(?:",
                pem_gap!(),
                "+[A-Za-z0-9/+]{16,})*(?:={1,2}|",
                pem_gap!(),
                "+[A-Za-z0-9/+]{2,14}={1,2})?",
            ),
        )],
    ),
    detector(
        "secrets/age-secret-key",
        Severity::Critical,
        "Secret key of age, also the post-quantum form",
        "https://github.com/C2SP/C2SP/blob/main/age.md",
        &[prefixed(
            &["AGE-SECRET-KEY-"],
            "AGE-SECRET-KEY-(?:PQ-)?1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58,}",
        )],
    ),
    detector(
        "secrets/jwk-private-key",
        Severity::Critical,
        "Private part of a JSON Web Key",
        "https://www.rfc-editor.org/rfc/rfc7518#section-6.2.2",
        &[only_if(
            random::is_random,
            keyed(
                &["\"d\":", "\"d\" :", "\"d\\\":", "\"d\\\" :"],
                r#"\s{0,4}\\{0,3}""#,
                "[A-Za-z0-9_-]{43,}",
            ),
        )],
    ),
    detector(
        "secrets/wireguard-private-key",
        Severity::Critical,
        "Private or preshared key of WireGuard",
        "https://www.wireguard.com/quickstart/",
        &[keyed(
            &["privatekey", "presharedkey"],
            assigned!(),
            "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=",
        )],
    ),
];
