"""Optimisers against steps computed by hand."""

import pytest
import torch
from torch import nn

from lgdcnn_lib.optim import CycleAveraging, Lamb, Lookahead, one_cycle, triangular


def test_lamb_first_step_by_hand():
    p = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = Lamb([p], lr=0.1)
    p.grad = torch.tensor([1.0, 0.0])
    optimizer.step()
    # m = 0.1, v = 0.001: step = (0.1 / (sqrt(0.001) + 1e-6), 0); its norm is itself,
    # so the trust ratio makes it |p| = 5, times lr 0.1.
    assert p.tolist() == pytest.approx([3.0 - 0.5, 4.0], abs=1e-5)


def test_lamb_second_step_by_hand():
    p = nn.Parameter(torch.tensor([1.0]))
    optimizer = Lamb([p], lr=0.1, eps=0.0, weight_decay=0.5)
    weight, m, v = 1.0, 0.0, 0.0
    for gradient in (2.0, -1.0):
        p.grad = torch.tensor([gradient])
        optimizer.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = m / v**0.5 + 0.5 * weight
        weight -= 0.1 * abs(weight) / abs(step) * step
    assert p.item() == pytest.approx(weight, rel=1e-5)


def test_lamb_clips_the_weight_norm():
    p = nn.Parameter(torch.tensor([100.0]))
    optimizer = Lamb([p], lr=0.1)
    p.grad = torch.tensor([1.0])
    optimizer.step()
    assert p.item() == pytest.approx(100 - 0.1 * 10, abs=1e-4)


def test_lamb_moves_zero_weights():
    p = nn.Parameter(torch.zeros(1))
    optimizer = Lamb([p], lr=0.1, eps=0.0)
    p.grad = torch.tensor([1.0])
    optimizer.step()
    assert p.item() == pytest.approx(-0.1 * 0.1 / 0.001**0.5, rel=1e-5)


def test_lamb_leaves_parameters_without_gradient():
    p = nn.Parameter(torch.ones(1))
    Lamb([p]).step()
    assert p.item() == 1
    with pytest.raises(ValueError, match="closure"):
        Lamb([p]).step(lambda: 0)


def test_lookahead_by_hand():
    p = nn.Parameter(torch.tensor([0.0]))
    optimizer = Lookahead(torch.optim.SGD([p], lr=1.0), alpha=0.5, k=3)
    seen = []
    for _ in range(6):
        p.grad = torch.tensor([-1.0])  # each fast step adds 1
        optimizer.step()
        seen.append(p.item())
    assert seen == [1, 2, 1.5, 2.5, 3.5, 3.0]


def test_lookahead_resumes_exactly():
    def make():
        p = nn.Parameter(torch.tensor([1.0, -2.0]))
        return p, Lookahead(Lamb([p], lr=0.1), k=2)

    gradients = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    p, through = make()
    q, first = make()
    for i, gradient in enumerate(gradients):
        if i == 3:
            r, second = make()
            with torch.no_grad():
                r.copy_(q)
            second.load_state_dict(first.state_dict())
            q, first = r, second
        for parameter, optimizer in ((p, through), (q, first)):
            parameter.grad = gradient.clone()
            optimizer.step()
    assert torch.equal(p, q)


def test_cycle_averaging_takes_only_improvements():
    model = nn.Linear(1, 1, bias=False)
    cycles = CycleAveraging(model, patience=2)

    def offer(weight, error):
        nn.init.constant_(model.weight, weight)
        return cycles.update(model, error)

    assert not offer(2.0, 1.0)
    assert not offer(100.0, 1.5)  # refused
    assert not offer(4.0, 0.5)
    assert cycles.average["weight"].item() == 3.0
    assert offer(50.0, 0.7)  # the second refusal ends the training
    assert cycles.average["weight"].item() == 3.0
    other = CycleAveraging(model)
    other.load_state_dict(cycles.state_dict())
    assert vars(other) == vars(cycles)


def rates(make_schedule, steps):
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(1))], lr=6e-3)
    schedule = make_schedule(optimizer)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_one_cycle_rises_then_falls():
    seen = rates(lambda optimizer: one_cycle(optimizer, 1e-3, 101), 100)
    peak = seen.index(max(seen))
    assert max(seen) == pytest.approx(1e-3, rel=1e-2)
    assert 25 <= peak <= 31
    assert seen[:peak] == sorted(seen[:peak])
    assert seen[peak:] == sorted(seen[peak:], reverse=True)
    assert seen[-1] < 1e-6


def test_triangular_by_hand():
    seen = rates(lambda optimizer: triangular(optimizer, 6e-3, 2), 9)
    low, high = 1e-4, 6e-3
    middle = (low + high) / 2
    expected = [low, middle, high, middle, low, middle, high, middle, low]
    assert seen == pytest.approx(expected)
