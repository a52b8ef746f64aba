//! GitHub, GitLab, Bitbucket and their relatives.

use super::{
    super::{checksum, detector::Builtin, detector::Left, detector::Severity},
    after, confirmed, detector, keyed, prefixed, token,
};

const GITHUB: &str =
    "https://github.blog/engineering/behind-githubs-new-authentication-token-formats/";
const GITLAB: &str = "https://docs.gitlab.com/security/tokens/#token-prefixes";

pub(super) const FAMILY: &[Builtin] = &[
    confirmed(
        checksum::github,
        detector(
            "secrets/github-pat",
            Severity::Critical,
            "GitHub personal access token (classic)",
            GITHUB,
            &[token(&["ghp_"], Left::Any, "ghp_[A-Za-z0-9]{36,}")],
        ),
    ),
    detector(
        "secrets/github-fine-grained-pat",
        Severity::Critical,
        "GitHub fine-grained personal access token",
        "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats",
        &[token(
            &["github_pat_"],
            Left::Any,
            "github_pat_[A-Za-z0-9_]{36,}",
        )],
    ),
    confirmed(
        checksum::github,
        detector(
            "secrets/github-oauth",
            Severity::High,
            "GitHub OAuth access token",
            GITHUB,
            &[token(&["gho_"], Left::Any, "gho_[A-Za-z0-9]{36,}")],
        ),
    ),
    confirmed(
        checksum::github,
        detector(
            "secrets/github-app-user",
            Severity::High,
            "GitHub App user access token",
            GITHUB,
            &[token(&["ghu_"], Left::Any, "ghu_[A-Za-z0-9]{36,}")],
        ),
    ),
    confirmed(
        checksum::github,
        detector(
            "secrets/github-app-installation",
            Severity::High,
            "GitHub App installation access token, also the stateless form that holds a JWT",
            GITHUB,
            &[token(
                &["ghs_"],
                Left::Any,
                r"ghs_[A-Za-z0-9_-]{36,}(?:\.[A-Za-z0-9_-]+)*",
            )],
        ),
    ),
    detector(
        "secrets/github-refresh",
        Severity::High,
        "GitHub App refresh token",
        GITHUB,
        &[token(&["ghr_"], Left::Any, "ghr_[A-Za-z0-9]{36,}")],
    ),
    detector(
        "secrets/github-runner-registration",
        Severity::High,
        "Registration or removal token of a GitHub Actions runner",
        "https://docs.github.com/en/rest/actions/self-hosted-runners#create-a-registration-token-for-a-repository",
        &[keyed(
            &["--token", "\"token\"", "\"token\\\"", "runner_token"],
            assigned!(),
            r"A[A-Z2-7]{28}\b",
        )],
    ),
    detector(
        "secrets/gitlab-token",
        Severity::High,
        "GitLab token: personal, deploy, runner, job, trigger, feed, agent, SCIM",
        GITLAB,
        &[prefixed(
            &[
                "glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-",
                "glagent-", "glsoat-", "gloas-", "glffct-", "glwt-",
            ],
            r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|oas|ffct|wt)-[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*",
        )],
    ),
    detector(
        "secrets/gitlab-runner-registration",
        Severity::High,
        "GitLab runner registration token",
        GITLAB,
        &[prefixed(&["GR1348941"], "GR1348941[A-Za-z0-9_-]{20,}")],
    ),
    detector(
        "secrets/gitlab-session",
        Severity::Medium,
        "GitLab session cookie",
        GITLAB,
        &[after(&["_gitlab_session="], "[0-9a-f]{32}")],
    ),
    detector(
        "secrets/atlassian-api-token",
        Severity::High,
        "Atlassian API token: of a user, an organisation or a service account",
        "https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/",
        &[prefixed(
            &["ATATT3", "ATCTT3", "ATSTT3"],
            "AT[ACS]TT3[A-Za-z0-9_=-]{24,}",
        )],
    ),
    detector(
        "secrets/bitbucket-app-password",
        Severity::High,
        "Bitbucket Cloud app password",
        "https://support.atlassian.com/bitbucket-cloud/docs/app-passwords/",
        &[prefixed(&["ATBB"], r"ATBB[A-Za-z0-9]{32,}")],
    ),
    detector(
        "secrets/bitbucket-data-center-token",
        Severity::High,
        "HTTP access token of Bitbucket Data Center",
        "https://confluence.atlassian.com/bitbucketserver/http-access-tokens-939515499.html",
        &[prefixed(&["BBDC-"], "BBDC-[A-Za-z0-9+/@_-]{40,}")],
    ),
    detector(
        "secrets/sourcegraph-token",
        Severity::High,
        "Sourcegraph access token",
        "https://sourcegraph.com/docs/cli/how-tos/creating_an_access_token",
        &[prefixed(
            &["sgp_", "sgd_"],
            "sg[pd]_(?:(?:[0-9a-f]{16}|local)_)?[0-9a-f]{40,}",
        )],
    ),
];
