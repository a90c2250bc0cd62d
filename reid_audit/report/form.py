"""Results as JSON: the form that everything else is a view of, with a published schema."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reid_audit.records import AuditResult, Comparison, InputError

SCHEMA_VERSION = 1
SCHEMA_FILE = "result.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[AuditResult]:
    return TypeAdapter(AuditResult)


def result_to_json(result: AuditResult) -> str:
    """Write a result as JSON text; NaN becomes null. The same result gives the same text."""
    return _adapter().dump_json(result, indent=1).decode() + "\n"


def result_from_json(text: str, *, source: str = "result.json") -> AuditResult:
    """Read what `result_to_json` wrote.

    Parameters
    ----------
    text : str
    source : str
        What to call the text in messages.

    Raises
    ------
    InputError
        Where the text is not a result, or one of another schema version.
    """
    try:
        result = _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{source} is not a result of this version: {place}: {first['msg']}") from error
    if result.schema_version != SCHEMA_VERSION:
        raise InputError(
            f"{source} has schema version {result.schema_version}, this program reads {SCHEMA_VERSION}; "
            "read it with the version of reid-audit that wrote it, or score anew"
        )
    return result


def comparison_to_json(comparison: Comparison) -> str:
    """Write a comparison of defacers as JSON text; NaN becomes null."""
    return TypeAdapter(Comparison).dump_json(comparison, indent=1).decode() + "\n"


def result_schema() -> dict[str, Any]:
    """Return the JSON schema of a result (draft 2020-12), made from the record itself."""
    schema = _adapter().json_schema(mode="serialization")
    title = {
        "$schema": _DIALECT,
        "$id": f"urn:reid-audit:result:{SCHEMA_VERSION}",
        "title": "Result of a re-identification audit of defaced head scans",
    }
    # A result may hold results, one per recogniser: then it stands among the definitions.
    schema["$defs"]["AuditResult"]["properties"]["schema_version"] |= {"const": SCHEMA_VERSION}
    return title | {key: value for key, value in schema.items() if key != "title"}


def format_schema() -> str:
    """Write the schema as the text of the published file."""
    return json.dumps(result_schema(), indent=1, sort_keys=True) + "\n"


def published_schema() -> str:
    """Return the schema file that the package carries."""
    return resources.files("reid_audit").joinpath(f"templates/{SCHEMA_FILE}").read_text(encoding="utf-8")
