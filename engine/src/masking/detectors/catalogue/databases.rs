//! Passwords in URLs and in connection strings.

use super::{
    super::{
        detector::{Builtin, Severity, Shape},
        random,
    },
    after, detector, keyed, only_if,
};

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/connection-string-password",
        Severity::High,
        "Password in a connection string of keys and values, such as ADO.NET or ODBC",
        "https://learn.microsoft.com/en-us/dotnet/framework/data/adonet/connection-string-syntax",
        // What begins like a variable, a template or something already masked is not a password.
        &[
            after(
                &[";password=", "; password=", ";pwd=", "; pwd="],
                r#"[^;"'\s\\$\{<\[*][^;"'\s\\]{3,}"#,
            ),
            // Of Redis: members between commas.
            only_if(
                random::is_password,
                after(&[",password="], r#"[^;,"'\s\\$\{<\[*()][^;,"'\s\\()]{7,}"#),
            ),
        ],
    ),
    detector(
        "secrets/database-url-password",
        Severity::High,
        "Password in the URL of a database, a cache or a message broker",
        "https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1",
        &[Shape {
            after: 1,
            ..keyed(
                &[
                    "postgres:",
                    "postgres+",
                    "postgresql:",
                    "postgresql+",
                    "mysql:",
                    "mysql+",
                    "mariadb:",
                    "mariadb+",
                    "mongodb:",
                    "mongodb+",
                    "redis:",
                    "redis+",
                    "rediss:",
                    "rediss+",
                    "valkey:",
                    "valkey+",
                    "valkeys:",
                    "valkeys+",
                    "amqp:",
                    "amqp+",
                    "amqps:",
                    "amqps+",
                    "mssql:",
                    "mssql+",
                    "sqlserver:",
                    "sqlserver+",
                    "clickhouse:",
                    "clickhouse+",
                    "cockroachdb:",
                    "cockroachdb+",
                    "neo4j:",
                    "neo4j+",
                    "snowflake:",
                    "snowflake+",
                    "cloudinary:",
                    "cloudinary+",
                    "ldaps:",
                    "ldaps+",
                    "smtps:",
                    "smtps+",
                ],
                r#"(?:[a-z0-9]{1,16}:)?(?:\\?/){2}[^\s:/@"'<>\\]{0,64}:"#,
                r#"[^\s:/@"'<>\\$\{\[*][^\s/@"'<>\\]{0,255}@"#,
            )
        }],
    ),
    detector(
        "secrets/url-password",
        Severity::High,
        "Password in an http, https or ftp URL",
        "https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1",
        &[Shape {
            after: 1,
            ..keyed(
                &["http:", "https:", "ftp:", "ftps:"],
                r#"(?:\\?/){2}[^\s:/@"'<>\\?#]{1,64}:"#,
                r#"[^\s:/@"'<>\\$\{\[*?#][^\s/@"'<>\\?#]{0,255}@"#,
            )
        }],
    ),
];
