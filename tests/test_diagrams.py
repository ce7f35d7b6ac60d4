"""Architecture diagrams: they show the network as it is, legibly."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.patches import Circle
from torch import nn

from lgdcnn_lib.diagrams import WORDS, architecture, describe
from lgdcnn_lib.layers import Recurrent, ResidualBlock
from lgdcnn_lib.models import MODELS, ModelConfig, build_model

SMALL = ModelConfig(d=16)
PHONE = 330  # CSS pixels that a figure has on a screen of 360
ORDERS = [("dcnn", "lstm"), ("gru",), ("transformer", "dcnn")]


@pytest.fixture(autouse=True)
def _no_display():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def sums(ax):
    """Number of plus signs."""
    return sum(isinstance(patch, Circle) for patch in ax.patches)


@pytest.mark.parametrize("name", [*MODELS, *ORDERS])
def test_every_layer_is_drawn_from_top_to_bottom(name):
    model = build_model(name, SMALL)
    ax = architecture(model)
    found = {text.get_text(): text.get_position()[1] for text in ax.texts}
    heights = [found[layer] for layer in (*model.layer_names, "head")]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == len(heights)


@pytest.mark.parametrize("name", [*MODELS, *ORDERS])
def test_parameters_drawn_are_all_there_are(name):
    model = build_model(name, SMALL)
    steps = describe(model)
    assert sum(step.parameters for step in steps) == model.n_parameters()
    drawn = texts(architecture(model))
    assert f"{model.n_parameters():,} parameters" in drawn
    for step in steps:
        assert {step.title, step.detail, f"{step.parameters:,}"} <= set(drawn)


def test_a_name_draws_the_default_network():
    model = build_model("l_dcnn")
    assert texts(architecture("l_dcnn")) == texts(architecture(model))
    assert texts(architecture(build_model(("dcnn", "lstm"), SMALL)))[0] == "dcnn → lstm"
    with pytest.raises(KeyError, match="lg_dcnn"):
        architecture("resnet")


def test_published_network_has_its_numbers():
    drawn = texts(architecture(build_model("lg_dcnn", ModelConfig.paper())))
    assert "8,635,911 parameters" in drawn
    assert "512 → 2 × 256" in drawn
    assert "(N, L, 512)" in drawn


def test_shared_attention_is_shown_as_shared():
    shared, apart = (
        build_model("lg_dcnn", ModelConfig(d=16, attention=how))
        for how in ("shared", "separate")
    )
    first, second = (s for s in describe(shared) if s.name.startswith("attention"))
    assert (first.shares, second.shares) == ("", "attention.1")
    assert second.parameters == 0
    with_line, without = architecture(shared), architecture(apart)
    assert "the weights of attention.1" in texts(with_line)
    assert "the weights of attention.1" not in texts(without)
    dashed = [line for line in with_line.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 1
    assert not [line for line in without.lines if line.get_linestyle() == "--"]


def test_skip_connections_are_drawn_where_the_network_has_them():
    skips, none = (
        build_model("lg_dcnn", ModelConfig(d=16, residual=residual))
        for residual in (True, False)
    )
    assert [s.name for s in describe(skips) if s.skip] == [
        "attention.1",
        "attention.2",
        "dcnn.1",
        "dcnn.2",
        "dcnn.3",
    ]
    # one plus joins the two parts of the embedding
    assert (sums(architecture(skips)), sums(architecture(none))) == (1 + 5, 1)
    assert "block, no skip, kernel 3" in texts(architecture(none))


def test_fusion_adds_the_attended_branches():
    model = build_model("lg_dcnn_v1", SMALL)
    fusion = next(step for step in describe(model) if step.name == "fusion")
    assert fusion.adds == ("attention.1", "attention.2")
    plain = architecture(build_model("lg_dcnn", SMALL))
    assert sums(architecture(model)) == sums(plain) + 1


def test_drawing_follows_the_modules_not_the_settings():
    """Shapes and kernels are read from the layers that run."""
    model = build_model("dcnn", SMALL)
    model.parts["dcnn_2"] = ResidualBlock(8, 5, residual=False)
    step = next(step for step in describe(model) if step.name == "dcnn.2")
    assert step.title == "block, no skip, kernel 5"
    assert step.detail == "2 × (ReLU, 8 → 8)"
    model.parts["dcnn_0"] = Recurrent(nn.GRU, 8)
    assert "GRU, both directions" in texts(architecture(model))


def test_a_layer_without_words_is_an_error():
    model = build_model("lstm", SMALL)
    model.parts["lstm"] = nn.Identity()
    with pytest.raises(TypeError, match="Identity"):
        architecture(model)


def test_every_kind_of_layer_in_use_has_words():
    used = {
        type(module)
        for name in MODELS
        for module in build_model(name, SMALL).parts.values()
    }
    assert used <= set(WORDS)


@pytest.mark.parametrize("name", MODELS)
def test_letters_are_legible_on_a_phone_and_stay_apart(name):
    ax = architecture(name)
    figure = ax.figure
    figure.canvas.draw()
    pixels = PHONE / (figure.get_figwidth() * 72)  # CSS pixels per point
    written = [text for text in ax.texts if text.get_text()]
    assert min(text.get_fontsize() for text in written) * pixels >= 9
    plate = figure.bbox
    boxes = [text.get_window_extent() for text in written]
    for box in boxes:
        assert plate.x0 <= box.x0 <= box.x1 <= plate.x1
        assert plate.y0 <= box.y0 <= box.y1 <= plate.y1
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_draws_into_given_axes_and_touches_nothing_else():
    _, (mine, other) = plt.subplots(1, 2)
    before, numbers = dict(mpl.rcParams), plt.get_fignums()
    assert architecture(build_model("lstm", SMALL), mine) is mine
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == numbers
    assert not other.texts
