//! Package registries and registries of container images.

use super::{
    super::{
        checksum,
        detector::{Builtin, Left, Severity, Shape},
    },
    confirmed, detector, keyed, only_if, prefixed, token,
};

pub(super) const FAMILY: &[Builtin] = &[
    confirmed(
        checksum::github,
        detector(
            "secrets/npm-token",
            Severity::High,
            "npm access token, or what follows _authToken in .npmrc",
            "https://github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format/",
            &[
                prefixed(&["npm_"], "npm_[A-Za-z0-9]{36,}"),
                Shape {
                    ignore_case: false,
                    ..keyed(
                        &["_authToken=", "_authToken ="],
                        r#"\s?"?"#,
                        "[A-Za-z0-9][A-Za-z0-9_.~+/=-]{15,}",
                    )
                },
            ],
        ),
    ),
    confirmed(
        checksum::pypi,
        detector(
            "secrets/pypi-token",
            Severity::High,
            "PyPI or TestPyPI API token",
            "https://docs.pypi.org/api/secrets/",
            &[prefixed(&["pypi-AgE"], "pypi-AgE[A-Za-z0-9_-]{50,}")],
        ),
    ),
    detector(
        "secrets/rubygems-token",
        Severity::High,
        "RubyGems API key",
        "https://guides.rubygems.org/api-key-scopes/",
        &[prefixed(&["rubygems_"], "rubygems_[0-9a-f]{48,}")],
    ),
    detector(
        "secrets/crates-io-token",
        Severity::High,
        "crates.io API token",
        "https://doc.rust-lang.org/cargo/reference/publishing.html",
        &[
            prefixed(&["cio"], r"cio[A-Za-z0-9]{32}\b"),
            prefixed(&["cio_tp_"], "cio_tp_[A-Za-z0-9]{16,}"),
        ],
    ),
    detector(
        "secrets/nuget-key",
        Severity::High,
        "NuGet API key",
        "https://learn.microsoft.com/en-us/nuget/nuget-org/scoped-api-keys",
        &[prefixed(&["oy2"], r"oy2[a-z2-7]{43}\b")],
    ),
    detector(
        "secrets/docker-token",
        Severity::High,
        "Docker Hub personal or organisation access token",
        "https://docs.docker.com/security/access-tokens/",
        &[prefixed(
            &["dckr_pat_", "dckr_oat_"],
            "dckr_[po]at_[A-Za-z0-9_-]{20,}",
        )],
    ),
    detector(
        "secrets/docker-config-auth",
        Severity::High,
        "User and password of a registry in a Docker configuration",
        "https://docs.docker.com/reference/cli/docker/login/",
        &[only_if(
            checksum::basic_auth,
            keyed(
                &["auth\":", "auth\" :", "auth\\\":", "auth\\\" :"],
                r#"\s{0,8}\\{0,3}""#,
                "[A-Za-z0-9/+]{8,}={0,2}",
            ),
        )],
    ),
    detector(
        "secrets/packagist-token",
        Severity::High,
        "Packagist token of a user or an organisation",
        "https://packagist.com/docs/composer-authentication",
        &[prefixed(
            &["packagist_"],
            "packagist_[ou](?:rt|at|ut|ot)_[0-9a-f]{60,}",
        )],
    ),
    detector(
        "secrets/clojars-token",
        Severity::High,
        "Clojars deploy token",
        "https://github.com/clojars/clojars-web/wiki/Deploy-Tokens",
        &[prefixed(&["CLOJARS_"], "CLOJARS_[0-9a-z]{60,}")],
    ),
    detector(
        "secrets/jfrog-token",
        Severity::High,
        "JFrog Artifactory API key or reference token",
        "https://jfrog.com/help/r/jfrog-platform-administration-documentation/access-tokens",
        &[
            prefixed(&["AKCp"], "AKCp[A-Za-z0-9]{69,}"),
            token(&["cmVmdGtu"], Left::NotToken, "cmVmdGtu[A-Za-z0-9]{56}"),
        ],
    ),
    detector(
        "secrets/netrc-password",
        Severity::High,
        "Password in a .netrc file",
        "https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html",
        &[keyed(
            &["login "],
            r"[ \t]{0,8}[^\s\\]{1,64}(?:\s|\\[nt]){1,8}(?i:password)[ \t]+",
            r#"[^\s"'<>\\$\{\[*\]][^\s"'<>\\\]]{5,255}"#,
        )],
    ),
];
