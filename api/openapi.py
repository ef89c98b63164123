#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document of the control API, made from the routes that the program has.

    api/openapi.py api/routes.def VERSION OUT.json OUT.c

Paths, methods, scopes and query parameters come from routes.def; what bodies and answers hold stands here. A route without
a row in OPERATIONS, or a row without a route, ends the build. The tests hold every answer of the daemon to this document.
"""

import json
import pathlib
import re
import sys

from openapi_schemas import BODIES, OPERATIONS, PARAMETERS, SCHEMAS, ref

ROUTE = re.compile(r'^X\("(\w+)",\s*"([^"]+)",\s*(\w+),\s*(\w+),\s*\w+,\s*"([^"]*)"\)$', re.M)
PATHS = {"policy": "Name of a policy.", "vault": "Name of a vault.", "hook": "Name of a hook.", "cluster": "Name of a cluster.", "file": "Name of a file of the dashboard.", "slug": "Name of a problem.", "id": "Id, as lists give it."}
REPEATABLE = ("state", "kind", "policy", "cluster", "topic")  # of lists, as api/query.c has them
ALWAYS = (400, 401, 403, 404, 405, 413, 415, 421, 422, 429, 500, 503)  # any request may be answered so
TITLES = {400: "Not readable", 401: "No valid token or certificate", 403: "Not allowed", 404: "Not there",
          405: "Not this method", 409: "The state does not allow it", 412: "It has changed meanwhile", 413: "Too large",
          415: "Not this media type", 421: "Not this host", 422: "Not valid", 428: "If-Match is needed",
          429: "Too many requests",
          500: "A fault of the daemon", 502: "A cluster, a vault or a receiver refuses", 503: "Not now", 507: "The vault is full"}


def routes(path):
    found = ROUTE.findall(pathlib.Path(path).read_text())
    if len(found) != len(re.findall(r"^X\(", pathlib.Path(path).read_text(), re.M)):
        sys.exit(f"{path}: a row that is not read")
    return found


def operation_id(handler):
    return handler.removeprefix("tm_").removesuffix("_route")


def parameters(path, query, operation):
    rows = [{"name": name, "in": "path", "required": True, "description": PATHS[name], "schema": PARAMETERS["path " + name]}
            for name in re.findall(r"\{(\w+)\}", path)]
    for name in query.split():
        about = operation.get("query", {}).get(name) or PARAMETERS[name]
        if name in REPEATABLE and "count" in query.split():
            about = {"type": "array", "items": about, "minItems": 1, "uniqueItems": True, "description": "Given several times, any of them will do."}
        rows.append({"name": name, "in": "query", "required": name in operation.get("required", ()), "schema": about})
    for name, about in operation.get("headers", {}).items():
        needed = name in operation.get("required_headers", ())
        rows.append({"name": name, "in": "header", "schema": about} | ({"required": True} if needed else {}))
    return rows


def responses(operation):
    found = {}
    for status, answer in operation["answers"].items():
        found[str(status)] = {"description": answer.get("about", "Done"), "content": answer["content"]}
        if "headers" in answer:
            found[str(status)]["headers"] = {name: {"schema": schema} for name, schema in answer["headers"].items()}
    if operation.get("not_modified"):
        found["304"] = {"description": "It is as it was"}
    for status in sorted({*ALWAYS, *operation.get("problems", ())}):
        found.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
    return found


def operation(route):
    method, path, scope, handler, query = route
    row = OPERATIONS.get(handler)
    if row is None:
        sys.exit(f"api/openapi_schemas.py: {handler} of {path} has no row in OPERATIONS")
    made = {"operationId": operation_id(handler), "summary": row["summary"], "tags": [row["tag"]],
            "parameters": parameters(path, query, row), "responses": responses(row)}
    if "body" in row:
        made["requestBody"] = {"required": row.get("body_required", True),
                               "content": {kind: {"schema": ref(row["body"])} for kind in row.get("types", ["application/json"])}}
    if scope == "NONE":
        made["security"] = []
    else:
        made["security"] = [{"token": [scope.lower()]}, {"certificate": [scope.lower()]}]
        made["x-scope"] = scope.lower()
    return made


def problem(status):
    return {"description": TITLES[status], "content": {"application/problem+json": {"schema": ref("Problem")}}}


def document(found, version):
    unused = set(OPERATIONS) - {route[3] for route in found}
    if unused:
        sys.exit(f"api/openapi_schemas.py: rows without a route: {', '.join(sorted(unused))}")
    paths = {}
    for route in found:
        paths.setdefault(route[1], {})[route[0].lower()] = operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidemark", "version": version, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
                 "description": "Control API of tidemarkd. HEAD works wherever GET does. Each GET also takes int64=string: "
                                "integers come as strings then, which no schema here says. docs/api.md says more."},
        "servers": [{"url": "http://127.0.0.1:8484"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS | BODIES,
            "responses": {f"Problem{status}": problem(status) for status in TITLES},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "tm_...; over TCP. The Unix socket needs none."},
                "certificate": {"type": "mutualTLS", "description": "Where server.tls.client_ca_file is set."},
            },
        },
    }


def as_c(text):
    data = text.encode()
    lines = [",".join(str(byte) for byte in data[at:at + 32]) for at in range(0, len(data), 32)]
    return ('/* Made by api/openapi.py. */\nextern const char tm_openapi[];\nconst char tm_openapi[] = {\n'
            + ",\n".join(lines) + ",0};\n")


def main():
    path, version, out_json, out_c = sys.argv[1:]
    made = document(routes(path), version)
    pathlib.Path(out_json).write_text(json.dumps(made, indent=1) + "\n")
    pathlib.Path(out_c).write_text(as_c(json.dumps(made, separators=(",", ":")) + "\n"))


if __name__ == "__main__":
    main()
