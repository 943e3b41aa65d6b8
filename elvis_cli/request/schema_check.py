"""A request against the schema, by `jsonschema_rs`; what it refuses, `schema_errors` judges and explains."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import elvis_schemas


def check(document: Mapping[str, Any]) -> None:
    """Check a document against the schema.

    Raises
    ------
    RequestError
        The first thing that is wrong.
    """
    try:
        valid = _validator().is_valid(document)
    except ValueError:  # the document holds what JSON has not
        valid = False
    if not valid:
        from elvis_cli.request import schema_errors  # `jsonschema` takes 60 ms to load

        schema_errors.check(document)


@cache
def _validator() -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(elvis_schemas.load())
