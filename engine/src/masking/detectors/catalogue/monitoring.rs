//! Monitoring, logs and alerts.

use super::{
    super::detector::{Builtin, Left, Severity},
    after, detector, keyed, led, prefixed, token,
};

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/grafana-token",
        Severity::High,
        "Grafana service account token, Cloud token or API key",
        "https://grafana.com/docs/grafana/latest/administration/service-accounts/",
        &[
            prefixed(&["glsa_"], "glsa_[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}"),
            prefixed(&["glc_"], "glc_[A-Za-z0-9+/]{32,}={0,2}"),
            token(
                &["eyJrIjoi"],
                Left::NotToken,
                "eyJrIjoi[A-Za-z0-9]{60,}={0,2}",
            ),
        ],
    ),
    detector(
        "secrets/new-relic-key",
        Severity::High,
        "New Relic user, insert, browser or licence key",
        "https://docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys/",
        &[
            prefixed(
                &["NRAK-", "NRII-", "NRIQ-", "NRJS-", "NRRA-", "NRAA-"],
                "NR(?:AK|II|IQ|JS|RA|AA)-[A-Za-z0-9_-]{19,}",
            ),
            led(36, &["NRAL"], r"[0-9a-f]{36}NRAL\b"),
            keyed(
                &["license_key", "licensekey", "license-key"],
                assigned!(),
                r"[0-9a-f]{36}NRAL\b",
            ),
        ],
    ),
    detector(
        "secrets/datadog-key",
        Severity::High,
        "Datadog API or application key after its name",
        "https://docs.datadoghq.com/account_management/api-app-keys/",
        &[keyed(
            &["datadog", "dd_api_key", "dd-api-key", "dd_app", "dd-app"],
            named!(),
            r"(?:[0-9a-f]{32}|[0-9a-f]{40})\b",
        )],
    ),
    detector(
        "secrets/sentry-token",
        Severity::High,
        "Sentry organisation or user token",
        "https://docs.sentry.io/account/auth-tokens/",
        &[
            prefixed(
                &["sntrys_"],
                "sntrys_eyJ[A-Za-z0-9+/]{20,}={0,2}_[A-Za-z0-9+/]{40,}",
            ),
            prefixed(&["sntryu_", "sntrya_"], "sntry[ua]_[0-9a-f]{64,}"),
        ],
    ),
    detector(
        "secrets/pagerduty-key",
        Severity::High,
        "PagerDuty API key after its name or in an Authorization header",
        "https://support.pagerduty.com/main/docs/api-access-keys",
        &[
            keyed(
                &["pagerduty", "pd_api"],
                named!(),
                r"(?:u\+[A-Za-z0-9_-]{18}|[A-Za-z0-9_-]{20})\b",
            ),
            after(
                &["token token="],
                r"(?:u\+[A-Za-z0-9_-]{18}|[A-Za-z0-9_-]{20})\b",
            ),
        ],
    ),
    detector(
        "secrets/dynatrace-token",
        Severity::High,
        "Dynatrace access token",
        "https://docs.dynatrace.com/docs/manage/identity-access-management/access-tokens-and-oauth-clients/access-tokens",
        &[prefixed(
            &["dt0c01.", "dt0s01.", "dt0s02.", "dt0s08.", "dt0s16."],
            r"dt0(?:c01|s01|s02|s08|s16)\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
        )],
    ),
    detector(
        "secrets/honeycomb-key",
        Severity::High,
        "Honeycomb ingest or management key",
        "https://docs.honeycomb.io/configure/environments/manage-api-keys/",
        &[prefixed(
            &[
                "hcaik_", "hcbik_", "hcxik_", "hcaic_", "hcxic_", "hcamk_", "hcxmk_",
            ],
            "hc(?:aik|bik|xik|aic|xic|amk|xmk)_[a-z0-9]{58,}",
        )],
    ),
    detector(
        "secrets/posthog-key",
        Severity::High,
        "PostHog personal API key",
        "https://posthog.com/docs/api#authentication",
        &[prefixed(&["phx_", "phs_"], "ph[xs]_[A-Za-z0-9]{40,}")],
    ),
    detector(
        "secrets/axiom-token",
        Severity::High,
        "Axiom API token or personal access token",
        "https://axiom.co/docs/reference/tokens",
        &[prefixed(&["xaat-", "xapt-"], concat!("xa[ap]t-", uuid!()))],
    ),
    detector(
        "secrets/splunk-hec-token",
        Severity::Medium,
        "Token of a Splunk HTTP Event Collector in an Authorization header",
        "https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector",
        &[after(&["splunk "], concat!("(?i:", uuid!(), ")"))],
    ),
];
