"""The texts of an upload: card, evaluation set, teaching lines, what makes an expert. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml

from tame_router.catalog.evaluation import parse_evaluation
from tame_router.catalog.loader import document_problems
from tame_router.catalog.problem import Problem
from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.validation.file_rules import (
    CARD,
    EVALUATION,
    EXPERT,
    JOINT,
    MOST_LINES,
    PROMPT,
    UTTERANCES,
    shown,
)
from tame_router.teaching.line import Line, parse_lines

TEXTS: Final = frozenset({CARD, EVALUATION, EXPERT, PROMPT, *UTTERANCES, *JOINT})
"""Files that are texts."""

_MOST_TOLD = 5
_LONGEST_TOLD = 300
_DEEPEST = 16
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def check_text(path: str, data: bytes, expert: str, backends: Mapping[str, str]) -> list[Finding]:
    """Check one text.

    Args:
        path: Which of `TEXTS` it is.
        data: All its bytes.
        expert: The expert that the upload is for.
        backends: Base model of each backend that a new expert may name.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path}: byte {error.start} (0x{data[error.start]:02x}) is not UTF-8"
        return [found(Reason.TEXT_NOT_UTF8, message, path)]
    findings: Iterable[Finding] = ()
    if path in (EVALUATION, *UTTERANCES, *JOINT):
        findings = _check_lines(path, data, expert)
    elif path == EXPERT:
        findings = _check_expert(text, expert, backends)
    elif not text.strip():
        reason = Reason.CARD_MISSING if path == CARD else Reason.EXPERT_MALFORMED
        findings = [found(reason, f"{path} holds nothing", path, fatal=path != CARD)]
    return list(findings)


def _from_problems(reason: Reason, path: str, problems: Iterable[Problem]) -> Iterator[Finding]:
    fatal = [problem for problem in problems if problem.fatal]
    for problem in fatal[:_MOST_TOLD]:
        place = f"{path}:{problem.line}" if problem.line else path
        yield found(reason, f"{place}: {problem.message[:_LONGEST_TOLD]}", path)
    if len(fatal) > _MOST_TOLD:
        yield found(reason, f"{path}: {len(fatal) - _MOST_TOLD} more lines are wrong", path)


def _check_expert(text: str, expert: str, backends: Mapping[str, str]) -> Iterator[Finding]:
    risk = _risk(text)
    if risk:
        yield found(Reason.EXPERT_MALFORMED, f"{EXPERT}: {risk}", EXPERT)
        return
    problems, theirs = document_problems(text, Path(expert) / EXPERT, backends)
    yield from _from_problems(Reason.EXPERT_MALFORMED, EXPERT, problems)
    if "adapters" in theirs:
        message = f"{EXPERT}: `adapters` names folders of the router's machine; leave it out"
        yield found(Reason.EXPERT_MALFORMED, message, EXPERT)
    if "fallback" in theirs:
        message = f"{EXPERT}: who answers in its place is the router's to say; leave `fallback` out"
        yield found(Reason.EXPERT_MALFORMED, message, EXPERT)


def _risk(text: str) -> str:
    """Say why a YAML text is not to be parsed; empty: it may be."""
    depth = 0
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
                # Ten lines of anchors can stand for a billion values.
                return "anchors (&) and aliases (*) are not taken; write the values out"
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if depth > _DEEPEST:
                return f"it nests deeper than {_DEEPEST} levels"
    except yaml.YAMLError:
        pass  # what is wrong is said where it is parsed
    return ""


def _check_lines(path: str, data: bytes, expert: str) -> Iterator[Finding]:
    reason = Reason.EVALUATION_MALFORMED if path == EVALUATION else Reason.UTTERANCES_MALFORMED
    # A line may end in either, and counting makes nothing of them.
    count = data.count(b"\n") + data.count(b"\r")
    if count > MOST_LINES:
        message = f"{path} has {count:,} lines; at most {MOST_LINES:,} are taken"
        yield found(reason, message, path)
    elif path == EVALUATION:
        _, problems = parse_evaluation(data, Path(path))
        yield from _from_problems(reason, path, problems)
    else:
        yield from _check_utterances(path, data, expert)


def _check_utterances(path: str, data: bytes, expert: str) -> Iterator[Finding]:
    lines, problems = parse_lines(data, Path(path))
    yield from _from_problems(Reason.UTTERANCES_MALFORMED, path, problems)
    if not lines and not problems:
        message = f"{path} teaches nothing: it holds headings and blank lines alone"
        yield found(Reason.UTTERANCES_MALFORMED, message, path)
    if path in JOINT:
        yield from _check_joint(path, lines, expert)


def _check_joint(path: str, lines: Iterable[Line], expert: str) -> Iterator[Finding]:
    wrong = [line for line in lines if not _joint(line.text, expert)]
    for line in wrong[:_MOST_TOLD]:
        message = f"{path}:{line.number}: expected another expert, a colon and a question, not"
        yield found(Reason.UTTERANCES_MALFORMED, f"{message} {shown(line.text)}", path)


def _joint(text: str, expert: str) -> bool:
    other, colon, question = text.partition(":")
    return bool(colon and other.strip() and question.strip() and other.strip() != expert)
