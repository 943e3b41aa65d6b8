"""One test for many values: a loop that runs to its end and names every value that fails."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Check = Callable[..., None]


def failures(check: Check, cases: Iterable[Any]) -> dict[str, str]:
    """Return the error of every case for which ``check`` fails; a tuple is several arguments."""
    failed = {}
    for case in cases:
        try:
            check(*(case if isinstance(case, tuple) else (case,)))
        except (Exception, pytest.fail.Exception) as error:
            failed[repr(case)] = f"{type(error).__name__}: {error}"
    return failed


def each(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Check], Check]:
    """Run a test for every case within one test; arguments as for ``pytest.mark.parametrize``.

    For values that need no fixture of their own: fixtures are set up once for all cases.
    """
    keys = (names,) if isinstance(names, str) else names
    values = [(case,) if isinstance(names, str) else tuple(case) for case in cases]

    def decorate(test: Check) -> Check:
        @functools.wraps(test)
        def loop(**fixtures: Any) -> None:
            def check(*case: Any) -> None:
                test(**fixtures, **dict(zip(keys, case, strict=True)))

            failed = failures(check, values)
            assert failed == {}, "\n".join(f"{case}: {why}" for case, why in failed.items())

        signature = inspect.signature(test)
        fixtures = [parameter for name, parameter in signature.parameters.items() if name not in keys]
        loop.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return loop

    return decorate
