"""Geometry in queries: both databases answer alike, and as a brute force does; nothing can be written."""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elvis_cli.archive import query
from elvis_cli.archive.adql_functions import QueryError
from elvis_cli.archive.columns import Column
from elvis_cli.archive.footprint import unit
from elvis_cli.archive.store import outline_of
from tests.archive import measure, rows

CLOSE = 1e-6
"""deg: what is nearer to an edge may be on either side."""
ALL = rows.products(600)
NAMES = np.array([p.values["dp_id"] for p in ALL])
PLACES = SkyCoord([p.values["s_ra"] for p in ALL], [p.values["s_dec"] for p in ALL], unit="deg")
CORNERS = [unit(outline_of(p.values["s_region"])) for p in ALL]
EDGES = np.stack([
    (np.linspace(0, 1, 80, endpoint=False)[:, None, None] * np.roll(c, -1, axis=0)
     + (1 - np.linspace(0, 1, 80, endpoint=False)[:, None, None]) * c).reshape(-1, 3) for c in CORNERS
])  # fmt: skip
EDGES /= np.linalg.norm(EDGES, axis=-1, keepdims=True)

lons = st.one_of(st.floats(0, 360), st.sampled_from([0.0, 359.999, 180.0]), st.floats(-2, 2).map(lambda v: v % 360))
lats = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, 0.0]), st.floats(85, 90), st.floats(-90, -85))
radii = st.one_of(st.floats(-2, np.log10(170)).map(lambda v: 10**v), st.sampled_from([90.0, 180.0, 120.0]))


def answer(store, condition):
    found = query.rows(store, f"SELECT dp_id FROM ivoa.obscore WHERE {condition}")
    return {row["dp_id"] for row in found}


def distances(lon, lat):
    return PLACES.separation(SkyCoord(lon, lat, unit="deg")).to_value(units.deg)


def to_edge(lon, lat):
    """Return the least and greatest distance (deg) of the outlines from a place, and which of them hold it."""
    v = unit([(lon, lat)])[0]
    angles = np.degrees(2 * np.arcsin(np.minimum(np.linalg.norm(EDGES - v, axis=-1) / 2, 1)))
    inside = []
    for corners in CORNERS:
        sides = np.cross(corners, np.roll(corners, -1, axis=0)) @ v
        inside.append(bool((sides > 0).all() or (sides < 0).all()) and float(corners.mean(axis=0) @ v) > 0)
    return angles.min(axis=1), angles.max(axis=1), np.array(inside)


def check(stores, condition, wanted, unsure):
    for store in stores:
        found = np.isin(NAMES, list(answer(store, condition)))
        wrong = (found != wanted) & ~unsure
        assert not wrong.any(), (condition, store.url.drivername, NAMES[wrong][:5])


@settings(
    max_examples=60 if "ELVIS_CLOSURE" in os.environ else 14,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    kind=st.sampled_from(["point", "outside", "strict", "overlap", "holds", "within", "polygon"]),
    lon=lons,
    lat=lats,
    radius=radii,
    turn=st.floats(0, 120),
)
def test_generated_queries_are_answered_alike_and_as_by_brute_force(stores, kind, lon, lat, radius, turn):
    circle = f"CIRCLE('ICRS', {lon!r}, {lat!r}, {radius!r})"
    point = "POINT('ICRS', s_ra, s_dec)"
    separation = distances(lon, lat)
    edge = np.abs(separation - radius) < CLOSE
    if kind == "point":
        check(stores, f"1=CONTAINS({point}, {circle})", separation <= radius, edge)
    elif kind == "outside":
        check(stores, f"CONTAINS({point}, {circle}) = 0", separation > radius, edge)
    elif kind == "strict":
        check(stores, f"DISTANCE({point}, POINT('ICRS', {lon!r}, {lat!r})) < {radius!r}", separation < radius, edge)
    elif kind == "polygon":
        angles = np.radians(turn + np.array([0.0, 120.0, 240.0]))
        z, reach = np.cos(np.radians(min(radius, 60))), np.sin(np.radians(min(radius, 60)))
        v = unit([(lon, lat)])[0]
        a = np.cross(v, [0, 0, 1] if abs(v[2]) < 0.9 else [1, 0, 0])
        a /= np.linalg.norm(a)
        corners = z * v + reach * (np.cos(angles)[:, None] * a + np.sin(angles)[:, None] * np.cross(v, a))
        ra, dec = np.degrees(np.arctan2(corners[:, 1], corners[:, 0])) % 360, np.degrees(np.arcsin(corners[:, 2]))
        numbers = ", ".join(f"{float(x)!r}, {float(y)!r}" for x, y in zip(ra, dec, strict=True))
        sides = np.cross(corners, np.roll(corners, -1, axis=0)) @ PLACES.cartesian.xyz.value
        check(stores, f"1=CONTAINS({point}, POLYGON('ICRS', {numbers}))", (sides > 0).all(axis=0),
              (np.abs(sides) < 1e-7).any(axis=0))  # fmt: skip
    else:
        near, far, holds = to_edge(lon, lat)
        if kind == "holds":
            check(stores, f"1=CONTAINS(POINT('ICRS', {lon!r}, {lat!r}), s_region)", holds, near < 0.05)
        elif kind == "overlap":
            check(stores, f"1=INTERSECTS({circle}, s_region)", holds | (near <= radius), np.abs(near - radius) < 0.05)
        else:
            hole = to_edge((lon + 180) % 360, -lat)[2]
            wanted = (far <= radius) & ~hole
            check(stores, f"1=CONTAINS(s_region, {circle})", wanted, np.abs(far - radius) < 0.05)


