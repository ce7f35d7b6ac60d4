"""Every network of the book: the same layers, in another order.

``build_model("lg_dcnn")`` gives the project's default; ``ModelConfig.paper()`` what was
published (Du and Wang, J. Chem. Theory Comput. 2024, 20, 6756).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lgdcnn_lib.composition import CompositionBatch, Order
from lgdcnn_lib.elements import element_table
from lgdcnn_lib.layers import (
    ChannelMaxPool,
    ElementConv,
    ElementEmbedding,
    Recurrent,
    ResidualBlock,
    RobustHead,
    SoftAttention,
    StoichiometryEncoding,
    TransformerBlock,
)


class ModelOutput(NamedTuple):
    """What a model returns, in standardised units."""

    mean: Tensor  # (N,)
    log_std: Tensor  # (N,)


@dataclass(frozen=True)
class ModelConfig:
    """Settings of a network. ``None`` takes the default of the variant.

    A setting that a variant does not use is an error, never ignored.

    Attributes
    ----------
    d : int
        Channels (even).
    element_table : str or None
        Name for :func:`lgdcnn_lib.elements.element_table`.
    resolution : int or None
        Rows of the stoichiometry tables.
    encoding : {"sincos", "sin"}
        ``"sin"`` is the published table.
    padding : {"masked", "published"}
        ``"published"`` lets every layer run over the padding, as the published code.
    order : {"canonical", "written"}
        Order of the elements that the model expects of ``encode``.
    kernel, blocks : int or None
        Deep CNN: kernel size (odd), number of residual blocks.
    attention : {"shared", "separate"} or None
        Whether two soft attentions share their weights.
    residual : bool or None
        Whether soft attention and CNN blocks have skip connections.
    heads, encoder_layers : int or None
        Transformer only.
    """

    d: int = 256
    element_table: str | None = None
    resolution: int | None = None
    encoding: str = "sincos"
    padding: str = "masked"
    order: Order = "canonical"
    kernel: int | None = None
    blocks: int | None = None
    attention: str | None = None
    residual: bool | None = None
    heads: int | None = None
    encoder_layers: int | None = None

    @classmethod
    def paper(cls, **changes: Any) -> ModelConfig:
        """The published configuration, its padding and order behaviour included."""
        published = cls(d=512, encoding="sin", padding="published", order="written")
        return replace(published, **changes)


# Settings by stage: what a stage reads, and its default.
STAGE_SETTINGS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {},
    "attention": {"residual": True},
    "dcnn": {"kernel": 3, "blocks": 3, "residual": True},
    "transformer": {"heads": 4, "encoder_layers": 3},
    "fusion": {},
}
CHOICES = {
    "encoding": ("sin", "sincos"),
    "padding": ("masked", "published"),
    "order": ("canonical", "written"),
    "attention": ("shared", "separate"),
}


@dataclass(frozen=True)
class Variant:
    """A named network: its stages in order, and defaults that differ from the rest."""

    stages: tuple[str, ...]
    summary: str
    defaults: dict[str, Any] = field(default_factory=dict)


_SINGLE = {"resolution": 5000}
_LG = ("lstm", "attention", "gru", "attention", "dcnn")
MODELS: dict[str, Variant] = {
    "lstm": Variant(("lstm",), "global: a bidirectional LSTM", _SINGLE),
    "gru": Variant(("gru",), "global: a bidirectional GRU", _SINGLE),
    "dcnn": Variant(("dcnn",), "local: a deep CNN with skip connections", _SINGLE),
    "dcnn_k1": Variant(
        ("dcnn",), "kernel 1: elements do not see each other", {**_SINGLE, "kernel": 1}
    ),
    "transformer": Variant(("transformer",), "global: masked self-attention", _SINGLE),
    "l_dcnn": Variant(("lstm", "dcnn"), "design 1: LSTM, then deep CNN"),
    "l_att_dcnn": Variant(("lstm", "attention", "dcnn"), "design 2: + soft attention"),
    "lg_dcnn": Variant(_LG, "design 3: + GRU with the same soft attention"),
    "lg_dcnn_v1": Variant(
        (*_LG, "fusion"), "design 3 with a sum over branches and a channel max-pool"
    ),
    "lg_dcnn_onehot": Variant(
        _LG, "design 3 on one-hot vectors", {"element_table": "onehot"}
    ),
}


def resolve(config: ModelConfig, variant: Variant) -> ModelConfig:
    """Fill in the defaults of a variant; refuse settings that it does not use.

    Raises
    ------
    ValueError
        For an unknown stage, an unused setting or a value outside its range.
    """
    defaults: dict[str, Any] = {"d": 256, "element_table": "mat2vec"}
    defaults["resolution"] = 2000
    if variant.stages.count("attention") > 2:
        raise ValueError("the stage 'attention' occurs more than twice")
    for stage in variant.stages:
        if stage not in STAGE_SETTINGS:
            known = ", ".join(STAGE_SETTINGS)
            raise ValueError(f"unknown stage {stage!r}; known: {known}")
        defaults |= STAGE_SETTINGS[stage]
    if variant.stages.count("attention") > 1:
        defaults["attention"] = "shared"
    defaults |= variant.defaults
    given = {f.name: getattr(config, f.name) for f in fields(config)}
    for name, value in given.items():
        if value is None and name in defaults:
            given[name] = defaults[name]
        elif value is not None and name not in defaults and name not in CHOICES:
            raise ValueError(f"{name}={value!r} is not used by stages {variant.stages}")
    if given["attention"] is not None and "attention" not in defaults:
        raise ValueError(f"attention is not used by stages {variant.stages}")
    resolved = ModelConfig(**given)
    _check(resolved)
    return resolved


def _check(config: ModelConfig) -> None:
    for name, allowed in CHOICES.items():
        value = getattr(config, name)
        if value not in allowed and not (name == "attention" and value is None):
            raise ValueError(f"{name}={value!r}; must be one of {allowed}")
    if config.d < 2 or config.d % 2:
        raise ValueError(f"d={config.d}; must be even and positive")
    if config.kernel is not None and (config.kernel < 1 or config.kernel % 2 == 0):
        raise ValueError(f"kernel={config.kernel}; must be odd and positive")
    least = {"resolution": 1, "blocks": 0, "heads": 1, "encoder_layers": 1}
    for name, low in least.items():
        value = getattr(config, name)
        if value is not None and value < low:
            raise ValueError(f"{name}={value}; must be {low} or more")
    if config.heads is not None and config.d % config.heads:
        raise ValueError(f"d={config.d} is not a multiple of heads={config.heads}")


class CompositionModel(nn.Module):
    """A formula in, a prediction with its uncertainty out.

    Parameters
    ----------
    variant : Variant
    config : ModelConfig
        Resolved: no ``None`` where the variant needs a value.
    vectors : (119, k)
        Element table.
    """

    def __init__(self, variant: Variant, config: ModelConfig, vectors: Tensor) -> None:
        super().__init__()
        self.variant, self.config = variant, config
        c: Any = config
        self.elements = ElementEmbedding(vectors, c.d)
        self.stoichiometry = StoichiometryEncoding(c.d, c.resolution, c.encoding)
        self.parts = nn.ModuleDict()
        self.path = [
            step for stage in variant.stages for step in self._add_stage(stage)
        ]
        self.head = RobustHead(c.d)

    def _add_stage(self, stage: str) -> list[tuple[str, str]]:
        """Make the modules of a stage; return its (layer name, module key) pairs."""
        c: Any = self.config  # resolved: no None where a stage reads a value
        if stage in ("lstm", "gru"):
            kind = nn.LSTM if stage == "lstm" else nn.GRU
            return [(stage, self._add(stage, Recurrent(kind, c.d)))]
        if stage == "attention":
            return self._add_attention()
        if stage == "fusion":
            return [(stage, self._add(stage, ChannelMaxPool()))]
        blocks: list[nn.Module]
        if stage == "transformer":
            blocks = [TransformerBlock(c.d, c.heads) for _ in range(c.encoder_layers)]
            first = 1
        else:
            blocks = [ElementConv(c.d, c.kernel)]
            for _ in range(c.blocks):
                blocks.append(ResidualBlock(c.d, c.kernel, c.residual))
            first = 0
        return [
            (f"{stage}.{i}", self._add(f"{stage}_{i}", block))
            for i, block in enumerate(blocks, start=first)
        ]

    def _add(self, key: str, module: nn.Module) -> str:
        if key in self.parts:
            raise ValueError(f"the stage {key!r} occurs twice")
        self.parts[key] = module
        return key

    def _add_attention(self) -> list[tuple[str, str]]:
        c: Any = self.config
        first = not any(key.startswith("attention") for key in self.parts)
        name = "attention.1" if first else "attention.2"
        if not first and c.attention == "shared":
            return [(name, "attention_1")]
        layer = SoftAttention(c.d, c.residual)
        return [(name, self._add(name.replace(".", "_"), layer))]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers, in the order in which they run."""
        return ("embedding", *(name for name, _ in self.path))

    def layers(self, batch: CompositionBatch) -> Iterator[tuple[str, Tensor]]:
        """Run the network layer by layer.

        Yields
        ------
        (name, h)
            Layer name and its element feature matrices, (N, L, d).
        """
        published = self.config.padding == "published"
        full = published or batch.full or bool(batch.mask.all())
        mask = None if full else batch.mask
        h = self.elements(batch.atomic_numbers) + self.stoichiometry(batch.fractions)
        yield "embedding", h
        attended: list[Tensor] = []
        for name, key in self.path:
            if name == "fusion":
                h = self.parts[key](h + sum(attended))
            else:
                h = self.parts[key](h, mask)
            if name.startswith("attention"):
                attended.append(h)
            yield name, h

    def forward(self, batch: CompositionBatch) -> ModelOutput:
        """Predict, in standardised units."""
        for _, h in self.layers(batch):  # noqa: B007
            pass
        return ModelOutput(*self.head(h, batch.mask))

    def n_parameters(self) -> int:
        """Count the trainable numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def build_model(
    name: str | Sequence[str], config: ModelConfig | None = None, seed: int = 0
) -> CompositionModel:
    """Build a network by name, or from a sequence of stages.

    Parameters
    ----------
    name : str or sequence of str
        A key of :data:`MODELS`, or stages such as ``("dcnn", "lstm")``.
    config : ModelConfig, optional
    seed : int
        Of the initial weights. The global random state is left as it was.

    Raises
    ------
    KeyError
        For an unknown name or element table.
    ValueError
        For a stage that is unknown or comes twice, or a setting that is not used.
    """
    if isinstance(name, str):
        if name not in MODELS:
            raise KeyError(f"no model {name!r}; known: {', '.join(MODELS)}")
        variant = MODELS[name]
    else:
        variant = Variant(tuple(name), " -> ".join(name))
    config = resolve(config or ModelConfig(), variant)
    assert config.element_table is not None
    vectors = torch.tensor(element_table(config.element_table).vectors)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(seed))  # torch.manual_seed: GPUs too
        return CompositionModel(variant, config, vectors)
