"""Plan, split, combine and catalog: together they give what the whole request gives."""

import json
from typing import ClassVar

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.focalplane.geometry import field_to_pixel, pixel_to_field
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from elvis_cli.survey import catalog, split
from elvis_cli.survey import plan as plans

WINDOW = {"x0": 300, "y0": 400, "nx": 48, "ny": 32}


def parts(elvis, document, tmp_path, *options):
    """Split a document, render each line; return the files."""
    made = elvis("split", *options, stdin=json.dumps(document))
    assert made.code == 0
    files = []
    for n, line in enumerate(made.out.decode().splitlines()):
        files.append(tmp_path / f"part{n}.fits")
        assert elvis("-o", str(files[-1]), stdin=line).code == 0
    return files


@pytest.mark.parametrize(
    "block",
    [{"chips": "all", "seed": 5}, {"chips": [2, 7, 9]}, {"chips": "all", "offset": [3.0, 4.0], "truth": True}],
)
def test_split_and_combine_are_the_whole_byte_for_byte(elvis, micado, tmp_path, block):
    document = micado({"elvis": {"window": WINDOW, **block}, "output": {"snr": {"snr": True}}})
    files = parts(elvis, document, tmp_path)
    whole = elvis(stdin=json.dumps(document))
    together = elvis("combine", *map(str, reversed(files)))
    assert together.code == 0
    assert together.out == whole.out


def test_a_request_that_names_no_chips(elvis, tmp_path):
    document = registry.load("fors").example()
    document = {**document, "elvis": {"window": WINDOW}}
    files = parts(elvis, document, tmp_path)
    assert len(files) == 2
    assert elvis("combine", *map(str, files)).out == elvis(stdin=json.dumps(document)).out


def test_a_catalogue_with_all_of_its_sources(elvis, fors, tmp_path):
    rng = np.random.default_rng(1)
    stars = {key: rng.uniform(-200, 200, 40).round(3).tolist() for key in ("x", "y")}
    stars |= {"mag": [18.0] * 40, "id": list(range(100, 140))}
    document = fors({"elvis": {"window": WINDOW, "chips": "all", "catalogue": stars}})
    files = parts(elvis, document, tmp_path, "--margin", "1000")
    (tmp_path / "together.fits").write_bytes(elvis("combine", *map(str, files)).out)
    (tmp_path / "whole.fits").write_bytes(elvis(stdin=json.dumps(document)).out)
    with fits.open(tmp_path / "together.fits", checksum=True) as one, fits.open(tmp_path / "whole.fits") as other:
        assert [hdu.name for hdu in one] == [hdu.name for hdu in other]
        for a, b in zip(one[1:-1], other[1:-1], strict=True):
            assert np.array_equal(a.data, b.data), a.name


def test_every_chip_of_a_spectrograph_sees_all_sources(elvis, tmp_path):
    document = registry.load("crires2").example()
    stars = {"x": [0.0, 0.1, 8.0], "y": [0.0, 3.0, 0.0], "mag": [8.0, 9.0, 9.0]}
    window = {"x0": 900, "y0": 1000, "nx": 64, "ny": 48}
    document["elvis"] = {"window": window, "chips": "all", "catalogue": stars, "wavemap": True}
    files = parts(elvis, document, tmp_path)
    assert len(files) == 3
    assert elvis("combine", *map(str, files)).out == elvis(stdin=json.dumps(document)).out
    document["elvis"] |= {"chips": [3], "mosaic": [1, 2, 3], "catalogue": {**stars, "mag": [9.0, 9.0, 9.0]}}
    assert elvis("-o", str(files[2]), stdin=json.dumps(document)).code == 0
    refused = elvis("combine", "--allow-missing", *map(str, files[::2]))
    assert (refused.code, refused.out) == (65, b"")
    assert "/elvis/catalogue: the parts have different sources" in refused.err


def test_quadrants(elvis, tmp_path):
    document = registry.load("euclid-vis").example()
    window = {"x0": 2030, "y0": 2040, "nx": 40, "ny": 50}
    document = {**document, "elvis": {"window": window, "chips": [66, 11, 34], "offset": [211, 239]}}
    files = parts(elvis, document, tmp_path)
    together, whole = elvis("combine", *map(str, files)), elvis(stdin=json.dumps(document))
    assert together.out == whole.out


