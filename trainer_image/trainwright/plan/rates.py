"""Measured averages that estimates rest on until a stage has counted: sizes and CPU time of one exchange of real chat.

All are of chitchat-dataset (131,569 exchanges, English, short turns). Other data differs: a plan names what it used.
"""

from __future__ import annotations

TOKENS_PER_EXCHANGE = 52
"""Mean under SmolLM2's tokenizer and template, without a system prompt."""
BYTES_PER_EXCHANGE = 306
"""40,303,934 bytes of JSON for 131,569 exchanges."""
ROW_BYTES = 250
"""Canonical and prepared rows together, as Parquet: bench/results/plan_rates.json."""
INDEX_BYTES = 1300
"""A vector of 256 fp32 values, the text, and the store's own: bench/results/plan_rates.json."""
TOKENS_BASIS = f"{TOKENS_PER_EXCHANGE} tokens an exchange, the mean of chitchat-dataset"
BYTES_BASIS = f"{BYTES_PER_EXCHANGE} bytes an exchange, the mean of chitchat-dataset as JSON"

CPU_US_PER_EXCHANGE = {"ingest": 25, "prepare": 110, "tokenize": 125, "index": 55}
"""Microseconds of one core per exchange, the start of processes included: bench/results/plan_rates.json."""
