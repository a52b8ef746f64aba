"""Envoy configurations for the benchmark: the one that `chaperone dev` runs, with other filters in it.

Listener, clusters and filter are not written a second time here: `bench.shipped` has a `chaperone dev` start and asks its
Envoy what it was configured with, and every variant is a copy of that. So a setting that changes there is measured.
"""

import copy
import json

TYPE = "type.googleapis.com/envoy."


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class Shipped:
    """The bootstrap of a `chaperone dev` with one connection and one upstream."""

    def __init__(self, config_dump, connection):
        """From the answer of Envoy's admin interface to `/config_dump`."""
        (self.document,) = (part["bootstrap"] for part in config_dump["configs"] if "bootstrap" in part)
        self.listener = f"connection-{connection}"
        self.names = {"upstream": f"upstream-{connection}", "control plane": "chaperone"}

    def _manager(self, document):
        listener = next(one for one in document["static_resources"]["listeners"] if one["name"] == self.listener)
        (chain,) = listener["filter_chains"]
        (network,) = chain["filters"]
        return listener, network["typed_config"]

    def bootstrap(self, name, port, admin_port, filters, clusters):
        """With these HTTP filters before the router. `clusters` says at which port "upstream" and, if there is one,
        "control plane" are."""
        document = copy.deepcopy(self.document)
        listener, manager = self._manager(document)
        # The dumped node lists all extensions of the Envoy that it ran in.
        document["node"] = {"id": name, "cluster": "bench"}
        document["admin"]["address"] = address(admin_port)
        listener["address"] = address(port)
        manager["http_filters"] = [*filters, manager["http_filters"][-1]]
        # The gate is measured, not the disk; and the file would be that of an Envoy that is gone.
        manager["access_log"] = []
        resources = document["static_resources"]
        resources["listeners"] = [listener]
        ports = {self.names[role]: port for role, port in clusters.items()}
        resources["clusters"] = [one for one in resources["clusters"] if one["name"] in ports]
        for cluster in resources["clusters"]:
            (group,) = cluster["load_assignment"]["endpoints"]
            (endpoint,) = group["lb_endpoints"]
            endpoint["endpoint"]["address"] = address(ports[cluster["name"]])
        return document

    def upstream(self, port, admin_port, bodies):
        """An Envoy that answers by itself: `bodies` maps a path to its body."""
        document = self.bootstrap("upstream", port, admin_port, [], {})
        _, manager = self._manager(document)
        manager["route_config"]["max_direct_response_body_size_bytes"] = 1 << 20
        (host,) = manager["route_config"]["virtual_hosts"]
        host["routes"] = [
            {
                "match": {"path": path},
                "direct_response": {"status": 200, "body": {"inline_string": body}},
                "response_headers_to_add": [
                    {"header": {"key": "content-type", "value": "application/json"}}
                ],
            }
            for path, body in bodies.items()
        ]
        return document

    def wasm(self, path, configuration=None):
        """The filter, with another module or configuration in it."""
        _, manager = self._manager(copy.deepcopy(self.document))
        filter, _router = manager["http_filters"]
        config = filter["typed_config"]["config"]
        config["vm_config"]["code"] = {"local": {"filename": str(path)}}
        if configuration is None:
            del config["configuration"]
        else:
            config["configuration"]["value"] = json.dumps(configuration)
        return filter


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
