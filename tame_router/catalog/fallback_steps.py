"""Steps of a fallback, held against what there is. Pure."""

from collections.abc import Collection, Iterator, Sequence

from tame_router.chat import FallbackKind, FallbackStep


def step_faults(
    steps: Sequence[FallbackStep], expert: str, backends: Collection[str]
) -> Iterator[tuple[int, str]]:
    """Say what is wrong with who answers in an expert's place: each fault with its step's number.

    Whether experts are there is not looked at: one of them may come later, by an upload.

    Args:
        steps: Who answers, in order.
        expert: Whose place it is; empty: any expert's.
        backends: Names of the backends there are.
    """
    for index, step in enumerate(steps):
        if step.kind is FallbackKind.EXPERT and step.name == expert:
            yield index, "the fallback leads back to the expert itself; name another one"
        if step.kind is FallbackKind.BACKEND and step.name not in backends:
            known = ", ".join(sorted(backends)) or "none"
            yield index, f"no backend {step.name!r} is configured; there are: {known}"
        if step in steps[:index]:
            yield index, "the fallback names the same twice; keep one"
