//! Amazon Web Services.

use super::{
    super::{detector::Builtin, detector::Severity},
    detector, keyed, prefixed,
};

const IDENTIFIERS: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html";
const BEDROCK: &str = "https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html";

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/aws-access-key-id",
        Severity::Medium,
        "AWS access key identifier, long-term or temporary",
        IDENTIFIERS,
        &[prefixed(
            &["AKIA", "ASIA", "ABIA", "ACCA"],
            r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
        )],
    ),
    detector(
        "secrets/aws-secret-access-key",
        Severity::Critical,
        "AWS secret access key after its name",
        IDENTIFIERS,
        &[keyed(
            &[
                "secret_access_key",
                "secretaccesskey",
                "secret-access-key",
                "secret access key",
                "aws_secret_key",
            ],
            assigned!(),
            "[A-Za-z0-9/+]{40,}",
        )],
    ),
    detector(
        "secrets/aws-session-token",
        Severity::High,
        "AWS session token after its name",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_use-resources.html",
        &[keyed(
            &[
                "session_token",
                "sessiontoken",
                "session-token",
                "security-token",
            ],
            assigned!(),
            "(?:[A-Za-z0-9/+=]|%[0-9A-Fa-f]{2}){100,}",
        )],
    ),
    detector(
        "secrets/aws-presigned-signature",
        Severity::Medium,
        "Signature of a presigned AWS URL",
        "https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html",
        &[keyed(&["x-amz-signature"], "(?:=|%3[dD])", "[0-9a-f]{64}")],
    ),
    detector(
        "secrets/aws-bedrock-api-key",
        Severity::High,
        "Amazon Bedrock API key, long-term or short-term",
        BEDROCK,
        &[
            prefixed(
                &["ABSKQmVkcm9ja0FQSUtle"],
                "ABSKQmVkcm9ja0FQSUtle[A-Za-z0-9+/]{80,}={0,2}",
            ),
            prefixed(
                &["bedrock-api-key-YmVkcm9jay"],
                "bedrock-api-key-YmVkcm9jay[A-Za-z0-9+/]{60,}={0,2}",
            ),
        ],
    ),
    detector(
        "secrets/aws-appsync-key",
        Severity::Medium,
        "AWS AppSync API key",
        "https://docs.aws.amazon.com/appsync/latest/devguide/security-authz.html",
        &[prefixed(&["da2-"], r"da2-[a-z0-9]{26}\b")],
    ),
    detector(
        "secrets/aws-mws-token",
        Severity::High,
        "Amazon Marketplace Web Service authorisation token",
        "https://developer-docs.amazon.com/sp-api/docs/migrating-authorization-from-amazon-marketplace-web-service",
        &[prefixed(&["amzn.mws."], concat!(r"amzn\.mws\.", uuid!()))],
    ),
];
