//! Azure Resource Manager: a request becomes the Azure RBAC action that Azure itself would ask for.
//!
//! # Sources
//!
//! - Resource identifiers:
//!   <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules> and
//!   the template functions `resourceId` and `extensionResourceId`.
//! - Actions: `{Company}.{Provider}/{resourceType}/{action}`, where `read` is GET, `write` PUT and
//!   PATCH, `action` POST and `delete` DELETE:
//!   <https://learn.microsoft.com/azure/role-based-access-control/role-definitions#actions-format>.
//! - Each provider's own list:
//!   <https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations>.
//!
//! # Where Azure's own names differ
//!
//! The rule above is a convention that a few providers do not keep. This module keeps it always,
//! and where the two differ it errs to the stricter name:
//!
//! - A POST that Azure calls a read (`Microsoft.Storage/checknameavailability/read`,
//!   `Microsoft.ResourceGraph/resources/read`) is an `…/action` here.
//! - A GET of something called `list…` is an `…/action` here: `listKeys` and its kin hand out
//!   secrets, a `*/read` rule must not, and some providers have served them to GET
//!   (`Microsoft.Search/searchServices/listQueryKeys` in its 2015-08-19 version).
//! - So is a GET of what is nothing but a secret, by the table in `secrets.rs`.
//! - What Azure hands on to another service is one `…/action` whatever the method, by the table in
//!   `proxies.rs`.

mod pattern;
mod proxies;
mod secrets;

use std::collections::BTreeMap;

use super::operation::{Operation, OperationError};
#[cfg(feature = "authoring")]
use super::upstream::Requests;
use super::upstream::Upstream;
use crate::request::RequestTarget;

pub(super) const UPSTREAM: Upstream = Upstream {
    name: "azure-arm",
    // `/RESOURCEGROUPS/x` is `/resourceGroups/x` to Azure.
    folds_paths: true,
    describe,
    #[cfg(feature = "authoring")]
    operations,
    #[cfg(feature = "authoring")]
    example: "Azure RBAC actions, such as `Microsoft.Storage/storageAccounts/read` or `*/write`",
};

/// `provider/types/suffix`, with the suffixes of [`suffix_of`], or [`Operation::unknown`]; and what
/// is handed on, which is an action by any method.
#[cfg(feature = "authoring")]
fn operations(requests: &Requests<'_>) -> String {
    let suffixes_of = |method: &str| match method {
        "GET" | "HEAD" => "read|action",
        "PUT" | "PATCH" => "write",
        "DELETE" => "delete",
        "POST" => "action",
        _ => "",
    };
    let suffixes: Vec<&str> = match requests.methods {
        [] => vec!["read|write|delete|action"],
        methods => methods.iter().map(|method| suffixes_of(method)).collect(),
    };
    let suffixes: Vec<&str> = suffixes.into_iter().filter(|s| !s.is_empty()).collect();
    let unknown = format!("unknown/http-{}", requests.method());
    let proxied = proxies::operations();
    if suffixes.is_empty() {
        return format!("{proxied}|{unknown}");
    }
    let suffixes = suffixes.join("|");
    format!("[a-z0-9._-]+(?:/[a-z0-9._:$()-]+)+/(?:{suffixes})|{proxied}|{unknown}")
}

/// The provider of subscriptions, of resource groups, and of resources that hang on them directly.
const RESOURCES: &str = "Microsoft.Resources";

fn describe(method: &str, target: &RequestTarget) -> Result<Operation, OperationError> {
    let segments: Vec<&str> = target.segments().iter().map(String::as_str).collect();
    if let Some(first) = segments.first()
        && (is(first, "batch") || is(first, "$batch"))
    {
        return Err(OperationError::Batch);
    }
    let Some(resource) = Resource::parse(&segments)? else {
        return Ok(Operation::unknown(method));
    };
    let operation = resource.operation(method);
    Ok(operation.unwrap_or_else(|| Operation::unknown(method)))
}

