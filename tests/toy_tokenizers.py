"""Small tokenizer folders with the habits of real ones: begin tokens, dates, default system prompts, tools."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

WORDS = ["What is the capital of Japan? Tokyo is the capital of Japan. user assistant system"] * 5
CHATML_TOKENS = ("<s>", "<pad>", "<|im_start|>", "<|im_end|>")
LLAMA_TOKENS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
DATE = "{{ '<|im_start|>system\nToday is ' + strftime_now('%d %b %Y') + '<|im_end|>\n' }}"
PROMPT = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a toy.<|im_end|>\n' }}{% endif %}" + CHATML
)
THINKING = CHATML.replace("assistant\n' }}{% endif", "assistant\n<think>\n' }}{% endif")
LLAMA_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
HEADER = "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] + '<|eot_id|>'"
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ " + HEADER + " }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def toy_tokenizer(
    folder: Path,
    *,
    template: str | None = CHATML,
    tokens: tuple[str, ...] = CHATML_TOKENS,
    begin: str | None = None,
    end: str = "<|im_end|>",
    words: str | None = None,
) -> Path:
    """Write a byte-level tokenizer; with `begin` it puts that token in front of every text by itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if words:
        splits = [pre_tokenizers.Split(Regex(words), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=list(tokens), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    if begin:
        special = [(begin, tokenizer.token_to_id(begin))]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=special)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=tokens[0], eos_token=end, pad_token=tokens[1])
    fast.chat_template = template
    fast.save_pretrained(folder)
    return folder


def llama_tokenizer(folder: Path, template: str | None = LLAMA3) -> Path:
    """A toy with the tokens and the words of Llama 3, which begins every text with one of them."""
    begin, end = LLAMA_TOKENS[0], LLAMA_TOKENS[4]
    return toy_tokenizer(folder, template=template, tokens=LLAMA_TOKENS, begin=begin, end=end, words=LLAMA_WORDS)
