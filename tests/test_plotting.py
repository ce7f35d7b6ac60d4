"""Figures: what is drawn and labelled, and that nothing else is touched."""

import itertools
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from lgdcnn_lib import plotting
from lgdcnn_lib.elements import SYMBOLS, element_properties
from lgdcnn_lib.environments import THRESHOLDS
from lgdcnn_lib.plotting_periodic import table_position

CURVE = np.linspace(0.9, 0.1, 8)
MATRIX = np.array([[1, -0.8, 0.1], [-0.8, 1, -0.5], [0.1, -0.5, 1]])
Y = np.random.default_rng(0).normal(100, 30, size=200)
HISTORY = pd.DataFrame(
    {"epoch": [1, 2, 3, 4], "val_error": [9.0, np.nan, 7.0, 8.0], "train_loss": 0.1}
)
SPACE = np.random.default_rng(1).normal(size=(3, 2))
LINE = pd.DataFrame(
    {"x": [0.1, 0.5, 0.9], "prediction": [-1.0, -2, -1], "std": 0.1, "base": -1.5}
).assign(Cu=[0.1, -0.2, 0.3], O=[0.4, -0.3, 0.2])
KNOWN = pd.DataFrame(
    {"x": [0.5, 0.6], "target": [-2, -1.8], "split": ["train", "test"]}
)
CORNERS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.2, 0.6]])
MOVES = {"first": [0, 0, 0, 1, 1, 2], "last": [5, 5, 7, 7, 7, 9]}
FIGURES = {
    "alluvial": lambda ax: plotting.alluvial(MOVES, 2, ax),
    "distance_map": lambda ax: plotting.distance_map([MATRIX, -MATRIX], ax=ax),
    "composition_curve": lambda ax: plotting.composition_curve(
        LINE, "energy (eV)", "O", KNOWN, ax
    ),
    "contribution_curves": lambda ax: plotting.contribution_curves(
        LINE, ["Cu", "O"], "eV", ax
    ),
    "element_map": lambda ax: plotting.element_map(
        SPACE, ["H", "Li", "O"], {"H": 1, "O": 16}, "group", ax=ax
    ),
    "error_by_bin": lambda ax: plotting.error_by_bin(
        [1, 2, 2, 3], [1, 2, 4, 3], "elements", "eV", [1, 2, 3], ax=ax
    ),
    "ternary_map": lambda ax: plotting.ternary_map(
        CORNERS, [0, 1, 2, 3], ["Li", "Co", "O"], "energy (eV)", ax=ax
    ),
    "cecv_curves": lambda ax: plotting.cecv_curves({"lstm": CURVE}, ax=ax),
    "environment_matrix": lambda ax: plotting.environment_matrix(
        MATRIX, ["O", "Si", "Mg"], ax
    ),
    "environment_heatmap": lambda ax: plotting.environment_heatmap(
        [MATRIX, -MATRIX, MATRIX], [0, 1, 0], ax
    ),
    "parity": lambda ax: plotting.parity(Y, Y + 1, "GPa", "bulk modulus", ax),
    "learning_curve": lambda ax: plotting.learning_curve(HISTORY, "GPa", ax=ax),
    "ranking": lambda ax: plotting.ranking({"lstm": [9.0, 8.0]}, "GPa", ax=ax),
    "relative_errors": lambda ax: plotting.relative_errors(
        {"here": {"a": 0.9, "b": 2.0}, "other": {"b": 1.2}}, "error", ax=ax
    ),
    "histogram": lambda ax: plotting.histogram(Y, "bulk modulus", "GPa", ax=ax),
    "periodic_table": lambda ax: plotting.periodic_table({"Si": 1, "O": 2}, "N", ax=ax),
}


WITHOUT_AXES = {"periodic_table", "ternary_map"}


@pytest.fixture(autouse=True)
def _no_display():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


# --- every figure ---


@pytest.mark.parametrize("name", FIGURES)
def test_draws_into_given_axes_and_touches_nothing_else(name):
    _, (mine, other) = plt.subplots(1, 2)
    before, current, numbers = dict(mpl.rcParams), plt.gca(), plt.get_fignums()
    assert FIGURES[name](mine) is mine
    assert dict(mpl.rcParams) == before
    assert plt.gca() is current is other
    assert plt.get_fignums() == numbers
    assert not other.has_data()
    mine.figure.canvas.draw()


