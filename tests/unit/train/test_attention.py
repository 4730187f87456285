"""Attention by plain products gives what torch's own does, within bf16, forward and backward."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from trainwright.train import attention

from tests.tiny_run import tiny_model


def parts(heads: int, kept: int, *, rows: int = 3, tokens: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    drawn = [torch.randn(rows, tokens, n, 16, generator=generator).transpose(1, 2) for n in (heads, kept, kept)]
    query, key, value = (part.to(torch.bfloat16).requires_grad_() for part in drawn)
    return query, key, value


def two_sequences(tokens: int = 12) -> torch.Tensor:
    places = torch.arange(tokens)
    together = (places[:, None] < 5) == (places[None, :] < 5)
    return (together & (places[:, None] >= places[None, :]))[None, None].expand(3, 1, tokens, tokens)


@pytest.mark.parametrize(("heads", "kept"), [(4, 4), (6, 2)])
@pytest.mark.parametrize("mask", [None, two_sequences()], ids=["causal", "packed"])
def test_output_and_gradients_are_those_of_torch(heads: int, kept: int, mask: torch.Tensor | None) -> None:
    found, expected = [], []
    for target, ours in ((found, True), (expected, False)):
        query, key, value = parts(heads, kept)
        if ours:
            out, _ = attention.attend(torch.nn.Module(), query, key, value, mask)
        else:
            float_parts = [part.float() for part in (query, key, value)]
            out = F.scaled_dot_product_attention(
                *float_parts, attn_mask=mask, is_causal=mask is None, enable_gqa=True
            ).transpose(1, 2)
        out.float().square().sum().backward()
        target += [out.detach().float(), *(part.grad.float() for part in (query, key, value) if part.grad is not None)]
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max()) <= 0.03 * float(other.abs().max())


def test_wide_rows_are_left_to_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = parts(4, 4)
    narrow, _ = attention.attend(torch.nn.Module(), query, key, value, two_sequences())
    monkeypatch.setattr(attention, "LARGEST_SCORES", 1)
    wide, _ = attention.attend(torch.nn.Module(), query, key, value, two_sequences())
    assert wide.shape == narrow.shape
    assert float((wide - narrow).detach().abs().max()) < 0.05


def test_it_is_used_in_bf16_on_a_cpu_only() -> None:
    network = tiny_model(259)
    attention.use_for(network, torch.float32, torch.device("cpu"))
    assert network.config._attn_implementation == "sdpa"
    attention.use_for(network, torch.bfloat16, torch.device("cpu"))
    assert network.config._attn_implementation == attention.NAME
