"""Layers: padding, hand calculations, agreement with torch."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lgdcnn_lib.layers import (
    ElementConv,
    ElementEmbedding,
    Recurrent,
    ResidualBlock,
    RobustHead,
    SoftAttention,
    StoichiometryEncoding,
    TransformerBlock,
    masked_softmax,
    sinusoid_table,
)

D = 8
LAYERS = {
    "lstm": lambda: Recurrent(nn.LSTM, D),
    "gru": lambda: Recurrent(nn.GRU, D),
    "attention": lambda: SoftAttention(D),
    "conv": lambda: ElementConv(D, 3),
    "conv5": lambda: ElementConv(D, 5),
    "block": lambda: ResidualBlock(D, 3),
    "transformer": lambda: TransformerBlock(D, 2),
}


def padded(h, extra, fill=9.0):
    """Put slots full of rubbish behind the real ones, with the mask that hides them."""
    n, length, d = h.shape
    mask = torch.zeros(n, length + extra, dtype=torch.bool)
    mask[:, :length] = True
    return torch.cat([h, torch.full((n, extra, d), fill)], dim=1), mask


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("length", [1, 2, 5])
def test_padding_does_not_change_the_real_slots(name, length):
    torch.manual_seed(0)
    layer = LAYERS[name]().eval()
    h = torch.randn(3, length, D)
    alone = layer(h, None)
    long, mask = padded(h, 4)
    assert torch.allclose(layer(long, mask)[:, :length], alone, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_without_a_mask_padding_leaks(name):
    """The published behaviour, which the mask is there to prevent."""
    torch.manual_seed(0)
    layer = LAYERS[name]().eval()
    h = torch.randn(3, 2, D)
    long, _ = padded(h, 4)
    assert not torch.allclose(layer(long, None)[:, :2], layer(h, None), atol=1e-3)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("length", [1, 2, 3, 6])
def test_element_conv_is_torch_conv1d(kernel, length):
    torch.manual_seed(1)
    conv = ElementConv(D, kernel)
    h = torch.randn(4, length, D, requires_grad=True)
    weight = conv.weight.permute(1, 2, 0)
    expected = F.conv1d(h.transpose(1, 2), weight, conv.bias, padding=kernel // 2)
    out = conv(h, None)
    assert torch.allclose(out, expected.transpose(1, 2), atol=1e-6)
    assert torch.allclose(conv.by_windows(h), out, atol=1e-6)
    (ours,) = torch.autograd.grad(out.pow(2).sum(), h, retain_graph=True)
    (theirs,) = torch.autograd.grad(expected.pow(2).sum(), h)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_masked_softmax_by_hand():
    scores = torch.tensor([[[0.0], [math.log(3)], [50.0]]])
    mask = torch.tensor([[True, True, False]])
    weights = masked_softmax(scores, mask)[0, :, 0]
    assert torch.allclose(weights, torch.tensor([0.25, 0.75, 0.0]))


def test_attention_of_equal_elements_adds_an_equal_share():
    torch.manual_seed(0)
    attention = SoftAttention(D)
    h = torch.randn(1, 1, D).expand(1, 4, D)
    assert torch.allclose(attention(h, None), h * 1.25, atol=1e-6)
    assert torch.allclose(SoftAttention(D, residual=False)(h, None), h / 4, atol=1e-6)


def test_residual_block_starts_from_its_input():
    torch.manual_seed(0)
    block = ResidualBlock(D, 3)
    h = torch.randn(2, 3, D)
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    assert torch.equal(block(h, None), h)
    block.residual = False
    assert torch.equal(block(h, None), torch.zeros_like(h))


def test_embedding_projects_tokens_or_table_alike():
    torch.manual_seed(0)
    embedding = ElementEmbedding(torch.randn(119, 5), D)
    numbers = torch.randint(0, 119, (60, 3))
    by_table = embedding(numbers)  # 180 tokens: projects the table
    by_token = torch.cat([embedding(part) for part in numbers.split(20)])
    assert torch.allclose(by_table, by_token, atol=1e-6)
    assert torch.allclose(
        by_token[0, 0],
        2 * embedding.linear(embedding.vectors[numbers[0, 0]]),
        atol=1e-6,
    )


def test_sinusoid_table_by_hand():
    table = sinusoid_table(3, 4, "sin")
    assert table[1, 0].item() == pytest.approx(math.sin(1))
    assert table[2, 3].item() == pytest.approx(math.sin(2 / 50**1.5))
    both = sinusoid_table(3, 4, "sincos")
    assert both[2, 3].item() == pytest.approx(math.cos(2 / 50**1.5))
    assert torch.equal(both[:, 0::2], table[:, 0::2])


def test_stoichiometry_index_by_hand():
    encoding = StoichiometryEncoding(D, 2000, "sin")
    x = torch.tensor([0.0, 1e-9, 0.25, 0.4, 1.0])
    assert encoding.index(x).tolist() == [0, 0, 499, 799, 1999]


def test_stoichiometry_halves():
    encoding = StoichiometryEncoding(D, 2000, "sincos")
    code = encoding(torch.tensor([[0.25, 0.75]]))
    assert code.shape == (1, 2, D)
    # (log2 0.25)**2 = 4, times 0.0025 is 0.01: row 19 of 2000
    assert torch.equal(code[0, 0, : D // 2], encoding.table[499])
    assert torch.equal(code[0, 0, D // 2 :], encoding.table[19])
    with torch.no_grad():
        encoding.log_exponent.fill_(2.0)
    assert torch.allclose(
        encoding(torch.tensor([[0.25]]))[0, 0, D // 2 :], 2 * encoding.table[19]
    )


def test_head_pools_before_it_projects():
    torch.manual_seed(0)
    head = RobustHead(D)
    h = torch.randn(2, 3, D)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    mean, log_std = head(h, mask)
    for i, n in enumerate((2, 3)):
        m, s, gate = head.linear(h[i, :n]).mean(dim=0)
        assert mean[i].item() == pytest.approx((m * gate.sigmoid()).item(), abs=1e-6)
        assert log_std[i].item() == pytest.approx(s.item(), abs=1e-6)
