"""Query parameters: read by their model, and described for OpenAPI.

FastAPI's own `Query()` models are not used: for a model of six fields they take longer than the rest of a route.
"""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def query_of(http: Request, model: type[Model], many: frozenset[str] = frozenset()) -> Model:
    """The query parameters of a request.

    Parameters
    ----------
    many : parameters that may come several times

    Raises
    ------
    RequestValidationError
        A parameter is unknown, out of bounds, or comes twice: only one of them would count.
    """
    if not http.scope["query_string"]:
        return model()
    given: dict[str, Any] = {}
    for name, text in http.query_params.multi_items():
        if name in many:
            given.setdefault(name, []).append(text)
        elif name in given:
            raise RequestValidationError([_error(name, "comes several times, expected once")])
        else:
            given[name] = text
    try:
        return model(**given)
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("query", *each["loc"])} for each in error.errors()]) from None


def no_query(http: Request) -> None:
    """Refuse query parameters where there are none."""
    if http.scope["query_string"]:
        names = list(http.query_params) or ["?"]
        raise RequestValidationError([_error(name, "there is no such parameter") for name in names])


def described(model: type[BaseModel]) -> dict[str, Any]:
    """The parameters of a model, for `openapi_extra`."""
    found = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"parameters": [_parameter(name, schema) for name, schema in found["properties"].items()]}


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Of OpenAPI. A query has no null: where a model allows it, the parameter is left out."""
    about, text = {key: value for key, value in schema.items() if key != "anyOf"}, schema.get("description", "")
    for each in schema.get("anyOf", ()):
        about |= each if each != {"type": "null"} else {}
    for key in ("description", "title", *(["default"] if about.get("default", 0) is None else [])):
        about.pop(key, None)
    return {"name": name, "in": "query", "required": False, "description": text, "schema": about}


def _error(name: str, message: str) -> dict[str, Any]:
    return {"type": "value_error", "loc": ("query", name), "msg": message, "input": None}
