"""Optimisers and schedules that torch does not have; the rest is torch's own.

* :class:`Lamb`: You et al., "Large Batch Optimization for Deep Learning", ICLR 2020.
* :class:`Lookahead`: Zhang et al., "Lookahead Optimizer", NeurIPS 2019.
* :class:`CycleAveraging`: stochastic weight averaging at the ends of learning-rate
  cycles (Izmailov et al., UAI 2018), with the published refusal rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

MAX_WEIGHT_NORM = 10.0  # as published


class Lamb(Optimizer):
    """Adam's step, rescaled for each tensor by ``|weights| / |step|``.

    As published for L-G-DCNN: no bias correction, and the weight norm clipped to 10.

    Parameters
    ----------
    params : iterable of tensors
    lr : float
    betas : (float, float)
    eps : float
    weight_decay : float
        Added to the step, before the rescaling.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
            },
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take one step."""
        if closure is not None:
            raise ValueError("Lamb takes no closure")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, self.state[p], group)

    @staticmethod
    def _update(p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        beta1, beta2 = group["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m.lerp_(p.grad, 1 - beta1)
        v.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
        step = m / (v.sqrt() + group["eps"]) + group["weight_decay"] * p
        weight_norm = p.norm().clamp(max=MAX_WEIGHT_NORM)
        step_norm = step.norm()
        trust = torch.where(
            (weight_norm > 0) & (step_norm > 0),
            weight_norm / step_norm,
            torch.ones_like(step_norm),
        )
        p.sub_(step * (group["lr"] * trust))


class Lookahead(Optimizer):
    """Every k steps, pull slow weights a fraction alpha towards the fast ones.

    The fast weights then restart from the slow ones.

    Parameters
    ----------
    base : Optimizer
        Takes the fast steps; shares its parameter groups (and so its schedule).
    alpha : float
    k : int
    """

    def __init__(self, base: Optimizer, alpha: float = 0.5, k: int = 6) -> None:
        self.base, self.alpha, self.k = base, alpha, k
        super().__init__(base.param_groups, {})
        self.param_groups = base.param_groups
        self.steps = 0
        self.slow = [p.detach().clone() for p in self._params()]

    def _params(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take one fast step, and every k-th time a slow one."""
        self.base.step(closure)
        self.steps += 1
        if self.steps % self.k == 0:
            for p, slow in zip(self._params(), self.slow, strict=True):
                slow.lerp_(p, self.alpha)
                p.copy_(slow)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both optimisers."""
        return {"base": self.base.state_dict(), "steps": self.steps, "slow": self.slow}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self.base.load_state_dict(state_dict["base"])
        self.param_groups = self.base.param_groups
        self.steps = state_dict["steps"]
        for mine, saved in zip(self.slow, state_dict["slow"], strict=True):
            mine.copy_(saved)


class CycleAveraging:
    """Average the weights at cycle ends, only while validation improves.

    At the end of a cycle the running average takes the new weights in when their
    validation error is below the best so far; ``patience`` refusals end the training.
    Without a validation error (NaN) it takes every cycle in.

    Parameters
    ----------
    model : nn.Module
    patience : int
    """

    def __init__(self, model: nn.Module, patience: int = 5) -> None:
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.patience = patience
        self.n_averaged, self.refusals = 0, 0
        self.best = float("inf")

    def update(self, model: nn.Module, error: float) -> bool:
        """Offer the weights of a cycle's end; return True when training should stop."""
        if error >= self.best:
            self.refusals += 1
            return self.refusals >= self.patience
        self.best = error
        self.n_averaged += 1
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value, 1 / self.n_averaged)
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return everything that ``load_state_dict`` needs."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned; the average stays on its device."""
        devices = {key: value.device for key, value in self.average.items()}
        vars(self).update(state)
        self.average = {k: v.to(devices[k]) for k, v in self.average.items()}


def one_cycle(optimizer: Optimizer, lr: float, steps: int) -> LRScheduler:
    """Rise to ``lr`` over the first 30 % of ``steps``, then fall to nearly 0."""
    return OneCycleLR(optimizer, max_lr=lr, total_steps=steps, cycle_momentum=False)


def triangular(optimizer: Optimizer, lr: float, half_cycle: int) -> LRScheduler:
    """Rise from 1e-4 to ``lr`` and fall again, ``half_cycle`` steps each way.

    ``lr`` is also the optimiser's own learning rate, which the schedule multiplies.
    """

    def factor(step: int) -> float:
        from_peak = abs(step % (2 * half_cycle) - half_cycle) / half_cycle
        return (lr + (1e-4 - lr) * from_peak) / lr

    return LambdaLR(optimizer, factor)
