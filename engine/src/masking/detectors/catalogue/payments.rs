//! Payments and shops.

use super::{
    super::detector::{Builtin, Severity},
    detector, prefixed,
};

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/stripe-key",
        Severity::Critical,
        "Stripe (or Paystack) secret or restricted key, live or test",
        "https://docs.stripe.com/keys",
        &[prefixed(
            &[
                "sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk_prod_", "rk_prod_",
            ],
            "[sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,}",
        )],
    ),
    detector(
        "secrets/stripe-webhook-secret",
        Severity::High,
        "Signing secret of a Stripe (or Svix) webhook",
        "https://docs.stripe.com/webhooks/signature",
        &[prefixed(&["whsec_"], "whsec_[A-Za-z0-9/+]{24,}={0,2}")],
    ),
    detector(
        "secrets/square-token",
        Severity::Critical,
        "Square access token or OAuth secret",
        "https://developer.squareup.com/docs/build-basics/access-tokens",
        &[
            prefixed(&["sq0atp-", "sq0csp-"], "sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}"),
            prefixed(&["EAAA"], r"EAAA[A-Za-z0-9_-]{60}\b"),
        ],
    ),
    detector(
        "secrets/braintree-token",
        Severity::Critical,
        "PayPal Braintree access token",
        "https://developer.paypal.com/braintree/docs/guides/authorization/access-token",
        &[prefixed(
            &["access_token$"],
            r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
        )],
    ),
    detector(
        "secrets/shopify-token",
        Severity::High,
        "Shopify access token or shared secret",
        "https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens",
        &[prefixed(
            &["shpat_", "shpca_", "shppa_", "shpss_", "shpua_"],
            "shp(?:at|ca|pa|ss|ua)_[0-9a-fA-F]{32,}",
        )],
    ),
    detector(
        "secrets/plaid-access-token",
        Severity::Critical,
        "Plaid access token",
        "https://plaid.com/docs/api/tokens/",
        &[prefixed(
            &[
                "access-sandbox-",
                "access-development-",
                "access-production-",
            ],
            concat!("access-(?:sandbox|development|production)-", uuid!()),
        )],
    ),
    detector(
        "secrets/razorpay-key",
        Severity::Medium,
        "Razorpay API key identifier",
        "https://razorpay.com/docs/payments/dashboard/account-settings/api-keys/",
        &[prefixed(
            &["rzp_live_", "rzp_test_"],
            "rzp_(?:live|test)_[A-Za-z0-9]{14,}",
        )],
    ),
    detector(
        "secrets/flutterwave-key",
        Severity::High,
        "Flutterwave secret key",
        "https://developer.flutterwave.com/v3.0/docs/authentication",
        &[prefixed(
            &["FLWSECK-", "FLWSECK_TEST-"],
            "FLWSECK(?:_TEST)?-[0-9a-zA-Z]{12,}(?:-X)?",
        )],
    ),
    detector(
        "secrets/shippo-token",
        Severity::High,
        "Shippo API token",
        "https://docs.goshippo.com/docs/guides_general/authentication/",
        &[prefixed(
            &["shippo_live_", "shippo_test_"],
            "shippo_(?:live|test)_[0-9a-f]{40,}",
        )],
    ),
    detector(
        "secrets/easypost-key",
        Severity::High,
        "EasyPost API key",
        "https://docs.easypost.com/docs/authentication",
        &[prefixed(&["EZAK", "EZTK"], r"EZ[AT]K[A-Za-z0-9]{54}\b")],
    ),
];