@pytest.mark.parametrize("name", FIGURES)
def test_makes_one_figure_of_its_own(name, tmp_path):
    ax = FIGURES[name](None)
    assert isinstance(ax, Axes)
    assert len(plt.get_fignums()) == 1
    ax.figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 2000


@pytest.mark.parametrize("name", sorted(set(FIGURES) - WITHOUT_AXES))
def test_axes_say_what_they_are(name):
    ax = FIGURES[name](None)
    if name != "environment_matrix":  # its ticks are the elements
        assert ax.get_xlabel()
    if name not in ("environment_matrix", "ranking", "relative_errors"):
        assert ax.get_ylabel()


def test_style_is_set_only_when_called():
    with mpl.rc_context():
        plotting.use_style()
        assert mpl.rcParams["figure.facecolor"] == "white"
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
        assert cycle == list(plotting.PALETTE.values())


# --- colours ---

# Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour):
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722],
              [0.0193, 0.1192, 0.9505]]  # fmt: skip
    x = np.array(to_xyz) @ rgb / np.array([0.9505, 1, 1.089])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_are_told_apart(deficiency):
    matrix = np.array(DEFICIENCIES[deficiency])
    seen = [lab(np.clip(matrix @ linear(c), 0, 1)) for c in plotting.PALETTE.values()]
    differences = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(differences) > 18  # about 2 is just noticeable


def test_colours_stand_out_from_the_plate():
    for colour in plotting.PALETTE.values():
        luminance = linear(colour) @ [0.2126, 0.7152, 0.0722]
        assert 1.05 / (luminance + 0.05) >= 3  # WCAG 2.1, non-text contrast


def test_curves_differ_in_more_than_colour():
    styles = [plotting.line_style(i) for i in range(12)]
    looks = {(s["color"], s["marker"], s["linestyle"]) for s in styles}
    assert len(looks) == 12
    assert len({s["marker"] for s in styles[:8]}) == 8


# --- environments ---


def test_cecv_curves():
    ax = plotting.cecv_curves({"lstm": CURVE, "dcnn": 2 * CURVE})
    assert [line.get_label() for line in ax.lines] == ["lstm", "dcnn"]
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), THRESHOLDS)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), 2 * CURVE)
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylabel() == "environments"
    per_compound = plotting.cecv_curves({"lstm": CURVE, "absent": [np.nan] * 8})
    assert per_compound.get_ylabel() == "environments per compound"
    many = plotting.cecv_curves({str(i): CURVE for i in range(9)})
    assert len(many.lines) == 9


def test_target_region_lies_below_the_global_curve_and_then_above_it():
    low, high = CURVE / 2, CURVE
    curves = {"lstm": low, "dcnn": high}
    ax = plotting.cecv_curves(curves, target=("lstm", "dcnn"))
    below, between = (c.get_paths()[0].vertices for c in ax.collections)
    assert below[:, 0].max() == THRESHOLDS[2]
    assert between[:, 0].min() == THRESHOLDS[3]
    assert below[:, 1].min() == 0
    assert below[:, 1].max() == low[0]
    assert between[:, 1].min() == low[-1]
    assert between[:, 1].max() == high[3]
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels.count("target region") == 1


def test_environment_matrix_shows_its_numbers():
    ax = plotting.environment_matrix(MATRIX, ["O", "Si", "Mg"])
    assert sorted(texts(ax)) == sorted(
        f"{v:.2f}".replace("-", "−") for v in MATRIX.ravel()
    )
    assert [t.get_text() for t in ax.get_yticklabels()] == ["O", "Si", "Mg"]
    with pytest.raises(ValueError, match="3 rows, but 2 elements"):
        plotting.environment_matrix(MATRIX, ["O", "Si"])


def test_heatmap_puts_the_largest_cluster_on_top():
    matrices = [np.eye(3) + i * (1 - np.eye(3)) / 10 for i in range(6)]
    labels = [0, 1, 2, 1, 2, 1]
    ax = plotting.environment_heatmap(matrices, labels)
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(shown[:, 0], np.array([1, 3, 5, 2, 4, 0]) / 10)
    assert shown.shape == (6, 3)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1–2", "1–3", "2–3"]
    assert ax.get_ylabel() == "6 compounds in 3 clusters"
    assert len(ax.lines) == 2  # one below each cluster but the last
    with pytest.raises(ValueError, match="same size"):
        plotting.environment_heatmap([np.eye(3), np.eye(4)], [0, 1])


def test_distance_map_shows_the_largest_difference():
    ax = plotting.distance_map([MATRIX, MATRIX, MATRIX - 0.25 * (1 - np.eye(3))])
    shown = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shown[0], [0, 0, 0.25])
    assert ax.images[0].get_clim() == (0, 0.4)
    with pytest.raises(ValueError, match="same size"):
        plotting.distance_map([np.eye(3), np.eye(4)])


def heights(collection):
    """Height of a ribbon at its two ends."""
    x, y = collection.get_paths()[0].vertices.T
    return [np.ptp(y[x == end]) for end in (x.min(), x.max())]


def test_alluvial_keeps_every_compound():
    ax = plotting.alluvial(MOVES, n_largest=2)
    ribbons = [heights(ribbon) for ribbon in ax.collections]
    np.testing.assert_allclose([start for start, _ in ribbons], [e for _, e in ribbons])
    assert sorted(round(start) for start, _ in ribbons) == [1, 1, 2, 2]
    assert sum(start for start, _ in ribbons) == pytest.approx(6)
    blocks = [(round(bar.get_x(), 2), bar.get_height()) for bar in ax.patches]
    assert blocks == [
        (-0.06, 3),
        (-0.06, 2),
        (-0.06, 1),
        (0.94, 3),
        (0.94, 2),
        (0.94, 1),
    ]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["first", "last"]
    with pytest.raises(ValueError, match="two layers"):
        plotting.alluvial({"first": [0, 1]})
    with pytest.raises(ValueError, match="equal length"):
        plotting.alluvial({"first": [0, 1], "last": [0]})


# --- elements ---


def test_element_map_places_and_colours():
    ax = plotting.element_map(SPACE, ["H", "Li", "O"], {"H": 1, "O": 16}, "group")
    assert texts(ax) == ["H", "Li", "O"]
    np.testing.assert_allclose([t.get_position() for t in ax.texts], SPACE)
    unknown, known = ax.collections
    np.testing.assert_allclose(unknown.get_offsets(), SPACE[[1]])
    np.testing.assert_array_equal(known.get_array(), [1, 16])
    with pytest.raises(ValueError, match="2 symbols"):
        plotting.element_map(SPACE, ["H", "Li"], {}, "group")


def test_composition_curve_marks_what_is_known():
    ax = plotting.composition_curve(LINE, "energy (eV)", "O", KNOWN)
    band, train, test = ax.collections
    low, high = band.get_paths()[0].vertices[:, 1].min(), -0.9
    assert (low, band.get_paths()[0].vertices[:, 1].max()) == pytest.approx(
        (-2.1, high)
    )
    np.testing.assert_allclose(train.get_offsets(), [[0.5, -2]])
    np.testing.assert_allclose(test.get_offsets(), [[0.6, -1.8]])
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels[-2:] == ["known, train", "known, test"]
    assert len(plotting.composition_curve(LINE, "energy (eV)", "O").collections) == 1


def test_contribution_curves_draw_every_part():
    ax = plotting.contribution_curves(LINE, ["Cu", "O"], "eV")
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(drawn["O"], LINE["O"])
    np.testing.assert_allclose(drawn["sum: prediction"], LINE["prediction"])
    assert ax.get_ylabel() == "contribution (eV)"


def test_ternary_map_puts_pure_elements_into_the_corners():
    known = [[0.5, 0.5, 0, 1.0]]
    ax = plotting.ternary_map(CORNERS, [0, 1, 2, 3], ["Li", "Co", "O"], "E (eV)", known)
    corners = np.array([label.xy for label in ax.texts])
    np.testing.assert_allclose(corners, [[0, 0], [1, 0], [0.5, np.sqrt(0.75)]])
    assert texts(ax) == ["Li", "Co", "O"]
    np.testing.assert_allclose(ax.collections[-1].get_offsets(), [[0.5, 0]])


# --- models ---


