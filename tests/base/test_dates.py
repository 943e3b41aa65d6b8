"""Dates are UTC, whatever zone they are written in."""

from __future__ import annotations

from datetime import datetime

import pytest

from elvis_cli.base.dates import parse_date
from elvis_cli.errors import RequestError


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-20", datetime(2026, 11, 20)),
        ("2026-11-20T06:00:00", datetime(2026, 11, 20, 6)),
        ("2026-11-20T06:00:00Z", datetime(2026, 11, 20, 6)),
        (" 2026-11-20T06:00:00+04:00\n", datetime(2026, 11, 20, 2)),
        ("2026-11-20T06:00:00.1236", datetime(2026, 11, 20, 6, 0, 0, 124000)),
        ("2026-12-31T23:59:59.9996", datetime(2027, 1, 1)),
    ],
)
def test_utc_to_the_nearest_millisecond(text, utc):
    assert parse_date(text, "/elvis/date") == utc


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "2026-13-01",
        "1979-12-31",
        "2099-12-31T23:59:59.9996",
        "9999-12-31T23:00-12:00",
    ],
)
def test_what_is_not_a_date_is_refused(text):
    with pytest.raises(RequestError, match="ISO 8601, 1980 to 2099") as caught:
        parse_date(text, "/survey/start")
    assert caught.value.details["pointer"] == "/survey/start"
