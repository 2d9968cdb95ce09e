"""Ask a TAME Router from LangChain: stream, tools, JSON, errors.

pip install langchain-openai
export TAME_API_KEY=…           # not needed where the router runs with --insecure
python ask.py http://127.0.0.1:8080/v1
"""

import os
import sys
from typing import Literal

import openai
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field, SecretStr

QUESTION = "租約到期了，房東一直不退押金，該怎麼辦？"


class Reply(BaseModel):
    """What the answer holds."""

    summary: str = Field(max_length=40)


@tool
def weather(city: Literal["台北", "台南"]) -> str:
    """Tell today's weather in a city."""
    return f"{city}：雨"


def model(base_url: str, name: str = "tame-auto", max_tokens: int = 64) -> ChatOpenAI:
    """Give a model of the router: `tame-auto`, or an expert by its name."""
    return ChatOpenAI(
        base_url=base_url,
        api_key=SecretStr(os.environ.get("TAME_API_KEY") or "none"),
        model=name,
        max_completion_tokens=max_tokens,
        stream_usage=True,
    )


def main() -> None:
    """Show it all."""
    base_url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"
    auto = model(base_url)

    tokens = 0
    for chunk in auto.stream(QUESTION):
        print(chunk.text, end="", flush=True)
        tokens += (chunk.usage_metadata or {}).get("output_tokens", 0)
    print(f"\nstreamed {tokens} tokens")

    wanting = auto.bind_tools([weather], tool_choice="weather").invoke("今天台北要帶傘嗎？")
    for call in wanting.tool_calls:
        print("wants", call["name"], call["args"])

    held = model(base_url, "legal", 320).with_structured_output(Reply, method="json_schema")
    print("JSON", held.invoke(QUESTION))

    for _ in auto.stream(QUESTION):
        break
    print("cancelled")

    try:
        model(base_url, "astrology").invoke(QUESTION)
    except openai.NotFoundError as error:
        print("refused", error.code)


if __name__ == "__main__":
    main()
