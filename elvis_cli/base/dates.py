"""Dates: ISO 8601 text -> UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from elvis_cli.errors import RequestError


def parse_date(text: str, pointer: str, years: tuple[int, int] = (1980, 2099)) -> datetime:
    """Return an ISO 8601 date in UTC, without time zone, to the nearest millisecond.

    A date without a time zone is UTC. ``years`` are the first and the last that are allowed.

    Raises
    ------
    RequestError
        The text is not a date, or is outside of these years; it names ``pointer``.
    """
    try:
        time = datetime.fromisoformat(text.strip())
        time = whole_ms(time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time)
    except (ValueError, OverflowError):
        time = None
    if time is None or not years[0] <= time.year <= years[1]:
        allowed = f"ISO 8601, {years[0]} to {years[1]}"
        raise RequestError(pointer, f"{text[:40]!r} is not a date", found=text[:40], allowed=allowed)
    return time


def whole_ms(time: datetime) -> datetime:
    """Return the time to the nearest millisecond."""
    return time.replace(microsecond=0) + timedelta(milliseconds=round(time.microsecond / 1000))
