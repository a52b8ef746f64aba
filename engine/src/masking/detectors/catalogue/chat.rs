//! Chat services: tokens and webhooks.

use super::{
    super::detector::{Builtin, Severity},
    after, detector, keyed, prefixed,
};

const SLACK: &str = "https://api.slack.com/concepts/token-types";

pub(super) const FAMILY: &[Builtin] = &[
    detector(
        "secrets/slack-token",
        Severity::High,
        "Slack bot, user, workspace, refresh or configuration token",
        SLACK,
        &[prefixed(
            &[
                "xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-", "xoxe.", "xoxo-", "xoxp-", "xoxr-",
                "xoxs-",
            ],
            r"(?:xox[abcdeoprs]-|xoxe\.xox[bp]-)[A-Za-z0-9%-]{15,}",
        )],
    ),
    detector(
        "secrets/slack-app-token",
        Severity::High,
        "Slack app-level token",
        SLACK,
        &[prefixed(&["xapp-"], "xapp-[0-9]-[A-Za-z0-9-]{20,}")],
    ),
    detector(
        "secrets/slack-webhook",
        Severity::Medium,
        "Path of a Slack incoming webhook or workflow trigger",
        "https://api.slack.com/messaging/webhooks",
        &[keyed(
            &["hooks.slack.com"],
            r"\\?/(?:services|workflows|triggers)\\?/",
            r"[A-Za-z0-9+/\\]{30,}",
        )],
    ),
    detector(
        "secrets/discord-bot-token",
        Severity::High,
        "Discord bot token after its name or in an Authorization header",
        "https://discord.com/developers/docs/reference#authentication",
        &[
            keyed(
                &["discord", "bot_token"],
                named!(),
                r"[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",
            ),
            after(
                &["bot "],
                r"[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",
            ),
        ],
    ),
    detector(
        "secrets/discord-webhook",
        Severity::Medium,
        "Token in the URL of a Discord webhook",
        "https://discord.com/developers/docs/resources/webhook",
        &[keyed(
            &["discord.com", "discordapp.com"],
            r"\\?/api\\?/(?:v[0-9]{1,2}\\?/)?webhooks\\?/[0-9]{17,20}\\?/",
            "[A-Za-z0-9_-]{60,}",
        )],
    ),
    detector(
        "secrets/telegram-bot-token",
        Severity::High,
        "Telegram bot token after its name or in a URL of the Bot API",
        "https://core.telegram.org/bots/api#authorizing-your-bot",
        &[
            keyed(
                &["telegram", "token"],
                named!(),
                r"[0-9]{8,10}:A[A-Za-z0-9_-]{34}\b",
            ),
            after(&["/bot"], r"[0-9]{8,10}:A[A-Za-z0-9_-]{34}\b"),
        ],
    ),
    detector(
        "secrets/teams-webhook",
        Severity::Medium,
        "Path of a Microsoft Teams incoming webhook",
        "https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
        &[keyed(
            &[".webhook.office.com", "outlook.office.com"],
            r"\\?/webhook(?:b2)?\\?/",
            r"[0-9a-f-]{36}@[0-9a-f-]{36}\\?/IncomingWebhook\\?/[0-9a-f]{32}\\?/[0-9a-f-]{36}(?:\\?/[A-Za-z0-9_-]+)?",
        )],
    ),
    detector(
        "secrets/twilio-auth-token",
        Severity::High,
        "Twilio auth token or API key secret after its name",
        "https://www.twilio.com/docs/iam/api-keys",
        &[keyed(
            &["twilio", "auth_token", "authtoken"],
            named!(),
            r"(?:[0-9a-f]{32}|SK[0-9a-f]{32})\b",
        )],
    ),
];
