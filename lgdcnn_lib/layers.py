"""The layers that every network of the book is made of.

Shapes: N compounds, L element slots (real elements first, then padding), d channels.
Each layer takes the element feature matrices ``h`` (N, L, d) and a ``mask`` (N, L),
True where a slot holds an element. A mask of ``None`` says that every slot counts:
true for batches of equal element count, and the published behaviour for all others.

Source of all equations: Du and Wang, J. Chem. Theory Comput. 2024, 20, 6756.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the element slots of each compound.

    Parameters
    ----------
    scores : (N, L, 1)
    mask : (N, L) or None

    Returns
    -------
    (N, L, 1) weights that sum to 1 over the real slots; 0 at padded slots.
    """
    if mask is not None:
        scores = scores.masked_fill(~mask[..., None], -torch.inf)
    return scores.softmax(dim=1)


def _hide_padding(h: Tensor, mask: Tensor | None) -> Tensor:
    return h if mask is None else h * mask[..., None]


class ElementEmbedding(nn.Module):
    """Element vector -> d channels: ``2**s * (W v + b)`` with a learnable exponent s.

    Parameters
    ----------
    vectors : (119, k)
        Frozen element table; the row is the atomic number, row 0 is the empty slot.
    d : int
    """

    vectors: Tensor

    def __init__(self, vectors: Tensor, d: int) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.ones(1))
        self.linear = nn.Linear(vectors.shape[1], d)
        self.register_buffer("vectors", vectors)

    def forward(self, atomic_numbers: Tensor) -> Tensor:
        """(N, L) atomic numbers -> (N, L, d)."""
        if atomic_numbers.numel() > len(self.vectors):  # project the smaller side
            table = self.linear(self.vectors)
            return 2**self.exponent * F.embedding(atomic_numbers, table)
        return 2**self.exponent * self.linear(self.vectors[atomic_numbers])


def sinusoid_table(resolution: int, width: int, encoding: str) -> Tensor:
    """Frozen table T[k, j] of shape (resolution, width).

    ``encoding="sin"`` is the published T[k, j] = sin(k / 50**(2j/width)). ``"sincos"``
    uses cos in the odd channels, so that neighbouring channels do not repeat.
    """
    k = torch.arange(resolution, dtype=torch.float64)[:, None]
    j = torch.arange(width, dtype=torch.float64)
    angle = k / 50 ** (2 * j / width)
    table = angle.sin()
    if encoding == "sincos":
        table[:, 1::2] = angle[:, 1::2].cos()
    return table.float()