def test_chips_whose_extensions_have_an_order_of_their_own(elvis, tmp_path):
    document = registry.load("hawki").example()
    document["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}, "chips": "all"}
    files = parts(elvis, document, tmp_path)
    assert elvis("combine", *map(str, files)).out == elvis(stdin=json.dumps(document)).out


class TestMissing:
    @pytest.fixture(scope="class")
    @staticmethod
    def files(tmp_path_factory):
        folder = tmp_path_factory.mktemp("parts")
        document = registry.load("euclid-vis").example()
        window = {"x0": 2030, "y0": 2040, "nx": 40, "ny": 50}
        document = {**document, "elvis": {"window": window, "chips": [11, 12], "offset": [211, 239]}}
        made = []
        for n, part in enumerate(split.split(parse.read(json.dumps(document)))):
            made.append(folder / f"{n}.fits")
            with made[-1].open("wb") as out:
                pipeline.render(parse.read(json.dumps(part)), out)
        return made

    def test_a_detector(self, elvis, files):
        result = elvis("combine", str(files[0]))
        assert result.code == 69
        assert "missing: 1-2 " in result.err
        assert result.out == b""

    def test_it_may_be(self, elvis, files, tmp_path):
        result = elvis("combine", str(files[1]), "--allow-missing", "-o", str(tmp_path / "some.fits"))
        assert result.code == 0
        assert "missing: 1-1" in result.err
        with fits.open(tmp_path / "some.fits") as hdus:
            assert [hdu.name for hdu in hdus if "QUADID" in hdu.header] == [f"1-2.{q}" for q in "EFGH"]

    def test_a_damaged_file_is_not_copied(self, elvis, files, tmp_path):
        data = bytearray(files[0].read_bytes())
        with fits.open(files[0]) as hdus:
            data[hdus[1].fileinfo()["datLoc"] + 100] ^= 1
        (tmp_path / "damaged.fits").write_bytes(data)
        result = elvis("combine", str(tmp_path / "damaged.fits"), str(files[1]))
        assert result.code == 65
        assert "has a wrong checksum" in result.err

    def test_a_file_without_checksums_is_no_damage(self, elvis, files, tmp_path):
        bare, whole, together = (tmp_path / name for name in ("bare.fits", "whole.fits", "together.fits"))
        with fits.open(files[0]) as hdus:
            for hdu in hdus:
                hdu.header.remove("CHECKSUM")
                hdu.header.remove("DATASUM")
            hdus.writeto(bare)
        result = elvis("combine", str(bare), str(files[1]), "-o", str(together))
        assert result.code == 0
        assert "bare.fits has no checksum of 1-1.E" in result.err
        assert elvis("combine", *map(str, files), "-o", str(whole)).code == 0
        with fits.open(together) as one, fits.open(whole) as other:
            images = [hdu.name for hdu in other if "QUADID" in hdu.header]
            assert [hdu.name for hdu in one if "QUADID" in hdu.header] == images
            assert all(np.array_equal(one[name].data, other[name].data) for name in images)

    def test_a_quadrant(self, elvis, files, tmp_path):
        with fits.open(files[1]) as hdus:
            del hdus["1-2.G"]
            hdus.writeto(tmp_path / "three.fits", checksum=True)
        result = elvis("combine", str(files[0]), str(tmp_path / "three.fits"))
        assert result.code == 69
        assert "missing: 1-2.G " in result.err

    def test_a_detector_twice(self, elvis, files):
        result = elvis("combine", str(files[0]), str(files[1]), str(files[0]))
        assert result.code == 65
        assert "both hold 1-1.E" in result.err

    def test_parts_of_different_requests(self, elvis, files, tmp_path):
        text = json.loads(
            elvis("split", stdin=json.dumps({"instrumentName": "micado", "elvis": {"window": WINDOW}})).out
        )
        other = tmp_path / "other.fits"
        assert elvis("-o", str(other), stdin=json.dumps(text)).code == 0
        result = elvis("combine", str(files[0]), str(other))
        assert result.code == 65
        assert "are not parts of one request" in result.err

    @pytest.mark.parametrize("cut", [100, 5000])
    def test_damaged(self, elvis, files, tmp_path, cut):
        (tmp_path / "short.fits").write_bytes(files[0].read_bytes()[:cut])
        result = elvis("combine", str(tmp_path / "short.fits"))
        assert result.code == 65
        assert "short.fits" in result.err

    def test_no_file(self, elvis, tmp_path):
        assert elvis("combine", str(tmp_path / "none.fits")).code == 69


class TestSources:
    """Which sources of a catalogue a detector is sent."""

    @pytest.fixture(scope="class")
    @staticmethod
    def setup():
        return pipeline.configure(parse.read(json.dumps(registry.load("euclid-vis").example())))

    def sent(self, pixels, setup, margin=None, **columns):
        x, y = zip(*(pixel_to_field(setup, setup.detector.chip(34), *p) for p in pixels), strict=True)
        document = registry.load("euclid-vis").example()
        catalogue = {"x": list(x), "y": list(y), "mag": [20.0] * len(x), **columns}
        document = {**document, "elvis": {"chips": [34, 11], "catalogue": catalogue}}
        blocks = [part["elvis"] for part in split.split(parse.read(json.dumps(document)), margin)]
        sent = {block["chips"][0]: block["catalogue"]["id"] for block in blocks}
        return sent[34], sent[11]

    def test_margin(self, setup):
        pixels = [(2000, 2000), (-99, 10), (-101, 10), (4195, 4231), (4197, 10), (10, 4233)]
        assert self.sent(pixels, setup, 10.0)[0] == [0, 1, 3]
        assert self.sent(pixels, setup)[0] == [0, 1, 2, 3, 4, 5]

    def test_a_galaxy_reaches_farther(self, setup):
        pixels = [(2000, 2000), (-300, 10), (-300, 20)]
        assert self.sent(pixels, setup, 10.0, radius=[0.0, 8.0, 1.0])[0] == [0, 1]

    def test_the_nearest_goes_where_there_is_none(self, setup):
        assert self.sent([(2000, 2000), (5, 5)], setup)[1] in ([0], [1])

    def test_numbers_are_kept(self, setup):
        assert self.sent([(2000, 2000), (9000, 10)], setup, 1.0, id=[17, 5])[0] == [17]

    def test_every_source_goes_somewhere_and_none_is_lost(self):
        """The union is all that falls on the focal plane."""
        document = registry.load("euclid-vis").example()
        rng = np.random.default_rng(3)
        columns = {"x": rng.uniform(-1300, 1300, 2000), "y": rng.uniform(-1450, 1450, 2000), "mag": np.full(2000, 20.0)}
        catalogue = {key: values.tolist() for key, values in columns.items()}
        document = {**document, "elvis": {"chips": "all", "catalogue": catalogue}}
        request = parse.read(json.dumps(document))
        setup = pipeline.configure(request)
        ids = [set(np.asarray(parse.read(json.dumps(d)).elvis.catalogue.id)) for d in split.split(request, 0.0)]
        inside = set()
        for chip, got in zip(setup.detector.chips, ids, strict=True):
            x, y = field_to_pixel(setup, chip, columns["x"], columns["y"])
            here = (x > -0.5) & (x < 4095.5) & (y > -0.5) & (y < 4131.5)
            assert set(np.flatnonzero(here)) <= got
            inside |= got
        assert len(inside) == sum(map(len, ids))  # without a margin none goes to two


class TestPlan:
    SURVEY: ClassVar = {
        "pointings": [{"ra": 53.1, "dec": -27.8, "position_angle": 30, "name": "A"}, {"ra": 10, "dec": 5}],
        "dithers": [[0, 0], [50, 100]],
        "exposures": [
            {"name": "long"},
            {"name": "short", "request": {"instrument": {"ins_configuration": "img_short"}, "timesnr": None}},
        ],
        "start": "2026-11-20T00:00:00",
        "overhead": 100,
    }

    def made(self, **changes):
        document = registry.load("euclid-vis").example()
        return list(plans.plan(json.dumps({"request": document, "survey": {**self.SURVEY, **changes}})))

    def test_one_for_each_exposure_of_each_dither_of_each_pointing(self):
        made = self.made()
        assert len(made) == 8
        assert [d["elvis"]["exposure"] for d in made] == list(range(1, 9))
        assert [d["instrument"]["ins_configuration"] for d in made[:4]] == ["img_long", "img_short"] * 2
        assert {(d["elvis"]["window"], d["elvis"]["chips"]) for d in made} == {("full", "all")}
        assert made[1]["sky"]["almanac"]["targetName"] == "A short"

    def test_each_configures_for_the_whole_focal_plane(self):
        for document in self.made():
            assert len(pipeline.configure(parse.read(json.dumps(document), strict=True)).frame.chips) == 36

    def test_dates_follow_the_exposures(self):
        assert [d["elvis"]["date"][11:] for d in self.made()[:4]] == [
            "00:00:00.000", "00:11:00.520", "00:14:10.040", "00:25:10.560",
        ]  # fmt: skip

    def test_a_start_in_another_time_zone_is_brought_to_utc(self):
        assert self.made(start="2026-11-20T06:00:00+04:00")[0]["elvis"]["date"] == "2026-11-20T02:00:00.000"

    def test_dithers_are_in_the_field(self):
        """50 arcsec along +x and 100 along +y, which is turned by 30 deg to the East."""
        first, dithered = (self.made()[n]["elvis"]["pointing"] for n in (0, 2))
        east = (dithered["ra"] - first["ra"]) * 3600 * np.cos(np.radians(27.8))
        north = (dithered["dec"] - first["dec"]) * 3600
        assert east == pytest.approx(-50 * np.cos(np.pi / 6) + 100 * np.sin(np.pi / 6), abs=0.05)
        assert north == pytest.approx(50 * np.sin(np.pi / 6) + 100 * np.cos(np.pi / 6), abs=0.05)

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"pointings": []}, "/survey/pointings"),
            ({"pointings": [{"ra": 1}]}, "/survey/pointings/0/dec"),
            ({"pointings": [{"ra": 1, "dec": 2, "pa": 3}]}, "/survey/pointings/0/pa"),
            ({"dithers": [[0, 0], [1]]}, "/survey/dithers/1"),
            ({"dithers": [[0, "1"]]}, "/survey/dithers/0/1"),
            ({"exposures": {"name": "long"}}, "/survey/exposures"),
            ({"start": "soon"}, "/survey/start"),
            ({"tiles": []}, "/survey/tiles"),
        ],
    )
    def test_what_is_wrong(self, changes, pointer):
        with pytest.raises(RequestError) as caught:
            self.made(**changes)
        assert caught.value.details["pointer"] == pointer

    def test_the_pipe(self, elvis):
        document = {"request": registry.load("euclid-vis").example(), "survey": self.SURVEY}
        planned = elvis("plan", stdin=json.dumps(document))
        assert planned.code == 0
        lines = elvis("split", stdin=planned.out).out.splitlines()
        assert len(lines) == 8 * 36
        chips = [json.loads(line)["elvis"]["chips"][0] for line in lines]
        assert chips[:36] == [10 * r + c for r in range(1, 7) for c in range(1, 7)]


