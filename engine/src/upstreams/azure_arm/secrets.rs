//! What Azure serves to a GET, mostly as a `read`, although the answer is nothing but a secret.
//!
//! A rule for `*/read` is meant for looking at resources. A key that comes with it opens what
//! nobody allowed: `GET …/connections/{name}/sharedKey` hands out the key of a VPN. So a GET of a
//! path of this table is an `…/action` here, which `*/read` does not match.
//!
//! # Sources
//!
//! Looked up on 30 November 2026, restated here as data:
//!
//! - *Reference*: Azure's REST reference, as the paths and answers of Microsoft's own client
//!   libraries have it that are generated from it (`azure-mgmt-network` 33.1.0, `azure-mgmt-web`
//!   11.0.1, `-avs` 10.1.0, `-cosmosdb` 10.0.0, `-hdinsight` 9.0.1, `-automation` 2.0.0,
//!   `-loganalytics` 14.0.0, `-recoveryservices` 4.3.0, `-appconfiguration` 5.0.0, `-devtestlabs`
//!   9.0.1): every GET of theirs whose answer has a key, a token or a password was looked at.
//! - *Permissions*: Azure's list of permissions of each provider,
//!   <https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations>,
//!   and the permissions that its built-in roles name. Such a list has no paths. A permission
//!   `a/b/c/read` is taken for a GET of `a/*/b/*/c`, and where that may be wrong for its other
//!   spellings as well.
//!
//! # What is in the table
//!
//! - Paths whose answer is a secret, or a thing that is of no use without the secret in it.
//! - Paths to which the reference knows only PUT or POST and which answer them with a secret. A
//!   POST is an action anyway; some provider may answer a GET, and the stricter name is right then.
//! - Paths of whose GET Azure itself asks an `…/action`.
//!
//! What is called `list…` is an action by its name and needs no row. Not in the table are resources
//! that have a secret among much else, such as the settings of a gateway: whoever may read them is
//! shown it by Azure, and masking of the response takes it out.

use super::pattern::{Begun, Pattern};

/// The paths of one provider, in the form of [`Pattern`].
struct Secrets {
    provider: &'static str,
    paths: &'static [&'static str],
}

