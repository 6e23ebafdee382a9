"""Takes what our client uses of Atlassian's OpenAPI description of Jira Cloud, for tests that run everywhere.

    python scripts/extract_jira_spec.py jira-cloud-v3.json.gz tests/data/jira-cloud-v3.json

The whole description: https://developer.atlassian.com/cloud/jira/platform/swagger-v3.v3.json
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

USED = (
    ("get", "/rest/api/3/serverInfo"),
    ("get", "/rest/api/3/myself"),
    ("get", "/rest/api/3/mypermissions"),
    ("get", "/rest/api/3/priority"),
    ("get", "/rest/api/3/user/search"),
    ("post", "/rest/api/3/search/jql"),
    ("post", "/rest/api/3/search/approximate-count"),
    ("post", "/rest/api/3/jql/match"),
    ("post", "/rest/api/3/issue/bulkfetch"),
    ("post", "/rest/api/3/changelog/bulkfetch"),
    ("get", "/rest/api/3/issue/{issueIdOrKey}"),
    ("put", "/rest/api/3/issue/{issueIdOrKey}"),
    ("get", "/rest/api/3/issue/{issueIdOrKey}/comment"),
    ("post", "/rest/api/3/issue/{issueIdOrKey}/comment"),
    ("get", "/rest/api/3/issue/{issueIdOrKey}/transitions"),
    ("post", "/rest/api/3/issue/{issueIdOrKey}/transitions"),
    ("get", "/rest/api/3/issue/{issueIdOrKey}/remotelink"),
    ("post", "/rest/api/3/issue/{issueIdOrKey}/remotelink"),
)
"""Every call that `clients/jira` can make to Cloud."""
PROSE = frozenset({"description", "tags", "summary", "externalDocs", "xml", "security", "deprecated"})


def extract(whole: dict[str, Any]) -> dict[str, Any]:
    """The operations that are used, and every schema that they refer to."""
    operations = {}
    for method, path in USED:
        operation = whole["paths"][path][method]
        kept = {
            name: operation[name] for name in ("parameters", "requestBody", "responses") if name in operation
        }
        kept["responses"] = {code: one for code, one in kept["responses"].items() if code.startswith("2")}
        operations[f"{method} {path}"] = plain(kept)
    schemas: dict[str, Any] = {}
    waiting = references(operations)
    while waiting:
        name = waiting.pop()
        if name not in schemas:
            schemas[name] = plain(whole["components"]["schemas"][name])
            waiting |= references(schemas[name])
    return {"operations": operations, "schemas": dict(sorted(schemas.items()))}


def plain(value: Any, *, is_schema: bool = False) -> Any:
    """Without what is written for people; a property may well be called `description`."""
    if isinstance(value, dict):
        return {
            name: one if name in ("example", "examples") else plain(one, is_schema=name == "properties")
            for name, one in value.items()
            if is_schema or not (name in PROSE or name.startswith("x-"))
        }
    return [plain(one) for one in value] if isinstance(value, list) else value


def references(value: Any) -> set[str]:
    """Names of the schemas that are referred to."""
    if isinstance(value, dict):
        named = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
        return named.union(*(references(one) for one in value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def read(path: Path) -> dict[str, Any]:
    """The whole description."""
    whole: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return whole


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    target.write_text(json.dumps(extract(read(source)), indent=1, sort_keys=True) + "\n", encoding="utf-8")
