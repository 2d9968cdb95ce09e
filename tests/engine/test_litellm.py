"""The LiteLLM backend on a real server that is not vLLM: `transformers serve`."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from tame_router.backends.litellm.backend import LitellmBackend, LitellmSpec
from tame_router.chat import FinishReason
from tame_router.errors import AdapterNotLoadedError, InvalidRequestError, TameError
from tests.fakes.generations import finish_of, generation, read, text_of, usage_of

# LiteLLM warns about itself under Pydantic 2.14.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".tame/engine/venv/bin/transformers"
BASE_MODELS = ROOT / ".tame/base_models"
BASE_MODEL = "smollm2-135m-instruct"
LISTENING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
START_TIMEOUT_S = 240


class Serving:
    """A `transformers serve` in a process group of its own.

    Args:
        log: File that takes its output.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(PROGRAM), "serve", BASE_MODEL, "--device", "cpu", "--dtype", "float32",
                 "--host", "127.0.0.1", "--port", "0", "--log-level", "info"],
                cwd=BASE_MODELS,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def address(self) -> str:
        """Wait until it listens and give its address; it chose the port itself."""
        pause = threading.Event()
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            text = self.log.read_text(encoding="utf-8", errors="replace")
            if found := LISTENING.search(text):
                return found[1]
            if self.process.poll() is not None:
                pytest.fail(
                    f"transformers serve ended with {self.process.returncode}: {text[-800:]}"
                )
            pause.wait(0.2)
        pytest.fail(f"transformers serve did not listen within {START_TIMEOUT_S} s")

    def stop(self) -> None:
        """End the whole group."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)


@pytest.fixture(scope="module")
def transformers_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the server once for these tests."""
    if not PROGRAM.exists() or not (BASE_MODELS / BASE_MODEL).exists():
        pytest.skip("no transformers or no base model here; run `make engine`")
    serving = Serving(tmp_path_factory.mktemp("transformers") / "serve.log")
    try:
        yield serving.address()
    finally:
        serving.stop()


@pytest.fixture
async def backend(transformers_address: str) -> AsyncIterator[LitellmBackend]:
    """Give a backend of that server."""
    backend = LitellmBackend(
        LitellmSpec(base_model=f"openai/{BASE_MODEL}", api_base=f"{transformers_address}/v1")
    )
    yield backend
    await backend.close()


async def test_real_answer_streams(backend: LitellmBackend) -> None:
    """A real server that is not vLLM must answer in pieces, with finish and usage."""
    asked = generation(text="What is water?", revision="", max_tokens=12, temperature=0.0)
    pieces = await read(backend, asked)
    assert len([piece for piece in pieces if piece.text]) > 2
    assert "water" in text_of(pieces).lower()
    assert finish_of(pieces) is FinishReason.LENGTH
    assert usage_of(pieces).completion_tokens == 12
    assert usage_of(pieces).prompt_tokens > 10


async def test_real_answer_in_chinese_is_whole_characters(backend: LitellmBackend) -> None:
    """Characters of several bytes must arrive whole."""
    asked = generation(text="請用中文說：水", revision="", max_tokens=16, temperature=0.0)
    assert text_of(await read(backend, asked))


async def test_leaving_early_frees_the_server(backend: LitellmBackend) -> None:
    """After an answer that was left, the next one must not wait for its end."""
    long = generation(text="Count to 1000.", revision="", max_tokens=2000, temperature=0.0)
    async with backend.open(long) as stream:
        await anext(stream)
    with anyio.fail_after(60):
        asked = generation(text="What is water?", revision="", max_tokens=4, temperature=0.0)
        assert text_of(await read(backend, asked))


async def test_unknown_base_model_is_told(transformers_address: str) -> None:
    """A name that the server does not serve must be an error of ours."""
    backend = LitellmBackend(
        LitellmSpec(base_model="openai/no-such-model", api_base=f"{transformers_address}/v1")
    )
    with pytest.raises(TameError) as caught:
        await read(backend, generation(revision=""))
    await backend.close()
    assert isinstance(caught.value, AdapterNotLoadedError | InvalidRequestError)
