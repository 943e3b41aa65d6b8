from dataclasses import dataclass

import pytest

from elvis_cli.base.parameters import number, numbers, read
from elvis_cli.errors import ResourceError
from tests.each import each


@dataclass(frozen=True)
class Two:
    rms: float = number("electron", 0.0, 10.0, "noise")
    steps: tuple[float, ...] = numbers("", 0.0, 1.0, "steps")

    def __post_init__(self):
        if len(self.steps) > 2:
            raise ValueError("too many steps")


def test_values_become_floats():
    two = read(Two, "here", {"rms": 3, "steps": [0, 1]})
    assert (two.rms, two.steps) == (3.0, (0.0, 1.0))
    assert isinstance(two.rms, float)


@each(
    ("table", "key", "words"),
    [
        ({"rms": 11, "steps": []}, "here.rms", "0..10 electron"),
        ({"rms": float("nan"), "steps": []}, "here.rms", "nan"),
        ({"rms": "3", "steps": []}, "here.rms", "number"),
        ({"rms": True, "steps": []}, "here.rms", "number"),
        ({"rms": [3], "steps": []}, "here.rms", "number"),
        ({"rms": 1, "steps": 1}, "here.steps", "list"),
        ({"rms": 1, "steps": [0, 2]}, "here.steps", "0..1"),
        ({"steps": []}, "here.rms", "missing"),
        ({"rms": 1, "step": [], "steps": []}, "here.step", "did you mean 'steps'"),
        ({"rms": 1, "steps": [0, 0.5, 1]}, "here", "too many steps"),
    ],
)
def test_wrong_parameters_are_named(table, key, words):
    with pytest.raises(ResourceError, match="here") as error:
        read(Two, "here", table)
    assert error.value.details["key"] == key
    assert words in error.value.message
