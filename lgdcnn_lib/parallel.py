"""Several processes that train one network, each on its share of every batch.

Start them with ``torchrun --nproc-per-node 2 -m lgdcnn_lib train …``. Every process
holds the whole network and the whole data; the gradients are summed over the processes
before each step, so all take the same step as one process alone would. Alone, the
functions here change nothing.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lgdcnn_lib.composition import CompositionBatch


def join() -> None:
    """Join the processes that ``torchrun`` started; alone, do nothing.

    The processes talk by NCCL where each has a GPU of its own, else by gloo.
    """
    if "LOCAL_WORLD_SIZE" not in os.environ:
        return
    if torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"]):
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl")
    else:
        dist.init_process_group("gloo")


def processes() -> int:
    """Number of processes that train together; 1 alone."""
    together = dist.is_available() and dist.is_initialized()
    return dist.get_world_size() if together else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if processes() > 1 else 0


def share(
    batch: CompositionBatch, target: Tensor
) -> tuple[CompositionBatch, Tensor, float]:
    """Take one process's rows of a batch, their targets, and the weight of a loss.

    Rows are dealt out in turn. A batch with fewer rows than processes is done by all
    of them, and each loss counts for its share.
    """
    n = processes()
    if n == 1:
        return batch, target, 1.0
    if len(batch) < n:
        return batch, target, 1 / n
    mine = slice(rank(), None, n)
    numbers, fractions = batch.atomic_numbers[mine], batch.fractions[mine]
    part = CompositionBatch((), numbers, fractions, batch.mask[mine], batch.full)
    return part, target[mine], 1.0


def sum_gradients(model: nn.Module) -> None:
    """Replace each gradient by its sum over the processes, in one message."""
    if processes() == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(together)
    pieces = together.split([gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


def total(value: Tensor) -> Tensor:
    """The sum of a number over the processes."""
    if processes() > 1:
        dist.all_reduce(value)
    return value


def agree(answer: bool) -> bool:
    """The answer of the first process, for all."""
    answers = [answer]
    if processes() > 1:
        dist.broadcast_object_list(answers)
    return answers[0]
