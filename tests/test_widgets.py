"""Explorers: a picture for each setting, linked to controls, and a field to type in."""

import base64
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest

from lgdcnn_lib import explorer, widgets
from lgdcnn_lib.explorer import LIVE_ONLY, Explorer, Picture
from lgdcnn_lib.inside import element_means
from lgdcnn_lib.models import ModelConfig, build_model
from lgdcnn_lib.predictor import Predictor, Scaler

FORMULAS = ["Fe2O3", "CuO", "NaCl", "LiFePO4", "MgSiO3", "CaTiO3", "NaFeO2"]
PREDICTOR = Predictor(
    build_model("lg_dcnn", ModelConfig(d=16)), Scaler(), "mae", "eV/atom", {}
)
MATRICES = [np.eye(3) + (1 - np.eye(3)) * x for x in np.linspace(-0.9, 0.9, 60)]


@pytest.fixture(autouse=True)
def _no_display():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def bar(height, *_):
    _, ax = plt.subplots(figsize=(2, 2))
    ax.bar(0, height)
    return ax


def small(**options):
    return Explorer(
        {"height": [1, 2, 3], "size": ["a", "b"]},
        lambda height, size: bar(height if size == "a" else 10 - height),
        lambda height, size: f"A bar of height {height}, {size}",
        **options,
    )


def shown(widget):
    """The picture that stacks within stacks show now."""
    while isinstance(widget, ipywidgets.Stack):
        widget = widget.children[widget.selected_index]
    return widget.value


EXPLORERS = {
    "threshold": lambda: widgets.threshold_explorer(MATRICES),
    "layer": lambda: widgets.layer_explorer(PREDICTOR, "LiFePO4"),
    "element": lambda: widgets.element_explorer(
        element_means(PREDICTOR, FORMULAS, ["gru", "dcnn.3"], 1), ["O", "Fe"]
    ),
    "line": lambda: widgets.line_explorer(
        PREDICTOR, ["Cu-O", "Ti-O"], [0.2, 0.5, 0.8], "energy (eV/atom)"
    ),
    "map": lambda: widgets.map_explorer(
        {"lstm": [[0, 0], [1, 1], [2, 0.5]], "gru": [[1, 0], [0, 2], [0, 1]]},
        ["H", "Li", "O"],
        {"group": {"H": 1, "Li": 1.5, "O": 16}, "period": {"H": 1, "Li": 2, "O": 2.5}},
    ),
    "variant": lambda: widgets.variant_explorer(
        {"lstm": np.linspace(1, 0.1, 8), "dcnn": np.linspace(0.9, 0.2, 8)}
    ),
}


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_setting_has_its_own_picture_and_words(name):
    found = EXPLORERS[name]()
    pictures = list(found.pages.values())
    n = np.prod([len(control.options) for control in found.controls])
    assert len(pictures) == n > 1
    assert len({picture.alt for picture in pictures}) == n
    assert len({picture.data for picture in pictures}) == n
    assert all(len(picture.alt.split()) > 3 for picture in pictures)
    assert plt.get_fignums() == []  # nothing is left open, to be shown twice
    assert all(control.description for control in found.controls)


def test_a_picture_carries_its_data_and_its_words():
    picture = Picture.of(bar(1), 'a "bar" < 2')
    kind, data = re.search(r'src="data:image/(\w+);base64,(.*)"', picture.img).groups()
    assert kind == "webp"
    assert base64.b64decode(data) == picture.data
    assert picture.data[8:12] == b"WEBP"
    assert 'alt="a &quot;bar&quot; &lt; 2"' in picture.img
    assert Picture.of("<svg/>", "x").mime == "image/svg+xml"


def test_controls_are_linked_to_the_pictures():
    found = small(start=[2, "b"])
    stack = found.view.children[-1]
    assert [control.index for control in found.controls] == [1, 1]
    assert shown(stack) == found.pages[1, 1].img
    for i, row in enumerate(stack.children):
        row.selected_index = 0
        stack.selected_index = i
        assert shown(stack) == found.pages[i, 0].img


def test_the_browser_links_every_control_to_its_stacks(monkeypatch):
    links = []
    monkeypatch.setattr(ipywidgets, "jslink", lambda *ends: links.append(ends))
    found = small()
    sources = [control for (control, name), _ in links if name == "index"]
    height, size = found.controls
    assert sources.count(height) == 1
    assert sources.count(size) == 3  # one for each inner stack
    targets = [(type(widget), name) for _, (widget, name) in links]
    assert targets == [(ipywidgets.Stack, "selected_index")] * 4
    assert len({id(widget) for _, (widget, _) in links}) == 4


def test_without_stacks_the_kernel_changes_the_picture(monkeypatch):
    monkeypatch.delattr(ipywidgets, "Stack")
    found = small()
    view = found.view.children[-1]
    assert view.value == found.pages[0, 0].img
    found.controls[0].index = 2
    found.controls[1].index = 1
    assert view.value == found.pages[2, 1].img


def test_many_settings_make_a_menu_and_few_a_slider():
    settings = {"few": [1, 2], "many": list(range(13))}
    found = Explorer(settings, lambda a, b: "<svg/>", lambda a, b: f"{a} and {b}")
    kinds = [type(control).__name__ for control in found.controls]
    assert kinds == ["SelectionSlider", "Dropdown"]


def test_a_still_picture_goes_with_the_live_one(monkeypatch):
    said = []
    monkeypatch.setattr(explorer, "display", lambda what, raw: said.append(what))
    found = small(start=[3, "b"])
    found._ipython_display_()
    [bundle] = said
    assert bundle[explorer.WIDGET_VIEW]["model_id"] == found.view.model_id
    assert found.pages[2, 1].img in bundle["text/html"]
    assert f'"model_id": "{found.view.model_id}"' in bundle["text/html"]
    assert bundle["text/plain"] == "A bar of height 3, b"


def typed(found, text):
    field, answer = found.view.children[-1].children
    assert LIVE_ONLY in found.view.children[-1]._dom_classes
    field.value = text
    return answer.value


@pytest.mark.parametrize(
    ("name", "good", "bad"), [("layer", "NaFeO2", "Xx2"), ("line", "Fe-O", "FeO")]
)
def test_a_live_kernel_draws_what_is_typed(name, good, bad):
    found = EXPLORERS[name]()
    assert f'alt="The figure for {good}' in typed(found, good)
    before = plt.get_fignums()
    answer = typed(found, bad)
    assert plt.get_fignums() == before  # no empty figure is left behind
    assert answer.startswith("<p>")
    assert bad in answer
    assert typed(found, " ") == ""


def test_explorers_refuse_what_they_cannot_draw():
    means = element_means(PREDICTOR, FORMULAS, ["gru"], 1)
    with pytest.raises(ValueError, match="'Au'"):
        widgets.element_explorer(means, ["Au"])
    with pytest.raises(ValueError, match="pair of elements"):
        widgets.line_explorer(PREDICTOR, ["CuO"], [0.5], "energy")
