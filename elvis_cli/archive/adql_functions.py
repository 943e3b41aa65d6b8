"""The functions of ADQL that are not about the sky, as those of SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from elvis_cli.errors import ElvisError


class QueryError(ElvisError):
    """A query cannot be answered."""

    exit_code = 65


FUNCTIONS = {
    "ACOS": (1, 1), "ASIN": (1, 1), "ATAN": (1, 1), "ATAN2": (2, 2), "COS": (1, 1), "COT": (1, 1), "SIN": (1, 1),
    "TAN": (1, 1), "CEILING": (1, 1), "DEGREES": (1, 1), "EXP": (1, 1), "FLOOR": (1, 1), "LOG": (1, 1),
    "LOG10": (1, 1), "MOD": (2, 2), "PI": (0, 0), "POWER": (2, 2), "RADIANS": (1, 1), "RAND": (0, 1),
    "ROUND": (1, 2), "SQRT": (1, 1), "TRUNCATE": (1, 2), "IN_UNIT": (2, 2),
}  # fmt: skip
"""Least and greatest number of arguments."""
FACTORS = {"deg": 1.0, "arcmin": 60.0, "arcsec": 3600.0, "mas": 3.6e6, "m": 1.0, "um": 1e6, "nm": 1e9, "angstrom": 1e10,
           "s": 1.0, "min": 1 / 60, "h": 1 / 3600, "d": 1 / 86400}  # fmt: skip
"""Of IN_UNIT, within one kind of quantity."""
_KINDS = (("deg", "arcmin", "arcsec", "mas"), ("m", "um", "nm", "angstrom"), ("s", "min", "h", "d"))


def call(name: str, *arguments: Any) -> exp.Anonymous:
    """Return the call of a function of the database."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def number(value: float) -> exp.Expression:
    """Return a number as SQL, exact."""
    return exp.Neg(this=number(-value)) if value < 0 else exp.Literal.number(repr(float(value)))


def rewrite_function(node: exp.Expression, *, sqlite: bool) -> exp.Expression:
    """Return the node, or the call of the database in place of a function of ADQL."""
    if not isinstance(node, exp.Anonymous) or str(node.this).upper() not in FUNCTIONS:
        return node
    name, arguments = str(node.this).upper(), list(node.expressions)
    least, most = FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        raise QueryError(f"{name} takes {least if least == most else f'{least} or {most}'} arguments")
    special = _SPECIAL.get(name)
    if special is not None:
        return special(arguments, sqlite)
    return call({"LOG": "ln", "CEILING": "ceil"}.get(name, name.lower()), *arguments)


def _random(_: list[Any], sqlite: bool) -> exp.Expression:
    return exp.Var(this="((random() & 9007199254740991) / 9007199254740992.0)" if sqlite else "random()")


def _modulo(arguments: list[Any], sqlite: bool) -> exp.Expression:
    if sqlite:
        return call("mod", *arguments)
    return exp.cast(call("mod", *(exp.cast(argument, "numeric") for argument in arguments)), "double")


def _rounded(name: str, arguments: list[Any], sqlite: bool) -> exp.Expression:
    if name == "TRUNCATE" and len(arguments) == 1:
        return call("trunc", *arguments)
    if name == "ROUND" and sqlite:
        return call("elvis_round", *arguments)
    if sqlite:
        return call("elvis_truncate", *arguments)
    function = "round" if name == "ROUND" else "trunc"
    numeric = exp.cast(arguments[0], "numeric")
    return exp.cast(call(function, numeric, *arguments[1:]), "double")


def _in_unit(value: Any, unit: Any) -> exp.Expression:
    """Return a column in another unit (ADQL 2.1, section 4.2.9)."""
    column = value.meta.get("column") if isinstance(value, exp.Column) else None
    own, wanted = getattr(column, "unit", ""), str(unit.this) if isinstance(unit, exp.Literal) else ""
    if not any(own in kind and wanted in kind for kind in _KINDS):
        raise QueryError(f"IN_UNIT: no way from {own or 'no unit'} to {wanted or 'no unit'}")
    return exp.Paren(this=exp.Mul(this=value, expression=number(FACTORS[wanted] / FACTORS[own])))


_SPECIAL: dict[str, Callable[[list[Any], bool], exp.Expression]] = {
    "IN_UNIT": lambda arguments, _: _in_unit(*arguments),
    "COT": lambda arguments, _: exp.Paren(this=exp.Div(this=number(1.0), expression=call("tan", *arguments))),
    "RAND": _random,
    "MOD": _modulo,
    "ROUND": lambda arguments, sqlite: _rounded("ROUND", arguments, sqlite),
    "TRUNCATE": lambda arguments, sqlite: _rounded("TRUNCATE", arguments, sqlite),
}
"""Functions that are not the same under another name."""
