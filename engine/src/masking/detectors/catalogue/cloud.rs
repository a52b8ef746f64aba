//! Clouds, hosting and data platforms other than the three large ones.

use super::{
    super::detector::{Builtin, Severity},
    detector, keyed, prefixed,
};

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/databricks-token",
        Severity::Critical,
        "Databricks personal access token or OAuth secret",
        "https://docs.databricks.com/en/dev-tools/auth/pat.html",
        &[prefixed(
            &["dapi", "dose"],
            r"(?:dapi|dose)[0-9a-f]{32}(?:-[0-9]{1,2})?\b",
        )],
    ),
    detector(
        "secrets/digitalocean-token",
        Severity::High,
        "DigitalOcean personal, OAuth or refresh token",
        "https://docs.digitalocean.com/reference/api/create-personal-access-token/",
        &[prefixed(
            &["dop_v1_", "doo_v1_", "dor_v1_"],
            "do[opr]_v1_[0-9a-f]{64}",
        )],
    ),
    detector(
        "secrets/cloudflare-token",
        Severity::High,
        "Cloudflare API token or key, with its prefix or after its name",
        "https://developers.cloudflare.com/fundamentals/api/get-started/create-token/",
        &[
            prefixed(
                &["cfut_", "cfat_", "cfk_"],
                "cf(?:ut|at|k)_[A-Za-z0-9_-]{40,}",
            ),
            keyed(
                &["cloudflare", "cf_api"],
                named!(),
                r"(?:[A-Za-z0-9_-]{40}|[0-9a-f]{37})\b",
            ),
        ],
    ),
    detector(
        "secrets/cloudflare-origin-ca-key",
        Severity::Critical,
        "Cloudflare Origin CA key",
        "https://developers.cloudflare.com/fundamentals/api/get-started/ca-keys/",
        &[prefixed(&["v1.0-"], r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146,}")],
    ),
    detector(
        "secrets/heroku-key",
        Severity::High,
        "Heroku API key, with its prefix or after its name",
        "https://devcenter.heroku.com/articles/platform-api-quickstart#authentication",
        &[
            prefixed(&["HRKU-AA"], "HRKU-AA[A-Za-z0-9_-]{58,}"),
            keyed(&["heroku"], named!(), uuid!()),
        ],
    ),
    detector(
        "secrets/fly-token",
        Severity::High,
        "Fly.io access token",
        "https://fly.io/docs/security/tokens/",
        &[
            prefixed(&["fo1_"], r"fo1_[A-Za-z0-9_-]{43}\b"),
            prefixed(
                &["fm1r_", "fm1a_", "fm2_"],
                "fm(?:1[ar]|2)_[A-Za-z0-9+/]{100,}={0,3}",
            ),
        ],
    ),
    detector(
        "secrets/vercel-token",
        Severity::High,
        "Vercel token, with its prefix or after its name",
        "https://vercel.com/docs/rest-api#authentication",
        &[
            prefixed(
                &["vcp_", "vci_", "vca_", "vcr_", "vck_"],
                r"vc[piark]_[A-Za-z0-9]{24,}",
            ),
            keyed(
                &["vercel_token", "vercel-token", "verceltoken"],
                named!(),
                r"[A-Za-z0-9]{24}\b",
            ),
        ],
    ),
    detector(
        "secrets/netlify-token",
        Severity::High,
        "Netlify personal access token",
        "https://docs.netlify.com/api/get-started/#authentication",
        &[prefixed(
            &["nfp_", "nfo_", "nfc_", "nfu_", "nfb_"],
            "nf[pocub]_[A-Za-z0-9]{36,}",
        )],
    ),
    detector(
        "secrets/supabase-key",
        Severity::Critical,
        "Supabase secret key or personal access token",
        "https://supabase.com/docs/guides/api/api-keys",
        &[prefixed(
            &["sb_secret_", "sbp_"],
            "(?:sb_secret_[A-Za-z0-9_-]{30,}|sbp_(?:v0_)?[0-9a-f]{40,})",
        )],
    ),
    detector(
        "secrets/planetscale-token",
        Severity::High,
        "PlanetScale service token, OAuth token or password",
        "https://planetscale.com/docs/concepts/service-tokens",
        &[prefixed(
            &["pscale_tkn_", "pscale_oauth_", "pscale_pw_"],
            "pscale_(?:tkn|oauth|pw)_[A-Za-z0-9_.=-]{32,64}",
        )],
    ),
    detector(
        "secrets/neon-api-key",
        Severity::High,
        "Neon API key",
        "https://neon.com/docs/manage/api-keys",
        &[prefixed(&["napi_"], "napi_[a-z0-9]{40,}")],
    ),
    detector(
        "secrets/render-api-key",
        Severity::High,
        "Render API key",
        "https://render.com/docs/api",
        &[prefixed(&["rnd_"], "rnd_[A-Za-z0-9]{28,}")],
    ),
    detector(
        "secrets/alibaba-access-key-id",
        Severity::Medium,
        "Alibaba Cloud AccessKey identifier",
        "https://www.alibabacloud.com/help/en/ram/user-guide/create-an-accesskey-pair",
        &[prefixed(&["LTAI"], r"LTAI[A-Za-z0-9]{12,20}\b")],
    ),
    detector(
        "secrets/tencent-secret-id",
        Severity::Medium,
        "Tencent Cloud secret identifier",
        "https://www.tencentcloud.com/document/product/598/34228",
        &[prefixed(&["AKID"], r"AKID[A-Za-z0-9]{32}\b")],
    ),
    detector(
        "secrets/yandex-key",
        Severity::High,
        "Yandex Cloud API key, OAuth or IAM token",
        "https://yandex.cloud/en/docs/iam/concepts/authorization/api-key",
        &[
            prefixed(&["AQVN"], r"AQVN[A-Za-z0-9_-]{35,38}\b"),
            prefixed(&["y0_"], "y0_[A-Za-z0-9_-]{50,}"),
            prefixed(
                &["t1.9e"],
                r"t1\.9e[A-Za-z0-9_-]{40,}(?:\.[A-Za-z0-9_-]{80,})?",
            ),
        ],
    ),
    detector(
        "secrets/tinybird-token",
        Severity::High,
        "Tinybird token",
        "https://www.tinybird.co/docs/forward/administration/tokens",
        &[prefixed(
            &["p.eyJ"],
            r"p\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
        )],
    ),
    detector(
        "secrets/deno-deploy-token",
        Severity::High,
        "Deno Deploy access token",
        "https://docs.deno.com/deploy/manual/",
        &[prefixed(
            &["ddp_", "ddo_", "ddw_"],
            r"dd[pow]_[A-Za-z0-9]{36}\b",
        )],
    ),
];
