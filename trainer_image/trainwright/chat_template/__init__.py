"""One chat template for tokenize, evaluate, chat and export: what a conversation is in tokens, the same everywhere.

In: a tokenizer folder with its chat_template.jinja. Out: ids of conversations, prompts and plain texts. The Jinja text
is the one source: the fragments between turns are found by rendering it, so the exported one gives the same tokens.
"""

from __future__ import annotations

from trainwright.chat_template.choosing import Choice, choose_template
from trainwright.chat_template.encoding import ChatTemplate, Conversation, Piece, content_of, special_tokens
from trainwright.chat_template.rendering import TemplateRefuses

__all__ = [
    "ChatTemplate",
    "Choice",
    "Conversation",
    "Piece",
    "TemplateRefuses",
    "choose_template",
    "content_of",
    "special_tokens",
]
