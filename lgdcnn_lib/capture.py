"""What a layer puts out: element feature matrices, with the formulas they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lgdcnn_lib.composition import CompositionBatch, encode
from lgdcnn_lib.environments import FloatArray, environment_matrices
from lgdcnn_lib.inference import batches_by_count
from lgdcnn_lib.models import CompositionModel

Formulas: TypeAlias = Sequence[str] | CompositionBatch


@dataclass(frozen=True)
class LayerFeatures:
    """A layer's output for some compounds, and which compounds they are.

    Attributes
    ----------
    formulas : tuple of N str
    features : (N, L, d) float32
        Zero where there is no element.
    mask : (N, L) bool
    layer : str
    """

    formulas: tuple[str, ...]
    features: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    layer: str

    def __len__(self) -> int:
        return len(self.formulas)

    def matrices(self) -> list[FloatArray]:
        """Environment matrices: see `environment_matrices`."""
        return environment_matrices(self.features, self.mask)


def layer_features(
    source: Any, formulas: Formulas, layer: str, batch_size: int = 512
) -> LayerFeatures:
    """Run a network up to one layer and keep that layer's output.

    The network is left as it was: it runs in evaluation mode without gradients, and
    its training flags are restored.

    Parameters
    ----------
    source
        A model, or a predictor (anything with a ``.model``).
    formulas
        N formulas, or an encoded batch. They are grouped by their number of elements,
        so that no padding reaches the network; only a network with published padding
        gets the batch with the padding it has (that of its longest formula).
    layer
        One of ``model.layer_names``.
    batch_size
        Compounds in a forward pass.

    Raises
    ------
    ValueError
        For an unknown layer.
    FormulaError
        For a formula that cannot be read.
    """
    model, batch = encode_for(source, formulas)
    check_layers(model, [layer])
    mask = batch.mask.cpu().numpy()
    features = np.zeros((*mask.shape, 0), dtype=np.float32)
    for rows, _, h in layer_outputs(model, batch, [layer], batch_size):
        if features.shape[2] == 0:
            features = np.zeros((*mask.shape, h.shape[2]), dtype=np.float32)
        features[rows, : h.shape[1]] = h
    features[~mask] = 0
    return LayerFeatures(batch.formulas, features, mask, layer)


def encode_for(
    source: Any, formulas: Formulas
) -> tuple[CompositionModel, CompositionBatch]:
    """Return the model of a source, and the formulas encoded as it expects them."""
    model: CompositionModel = getattr(source, "model", source)
    if isinstance(formulas, CompositionBatch):
        return model, formulas
    return model, encode(formulas, order=model.config.order)


def check_layers(model: CompositionModel, layers: Sequence[str]) -> None:
    """Refuse, with a ValueError, layers that a model does not have."""
    for layer in layers:
        if layer not in model.layer_names:
            raise ValueError(f"no layer {layer!r}; there are {model.layer_names}")


def layer_outputs(
    model: CompositionModel,
    batch: CompositionBatch,
    layers: Sequence[str],
    batch_size: int = 512,
) -> Iterator[tuple[npt.NDArray[np.int64], str, npt.NDArray[np.float32]]]:
    """Run a network over a batch, piece by piece, up to the last layer asked for.

    Yields
    ------
    (rows, layer, h)
        Rows of the batch in this piece, layer name, and output (len(rows), L', d):
        L' is the number of elements of these rows, or the batch's L under published
        padding.
    """
    padded = model.config.padding == "published"
    pieces = (
        list(torch.arange(len(batch)).split(batch_size))
        if padded
        else batches_by_count(batch.n_elements, batch_size)
    )
    last = max((model.layer_names.index(layer) for layer in layers), default=-1)
    device = next(model.parameters()).device
    with _evaluating(model), torch.no_grad():
        for rows in pieces:
            part = batch[rows] if padded else batch[rows].trim()
            for name, h in islice(model.layers(part.to(device)), last + 1):
                if name in layers:
                    yield rows.numpy(), name, h.float().cpu().numpy()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag
