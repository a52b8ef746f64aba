//! Kubernetes, and what keeps and deploys secrets.

use super::{
    super::{
        checksum,
        detector::{Builtin, Severity},
    },
    after, confirmed, detector, keyed, led, only_if, prefixed, web_token,
};

pub(super) const FAMILY: &[Builtin] = &[
    confirmed(
        checksum::jwt,
        detector(
            "secrets/kubernetes-service-account-token",
            Severity::Critical,
            "Token of a Kubernetes service account: a JWT with its claims",
            "https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/",
            &[only_if(
                checksum::kubernetes,
                web_token(r"eyJ[A-Za-z0-9_-]{10,4000}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"),
            )],
        ),
    ),
    detector(
        "secrets/kubernetes-client-key",
        Severity::Critical,
        "Private key in a kubeconfig",
        "https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/",
        &[keyed(
            &["client-key-data"],
            assigned!(),
            "[A-Za-z0-9/+]{64,}={0,2}",
        )],
    ),
    // No pattern: the place says it. See `upstreams/kubernetes.rs`.
    detector(
        "secrets/kubernetes-secret-data",
        Severity::Critical,
        "Value of a Kubernetes Secret, whatever it looks like",
        "https://kubernetes.io/docs/concepts/configuration/secret/",
        &[],
    ),
    detector(
        "secrets/kubernetes-bootstrap-token",
        Severity::High,
        "Kubernetes bootstrap token after --token or its name",
        "https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/",
        &[
            keyed(&["bootstrap"], named!(), r"[a-z0-9]{6}\.[a-z0-9]{16}\b"),
            after(&["--token ", "--token="], r"[a-z0-9]{6}\.[a-z0-9]{16}\b"),
        ],
    ),
    detector(
        "secrets/openshift-token",
        Severity::High,
        "OpenShift user token",
        "https://docs.openshift.com/container-platform/latest/authentication/understanding-authentication.html",
        &[prefixed(&["sha256~"], r"sha256~[A-Za-z0-9_-]{43}\b")],
    ),
    detector(
        "secrets/vault-token",
        Severity::High,
        "HashiCorp Vault service, batch or recovery token",
        "https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes",
        &[
            prefixed(&["hvs.", "hvb.", "hvr."], r"hv[sbr]\.[A-Za-z0-9_-]{24,}"),
            keyed(
                &["vault_token", "vault-token", "client_token"],
                assigned!(),
                r"[sbr]\.[A-Za-z0-9]{24,}",
            ),
        ],
    ),
    detector(
        "secrets/vault-unseal-key",
        Severity::Critical,
        "Unseal or recovery key of HashiCorp Vault",
        "https://developer.hashicorp.com/vault/docs/concepts/seal",
        &[keyed(
            &["unseal key ", "recovery key "],
            "[0-9]{1,2}: ",
            "[A-Za-z0-9+/]{43,44}={0,2}",
        )],
    ),
    detector(
        "secrets/terraform-cloud-token",
        Severity::High,
        "HCP Terraform user, team or organisation token",
        "https://developer.hashicorp.com/terraform/cloud-docs/users-teams-organizations/api-tokens",
        &[
            led(
                14,
                &[".atlasv1."],
                r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}",
            ),
            keyed(
                &["bearer ", "tfe_token", "tf_token", "token ="],
                r#"[A-Za-z0-9_]{0,60}[ =:]{0,4}\\{0,3}[\"']?"#,
                r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}",
            ),
        ],
    ),
    detector(
        "secrets/pulumi-token",
        Severity::High,
        "Pulumi access token",
        "https://www.pulumi.com/docs/pulumi-cloud/access-management/access-tokens/",
        &[prefixed(&["pul-"], "pul-[0-9a-f]{40,}")],
    ),
    detector(
        "secrets/doppler-token",
        Severity::Critical,
        "Doppler token: personal, service, CLI, account, SCIM, audit",
        "https://docs.doppler.com/reference/auth-token-formats",
        &[prefixed(
            &[
                "dp.pt.",
                "dp.st.",
                "dp.ct.",
                "dp.sa.",
                "dp.scim.",
                "dp.audit.",
            ],
            r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,}",
        )],
    ),
    detector(
        "secrets/infisical-token",
        Severity::Critical,
        "Infisical service token",
        "https://infisical.com/docs/documentation/platform/token",
        &[prefixed(
            &["st."],
            r"st\.[0-9a-f]{24}\.[0-9a-f]{32}(?:\.[0-9a-f]{32})?",
        )],
    ),
    detector(
        "secrets/onepassword-token",
        Severity::Critical,
        "1Password service account token or secret key",
        "https://developer.1password.com/docs/service-accounts/security/",
        &[
            prefixed(&["ops_eyJ"], "ops_eyJ[A-Za-z0-9+/_-]{200,}={0,2}"),
            prefixed(
                &["A3-"],
                r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}\b",
            ),
        ],
    ),
    detector(
        "secrets/tailscale-key",
        Severity::High,
        "Tailscale key: of a device, an API, a client, a webhook",
        "https://tailscale.com/kb/1277/key-prefix-reference",
        &[prefixed(
            &["tskey-"],
            "tskey-[a-z]{2,12}-[A-Za-z0-9]{6,24}(?:-[A-Za-z0-9]{16,})?",
        )],
    ),
];
