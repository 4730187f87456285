"""Attention for narrow rows in bf16 on a CPU: plain matrix products instead of the fused kernel.

torch's fused CPU kernel takes 27 ms forward and backward for 16 rows of 64 tokens with 9 heads in bf16 on one AVX-512
core, the products below 6 ms; from about 512 tokens on the fused one's smaller memory counts more. Masks are
transformers' own.

Legend: B rows, T tokens, D size of a head, H heads, K heads of keys and values.
"""

from __future__ import annotations

from typing import Any

import torch

NAME = "narrow_rows"
LARGEST_SCORES = 6_000_000
"""Attention weights of one layer, B · H · T · T, up to which the products are used: 36 MB are kept for the way back."""


def use_for(network: Any, dtype: torch.dtype, device: torch.device) -> None:
    """Let the network attend by these products where they are faster: bf16 on a CPU."""
    if dtype != torch.bfloat16 or device.type != "cpu":
        return
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    network.set_attn_implementation(NAME)


def attend(
    module: torch.nn.Module,
    query_BHTD: torch.Tensor,
    key_BKTD: torch.Tensor,
    value_BKTD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers' attention functions do; the mask is boolean, None means causal."""
    B, H, T, D = query_BHTD.shape
    K = key_BKTD.shape[1]
    if B * H * T * T > LARGEST_SCORES or dropout or others.get("softcap") is not None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        attended: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query_BHTD, key_BKTD, value_BKTD, attention_mask, dropout, scaling, **others
        )
        return attended
    if attention_mask is None:
        attention_mask = torch.ones(T, T, dtype=torch.bool).tril()[None, None]
    query_BKD = query_BHTD.reshape(B, K, -1, D) * (D**-0.5 if scaling is None else scaling)
    scores = (query_BKD @ key_BKTD.transpose(-1, -2)).view(B, K, -1, T, T)
    weights = scores.float().masked_fill(~attention_mask[:, :, None], -torch.inf).softmax(-1).to(value_BKTD.dtype)
    return (weights.view(B, K, -1, T) @ value_BKTD).view(B, H, T, D).transpose(1, 2).contiguous(), None
