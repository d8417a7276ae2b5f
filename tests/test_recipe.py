"""Recipes: every shipped one, wrong fields and overrides, and the page that lists the fields."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from snnface import training
from snnface.encoder import ConvConfig, DenseConfig
from snnface.errors import InputError
from snnface.training.recipe import Augment, Data, Losses, Network, Quantise, Recipe, Training, canonical, load

SHIPPED = sorted(p.stem for p in (Path(str(training.__file__)).parent / "recipes").glob("*.toml"))
PAGE = Path(__file__).parent.parent / "docs" / "training.md"
SECTIONS: dict[str, type[BaseModel]] = {
    "data": Data,
    "network": Network,
    "network.conv": ConvConfig,
    "network.dense": DenseConfig,
    "losses": Losses,
    "augment": Augment,
    "training": Training,
    "quantise": Quantise,
}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_is_whole(name: str) -> None:
    assert {"guided", "student", "matched_cnn"} <= set(SHIPPED)
    recipe = load(name)
    assert load(f"{name}.toml") == recipe
    assert recipe.losses.guided == (recipe.teacher is not None)
    assert (recipe.network.kind == "matched_cnn") == (name == "matched_cnn")


def test_shipped_recipes_differ_only_where_the_comparison_says() -> None:
    guided, student, cnn = (load(name) for name in ("guided", "student", "matched_cnn"))
    assert guided.network == student.network
    for one, other in zip(cnn.network.conv, student.network.conv, strict=True):
        assert (one.channels, one.kernel, one.stride) == (other.channels, other.kernel, other.stride)
    assert [d.features for d in cnn.network.dense] == [d.features for d in student.network.dense]
    for field in ("epochs", "batch"):
        assert len({getattr(r.training, field) for r in (guided, student, cnn)}) == 1
    for field in ("au", "expression"):
        assert len({getattr(r.losses, field) for r in (guided, student, cnn)}) == 1
    # Each kind of network has the balance that suits it: with the other's, the CNN does not learn its classes.
    assert guided.losses.landmarks == student.losses.landmarks


def test_overrides_change_what_they_name() -> None:
    recipe = load(
        "student",
        ["training.epochs=3", "training.lr=1e-4", "data.train=my faces.h5", "network.input_mode=unary",
         "network.conv=[{channels=4}]", "training.patience=2", "augment.flip=false"],
    )  # fmt: skip
    assert (recipe.training.epochs, recipe.training.lr, recipe.training.patience) == (3, 1e-4, 2)
    assert recipe.data.train == Path("my faces.h5")
    assert recipe.network.input_mode == "unary"
    assert recipe.network.conv == [ConvConfig(channels=4)]
    assert recipe.augment.flip is False
    assert canonical(recipe) != canonical(load("student"))
    assert canonical(load("student", ["training.epochs = 20"])) == canonical(load("student"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", r"field training\.epoch: Extra inputs"),
        ("training.epochs=0", r"field training\.epochs: .*greater than 0"),
        ("training.epochs=many", r"field training\.epochs: .*valid integer"),
        ("training.lr=-1", r"field training\.lr: .*greater than 0"),
        ("training.seed=-1", r"field training\.seed: .*greater than or equal to 0"),
        ("network.kind=transformer", r"field network\.kind: .*'spiking' or 'matched_cnn'"),
        ("network.conv=[]", r"field network\.conv: .*at least 1"),
        ("network.conv=[{channels=0}]", r"field network\.conv\.0\.channels: .*greater than 0"),
        ("augment.drop_events=1.0", r"field augment\.drop_events: .*less than 1"),
        ("optimiser.name=sgd", r"field optimiser: Extra inputs"),
        ("losses.soft_labels=0.5", r"need the field teacher"),
        ("quantise.bits=1", r"field quantise\.bits: .*greater than or equal to 2"),
        ("training=3", r"field training: .*dictionary"),
        ("training.epochs", r"--set training\.epochs: is not NAME=VALUE"),
        ("=3", r"--set =3: is not NAME=VALUE"),
        ("network.conv.0.channels=3", r"conv is not a section"),
    ],
)
def test_a_wrong_override_is_named(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load("student", [override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data\n", "is not valid TOML"),
        ("", "field data: Field required"),
        ('[data]\ntrain = "a.h5"\n', "field network: Field required"),
        ('[data]\n[network]\nconv=[{channels=4}]\n', r"field data\.train: Field required"),
        ('[data]\ntrain = 3\n[network]\nconv=[{channels=4}]\n', r"field data\.train"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as found:
        load(path)
    assert found.value.where == str(path)


def test_an_absent_or_binary_recipe_lists_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "binary.toml", Path("no_such_recipe")):
        with pytest.raises(InputError, match=r"no such recipe.*guided\.toml, matched_cnn\.toml, student\.toml"):
            load(path)


def rows(section: str) -> dict[str, tuple[str, str]]:
    """Field → (default, meaning) of a section's table in the page."""
    text = PAGE.read_text(encoding="utf-8")
    part = re.search(rf"^### `\[+{re.escape(section)}\]+`$(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)
    assert part, f"docs/training.md lacks {section}"
    return {m[1]: (m[2], m[3]) for m in re.finditer(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", part[1], re.MULTILINE)}


def shown(value: Any) -> str:
    """A default in TOML notation."""
    if value is PydanticUndefined:
        return "(required)"
    return {None: "none", True: "`true`", False: "`false`"}.get(value) if value is None or isinstance(
        value, bool
    ) else f"`{value!r}`".replace("'", '"')  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_lists_every_field_with_its_default_and_meaning(section: str) -> None:
    written = rows(section)
    fields = SECTIONS[section].model_fields
    assert list(written) == list(fields)
    for name, field in fields.items():
        assert written[name] == (shown(field.default), field.description), f"{section}.{name}"


def test_the_page_lists_every_section() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(Recipe.model_fields) - {"teacher"} == {name for name in SECTIONS if "." not in name}
    assert "`teacher`" in text