@pytest.fixture(scope="session")
def stores(request, sqlite_store):
    from tests import postgres as server

    has_other = server.lacking("pg_sphere") is None
    return [sqlite_store, *([request.getfixturevalue("postgres_store")] if has_other else [])]


def test_uploaded_circles_find_what_constant_ones_find(store):
    circles = [(float(n), 36.0 * n % 360, 90.0 - 18.0 * n, 5.0) for n in range(11)]
    columns = tuple(Column(name, "double", "") for name in ("id", "ra", "dec", "r"))
    text = (
        "SELECT c.id, o.dp_id FROM tap_upload.circles AS c JOIN ivoa.obscore AS o ON "
        "1=CONTAINS(POINT('ICRS', o.s_ra, o.s_dec), CIRCLE('ICRS', c.ra, c.dec, c.r))"
    )
    uploads = {"circles": query.Uploaded(columns, circles)}
    with query.run(store, text, "", 100_000, uploads=uploads) as (_, found):
        pairs = {(number, name) for number, name in found}
    wanted = {(n, name) for n, ra, dec, r in circles for name in NAMES[distances(ra, dec) <= r]}
    assert pairs == wanted
    assert len(wanted) > 50


def test_geometry_has_values(store):
    (row,) = query.rows(
        store,
        "SELECT TOP 1 COORD1(POINT('ICRS', s_ra, s_dec)) AS a, AREA(CIRCLE('ICRS', 1, 2, 1)) AS b, s_ra, "
        "AREA(s_region) AS c, CONTAINS(POINT('ICRS', s_ra, s_dec), s_region) AS d, ROUND(-2.5) AS e, "
        "MOD(7, 3) AS f, LOG(EXP(2)) AS g, "
        "DISTANCE(POINT('ICRS', 0, 0), POINT('ICRS', 0, 60)) AS h, POINT('ICRS', 1, 2) AS p "
        "FROM ivoa.obscore WHERE dp_id = 'HAWKI.00000007'",
    )
    assert row["a"] == row["s_ra"]
    assert row["b"] == pytest.approx(np.pi, rel=1e-3)
    assert 1e-5 < row["c"] < 5
    assert (row["d"], row["e"], row["f"]) == (1, -3.0, 1.0)
    assert row["g"] == pytest.approx(2.0)
    assert row["h"] == pytest.approx(60.0)
    assert row["p"].startswith("POINT ICRS 1")


