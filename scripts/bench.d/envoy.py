"""Envoy configurations for the benchmark, as dictionaries."""

import json

TYPE = "type.googleapis.com/envoy."


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name, port):
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    }


def bootstrap(name, port, admin_port, filters, routes, clusters):
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": TYPE + "extensions.filters.http.router.v3.Router"},
    }
    manager = {
        "@type": TYPE
        + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "generate_request_id": False,
        "http_filters": [*filters, router],
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
            "max_direct_response_body_size_bytes": 1 << 20,
        },
    }
    listener = {
        "name": name,
        "address": address(port),
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }
    return {
        "node": {"id": name, "cluster": "bench"},
        "admin": {"address": address(admin_port)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def upstream(port, admin_port, bodies):
    """An Envoy that answers by itself: `bodies` maps a path to its body."""
    routes = [
        {
            "match": {"path": path},
            "direct_response": {"status": 200, "body": {"inline_string": body}},
            "response_headers_to_add": [
                {"header": {"key": "content-type", "value": "application/json"}}
            ],
        }
        for path, body in bodies.items()
    ]
    return bootstrap("upstream", port, admin_port, [], routes, [])


def wasm(path, configuration=None):
    config = {
        "name": "wasm",
        "root_id": "wasm",
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "vm_id": "wasm",
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(path)}},
        },
    }
    if configuration is not None:
        config["configuration"] = {
            # A string: a Struct reaches the module as protobuf, not as JSON.
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": json.dumps(configuration),
        }
    return {
        "name": "wasm",
        "typed_config": {
            "@type": TYPE + "extensions.filters.http.wasm.v3.Wasm",
            "config": config,
        },
    }


def jwt_authn(issuer, audience, jwks):
    """Envoy's own verification, with its cache, and the groups claim made matchable."""
    provider = {
        "issuer": issuer,
        "audiences": [audience],
        "local_jwks": {"inline_string": jwks},
        "payload_in_metadata": "claims",
        "jwt_cache_config": {"jwt_cache_size": 1000},
    }
    return {
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": TYPE + "extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"p": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
        },
    }


def rbac(policies):
    """Envoy's RBAC with as many policies, of which the last one lets the request through."""

    def policy(number):
        group = f"group-{number}"
        return {
            "permissions": [
                {
                    "and_rules": {
                        "rules": [
                            {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
                            {"url_path": {"path": {"prefix": f"/area-{number}/"}}}
                            if number != policies - 1
                            else {"url_path": {"path": {"prefix": "/"}}},
                        ]
                    }
                }
            ],
            "principals": [
                {
                    "metadata": {
                        "filter": "envoy.filters.http.jwt_authn",
                        "path": [{"key": "claims"}, {"key": "groups"}],
                        "value": {
                            "list_match": {"one_of": {"string_match": {"exact": group}}}
                        },
                    }
                }
            ],
        }

    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": TYPE + "extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "action": "ALLOW",
                "policies": {f"policy-{n:03}": policy(n) for n in range(policies)},
            },
        },
    }


LUA = r"""
local token = "TOKEN"
function envoy_on_request(handle)
  local given = handle:headers():get("authorization")
  if given ~= "Bearer " .. token then
    handle:respond({[":status"] = "401"}, "")
  end
end
local patterns = {
  "ghp_%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w",
  "AKIA%u%d%u%d%u%u%u%u%u%u%u%u%u%u%u%u",
  "sk%-%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w%w",
  "xox[bp]%-%d+%-%d+%-%w+",
  "AccountKey=[%w+/]+=*",
}
function envoy_on_response(handle)
  local body = handle:body()
  if body == nil then return end
  local text = body:getBytes(0, body:length())
  local changed = false
  for _, pattern in ipairs(patterns) do
    local masked, n = string.gsub(text, pattern, "[masked]")
    if n > 0 then text = masked changed = true end
  end
  if changed then body:setBytes(text) end
end
"""


def lua(token):
    return {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": TYPE + "extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": LUA.replace("TOKEN", token)},
        },
    }
