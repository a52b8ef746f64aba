//! Azure's identifiable keys: base64 that names its service and ends in a checksum, and Microsoft's
//! common annotated security keys.
//!
//! Form of an identifiable key: random characters, four that name the service, then the base64 of
//! 32 bits of Marvin checksum. Form of an annotated key: 52 random letters and digits, `JQQJ9`, the
//! key's kind, year and month, 16 characters of the service's own, four that name the service, four
//! of checksum; the longer form ends in four more. Source of both, with signatures and seeds:
//! <https://github.com/microsoft/security-utilities>.
//!
//! All are found only where a value is assigned (`"primaryKey": "`, `KEY=`, `key: `).

use super::{
    super::{
        checksum::azure as checksum,
        detector::{Builtin, Severity},
    },
    confirmed, detector, keyed, led, only_if,
};

const IDENTIFIABLE: &str = "https://github.com/microsoft/security-utilities/blob/main/GeneratedRegexPatterns/PreciselyClassifiedSecurityKeys.json";

/// An annotated key of the service with this signature.
macro_rules! annotated {
    ($signature:literal) => {
        led(
            52,
            &["JQQJ9"],
            concat!(
                "[A-Za-z0-9]{52}JQQJ9[9DH][A-Za-z0-9][A-L][A-Za-z0-9]{16}",
                $signature,
                "[A-Za-z0-9]{4,}={0,2}"
            ),
        )
    };
}

/// An identifiable key of 32 bytes.
macro_rules! of_32_bytes {
    ($anchor:literal, $signature:literal) => {
        led(
            33,
            &[$anchor],
            concat!("[A-Za-z0-9+/]{33}", $signature, "[A-P][A-Za-z0-9+/]{5}="),
        )
    };
}

/// An identifiable key of 64 bytes.
macro_rules! of_64_bytes {
    ($anchor:literal, $signature:literal) => {
        led(
            76,
            &[$anchor],
            concat!("[A-Za-z0-9+/]{76}", $signature, "[A-Za-z0-9+/]{5}[AQgw]=="),
        )
    };
}

/// An identifiable key of 39 bytes.
macro_rules! of_39_bytes {
    ($anchor:literal, $signature:literal) => {
        led(
            42,
            &[$anchor],
            concat!("[A-Za-z0-9+/]{42}", $signature, "[A-D][A-Za-z0-9+/]{5}"),
        )
    };
}

