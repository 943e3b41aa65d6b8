"""The packages of the extra `reduce`."""

from __future__ import annotations

from elvis_cli.errors import ResourceError


def check() -> None:
    """Raise ResourceError if the packages of the extra `reduce` are not installed."""
    from importlib.util import find_spec

    lacking = [name for name in ("drizzle", "photutils") if find_spec(name) is None]
    if lacking:
        raise ResourceError(
            f"{' and '.join(lacking)} not installed: pip install 'elvis-cli[reduce]'", allowed="elvis-cli[reduce]"
        )
