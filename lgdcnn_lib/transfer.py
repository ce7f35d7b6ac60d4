"""Transfer learning: start a training from what another task has taught."""

from __future__ import annotations

import torch

from lgdcnn_lib.models import CompositionModel
from lgdcnn_lib.predictor import Predictor


def start_from(model: CompositionModel, pretrained: Predictor) -> None:
    """Copy the weights of a trained network into a new one, all but the head.

    The head turns features into the units of one property; the new task trains its
    own from the start. Build ``model`` with another seed than the pretrained network:
    a head that begins as the old one did is no random one, for the features have grown
    along it.

    Parameters
    ----------
    model : CompositionModel
        Changed in place.
    pretrained : Predictor
        Of the same stages and settings.

    Raises
    ------
    ValueError
        When the two networks differ.
    """
    source = pretrained.model
    for what, mine, theirs in (
        ("stages", model.variant.stages, source.variant.stages),
        ("settings", model.config, source.config),
    ):
        if mine != theirs:
            raise ValueError(f"the networks have other {what}: {theirs}, not {mine}")
    weights = source.state_dict()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("head."):
                parameter.copy_(weights[name])
