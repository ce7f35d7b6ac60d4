"""Architecture diagrams, drawn from the network itself, so that they cannot drift.

`describe` reads a model's path, shapes and parameter counts from its modules;
`architecture` draws that from top to bottom, narrow enough for a phone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, FancyBboxPatch
from torch import nn

from lgdcnn_lib.layers import (
    ChannelMaxPool,
    ElementConv,
    Recurrent,
    ResidualBlock,
    RobustHead,
    SoftAttention,
    TransformerBlock,
)
from lgdcnn_lib.models import MODELS, CompositionModel, build_model
from lgdcnn_lib.plotting_style import MUTED, PALETTE, new_axes


@dataclass(frozen=True)
class Step:
    """One step of a network, as drawn.

    Attributes
    ----------
    name : str
        Layer name as in ``model.layer_names``; ``"head"`` for the last step.
    title, detail : str
        What it is, and its shapes.
    colour : str
        Key of ``plotting.PALETTE``.
    parameters : int
        Trainable numbers that this step brings; 0 where it shares another's.
    shares : str
        Name of the step whose weights it uses, or ``""``.
    skip : bool
        Whether its input is added to its output.
    adds : tuple of str
        Earlier steps whose outputs are added to its input.
    """

    name: str
    title: str
    detail: str
    colour: str
    parameters: int
    shares: str = ""
    skip: bool = False
    adds: tuple[str, ...] = ()


Words = tuple[str, str, str]  # title, detail, colour


def _recurrent(layer: Any) -> Words:
    rnn = layer.rnn
    shape = f"{rnn.input_size} → 2 × {rnn.hidden_size}"
    return f"{type(rnn).__name__}, both directions", shape, "blue"


def _attention(layer: Any) -> Words:
    first = layer.mlp[0]
    softmax = f"softmax({first.in_features} → {first.out_features} → 1)"
    return "soft attention", f"a · h,  a = {softmax}", "orange"


def _convolution(layer: Any) -> Words:
    kernel, out, into = layer.weight.shape
    return f"convolution, kernel {kernel}", f"{into} → {out}", "green"


def _block(layer: Any) -> Words:
    kernel, out, into = layer.conv1.weight.shape
    title = "residual block" if layer.residual else "block, no skip"
    return f"{title}, kernel {kernel}", f"2 × (ReLU, {into} → {out})", "green"


def _encoder(layer: Any) -> Words:
    heads, first = layer.encoder.self_attn.num_heads, layer.encoder.linear1
    shape = f"then {first.in_features} → {first.out_features} → back, both + skip"
    return f"self-attention, {heads} heads", shape, "purple"


def _pool(layer: Any) -> Words:
    return "sum of branches, max-pool", "over 3 neighbouring channels", "sky"


def _head(layer: Any) -> Words:
    linear = layer.linear
    shape = f"{linear.in_features} → {linear.out_features}: m, s, l"
    return "mean over elements", shape, "red"


WORDS: dict[type[nn.Module], Callable[[Any], Words]] = {
    Recurrent: _recurrent,
    SoftAttention: _attention,
    ElementConv: _convolution,
    ResidualBlock: _block,
    TransformerBlock: _encoder,
    ChannelMaxPool: _pool,
    RobustHead: _head,
}


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _words(module: nn.Module) -> Words:
    if type(module) not in WORDS:
        raise TypeError(f"no words for a layer of type {type(module).__name__}")
    return WORDS[type(module)](module)


def describe(model: CompositionModel) -> tuple[Step, ...]:
    """List the steps of a network, read from its modules.

    Returns
    -------
    tuple of Step
        ``embedding.elements``, ``embedding.stoichiometry``, one step for each further
        layer in the order in which they run, and ``head``. Their parameters sum to
        ``model.n_parameters()``.

    Raises
    ------
    TypeError
        For a layer whose type has no entry in ``WORDS``.
    """
    linear, table = model.elements.linear, model.stoichiometry.table
    steps = [
        Step(
            "embedding.elements",
            f"{model.config.element_table}",
            f"{linear.in_features} → {linear.out_features}",
            "grey",
            _count(model.elements),
        ),
        Step(
            "embedding.stoichiometry",
            "stoichiometry",
            f"{len(table):,} codes → 2 × {table.shape[1]}",
            "grey",
            _count(model.stoichiometry),
        ),
    ]
    first_use: dict[str, str] = {}
    attended: tuple[str, ...] = ()
    for name, key in model.path:
        module = model.parts[key]
        shares = first_use.get(key, "")
        title, detail, colour = _words(module)
        steps.append(
            Step(
                name,
                title,
                f"the weights of {shares}" if shares else detail,
                colour,
                0 if shares else _count(module),
                shares,
                bool(getattr(module, "residual", False)),
                attended if isinstance(module, ChannelMaxPool) else (),
            )
        )
        first_use.setdefault(key, name)
        if isinstance(module, SoftAttention):
            attended = (*attended, name)
    return (*steps, Step("head", *_words(model.head), _count(model.head)))


# Drawing ----------------------------------------------------------------------

# One unit is UNIT inches both ways. Boxes reach from LEFT to RIGHT.
UNIT, LEFT, CENTRE, RIGHT, TOTAL = 0.42, 0.75, 5.0, 9.25, 10.0
TALL, GAP = 1.12, 0.72
LARGE, SMALL = 9.5, 9.0  # points; the figure is as wide as a phone's column
INK = PALETTE["ink"]
LINE: dict[str, Any] = {"color": MUTED, "linewidth": 1.3, "solid_capstyle": "round"}


def architecture(model: CompositionModel | str, ax: Axes | None = None) -> Axes:
    """Draw a network from its own structure, from the formula down to the prediction.

    A box is a layer: its name, what it is, its shapes and its trainable parameters.
    Lines at the right are skip connections; dashed lines at the left join layers that
    share their weights.

    Parameters
    ----------
    model : CompositionModel or str
        A network, or the name of one in ``MODELS`` (its default configuration).
    ax : Axes, optional

    Raises
    ------
    KeyError
        For an unknown name.
    TypeError
        For a layer that has no words: see `describe`.
    """
    if isinstance(model, str):
        model = build_model(model)
    steps = describe(model)
    rows = len(steps) - 1  # the two parts of the embedding stand side by side
    sums = sum(bool(step.adds) for step in steps)
    height = 3.8 + rows * (TALL + GAP) + sums * GAP
    ax, _ = new_axes(ax, TOTAL * UNIT, height * UNIT)
    ax.set(xlim=(0, TOTAL), ylim=(-height + 1.2, 1.2), aspect="equal")
    ax.set_axis_off()
    total = f"{model.n_parameters():,} parameters"
    _write(ax, LEFT, 0.75, _name(model), LARGE, weight="bold")
    _write(ax, RIGHT, 0.75, total, SMALL, ha="right", color=MUTED)
    y = _draw_input(ax, steps[0], steps[1], model)
    places: dict[str, float] = {}
    for step in steps[2:]:
        y = _draw_sum(ax, step, places, y) if step.adds else y
        places[step.name] = y
        y = _draw_step(ax, step, places, y)
    _arrow(ax, CENTRE, y, y - GAP)
    result = "m · sigmoid(l)  and  log σ = s"
    _write(ax, CENTRE, y - GAP - 0.4, result, LARGE, "center")
    return ax


def _name(model: CompositionModel) -> str:
    names = [name for name, variant in MODELS.items() if variant == model.variant]
    return names[0] if names else " → ".join(model.variant.stages)


def _draw_input(
    ax: Axes, elements: Step, amounts: Step, model: CompositionModel
) -> float:
    """Draw formula and embedding; return where the next box begins."""
    _write(ax, CENTRE, 0.0, "formula: Z and fractions, (N, L)", LARGE, "center")
    y = -0.35 - GAP
    for step, x in ((elements, LEFT), (amounts, CENTRE + 0.12)):
        width = CENTRE - 0.12 - LEFT
        centre = x + width / 2
        _arrow(ax, centre, -0.35, y)
        _box(ax, (x, y), (width, TALL + 0.45), step)
        _write(ax, centre, y - 0.32, step.title, LARGE, "center", weight="bold")
        _write(ax, centre, y - 0.78, step.detail, SMALL, "center")
        count = f"{step.parameters:,}"
        _write(ax, centre, y - 1.24, count, SMALL, "center", color=MUTED)
        ax.plot([centre, centre, CENTRE], [y - TALL - 0.45, y - 2.0, y - 2.0], **LINE)
    _plus(ax, CENTRE, y - 2.0)
    _write(ax, CENTRE + 0.4, y - 2.32, "embedding", SMALL, weight="bold")
    shape = f"(N, L, {model.config.d})"
    _write(ax, RIGHT, y - 2.32, shape, SMALL, "right", color=MUTED)
    _arrow(ax, CENTRE, y - 2.0, y - 2.0 - GAP)
    return y - 2.0 - GAP


def _draw_sum(ax: Axes, step: Step, places: dict[str, float], y: float) -> float:
    """Lead the outputs of earlier steps here; return where the next box begins."""
    for i, source in enumerate(step.adds):
        x, start = LEFT - 0.45 - 0.2 * i, places[source] - TALL - 0.5 * GAP
        ax.plot([CENTRE, x, x, CENTRE], [start, start, y, y], **LINE)
    _plus(ax, CENTRE, y)
    _arrow(ax, CENTRE, y, y - GAP)
    return y - GAP


def _draw_step(ax: Axes, step: Step, places: dict[str, float], y: float) -> float:
    """Draw the box of a step, with its lines; return where the next box begins."""
    _box(ax, (LEFT, y), (RIGHT - LEFT, TALL), step)
    _write(ax, LEFT + 0.2, y - 0.34, step.name, LARGE, weight="bold")
    _write(ax, RIGHT - 0.2, y - 0.34, step.title, LARGE, "right")
    _write(ax, LEFT + 0.2, y - 0.8, step.detail, SMALL)
    count = f"{step.parameters:,}"
    _write(ax, RIGHT - 0.2, y - 0.8, count, SMALL, "right", color=MUTED)
    if step.shares:
        top, bottom = places[step.shares] - TALL / 2, y - TALL / 2
        ends = [LEFT, LEFT - 0.25, LEFT - 0.25, LEFT], [top, top, bottom, bottom]
        ax.plot(*ends, **LINE | {"linestyle": (0, (3, 2)), "color": PALETTE["orange"]})
    if step.name == "head":
        return y - TALL
    _arrow(ax, CENTRE, y - TALL, y - TALL - GAP)
    if step.skip:
        into, out, x = y + 0.42 * GAP, y - TALL - 0.3 * GAP, RIGHT + 0.4
        ax.plot([CENTRE, x, x, CENTRE], [into, into, out, out], **LINE)
        _plus(ax, CENTRE, out)
    return y - TALL - GAP


def _box(
    ax: Axes, corner: tuple[float, float], size: tuple[float, float], step: Step
) -> None:
    """Draw a pale plate from its upper left corner; dashed where it shares weights."""
    edge = to_rgb(PALETTE[step.colour])
    style: dict[str, Any] = {
        "boxstyle": "round,pad=0,rounding_size=0.15",
        "facecolor": tuple(1 - 0.14 * (1 - channel) for channel in edge),
        "edgecolor": edge,
        "linestyle": "--" if step.shares else "-",
        "linewidth": 1.4,
    }
    lower = (corner[0], corner[1] - size[1])
    ax.add_patch(FancyBboxPatch(lower, *size, **style, zorder=3))


def _write(
    ax: Axes, x: float, y: float, text: str, size: float, ha: str = "left", **style: Any
) -> None:
    options: dict[str, Any] = {"va": "center", "color": INK, "zorder": 4} | style
    ax.text(x, y, text, fontsize=size, ha=ha, **options)


def _arrow(ax: Axes, x: float, start: float, end: float) -> None:
    head = {"arrowstyle": "-|>,head_width=0.2,head_length=0.35", "color": MUTED}
    arrow: dict[str, Any] = head | {"shrinkA": 0, "shrinkB": 0, "linewidth": 1.3}
    ax.annotate("", (x, end), (x, start), arrowprops=arrow, zorder=2)


def _plus(ax: Axes, x: float, y: float) -> None:
    ax.add_patch(Circle((x, y), 0.17, facecolor="white", edgecolor=MUTED, zorder=5))
    for line in (([x - 0.1, x + 0.1], [y, y]), ([x, x], [y - 0.1, y + 0.1])):
        ax.plot(*line, **LINE, zorder=6)
