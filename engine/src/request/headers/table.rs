//! The table: a row for each header and query parameter that is known to say something else than
//! the request line.
//!
//! A row reads: where it stands, which names (`rule.rs` explains the four kinds), what happens,
//! whose it is, and the page that says so. A page was looked at before it was written here, and
//! names the header or the parameter; an empty text is common knowledge that no page was found for.

use super::rule::Claim::{Host, Identity, Method, Path};
use super::rule::Does::{KeepOnly, Overwritten, Pass, Refuse, Remove, RemoveSilently};
use super::rule::{Name, Place, Rule};

macro_rules! rules {
    ($( $place:ident $kind:ident $name:literal => $does:expr, $of:literal, $source:expr; )+) => {
        /// Every row, in the order in which documentation lists them.
        pub const RULES: &[Rule] = &[ $( Rule {
            place: Place::$place,
            name: Name::$kind($name),
            does: $does,
            of: $of,
            source: $source,
        }, )+ ];
    };
}

/// No page was found.
const KNOWN: &str = "";
const TRAEFIK: &str = "https://doc.traefik.io/middlewares/http/forwardauth";
const SPRING: &str = "https://docs.spring.io/spring-framework/docs/7.0.9/javadoc-api/org/springframework/web/filter/ForwardedHeaderFilter.html";
const SYMFONY: &str = "https://github.com/advisories/GHSA-8wgj-6wx8-h5hq";
const ENVOY: &str =
    "https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/headers";
const SANITIZED: &str = "https://www.envoyproxy.io/docs/envoy/v1.40.0/_sources/configuration/http/http_conn_man/header_sanitizing.rst.txt";
const TRINO: &str = "https://docs.rs/crate/trino-rust-client/0.8.0/source/src/header.rs";
const DATAVERSE: &str = "https://learn.microsoft.com/en-us/power-apps/developer/data-platform/webapi/impersonate-another-user-web-api";
const HASURA: &str = "https://hasura.io/docs/latest/auth/authentication/admin-secret-access";
const RACK: &str = "https://rubydoc.info/gems/rack/Rack/MethodOverride";
const KONG: &str = "https://github.com/gluufederation/gluu-gateway/issues/52";
const OAUTH2_PROXY: &str = "https://oauth2-proxy.github.io/oauth2-proxy/configuration/integration";
const SENDFILE: &str = "https://github.com/advisories/GHSA-R657-RXJC-J557";
const IAP: &str = "https://docs.cloud.google.com/iap/docs/signed-headers-howto";
const AUTHELIA: &str = "https://github.com/chatgpt-web-dev/chatgpt-web/issues/468";
const AUTHELIA_GROUPS: &str = "https://github.com/authelia/authelia/discussions/6542";
const APP_SERVICE: &str =
    "https://learn.microsoft.com/en-gb/azure/app-service/configure-authentication-user-identities";
const CLOUDFLARE: &str =
    "https://developers.cloudflare.com/fundamentals/reference/http-headers/index.md";
const RFC_9440: &str =
    "https://developers.cloudflare.com/ssl/client-certificates/forward-a-client-certificate/";

