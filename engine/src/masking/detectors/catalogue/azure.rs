//! Azure and Microsoft Entra: what is recognised by its name or its own form. Keys that name their
//! service are in [`azure_signed`](super::azure_signed).

use super::{
    super::{
        checksum::azure as checksum,
        detector::{Builtin, Left, Severity, Shape},
    },
    after, confirmed, detector, keyed, led, prefixed, token,
};

pub(super) const FAMILY: &[Builtin] = &[
    confirmed(
        checksum::storage,
        detector(
            "secrets/azure-storage-key",
            Severity::Critical,
            "Azure Storage, Cosmos DB or Log Analytics key, in a connection string or an answer of listKeys",
            "https://learn.microsoft.com/en-us/azure/storage/common/storage-account-keys-manage",
            &[
                keyed(
                    &[
                        "account_key",
                        "account-key",
                        "accountkey",
                        "storage_key",
                        "storage-key",
                        "storagekey",
                        "access_key",
                        "accesskey",
                        "masterkey",
                        "primarykey",
                        "secondarykey",
                        "sharedkey",
                        "cosmos_key",
                        "workspace_key",
                        "value\"",
                        "value\\\"",
                        "key1",
                        "key2",
                    ],
                    assigned!(),
                    "[A-Za-z0-9/+]{86}==",
                ),
                led(
                    76,
                    &["+ASt"],
                    r"[A-Za-z0-9+/]{76}\+ASt[A-Za-z0-9+/]{5}[AQgw]==",
                ),
            ],
        ),
    ),
    detector(
        "secrets/azure-sas",
        Severity::High,
        "Signature of an Azure shared access signature, also of Logic Apps and Power Automate",
        "https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas",
        &[Shape {
            left: Left::NotWord,
            ..after(
                &["sig=", "sig%3d"],
                "(?:[A-Za-z0-9/+_-]|%(?:25)?2[bBfF]){43}(?:=|%(?:25)?3[dD])?",
            )
        }],
    ),
    detector(
        "secrets/azure-access-key",
        Severity::Critical,
        "Access key in a connection string of Service Bus, Event Hubs, IoT Hub, SignalR, Web PubSub, Communication Services or App Configuration",
        "https://learn.microsoft.com/en-us/azure/service-bus-messaging/service-bus-sas",
        &[after(
            &["accesskey=", ";secret="],
            "[A-Za-z0-9/+]{43,86}={0,2}",
        )],
    ),
    detector(
        "secrets/azure-client-secret",
        Severity::Critical,
        "Client secret of a Microsoft Entra application",
        "https://learn.microsoft.com/en-us/purview/sit-defn-client-secret-api-key",
        &[
            // Bare only after something that opens a value: three letters and a digit may begin
            // one, and holding the beginning of every word would delay prose that streams.
            Shape {
                lead: 3,
                ..token(
                    &[
                        "0Q~", "1Q~", "2Q~", "3Q~", "4Q~", "5Q~", "6Q~", "7Q~", "8Q~", "9Q~",
                    ],
                    Left::Opening,
                    "[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
                )
            },
            keyed(
                &[
                    "client_secret",
                    "client-secret",
                    "clientsecret",
                    "client secret",
                    "secrettext",
                    "password",
                ],
                assigned!(),
                "[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
            ),
        ],
    ),
    detector(
        "secrets/azure-refresh-token",
        Severity::Critical,
        "Refresh token of Microsoft Entra",
        "https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens",
        &[keyed(
            &[
                "refresh_token",
                "refreshtoken",
                "\"secret\"",
                "\"secret\\\"",
            ],
            assigned!(),
            r"[01]\.A[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*",
        )],
    ),
    confirmed(
        checksum::functions,
        detector(
            "secrets/azure-functions-key",
            Severity::High,
            "Host, function, system or master key of Azure Functions, identifiable or older",
            "https://learn.microsoft.com/en-us/azure/azure-functions/function-keys-how-to",
            &[
                led(
                    44,
                    &["AzFu"],
                    "[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{5}[AQgw]==",
                ),
                after(
                    &["code=", "code%3d"],
                    "(?:[A-Za-z0-9/+_-]|%2[bBfF]){54}(?:==|%3[dD]%3[dD])",
                ),
                keyed(
                    &[
                        "x-functions-key",
                        "masterkey",
                        "functionkey",
                        "function_key",
                        "hostkey",
                        "host_key",
                        "value\"",
                        "value\\\"",
                        "default\"",
                        "default\\\"",
                    ],
                    assigned!(),
                    "(?:[A-Za-z0-9/+_-]|%2[bBfF]){54}(?:==|%3[dD]%3[dD])",
                ),
            ],
        ),
    ),
    detector(
        "secrets/azure-publish-password",
        Severity::High,
        "Password in a publish profile of Azure App Service",
        "https://learn.microsoft.com/en-us/azure/app-service/deploy-configure-credentials",
        &[keyed(&["userpwd="], r#"\\{0,3}""#, "[A-Za-z0-9]{60}")],
    ),
    detector(
        "secrets/azure-integration-runtime-key",
        Severity::High,
        "Authentication key of a self-hosted integration runtime of Azure Data Factory or Synapse",
        "https://learn.microsoft.com/en-us/azure/data-factory/create-self-hosted-integration-runtime",
        &[prefixed(
            &["IR@"],
            concat!(
                "IR@",
                uuid!(),
                r"@[A-Za-z0-9-]{1,64}@(?:ServiceEndpoint=[a-z0-9.-]+@)?[A-Za-z0-9+/]{40,}={0,2}"
            ),
        )],
    ),
    detector(
        "secrets/azure-static-web-apps-token",
        Severity::High,
        "Deployment token of Azure Static Web Apps",
        "https://learn.microsoft.com/en-us/azure/static-web-apps/deployment-token-management",
        &[keyed(
            &[
                "deployment_token",
                "deployment-token",
                "\"apikey\"",
                "\"apikey\\\"",
                "static_web_apps_api_token",
            ],
            named!(),
            concat!("[0-9a-f]{64,66}-", uuid!(), "[0-9a-f]{0,16}"),
        )],
    ),
];