class StoichiometryEncoding(nn.Module):
    """Fractions -> d channels: a linear half and a logarithmic half.

    Parameters
    ----------
    d : int
        Even; each half has d/2 channels.
    resolution : int
        Rows R of the tables: fractions closer than 1/R share a code.
    encoding : {"sin", "sincos"}
    """

    table: Tensor

    def __init__(self, d: int, resolution: int, encoding: str) -> None:
        super().__init__()
        self.linear_exponent = nn.Parameter(torch.ones(1))
        self.log_exponent = nn.Parameter(torch.ones(1))
        table = sinusoid_table(resolution, d // 2, encoding)
        self.register_buffer("table", table, persistent=False)

    def index(self, x: Tensor) -> Tensor:
        """Row of the table for x in [0, 1]: round(R clamp(x, 1/R, 1)) - 1."""
        resolution = len(self.table)
        return (resolution * x.clamp(1 / resolution, 1)).round().long() - 1

    def forward(self, fractions: Tensor) -> Tensor:
        """(N, L) fractions -> (N, L, d)."""
        log_fractions = (0.0025 * fractions.log2() ** 2).clamp(max=1)
        halves = [
            2 ** ((1 - exponent) ** 2) * F.embedding(self.index(x), self.table)
            for x, exponent in (
                (fractions, self.linear_exponent),
                (log_fractions, self.log_exponent),
            )
        ]
        return torch.cat(halves, dim=-1)


class Recurrent(nn.Module):
    """A bidirectional one-layer LSTM or GRU over the elements, d -> 2 x d/2.

    The backward direction starts at the last real element, not in the padding.
    """

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], d: int) -> None:
        super().__init__()
        self.rnn = kind(d, d // 2, batch_first=True, bidirectional=True)

    def forward(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """(N, L, d) -> (N, L, d)."""
        if mask is None:
            return self.rnn(h)[0]
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(
            h, lengths, batch_first=True, enforce_sorted=False
        )
        out, _ = self.rnn(packed)
        return pad_packed_sequence(out, batch_first=True, total_length=h.shape[1])[0]


class SoftAttention(nn.Module):
    """Weigh the elements of a compound: ``out = h + a h``, a = softmax(MLP(h)).

    Parameters
    ----------
    d : int
    residual : bool
        False gives ``out = a h``.
    """

    def __init__(self, d: int, residual: bool = True) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1))
        self.residual = residual

    def weights(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """(N, L, d) -> (N, L, 1), sums to 1 over the elements of each compound."""
        return masked_softmax(self.mlp(h), mask)

    def forward(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """(N, L, d) -> (N, L, d)."""
        attended = self.weights(h, mask) * h
        return h + attended if self.residual else attended


class ElementConv(nn.Module):
    """Convolution along the elements, zero outside the compound.

    ``y[i] = b + sum_k W[k] x[i + k - centre]``. On a CPU, one matrix product a tap,
    over the positions where the tap meets an element: for the two to five elements of
    a compound this is up to twice as fast as ``nn.Conv1d``, which computes the same
    (tested). A GPU would wait for so many small calls; there it is one product.

    Parameters
    ----------
    d : int
    kernel : int
        Odd; 1 means no exchange between elements.
    """

    def __init__(self, d: int, kernel: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(d * kernel)  # as nn.Conv1d starts
        self.weight = nn.Parameter(torch.empty(kernel, d, d).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(d).uniform_(-bound, bound))

    def forward(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """(N, L, d) -> (N, L, d)."""
        h = _hide_padding(h, mask)
        return self.by_windows(h) if h.is_cuda else self.by_taps(h)

    def by_windows(self, h: Tensor) -> Tensor:
        """One product of all windows (N, L, kernel d) with all taps."""
        kernel, length = len(self.weight), h.shape[1]
        padded = F.pad(h, (0, 0, kernel // 2, kernel // 2))
        windows = [padded[:, k : k + length] for k in range(kernel)]
        taps = self.weight.transpose(0, 1).flatten(1)
        return F.linear(torch.cat(windows, dim=2), taps, self.bias)

    def by_taps(self, h: Tensor) -> Tensor:
        """Position by position, the taps that meet an element."""
        centre, length = len(self.weight) // 2, h.shape[1]
        taps, x = [w.T for w in self.weight.unbind()], h.unbind(dim=1)
        out = []
        for i in range(length):
            y: Tensor = self.bias
            for j in range(max(0, i - centre), min(length, i + centre + 1)):
                y = torch.addmm(y, x[j], taps[j - i + centre])
            out.append(y)
        return torch.stack(out, dim=1)


class ResidualBlock(nn.Module):
    """``h + [ReLU, conv, ReLU, conv](h)``, or without the skip."""

    def __init__(self, d: int, kernel: int, residual: bool = True) -> None:
        super().__init__()
        self.conv1 = ElementConv(d, kernel)
        self.conv2 = ElementConv(d, kernel)
        self.residual = residual

    def forward(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """(N, L, d) -> (N, L, d)."""
        out = self.conv2(self.conv1(h.relu(), mask).relu(), mask)
        return h + out if self.residual else out


class TransformerBlock(nn.Module):
    """One masked encoder layer (self-attention, then a two-layer perceptron)."""

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(
            d, heads, dim_feedforward=4 * d, dropout=0.0, batch_first=True
        )

    def forward(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """(N, L, d) -> (N, L, d)."""
        hidden = None if mask is None else ~mask
        return self.encoder(h, src_key_padding_mask=hidden)


class ChannelMaxPool(nn.Module):
    """Maximum over each channel and its two neighbours (width 3, stride 1)."""

    def forward(self, h: Tensor) -> Tensor:
        """(N, L, d) -> (N, L, d)."""
        return F.max_pool1d(h, kernel_size=3, stride=1, padding=1)


class RobustHead(nn.Module):
    """Mean over the real elements of Linear(d, 3) -> prediction and log deviation.

    The three outputs (m, s, l) become ``mean = m sigmoid(l)`` and ``log_std = s``.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d, 3)

    def forward(self, h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(N, L, d), (N, L) -> (N,), (N,)."""
        count = mask.sum(dim=1, keepdim=True)
        pooled = (h * mask[..., None]).sum(dim=1) / count
        m, s, gate = self.linear(pooled).unbind(dim=1)  # linear: the order is free
        return m * gate.sigmoid(), s
