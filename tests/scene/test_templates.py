from pathlib import Path

import numpy as np
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.request import parse
from elvis_cli.scene import bands, templates
from elvis_cli.scene.stars import STARS, USABLE, WRONG_INFRARED, nearest, nearest_type
from tests.each import each

DATA = Path(bands.__file__).parents[1] / "data"
INDEX = np.load(DATA / "spectra_index.npy")

# The selects id0Sel and id1Sel of the ETC's forms, the same on every page.
FORM_TEFF = (*range(3000, 4001, 100), *range(4250, 8001, 250))
FORM_LOGG = ("3.0", "3.5", "4.0", "4.5", "5.0")


def colour(choice, blue, red):
    """Vega colour in bands whose zero points are Vega's own."""
    template = templates.load(*choice, 0.1, 40.0)
    mags = []
    for name in (blue, red):
        band = bands.load(name)
        mags.append(
            -2.5 * np.log10(band.integral(template.wave, template.flux * template.wave) / band.zero_point("vega"))
        )
    return mags[0] - mags[1]


def test_forms_ids_are_in_the_catalogues():
    assert {f"{t}:{g}" for t in FORM_TEFF for g in FORM_LOGG} == set(templates.CATALOGS["MARCS"])
    assert set(templates.CATALOGS) == {"MARCS", "PHOENIX", "SWIRE", "Kinney", "Kurucz", "Pickles", "Various"}


def test_every_id_has_a_shipped_spectrum():
    held = set(INDEX["name"].tolist())
    for catalog, ids in templates.CATALOGS.items():
        for name in ids:
            assert templates.find(catalog, name).key in held
    assert {n.removeprefix("Pickles/") for n in held if n.startswith("Pickles/")} == set(STARS)
    for name in held:
        if name.startswith("COSMOS/"):
            assert templates.find("SWIRE", name.removeprefix("COSMOS/")).notes == ()


@each("name", INDEX["name"].tolist())
def test_spectra_are_sound(name):
    wave, flux = bands.table(name)
    assert (np.diff(wave) > 0).all()
    assert np.isfinite(flux).all()
    assert (flux >= 0).all()
    assert flux[0] > 0
    assert flux[-1] > 0
    if name != "Vega":
        assert flux.mean() == pytest.approx(1.0, rel=1e-4)


@each("path", sorted((Path(__file__).parents[1] / "data" / "etc").glob("*.json")))
def test_real_requests_name_known_spectra(path):
    target = parse.read(path.read_text()).target
    assert target.brightness.band in bands.NAMES
    if target.sed.kind == "template":
        templates.find(target.sed.catalog, target.sed.id)


@each(
    ("catalog", "name", "key"),
    [
        ("MARCS", "5750:4.5", "Pickles/G2V"),
        ("MARCS", "4500:3.0", "Pickles/K3IV"),
        ("MARCS", "8000:4.5", "Pickles/A5V"),
        ("PHOENIX", "12000:4.0", "Pickles/B8V"),
        ("PHOENIX", "4000:0.0", "Pickles/K4I"),
        ("MARCS", "3500:5.0", "BT-Settl/3500:4.5"),
        ("MARCS", "3000:3.0", "BT-Settl/3000:3.5"),
        ("Pickles", "G:2:V", "Pickles/G2V"),
        ("Pickles", "Pickles_A0V", "Pickles/A0V"),
        ("Kurucz", "B:8:V", "Pickles/B8V"),
        ("Pickles", "K:8:V", "Pickles/K7V"),
        ("SWIRE", "Spiral c", "COSMOS/Sc_A_0"),
        ("SWIRE", "Sc", "COSMOS/Sc_A_0"),
        ("Kinney", "Starburst Galaxy 6", "Kinney/starburst6"),
        ("Various", "HII region (Orion)", "Various/orion"),
    ],
)
def test_choices(catalog, name, key):
    assert templates.find(catalog, name).key == key


def test_what_is_replaced_is_said():
    assert templates.find("MARCS", "5750:4.5").notes == (
        "template MARCS 5750:4.5 is not available offline: nearest is Pickles G2V (5770 K, log g 4.44)",
    )
    assert "Pickles G2V" in templates.find("Kurucz", "G:2:V").notes[0]
    assert "ngc1068" in templates.find("SWIRE", "AGN Torus").notes[0]
    assert templates.find("Pickles", "G:2:V").notes == ()
    assert templates.find("SWIRE", "Spiral a").notes == ()


