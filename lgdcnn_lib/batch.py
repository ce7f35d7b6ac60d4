"""Compositions as padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

Index = int | slice | Sequence[int] | NDArray[np.integer] | torch.Tensor


@dataclass(frozen=True, eq=False)
class CompositionBatch:
    """Compositions as padded tensors.

    Attributes
    ----------
    formulas
        The N formulas, as written by the user; empty in batches made for training.
    atomic_numbers
        Tensor (N, L), int64; 0 where padded.
    fractions
        Tensor (N, L), float32; each row sums to 1; 0 where padded.
    mask
        Tensor (N, L), bool; True for an element, False for padding.
    full
        A promise that the mask is True everywhere, so that nobody needs to look (on a
        GPU, a look waits for all work to finish).
    """

    formulas: tuple[str, ...]
    atomic_numbers: torch.Tensor
    fractions: torch.Tensor
    mask: torch.Tensor
    full: bool = False

    def __len__(self) -> int:
        return len(self.atomic_numbers)

    def __getitem__(self, index: Index) -> CompositionBatch:
        """Return the chosen rows (one, a slice, positions or a mask); L is kept."""
        if not isinstance(index, (int, slice)):
            index = torch.as_tensor(index)
            index = (index if index.numel() else index.long()).cpu()
        rows = torch.arange(len(self))[index].reshape(-1)
        here = rows.to(self.mask.device)
        return CompositionBatch(
            tuple(self.formulas[row] for row in rows.tolist() if self.formulas),
            self.atomic_numbers[here],
            self.fractions[here],
            self.mask[here],
        )

    @property
    def n_elements(self) -> torch.Tensor:
        """Number of elements of each composition: tensor (N,), int64."""
        return self.mask.sum(dim=1)

    def to(self, device: torch.device | str) -> CompositionBatch:
        """Return the batch with its tensors on another device."""
        return replace(
            self,
            atomic_numbers=self.atomic_numbers.to(device),
            fractions=self.fractions.to(device),
            mask=self.mask.to(device),
        )

    def pad_to(self, length: int) -> CompositionBatch:
        """Return the batch with rows of length L = `length`.

        Raises
        ------
        ValueError
            If a composition has more elements than that.
        """
        if length < self._longest():
            raise ValueError(
                f"length {length} would cut a formula of {self._longest()} elements"
            )
        # A negative pad cuts; what it cuts is padding, as was just checked.
        extra = (0, length - self.mask.shape[1])
        return replace(
            self,
            atomic_numbers=torch.nn.functional.pad(self.atomic_numbers, extra),
            fractions=torch.nn.functional.pad(self.fractions, extra),
            mask=torch.nn.functional.pad(self.mask, extra),
            full=False,
        )

    def trim(self) -> CompositionBatch:
        """Return the batch with no more padding than its longest row needs."""
        return self.pad_to(self._longest())

    def _longest(self) -> int:
        return int(self.n_elements.max()) if len(self) else 0


def shuffle_elements(
    batch: CompositionBatch, generator: torch.Generator
) -> CompositionBatch:
    """Return the same compositions, each with its elements in a new random order."""
    keys = torch.rand(batch.mask.shape, generator=generator).to(batch.mask.device)
    order = keys.masked_fill(~batch.mask, torch.inf).argsort(
        dim=1
    )  # padding stays last
    return replace(
        batch,
        atomic_numbers=batch.atomic_numbers.gather(1, order),
        fractions=batch.fractions.gather(1, order),
    )