/// The last part of an action: `read`, `write`, `delete` or `action`.
///
/// The type is part of it: a POST to `…/storageAccounts/x/listKeys` is `storageAccounts/listKeys` +
/// `action`, a GET of `…/storageAccounts/x` is `storageAccounts` + `read`.
fn suffix_of(method: &str, resource: &Resource<'_>) -> Option<&'static str> {
    if resource.proxied_path.is_some() {
        return Some("action");
    }
    match method {
        "GET" | "HEAD" if resource.secret.is_some() => Some("action"),
        "GET" | "HEAD" if resource.is_list_action() => Some("action"),
        "GET" | "HEAD" => Some("read"),
        "PUT" | "PATCH" => Some("write"),
        "DELETE" => Some("delete"),
        // A POST directly to a subscription or a group has no meaning that Azure documents.
        "POST" if resource.is_implicit && resource.names.len() == resource.types.len() => None,
        "POST" => Some("action"),
        _ => None,
    }
}

/// The target of a path: a resource, a collection of resources, or an action on one.
struct Resource<'a> {
    subscription: Option<&'a str>,
    resource_group: Option<&'a str>,
    management_group: Option<&'a str>,
    /// The namespace of the last provider in the path.
    provider: &'a str,
    /// Whether the path leaves the provider out, as it does for subscriptions and resource groups.
    is_implicit: bool,
    types: Vec<&'a str>,
    /// One for each type, or one fewer: then the path addresses a collection or an action.
    names: Vec<&'a str>,
    /// The path before the last provider: the resource that an extension resource extends, or the
    /// container of the resource.
    scope: String,
    /// What the action of a GET is called by, if the answer is nothing but a secret.
    secret: Option<Vec<&'a str>>,
    /// What another service is asked for, if Azure hands the request on.
    proxied_path: Option<String>,
}

impl<'a> Resource<'a> {
    /// Reads a path; `None` when it is well-formed but addresses nothing that this module knows.
    fn parse(segments: &[&'a str]) -> Result<Option<Self>, OperationError> {
        let mut subscription = None;
        let mut resource_group = None;
        let mut management_group = None;
        let mut scope = String::new();

        let (mut pairs, mut rest) = split_at_provider(segments)?;
        // The head: nothing (the tenant), a subscription, or a group, maybe with something directly
        // in it.
        let head = pairs;
        if let Some((first, names)) = head.split_first() {
            if is(first, "subscriptions") {
                subscription = names.first().copied();
                if let (Some(keyword), Some(name)) = (names.get(1), names.get(2))
                    && is(keyword, "resourceGroups")
                {
                    resource_group = Some(*name);
                }
            } else if !(is(first, "tenants") && head.len() == 1 && rest.is_none()) {
                return Ok(None);
            }
        }
        if let Some(id) = subscription
            && (is(id, "subscriptions") || is(id, "resourceGroups"))
        {
            return Err(AMBIGUOUS_NAME);
        }

        let mut provider = None;
        let mut providers_seen = 0_usize;
        while let Some(tail) = rest {
            let Some((namespace, after)) = tail.split_first() else {
                break;
            };
            // What stands before a provider is the scope, and must be a whole resource.
            if pairs.len() % 2 != 0 || (provider.is_some() && pairs.is_empty()) {
                return Err(AMBIGUOUS_NAME);
            }
            if let Some(before) = provider {
                push_path(&mut scope, &["providers", before]);
            }
            push_path(&mut scope, pairs);
            provider = Some(*namespace);
            providers_seen = providers_seen.saturating_add(1);
            (pairs, rest) = split_at_provider(after)?;
            if rest.is_some() && proxies::read(namespace, pairs).is_some() {
                return Err(PROXIED_PROVIDER);
            }
            if is(namespace, "Microsoft.Management")
                && let (Some(kind), Some(name)) = (pairs.first(), pairs.get(1))
                && is(kind, "managementGroups")
            {
                management_group = Some(*name);
            }
        }

        let context = Context {
            subscription,
            resource_group,
            management_group,
            scope,
        };
        // `…/providers` itself: the list of providers, which a subscription and the tenant have.
        if rest.is_some() {
            return Ok(if providers_seen == 0 {
                context.providers(head, None)
            } else {
                None
            });
        }
        match provider {
            // `…/providers/Microsoft.X`: one provider.
            Some(namespace) if pairs.is_empty() => Ok(if providers_seen == 1 {
                context.providers(head, Some(namespace))
            } else {
                None
            }),
            Some(namespace) => Ok(context.resource(namespace, false, pairs)),
            None if pairs.is_empty() => Ok(None),
            None => Ok(context.resource(RESOURCES, true, pairs)),
        }
    }

    /// Whether the path ends in something like `listKeys`, which is an action by any method.
    fn is_list_action(&self) -> bool {
        let last = self
            .types
            .last()
            .copied()
            .unwrap_or_default()
            .to_ascii_lowercase();
        last.starts_with("list") && !last.starts_with("listener")
    }

    /// `None` for a method that means nothing here.
    fn operation(&self, method: &str) -> Option<Operation> {
        let suffix = suffix_of(method, self)?;
        let types = self.types.join("/");
        let called = match (&self.secret, method) {
            // `config/appsettings/list` keeps the name that it has for a POST.
            (Some(words), "GET" | "HEAD") if !self.is_list_action() => words.join("/"),
            _ => types.clone(),
        };
        // An action's last part is the verb, no type: `storageAccounts/listKeys` acts on
        // `storageAccounts`.
        let resource_type = match self.types.split_last() {
            Some((_, parents)) if suffix == "action" && self.names.len() < self.types.len() => {
                parents.join("/")
            }
            _ => types,
        };
        let mut attributes = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            if !value.is_empty() {
                attributes.insert(name.to_owned(), value.to_owned());
            }
        };
        set("provider", self.provider);
        set("resource_type", &resource_type);
        set("resource_name", &self.names.join("/"));
        set("subscription", self.subscription.unwrap_or_default());
        set("resource_group", self.resource_group.unwrap_or_default());
        set(
            "management_group",
            self.management_group.unwrap_or_default(),
        );
        set("scope", &self.scope);
        set(
            "proxied_path",
            self.proxied_path.as_deref().unwrap_or_default(),
        );
        Some(Operation {
            action: format!("{}/{called}/{suffix}", self.provider),
            attributes,
        })
    }
}

