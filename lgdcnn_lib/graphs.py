"""Replay a training step on a CUDA GPU, without launching its kernels one by one.

A step of these networks is some hundred small kernels, and a processor takes longer to
launch them than the GPU to run them. A CUDA graph records the launches once for each
shape of batch, and then replays them in one call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from lgdcnn_lib.composition import CompositionBatch

Step = Callable[[CompositionBatch, Tensor], Tensor]


class GraphedStep:
    """A training step that is recorded the second time a shape is seen.

    The first batch of a shape is an ordinary step, which also lets the libraries below
    set themselves up. Every call is one step of the training, recorded or not.

    Parameters
    ----------
    step : callable
        Takes a full batch and its targets, updates weights that live on the GPU,
        leaves no gradients behind, and returns the summed loss as a tensor. It must
        not copy anything to or from the processor.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()
        self.graphs: dict[torch.Size, _Recorded | None] = {}

    def __call__(self, batch: CompositionBatch, target: Tensor) -> Tensor:
        """Take one step; return the summed loss of the batch."""
        shape = batch.atomic_numbers.shape
        if shape not in self.graphs:
            self.graphs[shape] = None
            return self._ordinary(batch, target)
        recorded = self.graphs[shape]
        if recorded is None:
            recorded = self.graphs[shape] = _Recorded(self, batch, target)
        return recorded.replay(batch, target)

    def _ordinary(self, batch: CompositionBatch, target: Tensor) -> Tensor:
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream), warnings.catch_warnings():
            # The optimiser wonders why it is not being recorded yet.
            warnings.filterwarnings("ignore", message=".*capturable=True")
            loss = self.step(batch, target)
        current.wait_stream(self.stream)
        return loss


class _Recorded:
    """One graph, with the tensors that it reads and writes."""

    def __init__(
        self, owner: GraphedStep, batch: CompositionBatch, target: Tensor
    ) -> None:
        # The graph reads these very tensors at each replay: they must stay alive.
        self.batch = CompositionBatch(
            (),
            batch.atomic_numbers.clone(),
            batch.fractions.clone(),
            torch.ones_like(batch.mask),
            full=True,
        )
        self.target = target.clone()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=owner.pool, stream=owner.stream):
            self.loss = owner.step(self.batch, self.target)

    def replay(self, batch: CompositionBatch, target: Tensor) -> Tensor:
        """Put a batch where the graph reads, and run it."""
        self.batch.atomic_numbers.copy_(batch.atomic_numbers)
        self.batch.fractions.copy_(batch.fractions)
        self.target.copy_(target)
        self.graph.replay()
        return self.loss.clone()
