//! Services that send mail and messages.

use super::{
    super::detector::{Builtin, Left, Severity},
    detector, keyed, led, prefixed, token,
};

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/sendgrid-key",
        Severity::High,
        "SendGrid API key",
        "https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
        &[token(
            &["SG."],
            Left::NotToken,
            r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}",
        )],
    ),
    detector(
        "secrets/mailgun-key",
        Severity::High,
        "Mailgun API or signing key",
        "https://documentation.mailgun.com/docs/mailgun/user-manual/api-key-mgmt/rbac-mgmt",
        &[
            prefixed(&["key-"], r"key-[0-9a-f]{32}\b"),
            keyed(
                &["mailgun", "mg_api_key"],
                named!(),
                r"[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}\b",
            ),
        ],
    ),
    detector(
        "secrets/mailchimp-key",
        Severity::High,
        "Mailchimp API key",
        "https://mailchimp.com/developer/marketing/guides/quick-start/",
        &[
            led(
                32,
                &[
                    "-us1", "-us2", "-us3", "-us4", "-us5", "-us6", "-us7", "-us8", "-us9",
                ],
                r"[0-9a-f]{32}-us[1-9][0-9]?\b",
            ),
            keyed(&["mailchimp"], named!(), r"[0-9a-f]{32}-us[1-9][0-9]?\b"),
        ],
    ),
    detector(
        "secrets/brevo-key",
        Severity::High,
        "Brevo (Sendinblue) API or SMTP key",
        "https://developers.brevo.com/docs/getting-started",
        &[prefixed(
            &["xkeysib-", "xsmtpsib-"],
            "x(?:key|smtp)sib-[0-9a-f]{64}-[A-Za-z0-9]{16}",
        )],
    ),
    detector(
        "secrets/resend-key",
        Severity::High,
        "Resend API key",
        "https://resend.com/docs/dashboard/api-keys/introduction",
        &[prefixed(
            &["re_"],
            r"re_[A-Za-z0-9]{6,10}_[A-Za-z0-9]{24}\b",
        )],
    ),
    detector(
        "secrets/mailchimp-transactional-key",
        Severity::High,
        "Mailchimp Transactional (Mandrill) API key",
        "https://mailchimp.com/developer/transactional/guides/quick-start/",
        &[prefixed(&["md-"], r"md-[A-Za-z0-9_]{22}\b")],
    ),
];
