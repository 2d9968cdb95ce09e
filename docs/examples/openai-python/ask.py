"""Ask a TAME Router with OpenAI's own Python SDK: stream, tools, JSON, cancel, errors.

pip install openai
export TAME_API_KEY=…           # not needed where the router runs with --insecure
python ask.py http://127.0.0.1:8080/v1
"""

import json
import os
import sys
from typing import Any

import openai
from openai import OpenAI

QUESTION = "租約到期了，房東一直不退押金，該怎麼辦？"
SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string", "maxLength": 40}},
    "required": ["summary"],
    "additionalProperties": False,
}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "今天某個城市的天氣",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["台北", "台南"]}},
            "required": ["city"],
        },
    },
}


def stream(client: OpenAI) -> None:
    """Show an answer while it is written; the last chunk tells the tokens."""
    chunks = client.chat.completions.create(
        model="tame-auto",
        messages=[{"role": "user", "content": QUESTION}],
        max_tokens=32,
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in chunks:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
        if chunk.usage:
            print(f"\nstreamed {chunk.usage.completion_tokens} tokens")


def call_a_tool(client: OpenAI) -> None:
    """Let the expert want a function called, call it, and send the result back."""
    messages: list[Any] = [{"role": "user", "content": "今天台北要帶傘嗎？"}]
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    first = client.chat.completions.create(
        model="tame-auto", messages=messages, tools=[WEATHER], tool_choice=choice, max_tokens=64
    )
    said = first.choices[0].message
    if not said.tool_calls:
        print("wants nothing:", said.content)
        return
    messages.append(said.to_dict())
    for call in said.tool_calls:
        print("wants", call.to_dict()["function"])
        result = {"role": "tool", "tool_call_id": call.id, "content": '{"rain": true}'}
        messages.append(result)
    second = client.chat.completions.create(
        model="tame-auto", messages=messages, tools=[WEATHER], max_tokens=32, tool_choice="none"
    )
    print("then", second.choices[0].message.content)


def ask_for_json(client: OpenAI) -> None:
    """Hold the answer to a JSON schema, rest it on a document, and choose among experts."""
    answer = client.chat.completions.create(
        model="legal",
        messages=[{"role": "user", "content": QUESTION}],
        max_tokens=320,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
        },
        extra_body={"documents": [{"title": "租賃契約", "text": "押金應於租期屆滿時返還。"}]},
    )
    print("JSON", json.loads(answer.choices[0].message.content or ""))


def cancel(client: OpenAI) -> None:
    """Leave before the end: the expert stops writing."""
    with client.chat.completions.create(
        model="tame-auto", messages=[{"role": "user", "content": QUESTION}], stream=True
    ) as chunks:
        next(iter(chunks))
    print("cancelled")


def fail(client: OpenAI) -> None:
    """Errors are those of OpenAI's SDK, by their status."""
    try:
        client.chat.completions.create(
            model="astrology", messages=[{"role": "user", "content": QUESTION}]
        )
    except openai.NotFoundError as error:
        print("refused", error.code)


def main() -> None:
    """Show it all."""
    base_url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"
    with OpenAI(base_url=base_url, api_key=os.environ.get("TAME_API_KEY") or "none") as client:
        for show in (stream, call_a_tool, ask_for_json, cancel, fail):
            show(client)


if __name__ == "__main__":
    main()
