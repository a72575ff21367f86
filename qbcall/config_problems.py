"""What is wrong with configuration values, said in words for people: every problem at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from qbcall.errors import ConfigError, Problem

Model = TypeVar("Model", bound=BaseModel)

SECRET_KEYS = frozenset({"password", "credential"})
"""Keys whose values are never shown."""
_IN_CODE = "the program"
"""Origin of values that come from no layer."""
_EXPECTED = {
    "string_type": "must be text",
    "path_type": "must be the path of a file",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "literal_error": "must be {expected}",
}
"""Kind of pydantic's error -> what to tell; the value is added."""


def validated(model: type[Model], values: Mapping[str, object], origins: Mapping[str, str] | None = None) -> Model:
    """The model with these values.

    `origins` says which layer a dotted path comes from; the nearest path above it counts too.

    Raises:
        ConfigError: with every problem.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ConfigError([_problem(model, detail, origins or {}) for detail in details]) from None


def suggestion(word: str, known: Collection[str]) -> str:
    """`; did you mean ...?`, or what there is when nothing is similar."""
    similar = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {similar[0]!r}?" if similar else f"; there are: {', '.join(sorted(known))}"


def _problem(model: type[BaseModel], detail: ErrorDetails, origins: Mapping[str, str]) -> Problem:
    path = ".".join(str(step) for step in detail["loc"])
    return Problem(path, _message(model, detail), _origin(path, origins))


def _message(model: type[BaseModel], detail: ErrorDetails) -> str:
    kind, key = detail["type"], str(detail["loc"][-1])
    if kind == "extra_forbidden":
        return f"unknown key{suggestion(key, _keys_beside(model, detail['loc']))}"
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    text = _EXPECTED.get(kind, detail["msg"]).format(**detail.get("ctx", {}))
    return text if key in SECRET_KEYS else f"{text}, not {detail['input']!r}"


def _origin(path: str, origins: Mapping[str, str]) -> str:
    """Of the path, or the nearest one above it, or one in it."""
    above = path
    while above:
        if above in origins:
            return origins[above]
        above = above.rpartition(".")[0]
    return next((origin for name, origin in origins.items() if name.startswith(f"{path}.")), _IN_CODE)


def _keys_beside(model: type[BaseModel], loc: Sequence[int | str]) -> Collection[str]:
    """The keys of the table that the last step of `loc` should be in."""
    for step in loc[:-1]:
        if isinstance(step, str):
            annotation = model.model_fields[step].annotation
            model = next(part for part in (annotation, *get_args(annotation)) if _is_model(part))
    return model.model_fields.keys() - SECRET_KEYS


def _is_model(part: object) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)
