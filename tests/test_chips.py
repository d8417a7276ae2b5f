"""Chip files: every figure with its source, clear refusals, and the model beside published measurements."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from snnface.errors import InputError
from snnface.hardware.placing import pilotnet
from snnface.hardware.placing.chip import chip_names, load_chip
from snnface.hardware.profiling.energy import missing

LOIHI1 = files("snnface.hardware").joinpath("chips", "loihi1.toml").read_text(encoding="utf-8")


def test_the_chips_that_come_along():
    assert {"loihi1", "loihi2", "spinnaker2", "speck", "xylo", "akida", "cpu", "gpu", "cmos45"} <= set(chip_names())


@pytest.mark.parametrize("name", chip_names())
def test_every_figure_has_a_source(name):
    chip = load_chip(name)
    assert chip.name == name
    figures = dict(chip.figures())
    assert figures
    assert all(len(figure.source) >= 10 for figure in figures.values())
    assert "not a measurement" in chip.model or "not published" in chip.model or "published" in chip.model
    numbers = _numbers(tomllib.loads(files("snnface.hardware").joinpath("chips", f"{name}.toml").read_text("utf-8")))
    assert numbers == [], "a number stands without a source beside it"


def _numbers(table: dict, path: str = "") -> list[str]:
    """Fields that are bare numbers, outside a table with its own source."""
    found = []
    for key, value in table.items():
        if key == "memories":
            assert len(table["memories_source"]) >= 10
        elif isinstance(value, dict):
            found += [] if "source" in value and "value" in value else _numbers(value, f"{path}{key}.")
        elif isinstance(value, list):
            found += [f"{path}{key}" for row in value if "source" not in row]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append(f"{path}{key}")
    return found


def test_loihi_2_says_that_its_energies_are_assumed():
    chip = load_chip("loihi2")
    assert "no energy per operation is published" in chip.model
    assert "assumed as Loihi 1" in chip.energy_pj.synop.source
    assert missing(chip) == []


@pytest.mark.parametrize("name", ["speck", "xylo", "akida", "cpu", "gpu", "cortex_a"])
def test_chips_without_published_energies_have_none(name):
    assert "energy_pj.synop" in missing(load_chip(name))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "loihi1"', "name = ", "is not valid TOML"),
        ("layer_lag = true\n", "", "field layer_lag: Field required"),
        ("layer_lag = true", "layer_lag = true\ncolour = 3", "field colour: Extra inputs"),
        ("value = 23.6, high = 35.5", "value = -1", "greater than or equal to 0"),
        ("value = 23.6, high = 35.5", "value = 23.6, high = 2.0", "not in order"),
        ('static_mw]\nvalue = 104.0\nsource = "derived', 'static_mw]\nvalue = 104.0\n# "derived',
         "field static_mw.source: Field required"),
        ('method = "count"', 'method = "luck"', "field core.method"),
        ('method = "count"', 'method = "layers"', "needs memories"),
        ('kind = "neuromorphic"', 'kind = "toaster"', "field kind"),
    ],
)  # fmt: skip
def test_a_chip_of_ones_own_is_checked_field_by_field(tmp_path, old, new, says):
    path = tmp_path / "own.toml"
    path.write_text(LOIHI1, encoding="utf-8")
    assert load_chip(str(path)).title == load_chip("loihi1").title
    assert old in LOIHI1
    path.write_text(LOIHI1.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_chip(str(path))
    assert says in str(error.value)
    assert str(path) in str(error.value)


def test_unknown_chips_and_files_that_are_no_text(tmp_path):
    with pytest.raises(InputError, match="chip loihi9: is unknown"):
        load_chip("loihi9")
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load_chip(str(tmp_path / "x.toml"))


def test_pilotnet_on_loihi_2_beside_its_measurement():
    """74 cores, 408.91 inferences/s, 1.661 mJ (1.094 dynamic): what the model gives, within stated factors."""
    rows = {row["what"]: row for row in pilotnet.compare()["rows"]}
    assert rows["cores"]["model"] == rows["cores"]["measured"] == 74
    for what, row in rows.items():
        assert row["factor"] == pytest.approx(row["model"] / row["measured"])
        if "energy" in what:
            assert 1 / 1.5 < row["factor"] < 1.5
    assert pilotnet.MEASURED["total_mj"] == pytest.approx(
        pilotnet.MEASURED["total_w"] / pilotnet.MEASURED["inferences_per_s"] * 1e3, rel=1e-3
    )
    assert pilotnet.compare()["synops_an_inference"] == pytest.approx(48_563_380 / 24 * 16 * 1.5, rel=0.02)


def test_the_chip_s_text_states_the_distance_from_the_measurement():
    assert f"{pilotnet.compare()['energy_factor']:.2f} times the dynamic energy" in load_chip("loihi2").model


def test_pilotnet_has_the_shapes_that_the_tutorial_prints():
    shapes = [layer.shape_out for layer in pilotnet.network().layers]
    assert shapes[:5] == [(24, 32, 99), (36, 15, 49), (48, 7, 24), (64, 4, 22), (64, 2, 20)]
    assert [s[0] for s in shapes[5:]] == [100, 50, 10, 1]