pub(super) const FAMILY: &[Builtin] = &[
    confirmed(
        checksum::cosmos,
        detector(
            "secrets/azure-cosmos-key",
            Severity::Critical,
            "Key of an Azure Cosmos DB account, identifiable form",
            "https://learn.microsoft.com/en-us/azure/cosmos-db/secure-access-to-data",
            &[of_64_bytes!("ACDb", "ACDb")],
        ),
    ),
    confirmed(
        checksum::service_bus,
        detector(
            "secrets/azure-service-bus-key",
            Severity::Critical,
            "Shared access key of Azure Service Bus, identifiable form",
            "https://learn.microsoft.com/en-us/azure/service-bus-messaging/service-bus-sas",
            &[of_32_bytes!("+ASb", r"\+ASb")],
        ),
    ),
    confirmed(
        checksum::event_hubs,
        detector(
            "secrets/azure-event-hubs-key",
            Severity::Critical,
            "Shared access key of Azure Event Hubs, identifiable form",
            "https://learn.microsoft.com/en-us/azure/event-hubs/authorize-access-shared-access-signature",
            &[of_32_bytes!("+AEh", r"\+AEh")],
        ),
    ),
    confirmed(
        checksum::relay,
        detector(
            "secrets/azure-relay-key",
            Severity::Critical,
            "Shared access key of Azure Relay, identifiable form",
            "https://learn.microsoft.com/en-us/azure/azure-relay/relay-authentication-and-authorization",
            &[of_32_bytes!("+ARm", r"\+ARm")],
        ),
    ),
    confirmed(
        checksum::iot,
        detector(
            "secrets/azure-iot-key",
            Severity::Critical,
            "Key of an Azure IoT hub, a device or device provisioning, identifiable form",
            "https://learn.microsoft.com/en-us/azure/iot-hub/authenticate-authorize-sas",
            &[of_32_bytes!("AIoT", "AIoT")],
        ),
    ),
    confirmed(
        checksum::redis,
        detector(
            "secrets/azure-redis-key",
            Severity::Critical,
            "Access key of Azure Cache for Redis",
            "https://learn.microsoft.com/en-us/azure/azure-cache-for-redis/cache-configure#access-keys",
            &[of_32_bytes!("AzCa", "AzCa")],
        ),
    ),
    detector(
        "secrets/azure-devops-pat",
        Severity::Critical,
        "Azure DevOps personal access token: 84 characters, or 52 with a right checksum",
        "https://learn.microsoft.com/en-us/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate",
        &[
            led(
                52,
                &["JQQJ9"],
                "[A-Za-z0-9]{52}JQQJ9[9DH][A-Za-z0-9][A-L][A-Za-z0-9]{16}AZDO[A-Za-z0-9]{4,}",
            ),
            only_if(
                checksum::devops,
                keyed(
                    &["token", "password", "_pat", "\"pat\"", "\"pat\\\"", " pat="],
                    assigned!(),
                    r"[a-z2-7]{52}\b",
                ),
            ),
        ],
    ),
    detector(
        "secrets/azure-event-grid-key",
        Severity::High,
        "Access key of an Azure Event Grid topic or domain",
        "https://learn.microsoft.com/en-us/azure/event-grid/authenticate-with-access-keys-shared-access-signatures",
        &[of_32_bytes!("AZEG", "AZEG"), annotated!("AZEG")],
    ),
    confirmed(
        checksum::batch,
        detector(
            "secrets/azure-batch-key",
            Severity::Critical,
            "Access key of an Azure Batch account",
            "https://learn.microsoft.com/en-us/azure/batch/accounts",
            &[of_64_bytes!("+ABa", r"\+ABa")],
        ),
    ),
    confirmed(
        checksum::machine_learning,
        detector(
            "secrets/azure-machine-learning-key",
            Severity::High,
            "Key of an Azure Machine Learning web service",
            "https://learn.microsoft.com/en-us/azure/machine-learning/how-to-authenticate-online-endpoint",
            &[of_64_bytes!("+AMC", r"\+AMC")],
        ),
    ),
    confirmed(
        checksum::api_management,
        detector(
            "secrets/azure-api-management-key",
            Severity::High,
            "Subscription, gateway, repository or management key of Azure API Management",
            "https://learn.microsoft.com/en-us/azure/api-management/api-management-subscriptions",
            &[of_64_bytes!("APIM", "APIM")],
        ),
    ),
    confirmed(
        checksum::search,
        detector(
            "secrets/azure-search-key",
            Severity::High,
            "Admin or query key of Azure AI Search",
            "https://learn.microsoft.com/en-us/azure/search/search-security-api-keys",
            &[of_39_bytes!("AzSe", "AzSe")],
        ),
    ),
    confirmed(
        checksum::container_registry,
        detector(
            "secrets/azure-container-registry-key",
            Severity::Critical,
            "Password of an Azure Container Registry's admin user or token",
            "https://learn.microsoft.com/en-us/azure/container-registry/container-registry-authentication",
            &[of_39_bytes!("+ACR", r"\+ACR"), annotated!("ACRA")],
        ),
    ),
    detector(
        "secrets/azure-openai-key",
        Severity::High,
        "Key of Azure OpenAI or another Azure AI service, annotated form",
        "https://learn.microsoft.com/en-us/azure/ai-services/authentication",
        &[annotated!("ACOG")],
    ),
    detector(
        "secrets/azure-annotated-key",
        Severity::High,
        "Microsoft common annotated security key of any other service",
        IDENTIFIABLE,
        &[annotated!("[A-Za-z][A-Za-z0-9]{3}")],
    ),
];
