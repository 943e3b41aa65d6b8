"""Errors say where, in a form that a program can follow."""

import pytest

from elvis_cli.errors import json_pointer


@pytest.mark.parametrize(
    ("steps", "pointer"),
    [
        ((), ""),
        (("instrument", "a/b~c"), "/instrument/a~1b~0c"),
        (("elvis", "chips", 0), "/elvis/chips/0"),
        (("sky", "two\nlines"), "/sky/two\\nlines"),
        (("x" * 1000,), "/" + "x" * 77 + "..."),
    ],
)
def test_pointer_is_that_of_rfc_6901_printable_and_not_endless(steps, pointer):
    assert json_pointer(*steps) == pointer