@each(
    ("catalog", "name", "pointer", "meant"),
    [
        ("MARKS", "5750:4.5", "catalog", "MARCS"),
        ("SWIRE", "Spiral d", "id", "Spiral dm"),
        ("MARCS", "5750-4.5", "id", "5750:4.5"),
        ("MARCS", "100:4.5", "id", None),
        ("Pickles", "H:2:V", "id", None),
        ("Various", "", "id", None),
    ],
)
def test_unknown_templates(catalog, name, pointer, meant):
    with pytest.raises(RequestError) as error:
        templates.find(catalog, name)
    assert error.value.details["pointer"] == f"/target/sed/spectrum/params/{pointer}"
    if meant:
        assert error.value.details["nearest"] == meant


@pytest.mark.parametrize(
    ("choice", "blue", "red", "published", "tolerance"),
    [  # Pecaut & Mamajek 2013 (V - Ks, B - V of dwarfs), Bessell & Brett 1988 (giant)
        (("Pickles", "A0V"), "4MOST_Johnson_B", "4MOST_Johnson_V", 0.0, 0.04),
        (("Pickles", "A0V"), "4MOST_Johnson_V", "VISTA_Ks", 0.04, 0.1),
        (("MARCS", "5750:4.5"), "4MOST_Johnson_B", "4MOST_Johnson_V", 0.65, 0.05),
        (("MARCS", "5750:4.5"), "4MOST_Johnson_V", "VISTA_Ks", 1.56, 0.12),
        (("Pickles", "K5V"), "4MOST_Johnson_V", "VISTA_Ks", 2.73, 0.2),
        (("MARCS", "3200:5.0"), "4MOST_Johnson_V", "VISTA_Ks", 5.1, 0.6),
        (("Pickles", "K5III"), "4MOST_Johnson_V", "VISTA_Ks", 3.6, 0.2),
    ],
)
def test_colours(choice, blue, red, published, tolerance):
    assert colour(choice, blue, red) == pytest.approx(published, abs=tolerance)


@pytest.mark.parametrize("choice", [("MARCS", "5750:4.5"), ("MARCS", "8000:4.0"), ("MARCS", "3400:4.5")])
def test_a_star_goes_on_as_a_black_body(choice):
    template = templates.load(*choice, 0.08, 25.0)
    assert template.wave[0] <= 0.08
    assert template.wave[-1] >= 25.0
    assert np.allclose(np.diff(np.log(template.wave)), np.diff(np.log(template.wave))[0])
    assert "black body" in template.notes[-1]
    slope = np.polyfit(np.log(template.wave[-500:]), np.log(template.flux[-500:]), 1)[0]
    assert slope == pytest.approx(-4.0, abs=0.15)  # Rayleigh-Jeans
    # No step where the black body takes over.
    (row,) = INDEX[INDEX["name"] == templates.find(*choice).key]
    end = (row["first"] + row["length"] - 1) / row["density"]
    k = np.abs(np.log(template.wave) - end).argmin()
    before, after = template.flux[k - 10 : k + 1], template.flux[k + 1 : k + 12]
    assert after.mean() / before.mean() == pytest.approx(1.0, abs=0.1)


@each(("kind", "held"), [("B1V", "B1V"), ("B6V", "B57V"), ("A5II", "A5III"), ("M8V", "M6V"), ("Q2V", None)])
def test_nearest_type(kind, held):
    assert nearest_type(kind) == held


def test_nearest_star_is_itself():
    for kind in USABLE:
        temperature, gravity = STARS[kind]
        assert STARS[nearest(temperature, gravity)] == (temperature, gravity), kind


@pytest.mark.parametrize("kind", ["G0IV", "K0IV", "K1IV"])
def test_types_with_a_wrong_infrared_are_not_the_nearest_but_have_their_names(kind):
    assert nearest(*STARS[kind]) != kind
    assert nearest_type(kind) == kind
    assert nearest_type("K0.5IV") not in WRONG_INFRARED


def test_every_table_has_a_provenance():
    text = (DATA / "PROVENANCE.md").read_text()
    for path in [*DATA.glob("*.npy"), *DATA.glob("*.npz")]:
        assert path.name in text
