"""Models: the published reference, padding, order and batch, refused settings."""

import json
from pathlib import Path

import pytest
import torch

from golden import fill_by_rule
from lgdcnn_lib.composition import encode
from lgdcnn_lib.models import MODELS, ModelConfig, build_model
from lgdcnn_lib.optim import one_cycle
from lgdcnn_lib.recipe import robust_l1

SMALL = ModelConfig(d=16)
FORMULAS = ["Fe2O3", "NaCl", "Si", "Ca3Al2(SiO4)3", "LiFeMnPO4", "Cu0.95Ni0.05"]
GOLDEN = Path(__file__).parent / "reference" / "lg_dcnn_forward.json"


def test_published_configuration_has_the_published_size():
    assert build_model("lg_dcnn", ModelConfig.paper()).n_parameters() == 8_635_911


@torch.no_grad()
def test_published_forward_pass():
    model = build_model("lg_dcnn", ModelConfig.paper())
    fill_by_rule(model)
    reference = json.loads(GOLDEN.read_text())["outputs"]
    for length, outputs in reference.items():
        for formula, expected in outputs.items():
            batch = encode([formula], order="written", length=int(length))
            out = model(batch)
            assert [out.mean.item(), out.log_std.item()] == pytest.approx(
                expected, abs=1e-5
            ), (formula, length)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_padding_batch_and_writing_do_not_matter(name):
    model = build_model(name, SMALL).eval()
    together = model(encode(FORMULAS))
    for i, formula in enumerate(FORMULAS):
        for length in (None, 9):
            alone = model(encode([formula], length=length))
            assert alone.mean.item() == pytest.approx(together.mean[i].item(), abs=1e-5)
            assert alone.log_std.item() == pytest.approx(
                together.log_std[i].item(), abs=1e-5
            )
    written = model(encode(["O3Fe2", "ClNa", "Si2"])).mean
    assert torch.equal(written, model(encode(["Fe2O3", "Na3Cl3", "Si"])).mean)


@torch.no_grad()
def test_the_published_padding_leaks():
    model = build_model("lg_dcnn", ModelConfig.paper(d=16))
    short = model(encode(["Fe2O3"], length=2)).mean
    assert (short - model(encode(["Fe2O3"], length=16)).mean).abs() > 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_each_model_overfits_one_batch(name):
    batch = encode(FORMULAS)
    target = torch.tensor([-1.0, 0.5, 1.0, 0.2, -0.3, 0.8])
    model = build_model(name, ModelConfig(d=32))
    optimizer = torch.optim.Adam(model.parameters())
    schedule = one_cycle(optimizer, 3e-3, 300)
    for _ in range(300):
        optimizer.zero_grad()
        robust_l1(model(batch), target).mean().backward()
        optimizer.step()
        schedule.step()
    assert (model(batch).mean - target).abs().max() < 0.1


def test_layer_names_are_what_layers_yields():
    for name in MODELS:
        model = build_model(name, SMALL)
        outputs = dict(model.layers(encode(FORMULAS)))
        assert tuple(outputs) == model.layer_names
        assert {tuple(h.shape) for h in outputs.values()} == {(6, 5, 16)}


def test_kernel_one_does_not_let_elements_see_each_other():
    model = build_model("dcnn_k1", SMALL)
    batch = encode(["Fe2O3"])
    other = encode(["Al2O3"])
    for (_, h), (_, g) in zip(model.layers(batch), model.layers(other), strict=True):
        assert torch.allclose(h[0, 0], g[0, 0], atol=1e-6)  # oxygen


def test_shared_attention_is_one_module():
    shared = build_model("lg_dcnn", SMALL)
    apart = build_model("lg_dcnn", ModelConfig(d=16, attention="separate"))
    extra = sum(p.numel() for p in apart.parts["attention_2"].parameters())
    assert apart.n_parameters() - shared.n_parameters() == extra


def test_one_hot_by_table():
    model = build_model("lg_dcnn_onehot", SMALL)
    assert model.config.element_table == "onehot"
    assert torch.equal(model.elements.vectors[1:].sum(dim=1), torch.ones(118))


def test_any_order_of_stages():
    model = build_model(("dcnn", "lstm"), SMALL)
    assert model.layer_names[-1] == "lstm"
    assert build_model(("transformer", "dcnn"), SMALL).n_parameters() > 0


def test_seed_makes_the_weights_and_nothing_else(monkeypatch):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    seeded = []  # torch.manual_seed would call it, and seed the GPUs of a user anew
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    a, b = build_model("gru", SMALL, seed=1), build_model("gru", SMALL, seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert not seeded
    assert all(
        torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True)
    )
    other = build_model("gru", SMALL, seed=2)
    assert not torch.equal(other.head.linear.weight, a.head.linear.weight)


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("lstm", {"kernel": 3}, "not used"),
        ("lg_dcnn", {"heads": 4}, "not used"),
        ("l_att_dcnn", {"attention": "separate"}, "not used"),
        ("lg_dcnn", {"d": 15}, "even"),
        ("dcnn", {"kernel": 4}, "odd"),
        ("transformer", {"d": 16, "heads": 3}, "multiple"),
        ("lg_dcnn", {"encoding": "cos"}, "must be one of"),
        ("transformer", {"heads": 0}, "heads=0; must be 1 or more"),
        ("transformer", {"encoder_layers": 0}, "encoder_layers=0"),
        ("dcnn", {"blocks": -1}, "blocks=-1; must be 0 or more"),
        ("lstm", {"resolution": 0}, "resolution=0"),
        (("lstm", "pooling"), {}, "unknown stage"),
        (("lstm", "lstm"), {}, "twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, reason):
    with pytest.raises(ValueError, match=reason):
        build_model(name, ModelConfig(**settings))


def test_unknown_model():
    with pytest.raises(KeyError, match="lg_dcnn"):
        build_model("resnet")


def test_attention_stands_twice_at_most():
    stages = ("lstm", "attention", "gru", "attention", "dcnn", "attention")
    with pytest.raises(ValueError, match="more than twice"):
        build_model(stages, SMALL)
