"""The reference forward pass of the published configuration."""

from __future__ import annotations

import numpy as np
import torch

from lgdcnn_lib.models import CompositionModel


def golden_parameters(model: CompositionModel) -> list[torch.nn.Parameter]:
    """The parameters in the order of the reference file's tensors."""
    parts = dict(model.named_parameters())
    rnn = [
        f"{kind}_{matrix}_l0{direction}"
        for kind in ("weight", "bias")
        for matrix in ("ih", "hh")
        for direction in ("", "_reverse")
    ]
    names = ["elements.exponent", "stoichiometry.linear_exponent"]
    names += ["stoichiometry.log_exponent"]
    names += ["elements.linear.weight", "elements.linear.bias"]
    names += [f"parts.{cell}.rnn.{name}" for cell in ("lstm", "gru") for name in rnn]
    names += [f"parts.attention_1.mlp.{i}.{w}" for i in (0, 2) for w in WB]
    names += [f"parts.dcnn_0.{w}" for w in WB]
    names += [
        f"parts.dcnn_{b}.conv{c}.{w}" for b in (1, 2, 3) for c in (1, 2) for w in WB
    ]
    names += ["head.linear.weight", "head.linear.bias"]
    assert set(names) == set(parts), set(parts) ^ set(names)
    return [parts[name] for name in names]


WB = ("weight", "bias")


@torch.no_grad()
def fill_by_rule(model: CompositionModel) -> None:
    """Fill tensor i with uniform numbers of seed 1000 + i, as the reference says."""
    for i, parameter in enumerate(golden_parameters(model)):
        if parameter.numel() == 1 and i < 3:
            parameter.fill_(1 + 0.1 * (i + 1))
            continue
        convolution = parameter.dim() == 3  # ours (k, out, in), the file (out, in, k)
        shape = tuple(parameter.shape)
        if convolution:
            shape = (*shape[1:], shape[0])
        values = np.random.RandomState(1000 + i).uniform(-0.06, 0.06, size=shape)
        tensor = torch.from_numpy(values.astype(np.float32))
        parameter.copy_(tensor.permute(2, 0, 1) if convolution else tensor)
