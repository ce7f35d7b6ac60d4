"""Useful work of a network: the arithmetic of its matrix products, from its layers.

Counted are multiplications and additions of numbers that carry something: no padding,
no taps of a convolution that lie outside the compound, no zero state at the start of a
recurrent layer. Element-wise operations and the optimiser count as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from lgdcnn_lib.layers import (
    ChannelMaxPool,
    ElementConv,
    Recurrent,
    ResidualBlock,
    SoftAttention,
    TransformerBlock,
)
from lgdcnn_lib.models import CompositionModel


def linear_flop(layer: nn.Linear) -> int:
    """Operations for one vector."""
    return 2 * layer.in_features * layer.out_features


def layer_flop(layer: nn.Module, n: int) -> int:
    """Operations of a layer for one compound of n elements.

    Raises
    ------
    TypeError
        For a layer that is not known here.
    """
    if isinstance(layer, Recurrent):
        gates = 4 if isinstance(layer.rnn, nn.LSTM) else 3
        d, half = layer.rnn.input_size, layer.rnn.hidden_size
        return 2 * 2 * gates * half * (n * d + (n - 1) * half)
    if isinstance(layer, SoftAttention):
        return n * sum(linear_flop(m) for m in layer.mlp if isinstance(m, nn.Linear))
    if isinstance(layer, ElementConv):
        kernel, d, _ = layer.weight.shape
        shifts = range(-(kernel // 2), kernel // 2 + 1)
        return 2 * d * d * sum(max(n - abs(shift), 0) for shift in shifts)
    if isinstance(layer, ResidualBlock):
        return layer_flop(layer.conv1, n) + layer_flop(layer.conv2, n)
    if isinstance(layer, TransformerBlock):
        encoder = layer.encoder
        d = encoder.linear1.in_features
        perceptron = linear_flop(encoder.linear1) + linear_flop(encoder.linear2)
        queries_keys_values_out = 4 * 2 * d * d
        scores_and_sums = 2 * 2 * n * d
        return n * (queries_keys_values_out + scores_and_sums + perceptron)
    if isinstance(layer, ChannelMaxPool):
        return 0
    raise TypeError(f"no count for a {type(layer).__name__}")


def useful_flop(
    model: CompositionModel, batches: Iterable[tuple[int, int]], training: bool
) -> int:
    """Operations of a pass over batches, each of (compounds, elements of each).

    A training pass goes once forward and twice as much backward: gradients of weights
    and of inputs. The element table, which is projected once a batch where that is
    less, has no gradient.
    """
    table = model.elements
    forward = projection = 0
    for compounds, n in batches:
        layers = sum(layer_flop(model.parts[key], n) for _, key in model.path)
        forward += compounds * (layers + linear_flop(model.head.linear))
        rows = min(compounds * n, len(table.vectors))
        projection += rows * linear_flop(table.linear)
    return 3 * forward + 2 * projection if training else forward + projection
