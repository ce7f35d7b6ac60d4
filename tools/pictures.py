"""Draw the pictures of the built pages from the library and its shipped networks.

The moving picture of the front page, the social card, and the diagrams of the models.
They take some seconds, so `write` draws only when what they depend on has changed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import imports
from lgdcnn_lib.benchmarks import load_benchmark
from lgdcnn_lib.capture import layer_features
from lgdcnn_lib.composition import parse_formula
from lgdcnn_lib.diagrams import architecture
from lgdcnn_lib.elements import ATOMIC_NUMBERS, data_dir
from lgdcnn_lib.environments import THRESHOLDS, cluster_labels, upper_triangle
from lgdcnn_lib.models import MODELS
from lgdcnn_lib.plotting import PALETTE, cecv_curves
from lgdcnn_lib.predictor import Predictor

CHECKPOINT = "checkpoints/lg_dcnn.safetensors"
TASK, ELEMENT, LAYER, SIZE = "CritExam__Ef", "Si", "dcnn.3", 4
SECONDS = 2.0  # that a threshold is shown
SIDE, LEFT, TOP = 300, 52, 16  # of a panel's square, in its own units
STILL = 4  # the frame that readers see who want no motion: t = 0.20


@dataclass(frozen=True)
class Movie:
    """What the moving picture shows.

    Attributes
    ----------
    places
        (F, N, 2), between 0 and 1: the correlations of each compound, along the two
        directions of their largest spread; its own in frame 0, later those of the
        leader of its environment.
    counts
        (F,) number of environments in each frame; all compounds in frame 0.
    share
        Of the variance of the correlations, what the two directions hold.
    """

    places: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    share: float


def movie() -> Movie:
    """Count the environments of the compounds of SIZE elements, frame by frame."""
    predictor = Predictor.load(data_dir() / CHECKPOINT)
    number = ATOMIC_NUMBERS[ELEMENT]
    formulas = [
        formula
        for formula in load_benchmark(TASK).test["formula"]
        if len(numbers := parse_formula(formula)[0]) == SIZE and number in numbers
    ]
    matrices = layer_features(predictor, formulas, LAYER).matrices()
    vectors = upper_triangle(np.array(matrices))
    _, spread, directions = np.linalg.svd(vectors - vectors.mean(axis=0))
    own = vectors @ directions[:2].T
    own = (own - own.min(axis=0)) / np.ptp(own, axis=0)
    places, counts = [own], [len(own)]
    for threshold in THRESHOLDS:
        labels = cluster_labels(matrices, threshold)
        _, leaders, inverse = np.unique(labels, return_index=True, return_inverse=True)
        places.append(own[leaders[inverse]])
        counts.append(len(leaders))
    share = float((spread[:2] ** 2).sum() / (spread**2).sum())
    return Movie(np.array(places), np.array(counts), share)


def movie_html(shown: Movie) -> str:
    """The moving picture as HTML: a map, a curve, a line of text and a pause box.

    It is inline, so it follows the page's theme, and its style stands still for readers
    who prefer reduced motion.
    """
    frames = len(shown.counts)
    steps = [100 * i / frames for i in range(frames + 1)]
    css = [f".cecv-movie {{--run: {SECONDS * frames:g}s}}"]
    dots = []
    for i, path in enumerate(_pixels(shown.places).transpose(1, 0, 2)):
        css.append(_keyframes(f"d{i}", path, steps))
        x, y = path[STILL]
        style = f"transform:translate({x:.0f}px,{y:.0f}px);animation-name:d{i}"
        dots.append(f'<circle r="4" style="{style}"/>')
    curve = _curve_pixels(shown.counts)
    css.append(_keyframes("mark", np.vstack([curve[:1], curve]), steps))
    points = " ".join(f"{x:.0f},{y:.0f}" for x, y in curve)
    squares = "".join(
        f'<rect x="{x - 3:.0f}" y="{y - 3:.0f}" width="6" height="6"/>'
        for x, y in curve
    )
    captions = []
    for i, count in enumerate(shown.counts):
        what = "each by itself" if i == 0 else f"t = {THRESHOLDS[i - 1]:.2f}"
        css.append(_visibility(f"f{i}", i, steps))
        still = "" if i == STILL else ";opacity:0"
        noun = "compounds" if i == 0 else "environments"
        text = f"{what}: <b>{count}</b> {noun}"
        captions.append(f'<span style="animation-name:f{i}{still}">{text}</span>')
    x, y = curve[STILL - 1]
    mark = f"transform:translate({x:.0f}px,{y:.0f}px);animation-name:mark"
    return TEMPLATE.format(
        css="\n".join(css),
        map=_panel(
            "Map of the compounds",
            "first direction of largest spread",
            "second direction",
            [],
            [],
            "".join(dots),
        ),
        curve=_panel(
            "Number of environments at each threshold",
            "similarity threshold t",
            "environments",
            [(x, f"{t:.2f}") for (x, _), t in zip(curve, THRESHOLDS, strict=True)][::3],
            [(TOP + SIDE, "0"), (TOP, str(shown.counts[0]))],
            f'<polyline points="{points}"/>{squares}'
            f'<circle class="mark" r="8" style="{mark}"/>',
        ),
        captions="".join(captions),
        n=shown.counts[0],
        first=shown.counts[1],
        last=shown.counts[-1],
        share=shown.share,
    )


def _pixels(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Places in the map, whose y points down."""
    x = LEFT + SIDE * places[..., 0]
    return np.stack([x, TOP + SIDE * (1 - places[..., 1])], axis=-1)


