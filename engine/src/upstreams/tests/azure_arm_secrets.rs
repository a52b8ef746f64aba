//! Requests to Azure Resource Manager whose answer is a secret: no rule for reads is about them.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const RG: &str = "/subscriptions/1/resourceGroups/rg/providers/";

/// Paths below a group, and what a GET of them is called.
const SECRETS: &[(&str, &str)] = &[
    (
        "Microsoft.Network/connections/c/sharedkey",
        "Microsoft.Network/connections/sharedkey/action",
    ),
    (
        "Microsoft.Network/vpnGateways/g/vpnConnections/c/vpnLinkConnections/l/sharedKeys",
        "Microsoft.Network/vpnGateways/vpnConnections/vpnLinkConnections/sharedKeys/action",
    ),
    (
        "Microsoft.Network/vpnGateways/g/vpnConnections/c/vpnLinkConnections/l/sharedKeys/default",
        "Microsoft.Network/vpnGateways/vpnConnections/vpnLinkConnections/sharedKeys/action",
    ),
    (
        "Microsoft.Network/expressRouteCircuits/c/authorizations",
        "Microsoft.Network/expressRouteCircuits/authorizations/action",
    ),
    (
        "Microsoft.Network/expressRouteCircuits/c/authorizations/a",
        "Microsoft.Network/expressRouteCircuits/authorizations/action",
    ),
    (
        "Microsoft.Network/expressRoutePorts/p/authorizations/a",
        "Microsoft.Network/expressRoutePorts/authorizations/action",
    ),
    (
        "Microsoft.Network/expressRouteLags/l/authorizations/a",
        "Microsoft.Network/expressRouteLags/authorizations/action",
    ),
    (
        "Microsoft.AVS/privateClouds/c/authorizations/a",
        "Microsoft.AVS/privateClouds/authorizations/action",
    ),
    (
        "Microsoft.AVS/privateClouds/c/hcxEnterpriseSites/s",
        "Microsoft.AVS/privateClouds/hcxEnterpriseSites/action",
    ),
    (
        "Microsoft.Web/sites/w/functions/admin/token",
        "Microsoft.Web/sites/functions/token/action",
    ),
    (
        "Microsoft.Web/sites/w/functions/admin/masterkey",
        "Microsoft.Web/sites/functions/masterkey/action",
    ),
    (
        "Microsoft.Web/sites/w/slots/s/functions/admin/token",
        "Microsoft.Web/sites/slots/functions/token/action",
    ),
    (
        "Microsoft.Web/sites/w/functions/f/keys/k",
        "Microsoft.Web/sites/functions/keys/action",
    ),
    (
        "Microsoft.Web/sites/w/host/default/functionkeys/k",
        "Microsoft.Web/sites/host/functionkeys/action",
    ),
    (
        "Microsoft.Web/sites/w/host/default/systemkeys/k",
        "Microsoft.Web/sites/host/systemkeys/action",
    ),
    (
        "Microsoft.Web/sites/w/publishxml",
        "Microsoft.Web/sites/publishxml/action",
    ),
    (
        "Microsoft.Web/sites/w/slots/s/publishxml",
        "Microsoft.Web/sites/slots/publishxml/action",
    ),
    (
        "Microsoft.Web/sites/w/config/appsettings",
        "Microsoft.Web/sites/config/appsettings/action",
    ),
    (
        "Microsoft.Web/sites/w/slots/s/config/appsettings/ONE",
        "Microsoft.Web/sites/slots/config/appsettings/ONE/action",
    ),
    (
        "Microsoft.Web/sites/w/config/authsettings",
        "Microsoft.Web/sites/config/authsettings/action",
    ),
    (
        "Microsoft.Web/sites/w/config/azurestorageaccounts",
        "Microsoft.Web/sites/config/azurestorageaccounts/action",
    ),
    (
        "Microsoft.Web/sites/w/config/backup",
        "Microsoft.Web/sites/config/backup/action",
    ),
    (
        "Microsoft.Web/sites/w/config/connectionstrings",
        "Microsoft.Web/sites/config/connectionstrings/action",
    ),
    (
        "Microsoft.Web/sites/w/config/metadata",
        "Microsoft.Web/sites/config/metadata/action",
    ),
    (
        "Microsoft.Web/sites/w/config/publishingcredentials",
        "Microsoft.Web/sites/config/publishingcredentials/action",
    ),
    (
        "Microsoft.Web/sites/w/config/pushsettings",
        "Microsoft.Web/sites/config/pushsettings/action",
    ),
    (
        "Microsoft.Web/sites/w/config/web/appsettings/ONE",
        "Microsoft.Web/sites/config/web/appsettings/action",
    ),
    (
        "Microsoft.Web/sites/w/config/web/connectionstrings/ONE",
        "Microsoft.Web/sites/config/web/connectionstrings/action",
    ),
    (
        "Microsoft.Web/sites/w/hybridconnection/h",
        "Microsoft.Web/sites/hybridconnection/action",
    ),
    (
        "Microsoft.Web/sites/w/processes/1",
        "Microsoft.Web/sites/processes/action",
    ),
    (
        "Microsoft.Web/sites/w/slots/s/instances/i/processes/1",
        "Microsoft.Web/sites/slots/instances/processes/action",
    ),
    (
        "Microsoft.Web/sites/w/processes/1/dump",
        "Microsoft.Web/sites/processes/dump/action",
    ),
    (
        "Microsoft.Web/sites/w/instances/i/processes/1/dump",
        "Microsoft.Web/sites/instances/processes/dump/action",
    ),
    (
        "Microsoft.DocumentDB/databaseAccounts/a/readonlykeys",
        "Microsoft.DocumentDB/databaseAccounts/readonlykeys/action",
    ),
    (
        "Microsoft.HDInsight/clusters/c/configurations/gateway",
        "Microsoft.HDInsight/clusters/configurations/action",
    ),
    (
        "Microsoft.Automation/automationAccounts/a/agentRegistrationInformation",
        "Microsoft.Automation/automationAccounts/agentRegistrationInformation/action",
    ),
    (
        "Microsoft.Automation/automationAccounts/a/nodeConfigurations/n/rawContent",
        "Microsoft.Automation/automationAccounts/nodeConfigurations/rawContent/action",
    ),
    (
        "Microsoft.Automation/automationAccounts/a/jobs/j/output",
        "Microsoft.Automation/automationAccounts/jobs/output/action",
    ),
    (
        "Microsoft.Automation/automationAccounts/a/jobs/j/runbookContent",
        "Microsoft.Automation/automationAccounts/jobs/runbookContent/action",
    ),
    (
        "Microsoft.OperationalInsights/workspaces/w/sharedKeys",
        "Microsoft.OperationalInsights/workspaces/sharedKeys/action",
    ),
    (
        "Microsoft.OperationalInsights/workspaces/w/storageInsightConfigs/s",
        "Microsoft.OperationalInsights/workspaces/storageInsightConfigs/action",
    ),
    (
        "microsoft.insights/components/c/getToken",
        "microsoft.insights/components/getToken/action",
    ),
    (
        "Microsoft.Insights/webtests/t/getToken",
        "Microsoft.Insights/webtests/getToken/action",
    ),
    (
        "Microsoft.Web/sites/w/providers/Microsoft.Insights/generateLiveToken",
        "Microsoft.Insights/generateLiveToken/action",
    ),
    (
        "Microsoft.ContainerService/managedClusters/k/accessProfiles/clusterAdmin",
        "Microsoft.ContainerService/managedClusters/accessProfiles/action",
    ),
    (
        "Microsoft.RecoveryServices/vaults/v/extendedInformation/vaultExtendedInfo",
        "Microsoft.RecoveryServices/vaults/extendedInformation/action",
    ),
    (
        "Microsoft.RecoveryServices/vaults/v/tokenInfo",
        "Microsoft.RecoveryServices/vaults/tokenInfo/action",
    ),
    (
        "Microsoft.RecoveryServices/vaults/v/vaultTokens/t",
        "Microsoft.RecoveryServices/vaults/vaultTokens/action",
    ),
    (
        "Microsoft.AppConfiguration/configurationStores/s/keyValues/k$label",
        "Microsoft.AppConfiguration/configurationStores/keyValues/action",
    ),
    (
        "Microsoft.DevTestLab/labs/l/users/u/secrets/s",
        "Microsoft.DevTestLab/labs/users/secrets/action",
    ),
    (
        "Microsoft.Logic/workflows/w/accessKeys/k",
        "Microsoft.Logic/workflows/accessKeys/action",
    ),
    (
        "Microsoft.ApiManagement/service/s/users/u/keys",
        "Microsoft.ApiManagement/service/users/keys/action",
    ),
    (
        "Microsoft.ApiManagement/service/s/tenants/t/keys/k",
        "Microsoft.ApiManagement/service/tenants/keys/action",
    ),
    (
        "Microsoft.DataFactory/datafactories/d/runs/r/loginfo",
        "Microsoft.DataFactory/datafactories/runs/loginfo/action",
    ),
    (
        "Microsoft.NotificationHubs/namespaces/n/pnsCredentials",
        "Microsoft.NotificationHubs/namespaces/pnsCredentials/action",
    ),
    (
        "Microsoft.NotificationHubs/namespaces/n/notificationHubs/h/pnsCredentials",
        "Microsoft.NotificationHubs/namespaces/notificationHubs/pnsCredentials/action",
    ),
    (
        "Microsoft.NotificationHubs/namespaces/n/notificationHubs/h/vapidkeys",
        "Microsoft.NotificationHubs/namespaces/notificationHubs/vapidkeys/action",
    ),
    (
        "Microsoft.MachineLearningServices/workspaces/w/metadata/secrets",
        "Microsoft.MachineLearningServices/workspaces/metadata/secrets/action",
    ),
    (
        "Microsoft.MachineLearningServices/workspaces/w/metadata/m/secrets/s",
        "Microsoft.MachineLearningServices/workspaces/metadata/secrets/action",
    ),
    (
        "Microsoft.SoftwarePlan/softwareLicenses/l/productKeys",
        "Microsoft.SoftwarePlan/softwareLicenses/productKeys/action",
    ),
    (
        "Microsoft.SoftwarePlan/softwarePerpetualProducts/p/productKeys",
        "Microsoft.SoftwarePlan/softwarePerpetualProducts/productKeys/action",
    ),
    (
        "Microsoft.SoftwarePlan/softwareSubscriptions/s/productKeys",
        "Microsoft.SoftwarePlan/softwareSubscriptions/productKeys/action",
    ),
    (
        "Microsoft.SecurityDetonation/chambers/c/submissions/s/accesskeyview",
        "Microsoft.SecurityDetonation/chambers/submissions/accesskeyview/action",
    ),
];

