//! Google Cloud and Google's APIs.

use super::{
    super::detector::{Builtin, Left, Severity, Shape},
    detector, keyed, prefixed, token,
};

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/google-api-key",
        Severity::High,
        "Google API key, also of Gemini",
        "https://cloud.google.com/docs/authentication/api-keys",
        &[
            prefixed(&["AIza"], "AIza[A-Za-z0-9_-]{35,}"),
            // The newer keys of Gemini and Vertex AI, bound to a service account.
            prefixed(&["AQ.Ab8RN"], r"AQ\.Ab8RN[A-Za-z0-9_-]{40,}"),
        ],
    ),
    detector(
        "secrets/google-oauth-token",
        Severity::High,
        "Google OAuth 2.0 access token",
        "https://cloud.google.com/docs/authentication/token-types#access",
        &[prefixed(
            &["ya29."],
            r"ya29\.[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*",
        )],
    ),
    detector(
        "secrets/google-refresh-token",
        Severity::High,
        "Google OAuth 2.0 refresh token",
        "https://cloud.google.com/docs/authentication/token-types#refresh",
        &[token(
            &["1//0"],
            Left::NotToken,
            "1//0[0-9a-z][A-Za-z0-9_-]{36,}",
        )],
    ),
    detector(
        "secrets/google-client-secret",
        Severity::High,
        "Google OAuth 2.0 client secret",
        "https://support.google.com/cloud/answer/6158849",
        &[prefixed(&["GOCSPX-"], "GOCSPX-[A-Za-z0-9_-]{20,}")],
    ),
    detector(
        "secrets/google-hmac-key",
        Severity::High,
        "Secret of an HMAC key of Google Cloud Storage after its name",
        "https://cloud.google.com/storage/docs/authentication/hmackeys",
        &[keyed(
            &["hmac_secret", "hmac-secret", "gs_secret_access_key"],
            assigned!(),
            r"[A-Za-z0-9+/]{40}\b",
        )],
    ),
    detector(
        "secrets/firebase-messaging-key",
        Severity::High,
        "Server key of Firebase Cloud Messaging (legacy)",
        "https://firebase.google.com/docs/cloud-messaging/auth-server",
        &[Shape {
            lead: 11,
            ..token(
                &[":APA91b"],
                Left::NotToken,
                "AAAA[A-Za-z0-9_-]{7}:APA91b[A-Za-z0-9_-]{100,}",
            )
        }],
    ),
];