def _curve_pixels(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Places of the eight counts; the vertical axis ends at the number of compounds."""
    x = LEFT + SIDE * (np.arange(len(THRESHOLDS)) + 0.5) / len(THRESHOLDS)
    return np.stack([x, TOP + SIDE * (1 - counts[1:] / counts[0])], axis=-1)


def _keyframes(name: str, path: npt.NDArray[np.float64], steps: list[float]) -> str:
    """Stand at each place for two thirds of its time, then go to the next."""
    lines = [f"@keyframes {name}{{"]
    for (x, y), start, end in zip(path, steps, steps[1:], strict=False):
        hold = start + 2 * (end - start) / 3
        lines.append(
            f"{start:.1f}%,{hold:.1f}%{{transform:translate({x:.0f}px,{y:.0f}px)}}"
        )
    return "".join([*lines, "}"])


def _visibility(name: str, frame: int, steps: list[float]) -> str:
    start, end = steps[frame], steps[frame + 1]
    shown = f"{start:.2f}%,{end - 0.01:.2f}%{{opacity:1}}"
    before = f"0%,{start - 0.01:.2f}%{{opacity:0}}" if frame else ""
    after = f"{end:.2f}%,100%{{opacity:0}}" if end < 100 else ""
    return f"@keyframes {name}{{{before}{shown}{after}}}"


Ticks = list[tuple[float, str]]


def _panel(title: str, x: str, y: str, xs: Ticks, ys: Ticks, inside: str) -> str:
    """A square with labelled axes, and ticks at the places given."""
    right, bottom, middle = LEFT + SIDE, TOP + SIDE, SIDE / 2
    parts = [
        f'<svg viewBox="0 0 {right + 16} {bottom + 48}" role="img"',
        f' aria-label="{title}">',
        f'<path class="axes" d="M{LEFT} {TOP}V{bottom}H{right}"/>',
        f'<text x="{LEFT + middle}" y="{bottom + 42}">{x}</text>',
        f'<text transform="translate(16 {TOP + middle}) rotate(-90)">{y}</text>',
        *(f'<text x="{at:.0f}" y="{bottom + 20}">{tick}</text>' for at, tick in xs),
        *(
            f'<text class="tick" x="{LEFT - 6}" y="{at + 5:.0f}">{tick}</text>'
            for at, tick in ys
        ),
    ]
    return "".join([*parts, inside, "</svg>"])


TEMPLATE = """\
<div class="cecv-movie">
<style>
{css}
</style>
<input type="checkbox" id="cecv-pause"><label for="cecv-pause">Pause</label>
<div class="panels">
{map}
{curve}
</div>
<p class="captions" aria-hidden="true">{captions}</p>
<p class="finding">Each of the {n} dots is a silicon compound of four elements, at the
place that the last layer of a trained L-G-DCNN gives to its environment. (The map holds
{share:.0%} of the spread.) Those that differ by no more than the threshold t gather at
one place. The number of places, {first} at t = 0.05 and {last} at t = 0.40, is what
CECV counts.</p>
</div>
"""


def card(shown: Movie) -> Figure:
    """The picture that other sites show with a link: 1200 × 630 pixels."""
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    ink = PALETTE["ink"]
    figure.text(
        0.05,
        0.80,
        "Look inside a\nmaterials network",
        size=40,
        weight="bold",
        color=ink,
        va="center",
        linespacing=1.25,
    )
    words = (
        "An executable book on networks that predict\na property from a formula, "
        "and on what\ntheir layers know of chemistry: CECV, L-G-DCNN"
    )
    figure.text(0.05, 0.40, words, size=18, color=ink, va="center", linespacing=1.5)
    figure.text(
        0.05, 0.12, "read · run · teach", size=19, color=PALETTE["blue"], weight="bold"
    )
    axes = figure.add_axes((0.65, 0.2, 0.31, 0.62))
    cecv_curves({"L-G-DCNN, last layer": shown.counts[1:] / shown.counts[0]}, ax=axes)
    axes.set_xticks(THRESHOLDS[1::2])
    return figure


def inputs_digest() -> str:
    """Digest of all that the pictures follow from."""
    code = Path(__file__).read_text(encoding="utf-8")
    digest = hashlib.sha256(code.encode())
    for name in sorted(imports.needed(code)):
        digest.update((imports.LIBRARY / f"{name}.py").read_bytes())
    for name in (CHECKPOINT, f"benchmarks/{TASK}.csv.xz"):
        digest.update((data_dir() / name).read_bytes())
    return digest.hexdigest()


def write(folder: Path) -> None:
    """Draw into the folder, unless the pictures there are still true."""
    stamp, digest = folder / "pictures.sha256", inputs_digest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    (folder / "static").mkdir(parents=True, exist_ok=True)
    shown = movie()
    (folder / "cecv.html").write_text(movie_html(shown), encoding="utf-8")
    card(shown).savefig(folder / "static" / "card.png")
    with mpl.rc_context({"svg.hashsalt": "lgdcnn"}):
        for name in MODELS:
            figure = architecture(name).get_figure(root=True)
            assert figure is not None
            path, nothing = folder / f"model_{name}.svg", {"Date": None}
            figure.savefig(path, metadata=nothing, bbox_inches="tight")
            plt.close(figure)
    stamp.write_text(digest, encoding="utf-8")
