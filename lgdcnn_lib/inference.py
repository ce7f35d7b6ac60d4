"""Evaluate a network on any number of compounds, without padding."""

from __future__ import annotations

import torch
from torch import Tensor

from lgdcnn_lib.composition import CompositionBatch
from lgdcnn_lib.models import CompositionModel, ModelOutput


def batches_by_count(n_elements: Tensor, batch_size: int) -> list[Tensor]:
    """Split row numbers into batches of equal element count, in row order."""
    return [
        chunk
        for n in n_elements.unique()
        for chunk in (n_elements == n).nonzero()[:, 0].split(batch_size)
    ]


@torch.no_grad()
def run_model(
    model: CompositionModel, batch: CompositionBatch, batch_size: int = 1024
) -> ModelOutput:
    """Evaluate a model on any number of compounds, without padding.

    Parameters
    ----------
    model : CompositionModel
        Put into evaluation mode for the call, then back as it was.
    batch : CompositionBatch
        N compounds.
    batch_size : int

    Returns
    -------
    ModelOutput
        mean (N,) and log_std (N,), standardised units, on the CPU, in row order.
    """
    counts = batch.n_elements
    if model.config.padding == "published":  # its answers depend on the padding
        counts = torch.zeros_like(counts)  # one group: the rows as they stand
    chunks = batches_by_count(counts, batch_size)
    device = next(model.parameters()).device
    mean, log_std = torch.empty(len(batch)), torch.empty(len(batch))
    training = model.training
    model.eval()
    try:
        for rows in chunks:
            part = batch[rows]
            if model.config.padding == "masked":
                part = part.trim()
            out = model(part.to(device))
            mean[rows], log_std[rows] = out.mean.cpu(), out.log_std.cpu()
    finally:
        model.train(training)
    return ModelOutput(mean, log_std)