def test_error_by_bin_counts_everything_once():
    errors = [1, 2, 4, -3, 9]
    ax = plotting.error_by_bin([1, 2, 2, 3, 4], errors, "n", "eV", [1, 2, 3, 4])
    means = [line.get_ydata()[0] for line in ax.lines[:-1]]
    np.testing.assert_allclose(means, [1, 3, 6])
    assert texts(ax) == ["1", "2", "2"]
    assert ax.lines[-1].get_ydata()[0] == pytest.approx(19 / 5)
    assert ax.get_ylabel() == "mean absolute error (eV)"
    gap = plotting.error_by_bin([1, 3], [1, 2], "n", "eV", [1, 2, 3, 4], list("abc"))
    assert [t.get_text() for t in gap.get_xticklabels()] == list("abc")
    assert texts(gap) == ["1", "1"]


def test_parity_carries_units_and_the_error():
    ax = plotting.parity(Y, Y + 2.5, "GPa", "bulk modulus")
    assert ax.get_xlabel() == "bulk modulus (GPa)"
    assert ax.get_ylabel() == "predicted bulk modulus (GPa)"
    assert texts(ax) == ["MAE 2.5 GPa\nN = 200"]
    assert ax.get_xlim() == ax.get_ylim()
    assert len(ax.collections[0].get_offsets()) == 200
    ax = plotting.parity([1.0, 1.0], [1.0, 1.0], "1", "refractive index")
    assert ax.get_xlabel() == "refractive index"
    assert texts(ax) == ["MAE 0\nN = 2"]
    ax = plotting.parity([1.0, 2.0], [1.0, 3.0], "1/cm", "last phonon peak")
    assert texts(ax) == ["MAE 0.5 1/cm\nN = 2"]


def test_learning_curve_marks_the_best_epoch():
    ax = plotting.learning_curve(HISTORY, "GPa")
    assert ax.get_ylabel() == "validation MAE (GPa)"
    curve = ax.lines[0]
    np.testing.assert_array_equal(curve.get_xdata(), [1, 3, 4])
    assert curve.get_xdata()[curve.get_markevery()].tolist() == [3]
    assert ax.get_legend() is None
    untried = HISTORY.assign(val_error=np.nan)
    ax = plotting.learning_curve({"lstm": HISTORY, "gru": untried}, "GPa")
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["lstm", "gru"]


def test_relative_errors_order_the_tasks_of_the_first_model():
    ratios = {"here": {"a": 2.0, "b": 0.5}, "other": {"a": 1.5, "c": 9.0}}
    ax = plotting.relative_errors(ratios, "error / reference", {"b": 0.1})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a"]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert drawn["other"] == [[1.5, 1]]  # "c" has no row
    assert ax.get_xscale() == "log"
    assert list(ax.lines[0].get_xdata()) == [1, 1]