/// Where a resource stands.
struct Context<'a> {
    subscription: Option<&'a str>,
    resource_group: Option<&'a str>,
    management_group: Option<&'a str>,
    scope: String,
}

impl<'a> Context<'a> {
    /// Types and names in turn, or what is handed on. `None` when a type or the provider has
    /// letters that none has.
    fn resource(
        self,
        provider: &'a str,
        is_implicit: bool,
        pairs: &[&'a str],
    ) -> Option<Resource<'a>> {
        let (types, names, proxied_path) = match proxies::read(provider, pairs) {
            Some(proxied) => (proxied.words, proxied.names, Some(proxied.path)),
            None => (
                pairs.iter().step_by(2).copied().collect(),
                pairs.iter().skip(1).step_by(2).copied().collect(),
                None,
            ),
        };
        if !is_namespace(provider) || !types.iter().all(|part| is_type(part)) {
            return None;
        }
        Some(Resource {
            subscription: self.subscription,
            resource_group: self.resource_group,
            management_group: self.management_group,
            provider,
            is_implicit,
            types,
            names,
            scope: self.scope,
            secret: secrets::words(provider, pairs),
            proxied_path,
        })
    }

    /// The collection of providers, or one of them, below a subscription or the tenant.
    fn providers(self, head: &[&'a str], namespace: Option<&'a str>) -> Option<Resource<'a>> {
        let (types, mut names) = match head {
            [] => (vec!["providers"], vec![]),
            [keyword, id] => (vec![*keyword, "providers"], vec![*id]),
            _ => return None,
        };
        if namespace.is_some_and(|namespace| !is_namespace(namespace)) {
            return None;
        }
        names.extend(namespace);
        Some(Resource {
            subscription: self.subscription,
            resource_group: self.resource_group,
            management_group: self.management_group,
            provider: RESOURCES,
            is_implicit: true,
            types,
            names,
            scope: self.scope,
            secret: None,
            proxied_path: None,
        })
    }
}

/// A name that is a keyword of the grammar could be read as either.
const AMBIGUOUS_NAME: OperationError = OperationError::AmbiguousPath(
    "a keyword of Azure resource identifiers (`providers`, `subscriptions`, `resourceGroups`) stands where a name belongs",
);

/// Azure might take a second provider for what acts, or hand its words on with the rest.
const PROXIED_PROVIDER: OperationError = OperationError::AmbiguousPath(
    "`providers` stands in a path that Azure hands on to another service",
);

/// Splits at the first `providers` that stands where a type stands; what follows it comes second,
/// `None` when there is none.
///
/// One that stands where a name stands is refused: Azure might take it for the start of an
/// extension resource, and then another provider would act than the one that was decided on.
fn split_at_provider<'s, 'a>(
    segments: &'s [&'a str],
) -> Result<(&'s [&'a str], Option<&'s [&'a str]>), OperationError> {
    let Some(at) = segments.iter().position(|segment| is(segment, "providers")) else {
        return Ok((segments, None));
    };
    if at % 2 != 0 {
        return Err(AMBIGUOUS_NAME);
    }
    let (before, from) = segments.split_at_checked(at).unwrap_or((segments, &[]));
    Ok((before, from.split_first().map(|(_, after)| after)))
}

/// Azure compares identifiers without case.
fn is(segment: &str, keyword: &str) -> bool {
    segment.eq_ignore_ascii_case(keyword)
}

fn is_namespace(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Letters that types and verbs have; `:` as in `metrics:getBatch`, `$` and parentheses as in
/// OData.
fn is_type(text: &str) -> bool {
    text.bytes().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'$' | b'(' | b')')
    })
}

fn push_path(path: &mut String, segments: &[&str]) {
    for segment in segments {
        path.push('/');
        path.push_str(segment);
    }
}
