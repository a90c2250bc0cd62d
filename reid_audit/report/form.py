"""Results as JSON: the form that everything else is a view of, with a published schema."""

import json
from importlib import resources
from typing import Any

from reid_audit.records import AuditResult, Comparison, adapter_of, parse_json, to_json

SCHEMA_FILE = "result.schema.json"
RESULT_COMMAND = "reid-audit score"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def result_to_json(result: AuditResult) -> str:
    """Write a result as JSON text; NaN becomes null. The same result gives the same text."""
    return to_json(result)


def result_from_json(text: str, *, source: str = "result.json") -> AuditResult:
    """Read what `result_to_json` wrote. InputError where it is no result, or one of another schema version."""
    return parse_json(text, AuditResult, source=source, made_by=RESULT_COMMAND)


def comparison_to_json(comparison: Comparison) -> str:
    """Write a comparison of defacers as JSON text; NaN becomes null."""
    return to_json(comparison)


def result_schema() -> dict[str, Any]:
    """Return the JSON schema of a result (draft 2020-12), made from the record itself."""
    schema = adapter_of(AuditResult).json_schema(mode="serialization")
    version = schema["properties"]["schema_version"]
    title = {
        "$schema": _DIALECT,
        "$id": f"urn:reid-audit:result:{version['default']}",
        "title": "Result of a re-identification audit of defaced head scans",
    }
    version["const"] = version["default"]
    return title | {key: value for key, value in schema.items() if key != "title"}


def format_schema() -> str:
    """Write the schema as the text of the published file."""
    return json.dumps(result_schema(), indent=1, sort_keys=True) + "\n"


def published_schema() -> str:
    """Return the schema file that the package carries."""
    return resources.files("reid_audit").joinpath(f"templates/{SCHEMA_FILE}").read_text(encoding="utf-8")
