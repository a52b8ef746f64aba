//! Paths below which Azure hands requests on: whatever is done there is one action.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const RG: &str = "/subscriptions/1/resourceGroups/rg/providers/";

/// What is proxied, and what all below is called.
const PROXIES: &[(&str, &str)] = &[
    (
        "Microsoft.Web/connections/c/extensions/proxy",
        "Microsoft.Web/connections/extensions/proxy/action",
    ),
    (
        "Microsoft.Web/connections/c/extensions/other",
        "Microsoft.Web/connections/extensions/action",
    ),
    (
        "Microsoft.Web/sites/w/hostruntime",
        "Microsoft.Web/sites/hostruntime/action",
    ),
    (
        "Microsoft.Web/sites/w/slots/s/hostruntime",
        "Microsoft.Web/sites/slots/hostruntime/action",
    ),
    (
        "Microsoft.Web/sites/w/extensions/api",
        "Microsoft.Web/sites/extensions/api/action",
    ),
    (
        "Microsoft.Web/sites/w/extensions/logstream",
        "Microsoft.Web/sites/extensions/action",
    ),
    (
        "Microsoft.Web/sites/w/slots/s/extensions/api",
        "Microsoft.Web/sites/slots/extensions/api/action",
    ),
    (
        "Microsoft.Web/sites/w/slots/s/instances/i/extensions/api",
        "Microsoft.Web/sites/slots/instances/extensions/api/action",
    ),
    (
        "Microsoft.Web/sites/w/instances/i/extensions/x",
        "Microsoft.Web/sites/instances/extensions/action",
    ),
    (
        "Microsoft.OperationalInsights/workspaces/w/api",
        "Microsoft.OperationalInsights/workspaces/api/action",
    ),
    (
        "Microsoft.OperationalInsights/workspaces/w/query",
        "Microsoft.OperationalInsights/workspaces/query/action",
    ),
    (
        "Microsoft.Insights/components/c/api",
        "Microsoft.Insights/components/api/action",
    ),
    (
        "Microsoft.Insights/components/c/query",
        "Microsoft.Insights/components/query/action",
    ),
    (
        "Microsoft.Compute/virtualMachines/v/providers/Microsoft.Insights/logs",
        "Microsoft.Insights/logs/action",
    ),
];
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "COPY",
];

#[test]
fn all_below_a_proxy_is_one_action_by_any_method() {
    for (path, action) in PROXIES {
        for below in ["", "/v1", "/v1/me", "/v1/me/messages", "/a b/c'd/listKeys"] {
            let path = format!("{RG}{path}{}", below.replace(' ', "%20"));
            for method in METHODS {
                assert_eq!(arm_action(method, &path), *action, "{method} {path}");
            }
            let shouted = arm_action("GET", &path.to_ascii_uppercase());
            assert_eq!(shouted.to_ascii_lowercase(), action.to_ascii_lowercase());
        }
    }
}

#[test]
fn what_is_proxied_tells_through_what_and_where_to() {
    let operation = arm(
        "DELETE",
        &format!("{RG}Microsoft.Web/connections/gmail/extensions/proxy/v1/me/messages/7"),
    )
    .unwrap();
    let attributes: Vec<(&str, &str)> = operation
        .attributes
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        attributes,
        [
            ("provider", "Microsoft.Web"),
            ("proxied_path", "/v1/me/messages/7"),
            ("resource_group", "rg"),
            ("resource_name", "gmail"),
            ("resource_type", "connections/extensions"),
            ("scope", "/subscriptions/1/resourceGroups/rg"),
            ("subscription", "1"),
        ]
    );
    let slot = format!("{RG}Microsoft.Web/sites/w/slots/s/hostruntime/admin/host/systemkeys");
    let operation = arm("GET", &slot).unwrap();
    let get = |name: &str| operation.attributes.get(name).map(String::as_str);
    assert_eq!(get("resource_name"), Some("w/s"));
    assert_eq!(get("proxied_path"), Some("/admin/host/systemkeys"));
    let bare = format!("{RG}Microsoft.Web/connections/c/extensions/proxy");
    assert!(
        !arm("GET", &bare)
            .unwrap()
            .attributes
            .contains_key("proxied_path")
    );
}