def test_ranking_puts_the_best_on_top():
    errors = {"lstm": [9.0, 8.0, 10.0], "dcnn": [8.5], "forest": 12.0}
    ax = plotting.ranking(errors, "GPa", published={"lstm": 8.0, "roost": 8.8})
    assert ax.get_xlabel() == "test MAE (GPa)"
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["dcnn", "roost", "lstm", "forest"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    means, published = ax.lines[-2:]
    assert dict(zip(means.get_ydata(), means.get_xdata(), strict=True)) == {
        0: 8.5, 2: 9.0, 3: 12.0,
    }  # fmt: skip
    assert dict(zip(published.get_ydata(), published.get_xdata(), strict=True)) == {
        1: 8.8, 2: 8.0,
    }  # fmt: skip


def test_histogram_of_one_and_of_many():
    ax = plotting.histogram(Y, "bulk modulus", "GPa")
    assert ax.get_ylabel() == "number"
    assert sum(ax.patches[0].get_data().values) == 200
    ax = plotting.histogram({"train": Y, "test": Y[:50]}, "bulk modulus", "GPa")
    assert ax.get_xlabel() == "bulk modulus (GPa)"
    assert ax.get_ylabel() == "share (%)"
    for patch in ax.patches:
        assert sum(patch.get_data().values) == pytest.approx(100)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["train", "test"]


# --- periodic table ---


def test_positions_are_those_of_the_periodic_table():
    positions = [table_position(z) for z in range(1, 119)]
    assert len(set(positions)) == 118
    facts = element_properties()
    for z, (column, row) in enumerate(positions, start=1):
        fact = facts.loc[SYMBOLS[z]]
        if row > 7:
            assert fact["group"] == 3
            assert 57 <= z <= 71 or 89 <= z <= 103
        else:
            assert (column, row) == (fact["group"], fact["period"])


def test_periodic_table_has_a_cell_for_each_element():
    values = {"Si": 0.25, "O": 0.75, "Fe": np.nan}
    ax = plotting.periodic_table(values, "share (%)", limits=(0, 1), fmt="{:.2f}")
    assert len(ax.patches) == 118
    assert set(SYMBOLS[1:]) < set(texts(ax))
    assert {"0.25", "0.75"} < set(texts(ax))
    [bar] = ax.child_axes
    assert bar.get_title(loc="left") == "share (%)"
    colours = {
        s: p.get_facecolor() for s, p in zip(SYMBOLS[1:], ax.patches, strict=True)
    }
    assert colours["Si"] == mpl.colormaps[plotting.SEQUENTIAL](0.25)
    assert colours["Fe"] == mpl.colors.to_rgba(plotting.PALE)


def test_periodic_svg_colours_as_the_figure_does():
    values = {"Si": 0.25, "O": -1, "Fe": np.nan}
    picture = plotting.periodic_svg(values, "a < b", plotting.DIVERGING, marked="Si")
    cells = ElementTree.fromstring(picture).findall("{*}path")[:118]
    ax = plotting.periodic_table(values, "x", plotting.DIVERGING, limits=(-1, 1))
    for cell, patch in zip(cells, ax.patches, strict=True):
        assert cell.get("fill") == mpl.colors.to_hex(patch.get_facecolor())
    assert [SYMBOLS[i + 1] for i, c in enumerate(cells) if c.get("stroke")] == ["Si"]
    symbols = {e.text for e in ElementTree.fromstring(picture).findall(".//{*}text")}
    assert set(SYMBOLS[1:]) | {"a < b", "−1", "1"} < symbols
    with pytest.raises(ValueError, match="'Zz'"):
        plotting.periodic_svg({"Zz": 1.0}, "N")


def test_periodic_table_refuses():
    with pytest.raises(ValueError, match="'Zz'"):
        plotting.periodic_table({"Zz": 1.0}, "N")
    with pytest.raises(ValueError, match="no element"):
        plotting.periodic_table({"Fe": np.nan}, "N")


def test_wiring_draws_every_wire_and_box():
    ax = plotting.wiring(
        "0,0 1,0 1,2\n1,2 3,2", "0,0 red start\n3,2 pale the end", height=2
    )
    assert [line.get_xydata().tolist() for line in ax.lines] == [
        [[0, 0], [1, 0], [1, 2]],
        [[1, 2], [3, 2]],
    ]
    boxes = [text for text in ax.texts if text.get_text()]
    assert [text.get_text() for text in boxes] == ["start", "the end"]
    assert boxes[1].get_position() == (3, 2)
    same = plotting.wiring("", "1,1 blue more", height=1, ax=ax)
    assert same is ax
    assert "more" in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(
    ("wires", "boxes", "line"),
    [
        ("0,0 1", "", "0,0 1"),
        ("0,0 a,1", "", "0,0 a,1"),
        ("0,0", "", "two points or more: '0,0'"),
        ("", "1,1 red", "colour and a text: '1,1 red'"),
    ],
)
def test_wiring_names_the_line_that_it_cannot_read(wires, boxes, line):
    with pytest.raises(ValueError, match=line):
        plotting.wiring(wires, boxes, height=1)


def test_nothing_is_left_out_of_a_figure():
    with pytest.raises(ValueError, match="the value 5 is in no bin"):
        plotting.error_by_bin([0.5, 5, 0.7], [1, 1, 1], "x", "eV", [0, 1, 2])
    with pytest.raises(ValueError, match="the value nan is in no bin"):
        plotting.error_by_bin([0.5, np.nan], [1, 1], "x", "eV", [0, 1, 2])
    with pytest.raises(ValueError, match="2 matrices, but 1 labels"):
        plotting.environment_heatmap([np.eye(3)] * 2, [0])
    with pytest.raises(ValueError, match="no element has a number"):
        plotting.element_map([[0, 1]], ["Si"], {}, "N")
    for pair in (([], []), ([1.0], [np.nan])):
        with pytest.raises(ValueError, match="pairs of finite numbers"):
            plotting.parity(*pair, "eV")