@pytest.mark.parametrize("text", [
    "SELECT filter, COUNT(*) AS n, AVG(t_exptime) AS t, SUM(ob_id) AS s FROM ivoa.obscore GROUP BY filter",
    "SELECT TOP 3 dp_id FROM ivoa.obscore WHERE target_name LIKE 'target 1%' AND NOT ob_id IN (1) ORDER BY dp_id",
    "SELECT dp_id FROM ivoa.obscore WHERE target_name LIKE 'TARGET%'",
    "SELECT q.dp_id FROM (SELECT dp_id, s_region FROM ivoa.obscore) AS q "
    "WHERE 1=CONTAINS(POINT('ICRS', 0, 89.9), q.s_region)",
    "WITH a AS (SELECT ob_id FROM ivoa.obscore WHERE ob_id < 3) SELECT COUNT(*) AS n FROM a JOIN a AS b USING (ob_id)",
    "SELECT column_name, \"size\" FROM tap_schema.columns WHERE table_name = 'ivoa.obscore' ORDER BY column_index",
    "SELECT dp_id FROM ivoa.obscore WHERE ob_id = 1 UNION SELECT dp_id FROM ivoa.obscore WHERE ob_id = 2",
    "SELECT CASE WHEN ob_id > 3 THEN 'a' ELSE 'b' END AS x, COUNT(*) AS n FROM ivoa.obscore GROUP BY "
    "CASE WHEN ob_id > 3 THEN 'a' ELSE 'b' END ORDER BY x",
])  # fmt: skip
def test_both_databases_answer_alike(stores, text):
    answers = [sorted(map(str, query.rows(store, text))) for store in stores]
    assert all(each == answers[0] for each in answers)


@pytest.mark.parametrize("text", [
    "DROP TABLE products", "DELETE FROM products", "UPDATE products SET dp_id = ''", "SELECT 1; SELECT 2", "",
    "SELECT pg_sleep(9) FROM ivoa.obscore", "SELECT load_extension('x') FROM ivoa.obscore", "SELECT * FROM products",
    "SELECT * FROM sqlite_master", "SELECT * FROM jobs", "SELECT * FROM pg_catalog.pg_user", "PRAGMA table_list",
    "SELECT * FROM ivoa.obscore FOR UPDATE", "SELECT * INTO x FROM ivoa.obscore", "SELECT path FROM ivoa.obscore",
    "SELECT rid FROM ivoa.obscore", "SELECT CAST(dp_id AS regclass) FROM ivoa.obscore",
    "SELECT (SELECT path FROM products) FROM ivoa.obscore", "INSERT INTO tap_schema.keys VALUES ('a')",
    "SELECT current_user FROM ivoa.obscore", "SELECT $$a$$ FROM ivoa.obscore", "SELECT x'ff' FROM ivoa.obscore",
    "SELECT dp_id FROM ivoa.obscore, LATERAL (SELECT 1) AS b", "ATTACH DATABASE 'x' AS y", "SELECT @@version",
    "SELECT " + "(" * 500 + "1" + ")" * 500, "SELECT CIRCLE('ICRS', 1, 2, -1) FROM ivoa.obscore",
    "SELECT CIRCLE('GALACTIC', 1, 2, 1) FROM ivoa.obscore", "EXPLAIN SELECT * FROM ivoa.obscore",
])  # fmt: skip
def test_other_queries_are_refused(sqlite_store, text):
    with pytest.raises(QueryError):
        query.rows(sqlite_store, text)


def test_connections_cannot_write(store):
    """Even SQL that the translator would let through could not write."""
    from elvis_cli.archive.adql import Translation

    session = query._sqlite if store.is_sqlite else query._postgres
    for sql in ("DELETE FROM products", "CREATE TABLE x (y INTEGER)", "SELECT path FROM jobs", "DROP TABLE jobs"):
        with pytest.raises(QueryError), session(store, Translation(sql, (), None), {}, 5.0, query.Cancel()) as found:
            list(found)
    assert store.count() == 600


def test_a_query_ends_at_its_deadline(store):
    text = "SELECT COUNT(*) AS n FROM ivoa.obscore AS a, ivoa.obscore AS b, ivoa.obscore AS c, ivoa.obscore AS d"
    with pytest.raises(query.DeadlineError), query.run(store, text, "", 10, deadline=0.3) as (_, found):
        list(found)


def test_an_unknown_name_is_told_with_the_nearest(sqlite_store):
    with pytest.raises(QueryError, match="did you mean target_name"):
        query.rows(sqlite_store, "SELECT target_nam FROM ivoa.obscore")
    with pytest.raises(QueryError, match=r"did you mean ivoa\.obscore"):
        query.rows(sqlite_store, "SELECT * FROM ivoa.obscor")


def test_nonsense_is_refused_or_answered(sqlite_store):
    for text in measure.bad_queries(300):
        with suppress(QueryError), query.run(sqlite_store, text, "", 10, deadline=2.0) as (_, found):
            list(found)
    assert sqlite_store.count() == 600


def test_a_name_with_a_nul_is_of_no_product(store):
    assert store.find(dp_id="HAWKI\0") == []
    assert len(store.find(dp_id="HAWKI.00000001")) == 1