#[test]
fn what_deploys_an_app_is_a_resource() {
    for (method, path, action) in [
        ("GET", "extensions", "extensions/read"),
        ("GET", "extensions/MSDeploy", "extensions/read"),
        ("PUT", "extensions/msdeploy", "extensions/write"),
        ("GET", "extensions/MSDeploy/log", "extensions/log/read"),
        ("PUT", "extensions/onedeploy", "extensions/write"),
        ("PUT", "extensions/ZipDeploy", "extensions/write"),
        (
            "GET",
            "instances/i/extensions/MSDeploy",
            "instances/extensions/read",
        ),
        ("PUT", "extensions/MSDeploy/other", "extensions/action"),
        ("GET", "extensions/onedeploy/a/b", "extensions/action"),
    ] {
        assert_eq!(
            arm_action(method, &format!("{RG}Microsoft.Web/sites/w/{path}")),
            format!("Microsoft.Web/sites/{action}")
        );
        assert_eq!(
            arm_action(method, &format!("{RG}Microsoft.Web/sites/w/slots/s/{path}")),
            format!("Microsoft.Web/sites/slots/{action}")
        );
    }
    assert_eq!(
        arm_action(
            "GET",
            &format!("{RG}Microsoft.Web/connections/c/extensions")
        ),
        "Microsoft.Web/connections/extensions/read"
    );
}

/// Azure might let the other provider act, or hand its name on.
#[test]
fn a_provider_below_a_proxy_is_ambiguous() {
    for (path, _) in PROXIES {
        for below in [
            "providers/Microsoft.Authorization/locks/l",
            "v1/providers/Microsoft.Authorization/locks/l",
            "v1/PROVIDERS",
        ] {
            let path = format!("{RG}{path}/{below}");
            let error = arm("GET", &path).unwrap_err();
            assert_eq!(error.code(), "ambiguous_path", "{path}");
        }
    }
}

/// Generated cases; natively only, as proptest asks the host for randomness.
#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_prefix_of_a_proxied_path_is_called_a_read(
            proxy in prop::sample::select(PROXIES),
            below in prop::collection::vec(segment(), 0..6),
            method in prop::sample::select(&METHODS[..]),
        ) {
            let (path, action) = proxy;
            for length in 0..=below.len() {
                let below: String = below[..length].iter().map(|s| format!("/{s}")).collect();
                let Ok(target) = RequestTarget::parse(&format!("{RG}{path}{below}")) else {
                    return Ok(());
                };
                let Ok(operation) = Operation::of(Protocol::AzureArm, method, &target) else {
                    prop_assert!(below.to_ascii_lowercase().contains("/providers"));
                    continue;
                };
                prop_assert_eq!(&operation.action, action);
                prop_assert_eq!(arm_action("GET", target.path()), action);
                #[cfg(feature = "authoring")]
                for methods in [&[][..], &[method][..]] {
                    let requests = Requests { methods, paths: None };
                    let all = format!("^(?:{})$", Protocol::AzureArm.operations(&requests));
                    let all = regex_lite::Regex::new(&all).unwrap();
                    prop_assert!(all.is_match(&action.to_ascii_lowercase()), "{} {}", method, action);
                }
            }
        }
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("providers".to_owned()),
            Just("listKeys".to_owned()),
            Just("read".to_owned()),
            Just("proxy".to_owned()),
            Just("slots".to_owned()),
            Just("MSDeploy".to_owned()),
            "[a-zA-Z0-9._~!$&'()*+,=:@-]{1,8}"
                .prop_filter("no dots alone", |s| { !s.trim_matches('.').is_empty() }),
        ]
    }
}