rules! {
    // === identity ===
    Header Word "impersonat" => Refuse(Identity), "Kubernetes (`Impersonate-User`, `-Group`, `-Uid`, `-Extra-…`), OpenSearch (`opendistro_security_impersonate_as`), MapR and whatever else calls it so", "https://www.kubernetes.io/docs/reference/access-authn-authz/user-impersonation/";
    Header Word "behalf" => Refuse(Identity), "SendGrid (`on-behalf-of`), Zendesk (`X-On-Behalf-Of`), Mailgun and whatever else calls it so", "https://twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/on-behalf-of";
    Header Exact "sudo" => Refuse(Identity), "GitLab", "https://gitlab.com/gitlab-org/gitlab-foss/-/issues/25481";
    Query Exact "sudo" => Refuse(Identity), "GitLab", KNOWN;
    Header Exact "mscrmcallerid" => Refuse(Identity), "Dataverse", DATAVERSE;
    Header Exact "callerobjectid" => Refuse(Identity), "Dataverse", DATAVERSE;
    Header Exact "es-security-runas-user" => Refuse(Identity), "Elasticsearch", "https://www.elastic.co/guide/en/elasticsearch/reference/7.15/run-as-privilege.html";
    Header Exact "as-user" => Refuse(Identity), "Box", "https://developer.box.com/guides/authentication/oauth2/as-user/";
    Header Prefix "dropbox-api-select" => Refuse(Identity), "Dropbox (`-User`, `-Admin`)", "https://github.com/dropbox/dropbox-sdk-python/pull/206.diff";
    Header Exact "x-trino-user" => Refuse(Identity), "Trino", TRINO;
    Header Exact "x-trino-role" => Refuse(Identity), "Trino", TRINO;
    Header Prefix "x-trino-original" => Refuse(Identity), "Trino", KNOWN;
    Header Exact "x-presto-user" => Refuse(Identity), "Presto", KNOWN;
    Header Exact "x-presto-role" => Refuse(Identity), "Presto", KNOWN;
    Header Prefix "x-hasura" => Refuse(Identity), "Hasura (`X-Hasura-Role`, `X-Hasura-User-Id` and other session variables)", HASURA;
    Header Exact "x-hasura-admin-secret" => Pass, "Hasura; a credential and no claim", HASURA;
    Header Exact "api-username" => Refuse(Identity), "Discourse", KNOWN;
    Query Exact "api_username" => Refuse(Identity), "Discourse", "https://gist.github.com/davidmh/eb99b5cc92c6a5b29f03ac519bb8df67";
    Header Exact "x-redmine-switch-user" => Refuse(Identity), "Redmine", "https://sourceforge.net/p/bitnami/source/10608";
    Header Exact "x-switch-user" => Refuse(Identity), "Symfony", KNOWN;
    Query Exact "_switch_user" => Refuse(Identity), "Symfony", KNOWN;
    Query Exact "doAs" => Refuse(Identity), "Hadoop", "https://www.mail-archive.com/common-commits@hadoop.apache.org/msg06455.html";
    Query Literal "user.name" => Refuse(Identity), "Hadoop", "https://app.unpkg.com/webhdfs-proxy@0.1.2/files/schemas/open.json";
    Query Exact "accountSwitchKey" => Refuse(Identity), "Akamai", KNOWN;

    // === another method ===
    Header Prefix "x-http-method" => Refuse(Method), "OData, SharePoint (`X-HTTP-Method`), OneDrive, Rack, Laravel, Google (`X-HTTP-Method-Override`)", "https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-odata/bdbabfa6-8c4a-4741-85a9-8d93ffd66c41";
    Header Exact "x-method-override" => Refuse(Method), "Express and others", KNOWN;
    Header Exact "method-override" => Refuse(Method), "frameworks", KNOWN;
    Header Exact "http-method-override" => Refuse(Method), "frameworks", KNOWN;
    Header Exact "x-method" => Refuse(Method), "frameworks", KNOWN;
    Header Exact "x-http-verb" => Refuse(Method), "frameworks", KNOWN;
    Header Exact "x-tunneled-method" => Refuse(Method), "frameworks", KNOWN;
    Header Exact "x-forwarded-method" => Refuse(Method), "Traefik's and others' forward authentication", TRAEFIK;
    Header Exact "x-original-method" => Refuse(Method), "nginx's and others' forward authentication", KNOWN;
    Query Exact "_method" => Refuse(Method), "Rack, Rails, Laravel, Symfony", RACK;
    Query Exact "_HttpMethod" => Refuse(Method), "Salesforce", "https://developer.salesforce.com/docs/platform/api-rest/guide/dome-update-fields.html";
    Query Prefix "x-http-method" => Refuse(Method), "Google and others", KNOWN;
    Query Exact "x-method-override" => Refuse(Method), "frameworks", KNOWN;
    Query Exact "method-override" => Refuse(Method), "frameworks", KNOWN;

    // === another path ===
    Header Exact "x-original-url" => Refuse(Path), "IIS' rewriting, Symfony, Laminas, ASP.NET", SYMFONY;
    Header Exact "x-rewrite-url" => Refuse(Path), "IIS' rewriting, Symfony, Laminas", SYMFONY;
    Header Exact "x-original-uri" => Refuse(Path), "nginx's forward authentication", KNOWN;
    Header Exact "x-original-path" => Refuse(Path), "proxies", KNOWN;
    Header Exact "x-forwarded-uri" => Refuse(Path), "Traefik's and oauth2-proxy's forward authentication", TRAEFIK;
    Header Exact "x-forwarded-url" => Refuse(Path), "proxies", KNOWN;
    Header Exact "x-forwarded-path" => Refuse(Path), "Kong", KNOWN;
    Header Exact "x-forwarded-prefix" => Refuse(Path), "Spring, ASP.NET, Traefik, Kong", SPRING;
    Header Exact "x-envoy-original-path" => Refuse(Path), "Envoy", KNOWN;
    Header Exact "x-replaced-path" => Refuse(Path), "Traefik", KNOWN;
    Header Exact "x-script-name" => Refuse(Path), "WSGI applications behind a proxy", KNOWN;
    Header Exact "script-name" => Refuse(Path), "CGI", KNOWN;
    Header Exact "x-path-info" => Refuse(Path), "CGI", KNOWN;
    Header Exact "path-info" => Refuse(Path), "CGI", KNOWN;
    Header Exact "x-request-uri" => Refuse(Path), "proxies", KNOWN;
    Header Exact "request-uri" => Refuse(Path), "CGI", KNOWN;
    Header Exact "x-waws-unencoded-url" => Refuse(Path), "Azure App Service", KNOWN;
    Header Exact "x-matched-path" => Refuse(Path), "Next.js", KNOWN;
    Header Exact "x-invoke-path" => Refuse(Path), "Next.js", KNOWN;

    // === another host ===
    Header Exact "x-original-host" => Refuse(Host), "Azure Application Gateway, proxies", KNOWN;
    Header Exact "x-http-host-override" => Refuse(Host), "frameworks", KNOWN;
    Header Exact "x-host" => Refuse(Host), "frameworks", KNOWN;
    Header Exact "x-envoy-original-dst-host" => Refuse(Host), "Envoy's original destination clusters", "https://envoyproxy.io/docs/envoy/v1.27.0/_sources/intro/arch_overview/upstream/load_balancing/original_dst.rst.txt";
    Header Exact "dapr-app-id" => Refuse(Host), "Dapr", "https://docs.dapr.io/zh-hans/developing-applications/_print";
    Header Exact "l5d-dst-override" => Refuse(Host), "Linkerd", "https://linkerd.io/2.12/tasks/using-ingress";
    Header Exact "x-portkey-custom-host" => Refuse(Host), "Portkey", KNOWN;
    Header Exact "helicone-target-url" => Refuse(Host), "Helicone", KNOWN;

    // === what proxies tell of the request that they got ===
    Header Prefix "x-forwarded" => Remove, "proxies: `X-Forwarded-For`, `-Host`, `-Port`, `-Scheme`, `-Ssl`, `-Server`, `-Client-Cert`, `-User`, `-Email`, `-Groups`, `-Access-Token` …", SPRING;
    Header Exact "x-forwarded-proto" => Overwritten, "proxies", ENVOY;
    Header Exact "forwarded" => Remove, "proxies (RFC 7239)", SPRING;
    Header Exact "via" => Remove, "proxies (RFC 9110)", "https://learn.microsoft.com/de-at/azure/frontdoor/front-door-http-headers-protocol";
    Header Exact "x-original-forwarded-for" => Remove, "ingress-nginx", KNOWN;
    Header Exact "x-real-ip" => Remove, "nginx, Kong", "https://github.com/Kong/kong/issues/2202";
    Header Exact "true-client-ip" => Remove, "Akamai, Cloudflare", "https://app.unpkg.com/cloudflare@3.0.0/files/resources/zones/settings/true-client-ip-header.mjs";
    Header Exact "client-ip" => Remove, "proxies", KNOWN;
    Header Exact "x-client-ip" => Remove, "proxies", KNOWN;
    Header Exact "x-cluster-client-ip" => Remove, "proxies", KNOWN;
    Header Exact "x-originating-ip" => Remove, "proxies", KNOWN;
    Header Prefix "cf-connecting" => Remove, "Cloudflare", CLOUDFLARE;
    Header Exact "cf-visitor" => Remove, "Cloudflare", KNOWN;
    Header Exact "fastly-client-ip" => Remove, "Fastly", KNOWN;
    Header Exact "fly-client-ip" => Remove, "Fly.io", KNOWN;
    Header Prefix "x-azure" => Remove, "Azure Front Door (`X-Azure-ClientIP`, `-SocketIP`, `-FDID` …)", "https://docs.azure.cn/en-us/frontdoor/front-door-http-headers-protocol";
    Header Prefix "x-fd" => Remove, "Azure Front Door", "https://docs.azure.cn/en-us/frontdoor/front-door-http-headers-protocol";
    Header Prefix "x-arr" => Remove, "Azure App Service (`X-ARR-ClientCert`, `-SSL` …)", KNOWN;
    Header Prefix "x-appengine" => Remove, "Google App Engine", "https://cloud.google.com/appengine/docs/flexible/reference/request-headers";
    Header Prefix "wl-proxy" => Remove, "Oracle WebLogic", KNOWN;
    Header Exact "front-end-https" => Remove, "Microsoft's proxies", KNOWN;
    Header Exact "x-url-scheme" => Remove, "proxies", KNOWN;
    Header Exact "x-scheme" => Remove, "ingress-nginx", "https://github.com/Azure/AKS/issues/4977";
    Header Prefix "x-envoy" => Remove, "Envoy: instructions to its router (`X-Envoy-Retry-On`, `-Upstream-Rq-Timeout-Ms` …), and what it tells of the caller", SANITIZED;
    Header Exact "x-envoy-external-address" => RemoveSilently, "Envoy", SANITIZED;
    Header Exact "x-envoy-internal" => RemoveSilently, "Envoy", SANITIZED;
    Header Prefix "x-envoy-peer-metadata" => RemoveSilently, "Istio", KNOWN;
    Header Prefix "x-istio" => Remove, "Istio", KNOWN;
    Header Prefix "l5d" => Remove, "Linkerd (`l5d-client-id`, `l5d-remote-ip` …)", KNOWN;

    // === which certificate a client showed to a proxy ===
    Header Exact "client-cert" => Remove, "proxies (RFC 9440)", RFC_9440;
    Header Exact "client-cert-chain" => Remove, "proxies (RFC 9440)", RFC_9440;
    Header Prefix "x-client-cert" => Remove, "proxies", KNOWN;
    Header Prefix "x-ssl" => Remove, "proxies (`X-SSL-Client-…`)", KNOWN;
    Header Prefix "ssl-client" => Remove, "ingress-nginx", KNOWN;
    Header Prefix "x-amzn-mtls" => Remove, "AWS load balancers", KNOWN;

    // === whom a proxy says that it has identified ===
    Header Prefix "x-remote" => Remove, "Kubernetes' authenticating proxies (`X-Remote-User`, `-Group`, `-Extra-…`), proxies (`X-Remote-IP`)", "https://pkg.go.dev/github.com/kcp-dev/kcp@v0.32.5/pkg/proxy/authheaders";
    Header Exact "remote-user" => Remove, "Authelia, CGI", AUTHELIA;
    Header Exact "remote-groups" => Remove, "Authelia", AUTHELIA_GROUPS;
    Header Exact "remote-email" => Remove, "Authelia", AUTHELIA;
    Header Exact "remote-name" => Remove, "Authelia", AUTHELIA_GROUPS;
    Header Exact "remote-addr" => Remove, "CGI", "https://pkg.go.dev/tailscale.com/cmd/nginx-auth";
    Header Prefix "x-auth-request" => Remove, "oauth2-proxy", "https://pkg.go.dev/github.com/aslafy-z/k8s-dashboard-impersonation-proxy";
    Header Exact "x-user" => Remove, "oauth2-proxy behind nginx", OAUTH2_PROXY;
    Header Exact "x-email" => Remove, "oauth2-proxy behind nginx", OAUTH2_PROXY;
    Header Exact "x-username" => Remove, "proxies", "https://docs.olivetin.app/trusted-header.html";
    Header Exact "x-auth-username" => Remove, "Keycloak's gatekeeper, HAProxy", "https://github.com/criteo/haproxy-spoe-auth/issues/16";
    Header Exact "x-auth-userid" => Remove, "Keycloak's gatekeeper", KNOWN;
    Header Exact "x-auth-subject" => Remove, "Keycloak's gatekeeper", KNOWN;
    Header Exact "x-auth-groups" => Remove, "Keycloak's gatekeeper", KNOWN;
    Header Exact "x-auth-roles" => Remove, "Keycloak's gatekeeper", KNOWN;
    Header Prefix "x-auth-couchdb" => Remove, "CouchDB's proxy authentication", "https://www.npmjs.com/package/couch-proxy-auth";
    Header Prefix "x-webauth" => Remove, "Grafana, Gitea", "https://grafana.com/docs/grafana/latest/setup-grafana/configure-access/configure-authentication/auth-proxy.md";
    Header Prefix "x-amzn-oidc" => Remove, "AWS load balancers", "https://www.repost.aws/ja/questions/QUOe7yyg4uQYmKFzSqXR8FYw/401-authorization-required-when-forwarding-to-the-callback-url-assign-in-the-cognito";
    Header Prefix "x-goog-authenticated-user" => Remove, "Google's Identity-Aware Proxy", IAP;
    Header Prefix "x-goog-iap" => Remove, "Google's Identity-Aware Proxy", IAP;
    Header Exact "x-endpoint-api-userinfo" => Remove, "Google Cloud Endpoints", KNOWN;
    Header Exact "x-apigateway-api-userinfo" => Remove, "Google API Gateway", KNOWN;
    Header Exact "cf-access-jwt-assertion" => Remove, "Cloudflare Access", KNOWN;
    Header Exact "cf-access-authenticated-user-email" => Remove, "Cloudflare Access", KNOWN;
    Header Prefix "x-ms-client-principal" => Remove, "Azure App Service and Container Apps", APP_SERVICE;
    Header Prefix "x-ms-token" => Remove, "Azure App Service (`X-MS-TOKEN-AAD-…`)", APP_SERVICE;
    Header Prefix "tailscale" => Remove, "Tailscale (`Tailscale-User-Login` …)", "https://github.com/lucasew/ts-proxy";
    Header Exact "x-pomerium-jwt-assertion" => Remove, "Pomerium", KNOWN;
    Header Prefix "x-pomerium-claim" => Remove, "Pomerium", KNOWN;
    Header Exact "x-vouch-user" => Remove, "Vouch", KNOWN;
    Header Prefix "x-vouch-idp" => Remove, "Vouch", KNOWN;
    Header Prefix "x-authentik" => Remove, "authentik", "https://docs.goauthentik.io/add-secure-apps/providers/proxy";
    Header Prefix "x-authenticated" => Remove, "Kong (`X-Authenticated-Userid`, `-Scope`), proxies", KONG;
    Header Exact "x-anonymous-consumer" => Remove, "Kong", KONG;
    Header Prefix "x-consumer" => Remove, "Kong", KONG;
    Header Prefix "x-credential" => Remove, "Kong", "https://github.com/Kong/kong/pull/1180/files";
    Header Prefix "oidc" => Remove, "Apache's mod_auth_openidc (`OIDC_CLAIM_…`)", "https://github.com/zmartzone/mod_auth_openidc/issues/707";
    Header Prefix "shib" => Remove, "Shibboleth", KNOWN;
    Header Prefix "x-proxy-user" => Remove, "OpenSearch's proxy authentication", KNOWN;
    Header Prefix "x-proxy-roles" => Remove, "OpenSearch's proxy authentication", KNOWN;
    Header Exact "x-jwt-assertion" => Remove, "WSO2", KNOWN;
    Header Exact "iv-user" => Remove, "IBM's WebSEAL", KNOWN;
    Header Exact "iv-groups" => Remove, "IBM's WebSEAL", KNOWN;
    Header Exact "iv-creds" => Remove, "IBM's WebSEAL", KNOWN;
    Header Prefix "sm-user" => Remove, "SiteMinder (`SM_USER`)", KNOWN;
    Header Exact "from" => Remove, "RFC 9110 §10.1.2; PagerDuty and Zammad take it for who acts", KNOWN;

    // === instructions that only a proxy gives ===
    Header Exact "proxy" => Remove, "becomes the variable `HTTP_PROXY` in CGI", "https://github.com/advisories/GHSA-9hqr-6p2v-pfp2";
    Header Prefix "x-middleware" => Remove, "Next.js (`x-middleware-subrequest`)", "https://github.com/vercel/next.js/security/advisories/GHSA-f82v-jwr5-mffw";
    Header Exact "x-sendfile-type" => Remove, "Rack, Plack", SENDFILE;
    Header Exact "x-accel-mapping" => Remove, "Rack, Plack", SENDFILE;
    Header Exact "max-forwards" => Remove, "RFC 9110 §7.6.2", KNOWN;
    Header Exact "http2-settings" => Remove, "upgrades to HTTP/2 (RFC 7540 §3.2.1)", KNOWN;
    Header Exact "keep-alive" => Remove, "the connection between agent and proxy", KNOWN;
    Header Exact "proxy-connection" => Remove, "the connection between agent and proxy", KNOWN;
    Header Exact "connection" => KeepOnly(&["upgrade", "keep-alive", "close"]), "RFC 9110 §7.6.1: it asks the next server to drop the headers that it names", KNOWN;

    // === a second object, which no rule sees ===
    Header Exact "destination" => Pass, "WebDAV: where COPY and MOVE write (RFC 4918)", KNOWN;
    Header Prefix "x-amz-copy-source" => Pass, "AWS S3: the object that is copied", KNOWN;
    Header Prefix "x-ms-copy-source" => Pass, "Azure Blob: the object that is copied", KNOWN;
    Header Exact "x-ms-rename-source" => Pass, "Azure Data Lake: the path that is renamed", KNOWN;
    Header Exact "x-goog-copy-source" => Pass, "Google Cloud Storage: the object that is copied", KNOWN;
    Header Exact "x-copy-from" => Pass, "OpenStack Swift: the object that is copied", KNOWN;
    Header Exact "x-anchormailbox" => Pass, "Exchange: the mailbox by which a server is chosen", KNOWN;
}
