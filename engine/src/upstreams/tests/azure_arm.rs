//! Requests to Azure Resource Manager and the actions they are.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const S: &str = "/subscriptions/11111111-2222-3333-4444-555555555555";
const RG: &str = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/prod-x";

/// Paths and actions from Azure's REST reference and its list of resource provider operations.
#[test]
fn requests_have_the_action_that_azure_asks_for() {
    let in_subscription: &[(&str, &str, &str)] = &[
        ("GET", "", "Microsoft.Resources/subscriptions/read"),
        (
            "GET",
            "/locations",
            "Microsoft.Resources/subscriptions/locations/read",
        ),
        (
            "GET",
            "/resources",
            "Microsoft.Resources/subscriptions/resources/read",
        ),
        (
            "GET",
            "/providers",
            "Microsoft.Resources/subscriptions/providers/read",
        ),
        (
            "GET",
            "/providers/Microsoft.Compute",
            "Microsoft.Resources/subscriptions/providers/read",
        ),
        (
            "GET",
            "/tagNames",
            "Microsoft.Resources/subscriptions/tagNames/read",
        ),
        (
            "PUT",
            "/tagNames/cost/tagValues/a",
            "Microsoft.Resources/subscriptions/tagNames/tagValues/write",
        ),
        (
            "GET",
            "/resourcegroups",
            "Microsoft.Resources/subscriptions/resourcegroups/read",
        ),
        (
            "POST",
            "/providers/Microsoft.Storage/register",
            "Microsoft.Storage/register/action",
        ),
        (
            "POST",
            "/providers/Microsoft.Subscription/cancel",
            "Microsoft.Subscription/cancel/action",
        ),
        (
            "GET",
            "/providers/Microsoft.Compute/virtualMachines",
            "Microsoft.Compute/virtualMachines/read",
        ),
        (
            "GET",
            "/providers/Microsoft.Compute/locations/westus/usages",
            "Microsoft.Compute/locations/usages/read",
        ),
        (
            "POST",
            "/providers/Microsoft.Compute/locations/westus/logAnalytics/apiAccess/getRequestRateByInterval",
            "Microsoft.Compute/locations/logAnalytics/getRequestRateByInterval/action",
        ),
        (
            "PUT",
            "/providers/Microsoft.Authorization/roleAssignments/1",
            "Microsoft.Authorization/roleAssignments/write",
        ),
        (
            "PUT",
            "/providers/Microsoft.Resources/deployments/main",
            "Microsoft.Resources/deployments/write",
        ),
        (
            "POST",
            "/providers/Microsoft.Resources/deployments/main/whatIf",
            "Microsoft.Resources/deployments/whatIf/action",
        ),
        (
            "POST",
            "/providers/Microsoft.PolicyInsights/policyStates/latest/queryResults",
            "Microsoft.PolicyInsights/policyStates/queryResults/action",
        ),
    ];
    let in_group: &[(&str, &str, &str)] = &[
        (
            "GET",
            "",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
        (
            "HEAD",
            "",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
        (
            "PUT",
            "",
            "Microsoft.Resources/subscriptions/resourceGroups/write",
        ),
        (
            "PATCH",
            "",
            "Microsoft.Resources/subscriptions/resourceGroups/write",
        ),
        (
            "DELETE",
            "",
            "Microsoft.Resources/subscriptions/resourceGroups/delete",
        ),
        (
            "GET",
            "/resources",
            "Microsoft.Resources/subscriptions/resourceGroups/resources/read",
        ),
        (
            "POST",
            "/moveResources",
            "Microsoft.Resources/subscriptions/resourceGroups/moveResources/action",
        ),
        (
            "POST",
            "/validateMoveResources",
            "Microsoft.Resources/subscriptions/resourceGroups/validateMoveResources/action",
        ),
        (
            "GET",
            "/deployments/d/operations",
            "Microsoft.Resources/subscriptions/resourceGroups/deployments/operations/read",
        ),
        (
            "GET",
            "/providers/Microsoft.Storage/storageAccounts",
            "Microsoft.Storage/storageAccounts/read",
        ),
        (
            "GET",
            "/providers/Microsoft.Storage/storageAccounts/a",
            "Microsoft.Storage/storageAccounts/read",
        ),
        (
            "PUT",
            "/providers/Microsoft.Storage/storageAccounts/a",
            "Microsoft.Storage/storageAccounts/write",
        ),
        (
            "DELETE",
            "/providers/Microsoft.Storage/storageAccounts/a",
            "Microsoft.Storage/storageAccounts/delete",
        ),
        (
            "POST",
            "/providers/Microsoft.Storage/storageAccounts/a/listKeys",
            "Microsoft.Storage/storageAccounts/listKeys/action",
        ),
        (
            "POST",
            "/providers/Microsoft.Storage/storageAccounts/a/regenerateKey",
            "Microsoft.Storage/storageAccounts/regenerateKey/action",
        ),
        (
            "PUT",
            "/providers/Microsoft.Storage/storageAccounts/a/blobServices/default/containers/c",
            "Microsoft.Storage/storageAccounts/blobServices/containers/write",
        ),
        (
            "POST",
            "/providers/Microsoft.Storage/storageAccounts/a/blobServices/default/containers/c/lease",
            "Microsoft.Storage/storageAccounts/blobServices/containers/lease/action",
        ),
        (
            "POST",
            "/providers/Microsoft.Compute/virtualMachines/vm/start",
            "Microsoft.Compute/virtualMachines/start/action",
        ),
        (
            "POST",
            "/providers/Microsoft.Compute/virtualMachines/vm/runCommand",
            "Microsoft.Compute/virtualMachines/runCommand/action",
        ),
        (
            "PUT",
            "/providers/Microsoft.Compute/virtualMachines/vm/extensions/e",
            "Microsoft.Compute/virtualMachines/extensions/write",
        ),
        (
            "GET",
            "/providers/Microsoft.Network/virtualNetworks/v/subnets/s",
            "Microsoft.Network/virtualNetworks/subnets/read",
        ),
        (
            "GET",
            "/providers/Microsoft.Network/applicationGateways/g/listeners",
            "Microsoft.Network/applicationGateways/listeners/read",
        ),
        (
            "POST",
            "/providers/Microsoft.Web/sites/w/config/appsettings/list",
            "Microsoft.Web/sites/config/list/action",
        ),
        (
            "POST",
            "/providers/Microsoft.Web/sites/w/host/default/listkeys",
            "Microsoft.Web/sites/host/listkeys/action",
        ),
        (
            "POST",
            "/providers/Microsoft.Web/sites/w/publishxml",
            "Microsoft.Web/sites/publishxml/action",
        ),
        (
            "POST",
            "/providers/Microsoft.ContainerService/managedClusters/k/listClusterAdminCredential",
            "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action",
        ),
        (
            "POST",
            "/providers/Microsoft.Search/searchServices/s/createQueryKey/k",
            "Microsoft.Search/searchServices/createQueryKey/action",
        ),
        (
            "DELETE",
            "/providers/Microsoft.Search/searchServices/s/deleteQueryKey/k",
            "Microsoft.Search/searchServices/deleteQueryKey/delete",
        ),
        (
            "PUT",
            "/providers/Microsoft.KeyVault/vaults/v/accessPolicies/add",
            "Microsoft.KeyVault/vaults/accessPolicies/write",
        ),
        (
            "DELETE",
            "/providers/Microsoft.Authorization/locks/l",
            "Microsoft.Authorization/locks/delete",
        ),
        (
            "POST",
            "/providers/Microsoft.Resources/deployments/d/exportTemplate",
            "Microsoft.Resources/deployments/exportTemplate/action",
        ),
        (
            "GET",
            "/providers/Microsoft.Resources/deployments/d/operations",
            "Microsoft.Resources/deployments/operations/read",
        ),
        (
            "GET",
            "/providers/microsoft.insights/components/c",
            "microsoft.insights/components/read",
        ),
        // Extension resources: the last provider acts.
        (
            "PUT",
            "/providers/Microsoft.Storage/storageAccounts/a/providers/Microsoft.Authorization/roleAssignments/1",
            "Microsoft.Authorization/roleAssignments/write",
        ),
        (
            "PUT",
            "/providers/Microsoft.Web/sites/w/providers/Microsoft.Insights/diagnosticSettings/d",
            "Microsoft.Insights/diagnosticSettings/write",
        ),
        (
            "GET",
            "/providers/Microsoft.Sql/servers/s/databases/d/providers/Microsoft.Insights/metrics",
            "Microsoft.Insights/metrics/read",
        ),
        (
            "POST",
            "/providers/Microsoft.CostManagement/query",
            "Microsoft.CostManagement/query/action",
        ),
    ];
    let in_tenant: &[(&str, &str, &str)] = &[
        (
            "GET",
            "/subscriptions",
            "Microsoft.Resources/subscriptions/read",
        ),
        ("GET", "/tenants", "Microsoft.Resources/tenants/read"),
        ("GET", "/providers", "Microsoft.Resources/providers/read"),
        (
            "GET",
            "/providers/Microsoft.Web",
            "Microsoft.Resources/providers/read",
        ),
        (
            "GET",
            "/providers/Microsoft.Storage/operations",
            "Microsoft.Storage/operations/read",
        ),
        (
            "GET",
            "/providers/microsoft.insights/eventtypes/management/values",
            "microsoft.insights/eventtypes/values/read",
        ),
        (
            "PUT",
            "/providers/Microsoft.Resources/deployments/t",
            "Microsoft.Resources/deployments/write",
        ),
        (
            "GET",
            "/providers/Microsoft.Management/managementGroups",
            "Microsoft.Management/managementGroups/read",
        ),
        (
            "DELETE",
            "/providers/Microsoft.Management/managementGroups/mg",
            "Microsoft.Management/managementGroups/delete",
        ),
        (
            "PUT",
            "/providers/Microsoft.Management/managementGroups/mg/subscriptions/s",
            "Microsoft.Management/managementGroups/subscriptions/write",
        ),
        (
            "PUT",
            "/providers/Microsoft.Management/managementGroups/mg/providers/Microsoft.Authorization/policyAssignments/p",
            "Microsoft.Authorization/policyAssignments/write",
        ),
        (
            "POST",
            "/providers/Microsoft.Authorization/elevateAccess",
            "Microsoft.Authorization/elevateAccess/action",
        ),
        (
            "POST",
            "/providers/Microsoft.Capacity/reservationOrders/o/merge",
            "Microsoft.Capacity/reservationOrders/merge/action",
        ),
    ];
    for (base, cases) in [(S, in_subscription), (RG, in_group), ("", in_tenant)] {
        for (method, path, action) in cases {
            let path = format!("{base}{path}?api-version=2024-01-01");
            assert_eq!(arm_action(method, &path), *action, "{method} {path}");
        }
    }
}

#[test]
fn a_resource_has_its_provider_type_name_group_and_subscription() {
    let operation = arm("POST", "/subscriptions/1/RESOURCEGROUPS/Prod-X/providers/Microsoft.Sql/servers/s/databases/d/pause").unwrap();
    let attributes: Vec<(&str, &str)> = operation
        .attributes
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        attributes,
        [
            ("provider", "Microsoft.Sql"),
            ("resource_group", "Prod-X"),
            ("resource_name", "s/d"),
            ("resource_type", "servers/databases"),
            ("scope", "/subscriptions/1/RESOURCEGROUPS/Prod-X"),
            ("subscription", "1"),
        ]
    );
}

#[test]
fn an_extension_resource_tells_what_it_extends() {
    let operation = arm(
        "PUT",
        "/subscriptions/1/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/a/providers/Microsoft.Authorization/roleAssignments/r",
    )
    .unwrap();
    let get = |name: &str| operation.attributes.get(name).map(String::as_str);
    assert_eq!(get("provider"), Some("Microsoft.Authorization"));
    assert_eq!(get("resource_type"), Some("roleAssignments"));
    assert_eq!(get("resource_name"), Some("r"));
    assert_eq!(get("resource_group"), Some("rg"));
    assert_eq!(
        get("scope"),
        Some("/subscriptions/1/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/a")
    );
}

#[test]
fn what_stands_below_a_management_group_tells_which() {
    let operation = arm(
        "GET",
        "/providers/Microsoft.Management/managementGroups/mg/providers/Microsoft.Authorization/roleAssignments",
    )
    .unwrap();
    assert_eq!(
        operation
            .attributes
            .get("management_group")
            .map(String::as_str),
        Some("mg")
    );
}

#[test]
fn a_get_of_a_list_action_is_no_read() {
    for path in [
        "/providers/Microsoft.Search/searchServices/s/listQueryKeys",
        "/providers/Microsoft.X/y/z/LISTKEYS",
    ] {
        for method in ["GET", "HEAD"] {
            assert!(
                matches_suffix(&arm_action(method, &format!("{RG}{path}")), "/action"),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn what_is_not_understood_matches_no_usual_pattern() {
    let cases = [
        ("GET", "/"),
        ("GET", "/favicon.ico"),
        ("DELETE", "/whatever/read"),
        ("POST", "/a/b/action"),
        ("POST", "/subscriptions/1"),
        ("POST", "/subscriptions/1/resourceGroups/rg"),
        ("POST", "/subscriptions/1/providers/Microsoft.Storage"),
        ("GET", "/subscriptions/1/resourceGroups/rg/providers"),
        (
            "GET",
            "/subscriptions/1/resourceGroups/rg/providers/Microsoft.Storage",
        ),
        (
            "GET",
            "/subscriptions/1/providers/Microsoft.A/b/c/providers",
        ),
        ("OPTIONS", "/subscriptions/1"),
        ("READ", "/subscriptions/1"),
        ("GET", "/subscriptions/1/providers/Micro*soft/x"),
        ("GET", "/subscriptions/1/providers/Microsoft.X/a%20b/c"),
    ];
    for (method, path) in cases {
        let operation = arm(method, path).unwrap();
        assert!(
            !operation.is_known(),
            "{method} {path}: {}",
            operation.action
        );
        for suffix in ["/read", "/write", "/delete", "/action"] {
            assert!(
                !matches_suffix(&operation.action, suffix),
                "{}",
                operation.action
            );
        }
    }
}

#[test]
fn a_batch_is_refused_because_its_body_carries_the_requests() {
    for path in [
        "/batch?api-version=2020-06-01",
        "/$batch",
        "/BATCH",
        "/%62atch",
    ] {
        assert_eq!(arm("POST", path), Err(OperationError::Batch), "{path}");
    }
}

#[test]
fn a_keyword_in_the_place_of_a_name_is_ambiguous() {
    for path in [
        "/subscriptions/providers/Microsoft.Web/sites",
        "/subscriptions/resourceGroups/rg",
        "/subscriptions/1/resourceGroups/providers/Microsoft.Web/sites/w",
        "/subscriptions/1/providers/Microsoft.Web/sites/providers/Microsoft.Authorization/locks/l",
        "/subscriptions/1/providers/Microsoft.Web/PROVIDERS/Microsoft.Authorization/locks/l",
        "/subscriptions/1/providers/Microsoft.Web/sites/pr%6fviders",
    ] {
        assert_eq!(
            arm("GET", path).unwrap_err().code(),
            "ambiguous_path",
            "{path}"
        );
    }
}

#[test]
fn a_name_may_have_the_semicolons_of_azure_backup() {
    let path = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.RecoveryServices/vaults/v/backupFabrics/Azure\
                /protectionContainers/IaasVMContainer;iaasvmcontainerv2;rg;vm";
    assert_eq!(
        arm_action("GET", path),
        "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/read"
    );
}

/// Generated cases; natively only, as proptest asks the host for randomness.
#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_a_get_or_head_is_ever_a_read(method in "[A-Z]{3,7}", path in arm_like_path()) {
            if let Ok(target) = RequestTarget::parse(&path)
                && let Ok(operation) = Operation::of(Protocol::AzureArm, &method, &target)
            {
                let is_read = matches_suffix(&operation.action, "/read");
                prop_assert!(!is_read || method == "GET" || method == "HEAD", "{} {}: {}", method, path, operation.action);
                let is_delete = matches_suffix(&operation.action, "/delete");
                prop_assert!(!is_delete || method == "DELETE");
                if method == "DELETE" {
                    prop_assert!(is_delete || !operation.is_known());
                }
            }
        }

        #[test]
        fn spelling_a_path_otherwise_does_not_change_the_operation(path in arm_like_path(), seed in any::<u64>()) {
            if let Ok(plain) = RequestTarget::parse(&path) {
                let respelled: String = path
                    .bytes()
                    .enumerate()
                    .map(|(i, b)| {
                        if b.is_ascii_alphanumeric() && seed.rotate_left(i as u32) & 1 == 1 {
                            format!("%{b:02x}")
                        } else {
                            char::from(b).to_string()
                        }
                    })
                    .collect();
                let respelled = target(&respelled);
                prop_assert_eq!(respelled.segments(), plain.segments());
                prop_assert_eq!(
                    Operation::of(Protocol::AzureArm, "GET", &respelled),
                    Operation::of(Protocol::AzureArm, "GET", &plain)
                );
            }
        }
    }

    fn arm_like_path() -> impl Strategy<Value = String> {
        let segment = prop_oneof![
            Just("subscriptions".to_owned()),
            Just("resourceGroups".to_owned()),
            Just("providers".to_owned()),
            Just("Microsoft.Web".to_owned()),
            Just("sites".to_owned()),
            Just("listKeys".to_owned()),
            Just("read".to_owned()),
            "[a-z0-9]{1,4}",
        ];
        prop::collection::vec(segment, 0..10)
            .prop_map(|segments| format!("/{}", segments.join("/")))
    }
}
