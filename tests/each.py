"""One test for many values: a loop that runs to its end and names every value that fails."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Test = Callable[..., None]


def each(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Run a test for every case within one test; arguments as for ``pytest.mark.parametrize``.

    For values that need no fixture of their own: fixtures are set up once for all cases.
    """
    keys = (names,) if isinstance(names, str) else names
    listed = list(cases)

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def loop(**fixtures: Any) -> None:
            failed = {}
            for case in listed:
                values = (case,) if isinstance(names, str) else case
                try:
                    test(**fixtures, **dict(zip(keys, values, strict=True)))
                except (Exception, pytest.fail.Exception) as error:
                    failed[repr(case)] = f"{type(error).__name__}: {error}"
            assert failed == {}, "\n".join(f"{case}: {why}" for case, why in failed.items())

        signature = inspect.signature(test)
        fixtures = [parameter for name, parameter in signature.parameters.items() if name not in keys]
        loop.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return loop

    return decorate