#[test]
fn a_get_of_a_secret_is_an_action() {
    let mut cases: Vec<(String, String)> = SECRETS
        .iter()
        .map(|(path, action)| (format!("{RG}{path}"), (*action).to_owned()))
        .collect();
    // Of the tenant, without a subscription.
    for (path, kind) in [
        ("publishingUsers/web", "publishingUsers"),
        ("sourcecontrols", "sourcecontrols"),
        ("sourcecontrols/GitHub", "sourcecontrols"),
    ] {
        cases.push((
            format!("/providers/Microsoft.Web/{path}"),
            format!("Microsoft.Web/{kind}/action"),
        ));
    }
    for (path, action) in &cases {
        for method in ["GET", "HEAD"] {
            assert_eq!(arm_action(method, path), *action, "{method} {path}");
        }
        let other = |path: &str| arm_action("GET", path).to_ascii_lowercase();
        let expected = action.to_ascii_lowercase();
        assert_eq!(other(&path.to_ascii_uppercase()), expected, "{path}");
        assert_eq!(other(&path.to_ascii_lowercase()), expected, "{path}");
        let last = path.len() - 1;
        let encoded = format!("{}%{:02X}", &path[..last], path.as_bytes()[last]);
        assert_eq!(other(&format!("{encoded}/?api-version=1")), expected);
    }
}

