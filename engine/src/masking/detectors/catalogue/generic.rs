//! What has no provider: tokens of standards, headers, and values assigned to names that say
//! "secret". Last in the catalogue, so that a provider's own detector gives the name when both find
//! the same text.

use super::{
    super::{
        checksum,
        detector::{Builtin, Left, Severity, Shape},
        random,
    },
    after, confirmed, detector, keyed, only_if, web_token,
};

/// What assigns, and an opening quote.
macro_rules! quoted {
    () => {
        r#"(?:\\{0,3}["'])?\]?\s{0,8}(?:=>|:=|[=:])\s{0,8}\\{0,3}["'`]"#
    };
}

/// The same without the quote, as in YAML and .ini files. Only what looks random is taken then:
/// code has names there.
macro_rules! unquoted {
    () => {
        r"\s?[:=] ?"
    };
}

/// Names of random values. A token alone is not among them: continuation and page tokens must come
/// through unchanged.
const ANCHORS: &[&str] = &[
    "secret",
    "secret_key",
    "secretkey",
    "secret-key",
    "secret_value",
    "secretvalue",
    "secret_token",
    "secret_string",
    "secretstring",
    "access_token",
    "accesstoken",
    "access-token",
    "auth_token",
    "authtoken",
    "auth-token",
    "api_token",
    "apitoken",
    "api-token",
    "refresh_token",
    "refreshtoken",
    "refresh-token",
    "bearer_token",
    "bearertoken",
    "private_token",
    "private-token",
    "personal_token",
    "session_token",
    "sessiontoken",
    "bot_token",
    "bottoken",
    "deploy_token",
    "service_token",
    "servicetoken",
    "api_key",
    "apikey",
    "api-key",
    "private_key",
    "privatekey",
    "private-key",
    "signing_key",
    "signingkey",
    "encryption_key",
    "encryptionkey",
    "master_key",
    "masterkey",
    "shared_key",
    "sharedkey",
    "auth_key",
    "authkey",
];

const RANDOM: &str = "[A-Za-z0-9_.~+/-]{15,}[A-Za-z0-9_+/-]={0,2}";

