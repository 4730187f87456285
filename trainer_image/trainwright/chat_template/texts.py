"""The two chat templates of the product, chatml and llama3, as Jinja texts that transformers and other servers read.

They differ only in the tokens around a turn. Both render tools as JSON lines in the system turn and calls as JSON
inside <tool_call>, trim contents, insert no system prompt of their own and never read the clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Markers:
    """The tokens around a turn, and the name of the role that tool results have."""

    begin: str
    opening: str
    closing: str
    end: str
    after: str
    tool: str

    @property
    def tokens(self) -> tuple[str, ...]:
        """The special tokens that a tokenizer must have."""
        return tuple(token for token in (self.begin, self.opening, self.closing, self.end) if token.startswith("<"))


MARKERS: Mapping[str, Markers] = {
    "chatml": Markers(begin="", opening="<|im_start|>", closing="\n", end="<|im_end|>", after="\n", tool="tool"),
    "llama3": Markers(
        begin="<|begin_of_text|>",
        opening="<|start_header_id|>",
        closing="<|end_header_id|>",
        end="<|eot_id|>",
        after="",
        tool="ipython",
    ),
}

_TEXT = """\
{{- BEGIN }}
{%- set given = messages and messages[0]['role'] == 'system' %}
{%- if given or tools %}
    {{- OPENING + 'system' + CLOSING }}
    {%- if given %}
        {{- (messages[0]['content'] or '') | trim }}
    {%- endif %}
    {%- if tools %}
        {{- ('\\n\\n' if given and (messages[0]['content'] or '') | trim else '') + 'You can call these functions:' }}
        {%- for tool in tools %}
            {{- '\\n' + (tool | tojson) }}
        {%- endfor %}
        {{- '\\nTo call one, write its name and arguments as JSON inside <tool_call> and </tool_call>.' }}
    {%- endif %}
    {{- END + AFTER }}
{%- endif %}
{%- for message in messages %}
    {%- if not (loop.first and given) %}
        {{- OPENING + (TOOL if message['role'] == 'tool' else message['role']) + CLOSING }}
        {%- set content = (message['content'] or '') | trim %}
        {{- content }}
        {%- for item in message['tool_calls'] or [] %}
            {%- set call = item['function'] or item %}
            {{- '' if loop.first and not content else '\\n' }}
            {{- '<tool_call>{"name": ' + (call['name'] | tojson) + ', "arguments": ' }}
            {{- call['arguments'] if call['arguments'] is string else (call['arguments'] or {}) | tojson }}
            {{- '}</tool_call>' }}
        {%- endfor %}
        {{- END + AFTER }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- OPENING + 'assistant' + CLOSING }}
{%- endif %}
"""


def template_text(name: str, *, begin: str = "") -> str:
    """The Jinja text of `chatml` or `llama3`; `begin` is the begin-of-text token of a tokenizer that has one."""
    markers = MARKERS[name]
    newline = "\n\n" if name == "llama3" else ""
    values = {
        "BEGIN": begin or markers.begin,
        "OPENING": markers.opening,
        "CLOSING": markers.closing + newline,
        "END": markers.end,
        "AFTER": markers.after,
        "TOOL": markers.tool,
    }
    settings = "".join(f"{{%- set {name} = {json.dumps(value)} %}}\n" for name, value in values.items())
    return settings + _TEXT


def with_system_prompt(template: str, prompt: str | None) -> str:
    """Prepend the lines that give conversations without a system turn this one; None leaves the template as it is."""
    if prompt is None:
        return template
    turn = "[{'role': 'system', 'content': " + json.dumps(prompt, ensure_ascii=False) + "}]"
    return (
        "{%- if not messages or messages[0]['role'] != 'system' %}\n"
        f"    {{%- set messages = {turn} + messages %}}\n"
        "{%- endif %}\n" + template
    )
