//! Tokens and roles: every route wants one, and what it wants.

use serde_json::{Value, json};

use crate::kit::{self, Server};

/// Routes that want no token.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Every route of the OpenAPI document, with its method.
async fn routes(server: &Server) -> Vec<(String, String)> {
    let document = server.call("GET", "/openapi.json", None, None).await.ok();
    let paths = document["paths"].as_object().unwrap().clone();
    let routes: Vec<_> = paths
        .into_iter()
        .flat_map(|(path, item)| {
            let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
            methods
                .into_iter()
                .map(move |method| (method.to_uppercase(), path.clone()))
        })
        .filter(|(_, path)| !OPEN.contains(&path.as_str()))
        .collect();
    assert!(routes.len() > 20, "{routes:?}");
    routes
}

fn concrete(path: &str) -> String {
    path.replace("{id}", "x").replace("{version}", "1")
}

#[tokio::test]
async fn no_route_but_health_and_metrics_answers_without_a_token() {
    let (server, _temp) = kit::start().await;
    for (method, path) in routes(&server).await {
        let answer = server.call(&method, &concrete(&path), None, None).await;
        answer.problem(401, "token_missing");
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer realm=\"chaperone\""
        );
        let wrong = server
            .call(&method, &concrete(&path), Some("chp_EXAMPLE"), None)
            .await;
        wrong.problem(401, "token_invalid");
    }
    for path in OPEN {
        assert_eq!(
            server.call("GET", path, None, None).await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn each_role_may_do_what_is_its_own_and_nothing_else() {
    let (server, _temp) = kit::start().await;
    let routes = routes(&server).await;
    let allowed = |role: &str, method: &str, path: &str| {
        let read = method == "GET";
        if path.starts_with("/node/") || role == "node" {
            return role == "node" && path.starts_with("/node/");
        }
        if role == "admin" {
            return true;
        }
        let area = path
            .trim_start_matches("/api/v1/")
            .split('/')
            .next()
            .unwrap();
        match area {
            "records" | "administration" => role == "auditor",
            "approvals" if read => role != "policy",
            "approvals" => role == "approver",
            "tokens" => false,
            "signing-keys" => read,
            _ if read => true,
            _ => role == "policy",
        }
    };
    for role in ["admin", "policy", "approver", "auditor", "node"] {
        let token = server.token(role, &format!("a-{role}"), &[]).await;
        for (method, path) in &routes {
            if path.ends_with("/tail") || path.ends_with("/watch") && method == "GET" {
                // Streams do not end by themselves; the check comes before they begin.
                if allowed(role, method, path) {
                    continue;
                }
            }
            let answer = server
                .call(method, &concrete(path), Some(&token), None)
                .await;
            let forbidden = answer.status == 403 && answer.text.contains("role_forbidden");
            assert_eq!(
                !forbidden,
                allowed(role, method, path),
                "{role} {method} {path}: {}",
                answer.text
            );
            assert_ne!(answer.status, 401);
        }
    }
}

#[tokio::test]
async fn the_header_is_read_strictly() {
    let (server, _temp) = kit::start().await;
    let get = async |headers: &[(&str, &str)]| {
        let mut request = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap()
            .get(format!("{}/api/v1/whoami", server.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let bearer = format!("Bearer {}", server.admin);
    assert_eq!(get(&[("authorization", &bearer)]).await, 200);
    assert_eq!(
        get(&[("authorization", &format!("bearer {}", server.admin))]).await,
        200
    );
    assert_eq!(
        get(&[("authorization", &bearer), ("authorization", &bearer)]).await,
        401
    );
    assert_eq!(get(&[("authorization", &server.admin)]).await, 401);
    assert_eq!(get(&[("authorization", "Basic YTpi")]).await, 401);
    assert_eq!(get(&[("authorization", "Bearer ")]).await, 401);
}

#[tokio::test]
async fn a_revoked_token_is_refused_from_then_on_and_after_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, Vec::new()).await;
    let body = json!({ "name": "ci", "role": "policy" });
    let created = server.post("/api/v1/tokens", body).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.headers["cache-control"], "no-store");
    let created = created.json();
    assert_eq!(created["subject"], "ci");
    let secret = created["secret"].as_str().unwrap().to_owned();
    assert_eq!(
        server
            .call("GET", "/api/v1/whoami", Some(&secret), None)
            .await
            .ok()["name"],
        "ci"
    );
    let path = format!("/api/v1/tokens/{}", created["id"].as_str().unwrap());
    assert_eq!(
        server
            .call("DELETE", &path, Some(&server.admin), None)
            .await
            .status,
        204
    );
    server
        .call("GET", "/api/v1/whoami", Some(&secret), None)
        .await
        .problem(401, "token_invalid");
    server
        .call("DELETE", &path, Some(&server.admin), None)
        .await
        .problem(404, "not_found");
    server.stop().await;
    let server = kit::start_in(&dir, Vec::new()).await;
    server
        .call("GET", "/api/v1/whoami", Some(&secret), None)
        .await
        .problem(401, "token_invalid");
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_over() {
    let (server, _temp) = kit::start().await;
    let lasting = async |seconds: u64| {
        let body = json!({ "name": format!("for {seconds} s"), "role": "auditor", "ttl_seconds": seconds });
        let created = server.post("/api/v1/tokens", body).await.ok();
        created["secret"].as_str().unwrap().to_owned()
    };
    let (short, long) = (lasting(1).await, lasting(3600).await);
    let whoami = async |secret: &str| {
        server
            .call("GET", "/api/v1/whoami", Some(secret), None)
            .await
            .status
    };
    let ended = async {
        while whoami(&short).await != 401 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), ended)
        .await
        .expect("the token ends");
    assert_eq!(whoami(&long).await, 200);
}

#[tokio::test]
async fn tokens_that_make_no_sense_are_not_made() {
    let (server, _temp) = kit::start().await;
    for body in [
        json!({ "name": "", "role": "policy" }),
        json!({ "name": "x", "role": "root" }),
        json!({ "name": "x", "role": "policy", "ttl_seconds": 0 }),
        json!({ "name": "x", "role": "policy", "groups": [""] }),
        json!({ "name": "x", "role": "policy", "colour": "red" }),
        Value::Null,
    ] {
        server
            .post("/api/v1/tokens", body)
            .await
            .problem(400, "invalid_body");
    }
    let listed = server.get("/api/v1/tokens").await.ok();
    let names: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "only the first two: {names:?}");
    assert!(!listed.to_string().contains(&server.admin));
}

#[tokio::test]
async fn the_last_administrator_cannot_be_revoked() {
    let (server, _temp) = kit::start().await;
    let me = server.get("/api/v1/whoami").await.ok();
    let path = format!("/api/v1/tokens/{}", me["id"].as_str().unwrap());
    let revoke = async || {
        server
            .call("DELETE", &path, Some(&server.admin), None)
            .await
    };
    revoke().await.problem(409, "last_admin");
    let short = json!({ "name": "short", "role": "admin", "ttl_seconds": 60 });
    server.post("/api/v1/tokens", short).await.ok();
    revoke().await.problem(409, "last_admin");
    server.token("admin", "second", &[]).await;
    assert_eq!(revoke().await.status, 204);
}