/// A value that nothing follows that would make it a call, an index or a part of an expression.
const fn alone(shape: Shape) -> Shape {
    Shape {
        tail: Some(r#"(?:$|[\s"'`,;<&}\])\\])"#),
        ..shape
    }
}

pub(super) const FAMILY: &[Builtin] = &[
    confirmed(
        checksum::jwt,
        detector(
            "secrets/jwt",
            Severity::High,
            "JSON Web Token: signed, unsigned or encrypted",
            "https://www.rfc-editor.org/rfc/rfc7519",
            // The first part is bounded, so that encoded data is not taken for a token that never
            // ends.
            &[web_token(concat!(
                r"eyJ[A-Za-z0-9_-]{10,4000}(?:",
                r"\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*",
                r"|\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]{8,}){3}",
                r")",
            ))],
        ),
    ),
    detector(
        "secrets/azure-ai-key",
        Severity::High,
        "Key of Azure OpenAI, Azure AI services or API Management after its name: 32 hex digits or the annotated form",
        "https://learn.microsoft.com/en-us/azure/ai-services/authentication",
        &[keyed(
            &[
                "subscription_key",
                "subscription-key",
                "subscriptionkey",
                "api-key",
                "openai_api_key",
                "azure_openai_key",
                "speech_key",
                "vision_key",
                "language_key",
                "translator_key",
                "cognitive_key",
                "key1",
                "key2",
                "primarykey",
                "secondarykey",
            ],
            assigned!(),
            r"(?:[0-9a-f]{32}\b|[A-Za-z0-9]{52}JQQJ9[9DH][A-Za-z0-9][A-L][A-Za-z0-9]{24,}={0,2})",
        )],
    ),
    detector(
        "secrets/bearer-token",
        Severity::High,
        "Token in an Authorization header",
        "https://www.rfc-editor.org/rfc/rfc6750#section-2.1",
        &[only_if(
            random::is_random,
            keyed(
                &["authorization"],
                concat!(
                    r#"(?:\\{0,3}["'])?\]?\s{0,4}[:=,]\s{0,4}(?:\\{0,3}["'`])?"#,
                    r"(?i:bearer|token|apikey|key|ssws|bot)[ =]\s{0,2}"
                ),
                "[A-Za-z0-9._~+/-]{16,}={0,2}",
            ),
        )],
    ),
    detector(
        "secrets/basic-auth",
        Severity::High,
        "User and password in an Authorization header",
        "https://www.rfc-editor.org/rfc/rfc7617",
        &[only_if(
            checksum::basic_auth,
            keyed(
                &[
                    "authorization: basic ",
                    "authorization:basic ",
                    "authorization\":\"basic ",
                    "authorization\": \"basic ",
                    "authorization': 'basic ",
                    "authorization\\\":\\\"basic ",
                    "authorization=basic ",
                    "\"basic ",
                    "'basic ",
                    "\\\"basic ",
                    " basic ",
                ],
                r"\s{0,2}",
                "[A-Za-z0-9+/]{6,}={0,2}",
            ),
        )],
    ),
    detector(
        "secrets/curl-user",
        Severity::High,
        "Password after curl's option -u or --user",
        "https://curl.se/docs/manpage.html#-u",
        &[only_if(
            random::is_password,
            keyed(
                &["-u ", "-u=", "--user ", "--user="],
                r#"(?:\\{0,3}["'])?[A-Za-z0-9_.@%+-]{1,64}:"#,
                r#"[^\s:/@"'<>\\$\{\[*`][^\s"'<>\\`]{5,255}"#,
            ),
        )],
    ),
    detector(
        "secrets/assigned-secret",
        Severity::High,
        "Random value assigned to a name such as api_key, client_secret or access_token",
        "https://cwe.mitre.org/data/definitions/798.html",
        &[
            only_if(random::is_random, keyed(ANCHORS, quoted!(), RANDOM)),
            only_if(
                random::is_random,
                alone(keyed(ANCHORS, unquoted!(), RANDOM)),
            ),
            only_if(
                random::is_random,
                Shape {
                    left: Left::NotWord,
                    ..keyed(
                        &["token\"", "token\\\"", "token'", "token="],
                        quoted!(),
                        RANDOM,
                    )
                },
            ),
            // Environment variables in capitals.
            only_if(
                random::is_random,
                Shape {
                    ignore_case: false,
                    ..after(&["_TOKEN=", "_KEY=", "_PAT=", "_CREDENTIALS="], RANDOM)
                },
            ),
        ],
    ),
    detector(
        "secrets/assigned-password",
        Severity::High,
        "Password assigned to a name such as password or passphrase, if it looks like one",
        "https://cwe.mitre.org/data/definitions/259.html",
        &[
            only_if(
                random::is_password,
                keyed(
                    &["password", "passwd", "passphrase", "pwd"],
                    quoted!(),
                    r#"[^\s"'`\\<>{}\[\]()$%,;:/*][^\s"'`\\<>{}]{7,127}"#,
                ),
            ),
            only_if(
                random::is_random,
                alone(keyed(
                    &["password", "passwd", "passphrase"],
                    unquoted!(),
                    r#"[A-Za-z0-9_!@#^*+~.=-]{10,127}"#,
                )),
            ),
            only_if(
                random::is_password,
                Shape {
                    ignore_case: false,
                    ..after(
                        &["PASSWORD=", "PASSWD=", "PASSPHRASE=", "_PWD="],
                        r#"[^\s"'`\\<>{}\[\]()$%,;:/*&][^\s"'`\\<>{}&]{7,127}"#,
                    )
                },
            ),
        ],
    ),
];
