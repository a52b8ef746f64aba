//! Tools of people who write software: build services, trackers, design, forms, identity.

use super::{
    super::detector::{Builtin, Left, Severity},
    after, detector, keyed, prefixed, token,
};

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/circleci-token",
        Severity::High,
        "CircleCI personal or project token",
        "https://circleci.com/docs/managing-api-tokens/",
        &[prefixed(
            &["CCIPAT_", "CCIPRJ_"],
            "CCIP(?:AT|RJ)_[A-Za-z0-9]{20,24}_[0-9a-f]{40}",
        )],
    ),
    detector(
        "secrets/buildkite-token",
        Severity::High,
        "Buildkite token: user, cluster, portal, agent",
        "https://buildkite.com/docs/platform/security/tokens",
        &[prefixed(
            &["bkua_", "bkct_", "bkpt_", "bkaj_", "bkps_", "bkpat_"],
            "bk(?:ua|ct|pt|aj|ps|pat)_[A-Za-z0-9]{40,}",
        )],
    ),
    detector(
        "secrets/jenkins-token",
        Severity::High,
        "Jenkins API token after its name",
        "https://www.jenkins.io/doc/book/using/remote-access-api/",
        &[keyed(&["jenkins"], named!(), r"11[0-9a-f]{32}\b")],
    ),
    detector(
        "secrets/octopus-deploy-key",
        Severity::High,
        "Octopus Deploy API key",
        "https://octopus.com/docs/octopus-rest-api/how-to-create-an-api-key",
        &[prefixed(&["API-"], r"API-[A-Z0-9]{25,32}\b")],
    ),
    detector(
        "secrets/snyk-token",
        Severity::High,
        "Snyk API token after its name",
        "https://docs.snyk.io/snyk-api/authentication-for-api",
        &[keyed(&["snyk"], named!(), uuid!())],
    ),
    detector(
        "secrets/sonar-token",
        Severity::High,
        "SonarQube token: user, global, project",
        "https://docs.sonarsource.com/sonarqube-server/latest/user-guide/managing-tokens/",
        &[
            prefixed(&["squ_", "sqa_", "sqp_", "sqb_"], "sq[uapb]_[0-9a-f]{40,}"),
            keyed(&["sonar"], named!(), r"[0-9a-f]{40}\b"),
        ],
    ),
    detector(
        "secrets/codecov-token",
        Severity::Medium,
        "Codecov upload token after its name",
        "https://docs.codecov.com/docs/codecov-tokens",
        &[keyed(&["codecov"], named!(), uuid!())],
    ),
    detector(
        "secrets/linear-key",
        Severity::High,
        "Linear API key or OAuth token",
        "https://linear.app/developers/graphql",
        &[prefixed(
            &["lin_api_", "lin_oauth_"],
            "lin_(?:api|oauth)_[A-Za-z0-9]{32,}",
        )],
    ),
    detector(
        "secrets/notion-token",
        Severity::High,
        "Notion integration token",
        "https://developers.notion.com/docs/authorization",
        &[
            prefixed(&["ntn_"], "ntn_[0-9]{8,14}[A-Za-z0-9]{32,}"),
            prefixed(&["secret_"], r"secret_[A-Za-z0-9]{43}\b"),
        ],
    ),
    detector(
        "secrets/figma-token",
        Severity::High,
        "Figma personal access or OAuth token",
        "https://www.figma.com/developers/api#access-tokens",
        &[prefixed(
            &["figd_", "figo_", "figu_", "figor_", "figoh_", "figuh_"],
            "fig(?:d|or?|u|oh|uh)_[A-Za-z0-9_-]{36,}",
        )],
    ),
    detector(
        "secrets/postman-key",
        Severity::High,
        "Postman API or collection key",
        "https://learning.postman.com/docs/developer/postman-api/authentication/",
        &[prefixed(
            &["PMAK-", "PMAT-"],
            "(?:PMAK-[0-9a-f]{24}-[0-9a-f]{34}|PMAT-[0-9A-Z]{26})",
        )],
    ),
    detector(
        "secrets/dropbox-token",
        Severity::High,
        "Dropbox short-lived access token",
        "https://developers.dropbox.com/oauth-guide",
        &[prefixed(&["sl."], r"sl\.(?:u\.)?[A-Za-z0-9_-]{130,}")],
    ),
    detector(
        "secrets/airtable-token",
        Severity::High,
        "Airtable personal access token after its name or in an Authorization header",
        "https://airtable.com/developers/web/guides/personal-access-tokens",
        &[
            keyed(&["airtable"], named!(), r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
            after(&["bearer "], r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
        ],
    ),
    detector(
        "secrets/asana-token",
        Severity::High,
        "Asana personal access token after its name or in an Authorization header",
        "https://developers.asana.com/docs/personal-access-token",
        &[
            keyed(
                &["asana"],
                named!(),
                r"[0-9]/[0-9]{13,20}(?:/[0-9]{13,20})?:[0-9a-f]{32}",
            ),
            after(
                &["bearer "],
                r"[0-9]/[0-9]{13,20}(?:/[0-9]{13,20})?:[0-9a-f]{32}",
            ),
        ],
    ),
    detector(
        "secrets/clickup-token",
        Severity::High,
        "ClickUp personal API token",
        "https://developer.clickup.com/docs/authentication",
        &[prefixed(&["pk_"], r"pk_[0-9]{6,10}_[A-Z0-9]{32}\b")],
    ),
    detector(
        "secrets/trello-token",
        Severity::High,
        "Trello API token",
        "https://developer.atlassian.com/cloud/trello/guides/rest-api/api-introduction/",
        &[prefixed(&["ATTA"], "ATTA[0-9a-fA-F]{64,}")],
    ),
    detector(
        "secrets/okta-token",
        Severity::Critical,
        "Okta API token after its name or in an Authorization header",
        "https://developer.okta.com/docs/guides/create-an-api-token/main/",
        &[
            keyed(&["okta"], named!(), r"00[A-Za-z0-9_-]{40}\b"),
            after(&["ssws "], r"00[A-Za-z0-9_-]{40}\b"),
        ],
    ),
    detector(
        "secrets/auth0-client-secret",
        Severity::High,
        "Auth0 client secret or management token after its name",
        "https://auth0.com/docs/get-started/applications/confidential-and-public-applications",
        &[keyed(
            &[
                "auth0_client_secret",
                "auth0-client-secret",
                "auth0clientsecret",
                "auth0_secret",
                "auth0_token",
                "auth0_api_token",
            ],
            named!(),
            r"[A-Za-z0-9_-]{64}\b",
        )],
    ),
    detector(
        "secrets/hubspot-token",
        Severity::High,
        "HubSpot private app token",
        "https://developers.hubspot.com/docs/guides/apps/private-apps/overview",
        &[prefixed(
            &["pat-na", "pat-eu", "pat-ap"],
            concat!("pat-(?:na|eu|ap)[0-9]-", uuid!()),
        )],
    ),
    detector(
        "secrets/salesforce-token",
        Severity::High,
        "Salesforce access token (session identifier)",
        "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_tokens_scopes.htm",
        &[prefixed(
            &["00D"],
            r"00D[A-Za-z0-9]{12,15}![A-Za-z0-9._]{80,}",
        )],
    ),
    detector(
        "secrets/facebook-token",
        Severity::High,
        "Facebook (Meta) access token",
        "https://developers.facebook.com/docs/facebook-login/guides/access-tokens/",
        &[prefixed(
            &["EAAM", "EAAC", "EAAG", "EAAB", "EAAJ"],
            "EAA[MCGBJ][A-Za-z0-9]{100,}",
        )],
    ),
    detector(
        "secrets/launchdarkly-key",
        Severity::Medium,
        "LaunchDarkly SDK key or access token",
        "https://launchdarkly.com/docs/home/account/api",
        &[prefixed(
            &["sdk-", "api-"],
            concat!("(?:sdk|api)-", uuid!()),
        )],
    ),
    detector(
        "secrets/mapbox-secret-token",
        Severity::High,
        "Mapbox secret or temporary token",
        "https://docs.mapbox.com/help/getting-started/access-tokens/",
        &[token(
            &["sk.eyJ", "tk.eyJ"],
            Left::NotWord,
            r"[st]k\.eyJ[A-Za-z0-9_-]{30,}\.[A-Za-z0-9_-]{20,}",
        )],
    ),
    detector(
        "secrets/typeform-token",
        Severity::High,
        "Typeform personal access token",
        "https://www.typeform.com/developers/get-started/personal-access-token/",
        &[prefixed(&["tfp_"], "tfp_[A-Za-z0-9_.=-]{40,}")],
    ),
    detector(
        "secrets/prefect-token",
        Severity::High,
        "Prefect Cloud API key",
        "https://docs.prefect.io/v3/how-to-guides/cloud/manage-users/api-keys",
        &[prefixed(&["pnu_", "pnb_"], r"pn[ub]_[A-Za-z0-9]{36}\b")],
    ),
    detector(
        "secrets/contentful-token",
        Severity::High,
        "Contentful personal access token",
        "https://www.contentful.com/developers/docs/references/authentication/",
        &[prefixed(&["CFPAT-"], "CFPAT-[A-Za-z0-9_-]{43,}")],
    ),
    detector(
        "secrets/zapier-webhook",
        Severity::Medium,
        "Path of a Zapier webhook",
        "https://help.zapier.com/hc/en-us/articles/8496288690317",
        &[keyed(
            &["hooks.zapier.com"],
            r"\\?/hooks\\?/catch\\?/",
            r"[0-9]{4,12}\\?/[A-Za-z0-9]{6,20}",
        )],
    ),
];