class TestCatalog:
    @pytest.fixture
    @staticmethod
    def files(tmp_path):
        stars = Table({"ra": [10.0, 11.0], "dec": [1.0, 2.0], "mag": [18.2, 21.9], "temperature": [5000.0, 6000.0]})
        galaxies = Table(
            {"RA": [10.5, 10.6, 10.7], "DEC": [1.0, 1.0, 1.0], "mag": [21.1, 24.0, 24.5], "radius": [0.5, 0.3, 0.2]}
        )
        stars.write(tmp_path / "stars.fits")
        galaxies.write(tmp_path / "galaxies.csv")
        return tmp_path / "stars.fits", tmp_path / "galaxies.csv"

    @pytest.mark.parametrize("name", ["all.fits", "all.ecsv"])
    def test_it_is_all_of_both(self, elvis, files, tmp_path, name):
        result = elvis("catalog", *map(str, files), "-o", str(tmp_path / name))
        assert result.code == 0
        table = Table.read(tmp_path / name)
        assert len(table) == 5
        assert table["id"].tolist() == [0, 1, 2, 3, 4]
        assert table["radius"].tolist() == [0, 0, 0.5, 0.3, 0.2]
        assert table["temperature"].tolist() == [5000, 6000, 0, 0, 0]
        assert str(table["radius"].unit) == "arcsec"
        assert "stars.fits: 2 stars, 0 galaxies" in result.err
        assert "in all 5 sources" in result.err

    def test_the_histogram_is_kept(self, files, tmp_path):
        columns, summary, _ = catalog.merge(files)
        assert summary["total"] == {"stars": 2, "galaxies": 3, "magnitudes": {"18": 1, "21": 2, "24": 2}}
        with (tmp_path / "a.fits").open("wb") as out:
            catalog.write(columns, summary, out, as_fits=True)
        header = fits.getheader(tmp_path / "a.fits", "CATALOGUE")
        assert (header["NSTARS"], header["NGALAXY"], header["NMAG21"], header["NMAG24"]) == (2, 3, 2, 2)

    def test_it_is_a_catalogue_again(self, elvis, files, tmp_path):
        merged = tmp_path / "all.ecsv"
        merged.write_bytes(elvis("catalog", *map(str, files)).out)
        document = registry.load("euclid-vis").example()
        document = {**document, "elvis": {"window": {"x0": 0, "y0": 0, "nx": 32, "ny": 32}}}
        out = tmp_path / "out.fits"
        asked = ("--catalogue", str(merged), "--ra", "10.5", "--dec", "1.0", "-o", str(out))
        assert elvis(*asked, stdin=json.dumps(document)).code == 0

    def test_numbers_are_kept_if_they_can_be(self, tmp_path):
        for n, ids in enumerate(([5, 7], [1, 2])):
            Table({"x": [0.0, 1.0], "y": [0.0, 1.0], "mag": [20.0, 20.0], "id": ids}).write(tmp_path / f"{n}.ecsv")
        files = [tmp_path / "0.ecsv", tmp_path / "1.ecsv"]
        assert catalog.merge(files)[0]["id"].tolist() == [5, 7, 1, 2]
        assert catalog.merge([files[0], files[0]])[0]["id"].tolist() == [0, 1, 2, 3]

    def test_places_must_agree(self, elvis, files, tmp_path):
        Table({"x": [0.0], "y": [0.0], "mag": [20.0]}).write(tmp_path / "xy.ecsv")
        result = elvis("catalog", str(files[0]), str(tmp_path / "xy.ecsv"))
        assert result.code == 65
        assert "xy.ecsv" in result.err
