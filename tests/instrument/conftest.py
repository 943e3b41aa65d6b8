"""Requests without a document, and the camera that is asked."""

import dataclasses

import pytest

from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import ElvisBlock
from elvis_cli.model.request import ImageQuality, Request, SkyConditions, Target, Timing


@pytest.fixture
def asked():
    """Return a function that makes a request for MICADO with some of its parts replaced."""

    def make(**parts):
        base = Request("micado", 3, Target(), SkyConditions(), ImageQuality(), {}, Timing(), {}, ElvisBlock())
        return dataclasses.replace(base, **parts)

    return make


@pytest.fixture
def camera():
    return registry.load("micado")
