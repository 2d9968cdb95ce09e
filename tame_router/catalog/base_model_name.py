"""One spelling for the name of a base model.

People and programs write the same base model as `yentinglin/Llama-3-Taiwan-8B-Instruct`,
`Llama-3-Taiwan-8B-Instruct`, a folder, or in lower case.
"""


def canonical_name(name: str) -> str:
    """Give the last part of a hub name or path, in lower case."""
    return name.rstrip("/").rpartition("/")[2].lower()
