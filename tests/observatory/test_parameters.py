"""Parameters: precedence, types, errors, hashes (scenario 12)."""

import pytest
import yaml

from elvis_cli.errors import RequestError, ResourceError, UsageError
from elvis_cli.observatory import base
from elvis_cli.observatory.example import example
from elvis_cli.observatory.parameters import Parameters, option
from elvis_cli.observatory.source import legal


def test_an_option_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("finder: {snr_threshold: 6, max_detections: 2}")
    read = Parameters.load(path, option("finder.snr_threshold=7"))
    assert (read.finder.snr_threshold, read.finder.max_detections, read.finder.snr_region) == (7.0, 2, 3.0)
    assert isinstance(read.finder.snr_threshold, float)


@pytest.mark.parametrize(
    ("table", "pointer", "words"),
    [
        ({"finder": {"snr_treshold": 5}}, "/finder/snr_treshold", "did you mean 'snr_threshold'"),
        ({"findr": {}}, "/findr", "did you mean 'finder'"),
        ({"finder": {"snr_threshold": "5"}}, "/finder/snr_threshold", "a number"),
        ({"finder": {"max_detections": 1.5}}, "/finder/max_detections", "a whole number"),
        ({"finder": {"max_detections": True}}, "/finder/max_detections", "a whole number"),
        ({"finder": {"positive_only": 1}}, "/finder/positive_only", "true or false"),
        ({"finder": {"snr_threshold": -1}}, "/finder/snr_threshold", "from 0.5"),
        ({"finder": []}, "/finder", "a mapping"),
        ({"simulator": {"kinds": ["flar"]}}, "/simulator/kinds", "did you mean 'flare'"),
        ({"simulator": {"snr": [5]}}, "/simulator/snr", "2 values"),
    ],
)
def test_wrong_parameters_are_refused(table, pointer, words):
    with pytest.raises(RequestError) as caught:
        Parameters.load(None, table)
    assert caught.value.details["pointer"] == pointer
    assert words in caught.value.message


def test_parameters_are_locked():
    with pytest.raises(AttributeError):
        Parameters().snr = 5


def test_wrong_observatories_are_refused():
    with pytest.raises(RequestError, match="did you mean 'demo'"):
        base.make("dem", {})
    with pytest.raises(RequestError, match="did you mean 'epochs'"):
        base.make("demo", {"epoch": 5})
    assert base.make("mine", {"class": "demo"}).name == "MINE"


def test_the_hash_is_of_what_results_depend_on():
    first = Parameters()
    assert first.cfg_hash == Parameters.load(None, {"output": "elsewhere", "lease": 5}).cfg_hash
    assert first.cfg_hash != Parameters.load(None, {"finder": {"snr_threshold": 6}}).cfg_hash


def test_names_are_made_legal():
    assert [legal(each) for each in ("my project", "47 Tuc", "J1+2", "J1-2")] == [
        "MY_PROJECT",
        "_47_TUC",
        "J1P2",
        "J1M2",
    ]


def test_the_example_is_all_defaults_but_for_its_flares():
    table = yaml.safe_load(example())
    read = Parameters.load(None, table)
    assert base.make_all(read)[0].parameters.flares == 0.5
    table["observatories"] = Parameters().observatories
    assert Parameters.load(None, table) == Parameters()


def test_unreadable_files_and_options_are_refused(tmp_path):
    with pytest.raises(ResourceError, match="cannot read"):
        Parameters.load(tmp_path / "no.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(RequestError, match="not YAML"):
        Parameters.load(tmp_path / "bad.yaml")
    with pytest.raises(UsageError, match="NAME=VALUE"):
        option("finder")


NESTED = ["&a [x]"] + [f"&{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"&a {x: *a}", "anchors"),
        ("\n".join(f"k{n}: {text}" for n, text in enumerate(NESTED)).encode(), "anchors"),
        (b"output: x\noutput: y", "twice"),
        (b"!!python/object/apply:os.system [id]", "tag"),
        (b"\xff\xfe\0", "not YAML"),
        (b"#" * (2 << 20), "does not end"),
    ],
)
def test_files_of_strangers_are_read_with_care(tmp_path, content, words):
    """A mapping of itself was a fault of elvis; nine levels of nine aliases took for ever."""
    (tmp_path / "run.yaml").write_bytes(content)
    with pytest.raises(RequestError, match=words):
        Parameters.load(tmp_path / "run.yaml")


def test_version_control_names_folder_and_configuration(run):
    first = run("out", {"version_control": True, "catalog": {"rows": 1}})
    first.go()
    from elvis_cli.observatory.export import export

    names = [path.name for path in export(first.project, first.store)]
    assert f"config_{first.project.parameters.cfg_hash[:8]}.yaml" in names
    assert first.folder.name == f"out_{first.project.parameters.cfg_hash[:8]}"
