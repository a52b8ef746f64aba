//! Paths below which Azure hands the request on to another service.
//!
//! `…/connections/{name}/extensions/proxy/v1/messages` looks like a resource and is none: Azure
//! sends what follows `proxy` on, with a credential that is kept in the connection, to the mailbox,
//! the site or the vault that it connects to. The method says nothing of what happens there, and
//! the segments are that service's own. Read as types and names in turn, `proxy` and every second
//! segment would be taken for names and be gone from the operation.
//!
//! So all that is below such a path is one action whatever the method, called by the path itself:
//! `Microsoft.Web/connections/extensions/proxy/action`. The attribute `proxied_path` has the rest.
//!
//! # Sources
//!
//! Looked up on 30 November 2026. The list of permissions (as in `secrets.rs`) has
//! `sites/extensions/api/action` ("Invoke App Service Extensions APIs"), the permissions below
//! `sites/hostruntime`, `workspaces/api/query/action` and `workspaces/query/read`,
//! `Components/Api/Read`, `Components/Query/Read` and `Logs/Read`. Published templates of API
//! connections have `extensions/proxy/testconnection` and paths of the connected services below
//! `extensions/proxy`. The resources below `sites/*/extensions` are those of `azure-mgmt-web`
//! 11.0.1, and `ZipDeploy` of templates.

use super::pattern::{Begun, Pattern};

struct Proxy {
    at: Pattern,
    /// What is a resource of the provider all the same, as paths below.
    resources: &'static [&'static str],
}

const WEB: &str = "Microsoft.Web";
const WORKSPACES: &str = "Microsoft.OperationalInsights";
const INSIGHTS: &str = "Microsoft.Insights";

/// The extensions themselves, and the ones that put an app in place.
const DEPLOYERS: &[&str] = &["", "/MSDeploy", "/MSDeploy/log", "/onedeploy", "/ZipDeploy"];

/// The first that a path begins with counts.
const PROXIES: &[Proxy] = &[
    // The service that an API connection connects to, such as Office 365, Salesforce or Key Vault.
    proxy(WEB, "connections/*/extensions/proxy", &[]),
    proxy(WEB, "connections/*/extensions", &[""]),
    // The host of functions and of workflows: its keys, its files, runs and their contents.
    proxy(WEB, "sites/*/hostruntime", &[]),
    // Kudu: files, commands, processes, and the settings of the app.
    proxy(WEB, "sites/*/extensions/api", &[]),
    proxy(WEB, "sites/*/extensions", DEPLOYERS),
    proxy(WEB, "sites/*/instances/*/extensions/api", &[]),
    proxy(WEB, "sites/*/instances/*/extensions", DEPLOYERS),
    // Log Analytics, which takes its queries by GET as well: of a workspace, of Application
    // Insights, and of any resource.
    proxy(WORKSPACES, "workspaces/*/api", &[]),
    proxy(WORKSPACES, "workspaces/*/query", &[]),
    proxy(INSIGHTS, "components/*/api", &[]),
    proxy(INSIGHTS, "components/*/query", &[]),
    proxy(INSIGHTS, "logs", &[]),
];

const fn proxy(
    provider: &'static str,
    path: &'static str,
    resources: &'static [&'static str],
) -> Proxy {
    Proxy {
        at: Pattern { provider, path },
        resources,
    }
}

/// What is asked of another service through Azure.
pub(super) struct Proxied<'a> {
    /// What the action is called by.
    pub(super) words: Vec<&'a str>,
    /// The names in the path to the proxy.
    pub(super) names: Vec<&'a str>,
    /// The path that the other service is asked for, with a slash before each segment.
    pub(super) path: String,
}

/// Reads a path below a provider; `None` when the provider serves it itself.
pub(super) fn read<'a>(provider: &str, path: &[&'a str]) -> Option<Proxied<'a>> {
    let (proxy, begun) = PROXIES
        .iter()
        .find_map(|proxy| Some((proxy, proxy.at.begin(provider, path)?)))?;
    let Begun {
        words,
        names,
        below,
    } = begun;
    let mut path = String::new();
    for segment in below {
        path.push('/');
        path.push_str(segment);
    }
    let is_resource = |known: &&str| known.eq_ignore_ascii_case(&path);
    if proxy.resources.iter().any(is_resource) {
        return None;
    }
    Some(Proxied { words, names, path })
}

/// A regular expression in lower case for the actions of such requests.
#[cfg(feature = "authoring")]
pub(super) fn operations() -> String {
    let all: Vec<String> = PROXIES.iter().map(|proxy| proxy.at.expression()).collect();
    format!("(?:{})/action", all.join("|"))
}