const SECRETS: &[Secrets] = &[
    Secrets {
        provider: "Microsoft.Network",
        // Reference. The keys of VPNs, and what joins a circuit of somebody else.
        paths: &[
            "connections/*/sharedKey",
            "vpnGateways/*/vpnConnections/*/vpnLinkConnections/*/sharedKeys",
            "expressRouteCircuits/*/authorizations",
            "expressRoutePorts/*/authorizations",
            "expressRouteLags/*/authorizations",
        ],
    },
    Secrets {
        provider: "Microsoft.AVS",
        // Reference. Keys to join a circuit, and to activate a site.
        paths: &[
            "privateClouds/*/authorizations",
            "privateClouds/*/hcxEnterpriseSites",
        ],
    },
    Secrets {
        provider: "Microsoft.Web",
        paths: &[
            // Reference. The password for publishing everywhere, and tokens of repositories.
            "publishingUsers",
            "sourceControls",
            // Reference (`admin` stands where a name does) and permissions: a token that is as good
            // as the key of all functions, and that key.
            "sites/*/functions/*/token",
            "sites/*/functions/*/masterkey",
            // Reference, PUT only: keys of functions and of their host.
            "sites/*/functions/*/keys",
            "sites/*/host/*/functionkeys",
            "sites/*/host/*/systemkeys",
            // Permissions call it a read as well; reference, POST only. Passwords for publishing.
            "sites/*/publishxml",
            // Reference, POST to `…/list` only; of the first, permissions know a read. All settings
            // of an app.
            "sites/*/config/appsettings",
            "sites/*/config/authsettings",
            "sites/*/config/azurestorageaccounts",
            "sites/*/config/backup",
            "sites/*/config/connectionstrings",
            "sites/*/config/metadata",
            "sites/*/config/publishingcredentials",
            "sites/*/config/pushsettings",
            // Permissions. One setting, one connection string.
            "sites/*/config/web/appsettings",
            "sites/*/config/web/connectionstrings",
            // Reference. Connection strings of the classic relay.
            "sites/*/hybridconnection",
            // Reference. The environment of a process, where an app has all of its settings, and
            // its whole memory.
            "sites/*/processes",
            "sites/*/processes/*/dump",
            "sites/*/instances/*/processes",
            "sites/*/instances/*/processes/*/dump",
        ],
    },
    Secrets {
        provider: "Microsoft.DocumentDB",
        // Reference. Permissions know it as a read and as an action.
        paths: &["databaseAccounts/*/readonlykeys"],
    },
    Secrets {
        provider: "Microsoft.HDInsight",
        // Reference. Passwords of the gateway and keys of storage accounts, by POST as well.
        paths: &["clusters/*/configurations"],
    },
    Secrets {
        provider: "Microsoft.Automation",
        paths: &[
            // Reference. The keys with which machines register.
            "automationAccounts/*/agentRegistrationInformation",
            // Azure asks an action: configurations and outputs have passwords in them.
            "automationAccounts/*/nodeConfigurations/*/rawContent",
            "automationAccounts/*/jobs/*/output",
            "automationAccounts/*/jobs/*/runbookContent",
        ],
    },
    Secrets {
        provider: "Microsoft.OperationalInsights",
        paths: &[
            // Permissions; reference, POST only.
            "workspaces/*/sharedKeys",
            // Reference. The key of a storage account, and what is read there.
            "workspaces/*/storageInsightConfigs",
        ],
    },
    Secrets {
        provider: "Microsoft.Insights",
        // Permissions. `generateLiveToken` extends a resource.
        paths: &[
            "components/*/getToken",
            "webtests/*/getToken",
            "generateLiveToken",
        ],
    },
    Secrets {
        provider: "Microsoft.ContainerService",
        // Permissions; versions before 2018 served the kubeconfig to GET, later ones to POST of
        // `…/listCredential`.
        paths: &["managedClusters/*/accessProfiles"],
    },
    Secrets {
        provider: "Microsoft.RecoveryServices",
        paths: &[
            // Reference. The keys of a vault.
            "vaults/*/extendedInformation",
            // Permissions.
            "vaults/*/tokenInfo",
            "vaults/*/vaultTokens",
        ],
    },
    Secrets {
        provider: "Microsoft.AppConfiguration",
        // Reference. Permissions call it an action on data, which no `*/read` of a role allows.
        paths: &["configurationStores/*/keyValues"],
    },
    Secrets {
        provider: "Microsoft.DevTestLab",
        // Reference.
        paths: &["labs/*/users/*/secrets"],
    },
    Secrets {
        provider: "Microsoft.Logic",
        // Permissions.
        paths: &["workflows/*/accessKeys"],
    },
    Secrets {
        provider: "Microsoft.ApiManagement",
        // Permissions.
        paths: &["service/*/users/*/keys", "service/*/tenants/*/keys"],
    },
    Secrets {
        provider: "Microsoft.DataFactory",
        // Permissions. A signed address of the logs.
        paths: &["datafactories/*/runs/*/loginfo"],
    },
    Secrets {
        provider: "Microsoft.NotificationHubs",
        // Permissions; the credentials by POST only.
        paths: &[
            "namespaces/*/pnsCredentials",
            "namespaces/*/notificationHubs/*/pnsCredentials",
            "namespaces/*/notificationHubs/*/vapidkeys",
        ],
    },
    Secrets {
        provider: "Microsoft.MachineLearningServices",
        // Permissions.
        paths: &[
            "workspaces/*/metadata/secrets",
            "workspaces/*/metadata/*/secrets",
        ],
    },
    Secrets {
        provider: "Microsoft.SoftwarePlan",
        // Permissions.
        paths: &[
            "softwareLicenses/*/productKeys",
            "softwarePerpetualProducts/*/productKeys",
            "softwareSubscriptions/*/productKeys",
        ],
    },
    Secrets {
        provider: "Microsoft.SecurityDetonation",
        // Permissions.
        paths: &["chambers/*/submissions/*/accesskeyview"],
    },
];

/// What the action of a GET is called by, if its answer is a secret.
///
/// The path is one of the table or has one segment more: keys are served all together and one by
/// one.
pub(super) fn words<'a>(provider: &str, path: &[&'a str]) -> Option<Vec<&'a str>> {
    patterns().find_map(|pattern| {
        let Begun {
            mut words, below, ..
        } = pattern.begin(provider, path)?;
        match below {
            [] => {}
            // Where types stand it is no name, and belongs to what is done.
            [word] if !path.len().is_multiple_of(2) => words.push(word),
            [_] => {}
            _ => return None,
        }
        Some(words)
    })
}

fn patterns() -> impl Iterator<Item = Pattern> {
    SECRETS.iter().flat_map(|secrets| {
        let provider = secrets.provider;
        secrets
            .paths
            .iter()
            .map(move |path| Pattern { provider, path })
    })
}
