//! The detectors that come with Chaperone.
//!
//! Patterns are lenient at the end: a token that is longer than its documentation says is masked
//! whole rather than passed (providers lengthen their formats, GitHub did in 2026). They are strict
//! where harmless text could match: a literal prefix or a keyword before, an exact length, a structure.

use super::{
    checksum,
    detector::{Builtin, Detector, Severity, Shape},
    rule::Left,
};
use std::sync::LazyLock;

/// All detectors, in the order in which ties are resolved.
pub fn catalogue() -> &'static [Detector] {
    static ALL: LazyLock<Vec<Detector>> =
        LazyLock::new(|| CATALOGUE.iter().map(Builtin::detector).collect());
    &ALL
}

/// The secret is the whole match.
const fn token(anchors: &'static [&'static str], left: Left, secret: &'static str) -> Shape {
    Shape {
        anchors,
        ignore_case: false,
        sets: &[],
        lead: 0,
        run: None,
        left,
        context: None,
        secret,
        tail: None,
        after: 0,
        must: None,
    }
}

/// The secret follows a keyword, in either case, which is not masked.
const fn keyed(
    anchors: &'static [&'static str],
    context: &'static str,
    secret: &'static str,
) -> Shape {
    Shape {
        ignore_case: true,
        context: Some(context),
        ..token(anchors, Left::Any, secret)
    }
}

/// What stands between a name and its value in JSON (also inside a JSON string), YAML, XML, shell,
/// headers and most languages.
macro_rules! assigned {
    ($name:literal) => {
        concat!(
            "(?i:",
            $name,
            r#")(?:\\{0,3}["'])?\]?\s{0,8}(?:=>|:=|[=:>]|\s)\s{0,8}(?:\\{0,3}["'`])?"#
        )
    };
}

/// What may stand between the lines of a PEM block: line ends, indentation, the quotes and plus signs of
/// string literals, and line ends escaped any number of times.
macro_rules! pem_gap {
    () => {
        r#"(?:[\s"',]|\\+[nrt"]|\+[\s"\\])"#
    };
}

/// A base64 line of a PEM block is at least this long, except the last one before the end.
macro_rules! pem_line {
    () => {
        "[A-Za-z0-9/+=]{16,}"
    };
}

