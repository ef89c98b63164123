# SPDX-License-Identifier: Apache-2.0
"""Holds answers of the daemon to its own OpenAPI document: what it answers and the document does not say is a fault of one
of them."""

import functools
import json
import re
import urllib.parse

import jsonschema_rs


def close(schema):
    """Members that the document does not name are not allowed, for a test; readers have to ignore them."""
    if isinstance(schema, list):
        return [close(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: close(value) if name not in ("required", "enum") else value for name, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and "type" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


class Document:
    def __init__(self, path):
        self.whole = json.loads(path.read_text())
        self.closed = close(self.whole["components"]["schemas"])
        self.templates = [(re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))), template)
                          for template in sorted(self.whole["paths"], key=lambda one: one.count("{"))]

    @functools.lru_cache(maxsize=None)
    def validator(self, schema):
        whole = json.loads(schema) | {"components": {"schemas": self.closed}}
        return jsonschema_rs.validator_for(whole, validate_formats=True)

    def operation(self, method, path):
        """None where the document has no such operation."""
        for pattern, template in self.templates:
            if pattern.fullmatch(path):
                return self.whole["paths"][template].get(method.lower())
        return None

    def answer(self, operation, status):
        found = operation["responses"].get(str(status))
        if found and "$ref" in found:
            found = self.whole["components"]["responses"][found["$ref"].rpartition("/")[2]]
        return found

    def check(self, method, url, response):
        """AssertionError: status, media type or body are not as the document says."""
        path = urllib.parse.urlsplit(url).path
        operation = self.operation(method, path)
        if operation is None:
            return
        what = f"{method} {path}: {response.status_code}"
        answer = self.answer(operation, response.status_code)
        assert answer is not None, f"{what} is not in the OpenAPI document: {response.text[:500]}"
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if response.status_code == 304 and not response.content:
            return
        assert kind in answer["content"], f"{what}: {kind} is not in the OpenAPI document"
        if not kind.endswith("json"):
            return
        schema = json.dumps(answer["content"][kind]["schema"], sort_keys=True)
        errors = list(self.validator(schema).iter_errors(response.json()))
        assert not errors, f"{what} is not what the OpenAPI document says: {errors[0]}\n{response.text[:2000]}"


@functools.lru_cache(maxsize=None)
def document(path):
    return Document(path)