#[test]
fn what_stands_beside_a_secret_is_still_a_read() {
    for path in [
        "Microsoft.Network/connections/c",
        "Microsoft.Network/expressRouteCircuits/c/peerings/p",
        "Microsoft.Authorization/authorizations/a",
        "Microsoft.X/connections/c/sharedKey",
        "Microsoft.Web/sites/w",
        "Microsoft.Web/sites/w/functions/f",
        "Microsoft.Web/sites/w/config/web",
        "Microsoft.Web/sites/w/config/authsettingsV2",
        "Microsoft.Web/sites/w/config/configreferences/appsettings/ONE",
        "Microsoft.Web/sites/w/processes/1/modules",
        "Microsoft.Web/sites/w/slots/processes",
        "Microsoft.KeyVault/vaults/v/secrets/s",
        "Microsoft.ContainerService/managedClusters/k",
        "Microsoft.Insights/components/c/ApiKeys",
    ] {
        let action = arm_action("GET", &format!("{RG}{path}"));
        assert!(matches_suffix(&action, "/read"), "{path}: {action}");
    }
}

#[test]
fn other_methods_on_a_secret_have_the_names_that_azure_gives_them() {
    for (method, path, action) in [
        (
            "PUT",
            "Microsoft.Network/connections/c/sharedKey",
            "Microsoft.Network/connections/sharedKey/write",
        ),
        (
            "POST",
            "Microsoft.Network/connections/c/sharedKey/reset",
            "Microsoft.Network/connections/sharedKey/action",
        ),
        (
            "PUT",
            "Microsoft.Web/sites/w/config/appsettings",
            "Microsoft.Web/sites/config/write",
        ),
        (
            "GET",
            "Microsoft.Web/sites/w/config/appsettings/list",
            "Microsoft.Web/sites/config/list/action",
        ),
        (
            "DELETE",
            "Microsoft.Network/expressRouteCircuits/c/authorizations/a",
            "Microsoft.Network/expressRouteCircuits/authorizations/delete",
        ),
    ] {
        assert_eq!(arm_action(method, &format!("{RG}{path}")), action, "{path}");
    }
}

#[test]
fn a_secret_tells_whose_it_is() {
    let operation = arm(
        "GET",
        &format!("{RG}Microsoft.Network/connections/c/sharedKey"),
    )
    .unwrap();
    let get = |name: &str| operation.attributes.get(name).map(String::as_str);
    assert_eq!(get("resource_type"), Some("connections"));
    assert_eq!(get("resource_name"), Some("c"));
    assert_eq!(get("proxied_path"), None);
}