macro_rules! pem_label {
    () => {
        "(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    };
}

const GITHUB: &str =
    "https://github.blog/engineering/behind-githubs-new-authentication-token-formats/";
const AWS: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html";
const AZURE_STORAGE: &str =
    "https://learn.microsoft.com/en-us/azure/storage/common/storage-account-keys-manage";
const SLACK: &str = "https://api.slack.com/concepts/token-types";

const CATALOGUE: &[Builtin] = &[
    Builtin {
        name: "secrets/private-key",
        description: "Private key in PEM or OpenPGP armour, whole with its body",
        severity: Severity::Critical,
        source: "https://www.rfc-editor.org/rfc/rfc7468",
        shapes: &[token(
            &["-----BEGIN "],
            Left::Any,
            // Headers of encrypted keys (RFC 1421) and of OpenPGP stand before the body. Without an END line the
            // key ends with its last full line.
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
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/github-pat",
        description: "GitHub personal access token (classic)",
        severity: Severity::Critical,
        source: GITHUB,
        shapes: &[token(&["ghp_"], Left::Any, "ghp_[A-Za-z0-9]{36,}")],
        confirm: Some(checksum::github),
    },
    Builtin {
        name: "secrets/github-fine-grained-pat",
        description: "GitHub fine-grained personal access token",
        severity: Severity::Critical,
        source: "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats",
        shapes: &[token(
            &["github_pat_"],
            Left::Any,
            "github_pat_[A-Za-z0-9_]{36,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/github-oauth",
        description: "GitHub OAuth access token",
        severity: Severity::High,
        source: GITHUB,
        shapes: &[token(&["gho_"], Left::Any, "gho_[A-Za-z0-9]{36,}")],
        confirm: Some(checksum::github),
    },
    Builtin {
        name: "secrets/github-app-user",
        description: "GitHub App user access token",
        severity: Severity::High,
        source: GITHUB,
        shapes: &[token(&["ghu_"], Left::Any, "ghu_[A-Za-z0-9]{36,}")],
        confirm: Some(checksum::github),
    },
    Builtin {
        name: "secrets/github-app-installation",
        description: "GitHub App installation access token, also the stateless form that holds a JWT",
        severity: Severity::High,
        source: GITHUB,
        shapes: &[token(
            &["ghs_"],
            Left::Any,
            r"ghs_[A-Za-z0-9_-]{36,}(?:\.[A-Za-z0-9_-]+)*",
        )],
        confirm: Some(checksum::github),
    },
    Builtin {
        name: "secrets/github-refresh",
        description: "GitHub App refresh token",
        severity: Severity::High,
        source: GITHUB,
        shapes: &[token(&["ghr_"], Left::Any, "ghr_[A-Za-z0-9]{36,}")],
        confirm: None,
    },
    Builtin {
        name: "secrets/gitlab-token",
        description: "GitLab token: personal, deploy, runner, job, trigger, feed, agent, SCIM",
        severity: Severity::High,
        source: "https://docs.gitlab.com/security/tokens/#token-prefixes",
        shapes: &[token(
            &[
                "glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-",
                "glagent-", "glsoat-", "gloas-", "glffct-",
            ],
            Left::NotWord,
            r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|oas|ffct)-[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/aws-access-key-id",
        description: "AWS access key identifier, long-term or temporary",
        severity: Severity::Medium,
        source: AWS,
        shapes: &[token(
            &["AKIA", "ASIA", "ABIA", "ACCA"],
            Left::NotWord,
            r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/aws-secret-access-key",
        description: "AWS secret access key after its name",
        severity: Severity::Critical,
        source: AWS,
        shapes: &[keyed(
            &[
                "secret_access_key",
                "secretaccesskey",
                "secret-access-key",
                "secret access key",
                "aws_secret_key",
            ],
            assigned!("secret[_ -]?access[_ -]?key|aws_secret_key"),
            "[A-Za-z0-9/+]{40,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/aws-session-token",
        description: "AWS session token after its name",
        severity: Severity::High,
        source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_use-resources.html",
        shapes: &[keyed(
            &[
                "session_token",
                "sessiontoken",
                "session-token",
                "security-token",
            ],
            assigned!("session[_-]?token|security-token"),
            "(?:[A-Za-z0-9/+=]|%[0-9A-Fa-f]{2}){100,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/azure-storage-key",
        description: "Azure Storage or Cosmos DB account key, in a connection string or an answer of listKeys",
        severity: Severity::Critical,
        source: AZURE_STORAGE,
        shapes: &[keyed(
            &[
                "accountkey",
                "account_key",
                "account-key",
                "storage_key",
                "storagekey",
                "storage-key",
                "access_key",
                "accesskey",
                "masterkey",
                "primarykey",
                "secondarykey",
                "value\"",
                "value\\\"",
                "key1",
                "key2",
            ],
            assigned!(
                "account[_-]?key|storage[_-]?key|access_?key|masterkey|primarykey|secondarykey|key[12]|value"
            ),
            "[A-Za-z0-9/+]{86}==",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/azure-sas",
        description: "Signature of an Azure shared access signature",
        severity: Severity::High,
        source: "https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas",
        shapes: &[Shape {
            left: Left::NotWord,
            ..keyed(
                &["sig="],
                "(?i:sig)=",
                "(?:[A-Za-z0-9/+]|%2[bBfF]){43}(?:=|%3[dD])",
            )
        }],
        confirm: None,
    },
    Builtin {
        name: "secrets/azure-access-key",
        description: "Access key in a connection string of Service Bus, Event Hubs, IoT Hub, SignalR or App Configuration",
        severity: Severity::Critical,
        source: "https://learn.microsoft.com/en-us/azure/service-bus-messaging/service-bus-sas",
        shapes: &[keyed(
            &["accesskey=", ";secret="],
            "(?i:accesskey|;secret)=",
            "[A-Za-z0-9/+]{43,86}={0,2}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/azure-client-secret",
        description: "Client secret of a Microsoft Entra application",
        severity: Severity::Critical,
        source: "https://learn.microsoft.com/en-us/purview/sit-defn-client-secret-api-key",
        shapes: &[
            // Bare only after something that opens a value: three letters and a digit may begin one, and holding the
            // beginning of every word would delay prose that streams.
            Shape {
                lead: 3,
                ..token(
                    &[
                        "0Q~", "1Q~", "2Q~", "3Q~", "4Q~", "5Q~", "6Q~", "7Q~", "8Q~", "9Q~",
                    ],
                    Left::Opening,
                    "[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
                )
            },
            keyed(
                &[
                    "clientsecret",
                    "client_secret",
                    "client-secret",
                    "client secret",
                    "secrettext",
                    "password",
                ],
                assigned!("client[_ -]?secret|secrettext|password"),
                "[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
            ),
        ],
        confirm: None,
    },
    Builtin {
        name: "secrets/connection-string-password",
        description: "Password in a connection string of keys and values, such as ADO.NET or ODBC",
        severity: Severity::High,
        source: "https://learn.microsoft.com/en-us/dotnet/framework/data/adonet/connection-string-syntax",
        shapes: &[keyed(
            &[";password=", "; password=", ";pwd=", "; pwd="],
            r"(?i:;\s?(?:password|pwd)=)",
            // What begins like a variable, a template or something already masked is not a password.
            r#"[^;"'\s\\$\{<\[*][^;"'\s\\]{3,}"#,
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/google-api-key",
        description: "Google API key, also of Gemini",
        severity: Severity::High,
        source: "https://cloud.google.com/docs/authentication/api-keys",
        shapes: &[token(&["AIza"], Left::NotWord, "AIza[A-Za-z0-9_-]{35,}")],
        confirm: None,
    },
    Builtin {
        name: "secrets/google-oauth-token",
        description: "Google OAuth 2.0 access token",
        severity: Severity::High,
        source: "https://cloud.google.com/docs/authentication/token-types#access",
        shapes: &[token(
            &["ya29."],
            Left::NotWord,
            r"ya29\.[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/google-client-secret",
        description: "Google OAuth 2.0 client secret",
        severity: Severity::High,
        source: "https://support.google.com/cloud/answer/6158849",
        shapes: &[token(
            &["GOCSPX-"],
            Left::NotWord,
            "GOCSPX-[A-Za-z0-9_-]{20,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/anthropic-api-key",
        description: "Anthropic API, admin, session or OAuth key",
        severity: Severity::High,
        source: "https://docs.anthropic.com/en/api/overview",
        shapes: &[token(
            &["sk-ant-"],
            Left::NotWord,
            "sk-ant-[a-z0-9]{2,12}-[A-Za-z0-9_-]{20,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/openrouter-api-key",
        description: "OpenRouter API key",
        severity: Severity::High,
        source: "https://openrouter.ai/docs/api-reference/authentication",
        shapes: &[token(
            &["sk-or-v1-"],
            Left::NotWord,
            "sk-or-v1-[0-9a-f]{64}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/openai-api-key",
        description: "OpenAI API key of a project, a service account, an administrator or a user",
        severity: Severity::High,
        source: "https://platform.openai.com/docs/api-reference/authentication",
        shapes: &[
            token(
                &["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"],
                Left::NotWord,
                "sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}",
            ),
            // The oldest form, 48 characters; other providers copied it with 32.
            token(&["sk-"], Left::NotWord, "sk-[A-Za-z0-9]{32,}"),
        ],
        confirm: None,
    },
    Builtin {
        name: "secrets/huggingface-token",
        description: "Hugging Face user access or organisation token",
        severity: Severity::High,
        source: "https://huggingface.co/docs/hub/security-tokens",
        shapes: &[token(
            &["hf_", "api_org_"],
            Left::NotWord,
            "(?:hf|api_org)_[A-Za-z0-9]{30,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/slack-token",
        description: "Slack bot, user, workspace, refresh or configuration token",
        severity: Severity::High,
        source: SLACK,
        shapes: &[token(
            &[
                "xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-", "xoxe.", "xoxo-", "xoxp-", "xoxr-",
                "xoxs-",
            ],
            Left::NotWord,
            r"(?:xox[abcdeoprs]-|xoxe\.xox[bp]-)[A-Za-z0-9%-]{15,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/slack-app-token",
        description: "Slack app-level token",
        severity: Severity::High,
        source: SLACK,
        shapes: &[token(
            &["xapp-"],
            Left::NotWord,
            "xapp-[0-9]-[A-Za-z0-9-]{20,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/slack-webhook",
        description: "Path of a Slack incoming webhook or workflow trigger",
        severity: Severity::Medium,
        source: "https://api.slack.com/messaging/webhooks",
        shapes: &[keyed(
            &["hooks.slack.com"],
            r"(?i:hooks\.slack\.com)\\?/(?:services|workflows|triggers)\\?/",
            r"[A-Za-z0-9+/\\]{30,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/stripe-key",
        description: "Stripe secret or restricted key, live or test",
        severity: Severity::Critical,
        source: "https://docs.stripe.com/keys",
        shapes: &[token(
            &["sk_live_", "sk_test_", "rk_live_", "rk_test_"],
            Left::NotWord,
            "[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/stripe-webhook-secret",
        description: "Signing secret of a Stripe (or Svix) webhook",
        severity: Severity::High,
        source: "https://docs.stripe.com/webhooks/signature",
        shapes: &[token(
            &["whsec_"],
            Left::NotWord,
            "whsec_[A-Za-z0-9/+]{24,}={0,2}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/npm-token",
        description: "npm access token, or what follows _authToken in .npmrc",
        severity: Severity::High,
        source: "https://github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format/",
        shapes: &[
            token(&["npm_"], Left::NotWord, "npm_[A-Za-z0-9]{36,}"),
            Shape {
                ignore_case: false,
                ..keyed(
                    &["_authToken"],
                    r#"_authToken\s?=\s?"?"#,
                    "[A-Za-z0-9][A-Za-z0-9_.~+/=-]{15,}",
                )
            },
        ],
        confirm: Some(checksum::github),
    },
    Builtin {
        name: "secrets/pypi-token",
        description: "PyPI or TestPyPI API token",
        severity: Severity::High,
        source: "https://docs.pypi.org/api/secrets/",
        shapes: &[token(
            &["pypi-AgE"],
            Left::NotWord,
            "pypi-AgE[A-Za-z0-9_-]{50,}",
        )],
        confirm: Some(checksum::pypi),
    },
    Builtin {
        name: "secrets/docker-token",
        description: "Docker Hub personal or organisation access token",
        severity: Severity::High,
        source: "https://docs.docker.com/security/access-tokens/",
        shapes: &[token(
            &["dckr_pat_", "dckr_oat_"],
            Left::NotWord,
            "dckr_[po]at_[A-Za-z0-9_-]{20,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/docker-config-auth",
        description: "User and password of a registry in a Docker configuration",
        severity: Severity::High,
        source: "https://docs.docker.com/reference/cli/docker/login/",
        shapes: &[Shape {
            must: Some(checksum::docker_auth),
            ..keyed(
                &["auth\"", "auth\\\""],
                r#"(?i:auth)\\{0,3}"\s{0,8}:\s{0,8}\\{0,3}""#,
                "[A-Za-z0-9/+]{8,}={0,2}",
            )
        }],
        confirm: None,
    },
    Builtin {
        name: "secrets/jwt",
        description: "JSON Web Token: signed, unsigned or encrypted",
        severity: Severity::High,
        source: "https://www.rfc-editor.org/rfc/rfc7519",
        shapes: &[token(
            &["eyJ"],
            Left::NotToken,
            concat!(
                r"eyJ[A-Za-z0-9_-]{10,}(?:",
                r"\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*",
                r"|\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]{8,}){3}",
                r")",
            ),
        )],
        confirm: Some(checksum::jwt),
    },
    Builtin {
        name: "secrets/database-url-password",
        description: "Password in the URL of a database, a cache or a message broker",
        severity: Severity::High,
        source: "https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1",
        shapes: &[Shape {
            after: 1,
            ..keyed(
                &[
                    "postgres",
                    "mysql",
                    "mariadb",
                    "mongodb",
                    "redis",
                    "amqp",
                    "mssql",
                    "sqlserver",
                    "clickhouse",
                    "cockroachdb",
                ],
                concat!(
                    "(?i:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|sqlserver|clickhouse|cockroachdb)",
                    r#"(?:\+[a-z0-9]{1,16})?:(?:\\?/){2}[^\s:/@"'<>\\]{0,64}:"#
                ),
                r#"[^\s:/@"'<>\\$\{\[*][^\s/@"'<>\\]{0,255}@"#,
            )
        }],
        confirm: None,
    },
    Builtin {
        name: "secrets/url-password",
        description: "Password in an http, https or ftp URL",
        severity: Severity::High,
        source: "https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1",
        shapes: &[Shape {
            after: 1,
            ..keyed(
                &["http:", "https:", "ftp:", "ftps:"],
                r#"(?i:https?|ftps?):(?:\\?/){2}[^\s:/@"'<>\\?#]{1,64}:"#,
                r#"[^\s:/@"'<>\\$\{\[*?#][^\s/@"'<>\\?#]{0,255}@"#,
            )
        }],
        confirm: None,
    },
    Builtin {
        name: "secrets/kubernetes-client-key",
        description: "Private key in a kubeconfig",
        severity: Severity::Critical,
        source: "https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/",
        shapes: &[keyed(
            &["client-key-data"],
            assigned!("client-key-data"),
            "[A-Za-z0-9/+]{64,}={0,2}",
        )],
        confirm: None,
    },
    // No pattern: the format knows the place. See `formats/json/kubernetes.rs`.
    Builtin {
        name: "secrets/kubernetes-secret-data",
        description: "Value of a Kubernetes Secret, whatever it looks like",
        severity: Severity::Critical,
        source: "https://kubernetes.io/docs/concepts/configuration/secret/",
        shapes: &[],
        confirm: None,
    },
    Builtin {
        name: "secrets/vault-token",
        description: "HashiCorp Vault service, batch or recovery token",
        severity: Severity::High,
        source: "https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes",
        shapes: &[token(
            &["hvs.", "hvb.", "hvr."],
            Left::NotWord,
            r"hv[sbr]\.[A-Za-z0-9_-]{24,}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/digitalocean-token",
        description: "DigitalOcean personal, OAuth or refresh token",
        severity: Severity::High,
        source: "https://docs.digitalocean.com/reference/api/create-personal-access-token/",
        shapes: &[token(
            &["dop_v1_", "doo_v1_", "dor_v1_"],
            Left::NotWord,
            "do[opr]_v1_[0-9a-f]{64}",
        )],
        confirm: None,
    },
    Builtin {
        name: "secrets/sendgrid-key",
        description: "SendGrid API key",
        severity: Severity::High,
        source: "https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
        shapes: &[token(
            &["SG."],
            Left::NotToken,
            r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}",
        )],
        confirm: None,
    },
];
