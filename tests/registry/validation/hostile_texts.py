"""Uploads whose texts are wrong, those of a new expert among them."""

import json
from collections.abc import Callable
from dataclasses import replace

from tame_router.registry.reason import Reason
from tests.registry.validation.upload import (
    Upload,
    small_upload,
    with_file,
)

EXPERT_YAML = """
name: legal
titles: {zh-TW: 法律, en: Legal}
descriptions: {zh-TW: 法律問題, en: Questions of law}
backend: local
"""
CASE = {
    "id": "e1",
    "lang": "en",
    "kind": "choice",
    "question": "2 + 2?",
    "choices": ["3", "4"],
    "answer": 1,
}
NEW_EXPERT = {
    "expert.yaml": EXPERT_YAML.encode(),
    "prompt.md": "你是法律專家。".encode(),
    "evaluation.jsonl": json.dumps(CASE).encode(),
    "utterances.en.txt": b"Can my landlord keep the deposit?\n",
}


def new_expert(**changed: bytes | None) -> Upload:
    """Send an adapter that makes an expert; None leaves a file out."""
    files = {**NEW_EXPERT, **{key.replace("__", "."): data for key, data in changed.items()}}
    upload = small_upload(more={path: data for path, data in files.items() if data is not None})
    return replace(upload, new_expert=True)


def bomb() -> str:
    """Write ten lines of YAML that stand for ten billion values."""
    lines = ["a0: &a0 x"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]
    return "\n".join(lines)


CASES: dict[str, tuple[Callable[[], Upload], Reason]] = {
    "a card in Big5": (lambda: with_file("README.md", "法律".encode("big5")), Reason.TEXT_NOT_UTF8),
    "a case without answer": (
        lambda: with_file("evaluation.jsonl", b'{"id": "e1", "lang": "en", "kind": "choice"}'),
        Reason.EVALUATION_MALFORMED,
    ),
    "an evaluation set of blanks": (
        lambda: with_file("evaluation.jsonl", b"\n\n"),
        Reason.EVALUATION_MALFORMED,
    ),
    "an answer beyond the choices": (
        lambda: with_file("evaluation.jsonl", json.dumps({**CASE, "answer": 2}).encode()),
        Reason.EVALUATION_MALFORMED,
    ),
    "a new expert without prompt": (lambda: new_expert(prompt__md=None), Reason.FILE_MISSING),
    "a new expert without lines": (
        lambda: new_expert(utterances__en__txt=None),
        Reason.FILE_MISSING,
    ),
    "a prompt of blanks": (lambda: new_expert(prompt__md=b" \n"), Reason.EXPERT_MALFORMED),
    "an expert of another name": (
        lambda: new_expert(expert__yaml=EXPERT_YAML.replace("legal", "medical").encode()),
        Reason.EXPERT_MALFORMED,
    ),
    "an expert of a backend not there": (
        lambda: new_expert(expert__yaml=EXPERT_YAML.replace("local", "elsewhere").encode()),
        Reason.EXPERT_MALFORMED,
    ),
    "an expert with a path": (
        lambda: new_expert(
            expert__yaml=(EXPERT_YAML + "adapters: {tiny-llama: ../../etc}").encode()
        ),
        Reason.EXPERT_MALFORMED,
    ),
    "an expert that says who answers for it": (
        lambda: new_expert(expert__yaml=(EXPERT_YAML + "fallback: [base_model]").encode()),
        Reason.EXPERT_MALFORMED,
    ),
    "an expert with a key unknown": (
        lambda: new_expert(expert__yaml=(EXPERT_YAML + "root: true").encode()),
        Reason.EXPERT_MALFORMED,
    ),
    "a YAML bomb": (lambda: new_expert(expert__yaml=bomb().encode()), Reason.EXPERT_MALFORMED),
    "a deep YAML": (lambda: new_expert(expert__yaml=b"[" * 5000), Reason.EXPERT_MALFORMED),
    "a YAML object": (
        lambda: new_expert(expert__yaml=b"!!python/object/apply:os.system [ls]"),
        Reason.EXPERT_MALFORMED,
    ),
    "no YAML": (lambda: new_expert(expert__yaml=b"a: [b"), Reason.EXPERT_MALFORMED),
    "a YAML of tabs": (
        lambda: new_expert(expert__yaml=b"a:\n\t@b"),
        Reason.EXPERT_MALFORMED,
    ),
    "lines of headings": (
        lambda: new_expert(utterances__en__txt=b"# contracts\n\n"),
        Reason.UTTERANCES_MALFORMED,
    ),
    "a line of 3,000 characters": (
        lambda: new_expert(utterances__en__txt=b"a" * 3000),
        Reason.UTTERANCES_MALFORMED,
    ),
    "a million lines": (
        lambda: new_expert(utterances__en__txt=b"x\n" * 2**20),
        Reason.UTTERANCES_MALFORMED,
    ),
    "a million cases": (
        lambda: with_file("evaluation.jsonl", b"x\r" * 2**20),
        Reason.EVALUATION_MALFORMED,
    ),
    "a YAML that nests without end": (
        lambda: new_expert(expert__yaml=b"[a, " * 8000),
        Reason.EXPERT_MALFORMED,
    ),
    "a joint line without another": (
        lambda: new_expert(joint__en__txt=b"Who pays?\n"),
        Reason.UTTERANCES_MALFORMED,
    ),
}
"""By what is wrong: how it is made, and why it is refused."""
