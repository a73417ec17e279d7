# SPDX-License-Identifier: Apache-2.0
"""The published JSON schemas as a program outside would use them: found by their `$id`, for they refer to each other by it."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

ENDING = ".schema.json"


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by the name of its file, without the ending."""
    found = (each for each in files("unxen.report").iterdir() if each.name.endswith(ENDING))
    return {each.name.removesuffix(ENDING): json.loads(each.read_text()) for each in found}


@cache
def validator(name: str) -> Draft202012Validator:
    """What checks documents by one of them."""
    known = Registry().with_resources((each["$id"], Resource.from_contents(each)) for each in schemas().values())
    return Draft202012Validator(schemas()[name], registry=known)


def checked(name: str, text: str) -> Any:
    """The document of a text; fails where it does not keep to the schema of that name."""
    document = json.loads(text)
    validator(name).validate(document)
    return document
