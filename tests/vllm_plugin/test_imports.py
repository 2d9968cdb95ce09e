"""What the plugin brings into the engine's process."""

import ast
import subprocess
import sys
from pathlib import Path

import tame_router

PLUGIN = Path(tame_router.__file__).parent / "vllm_plugin"
OURS = {
    "tame_router.errors",
    "tame_router.errors_registry",
    "tame_router.canonical_code",
    "tame_router.registry.manifest",
    "tame_router.registry.storage.revision_store",
}

WITH_VLLM = {"resolver.py", "cpu_lora.py"}


def test_it_imports_few_modules_of_ours() -> None:
    """Beside itself, the standard library and, in two modules, vLLM."""
    for path in PLUGIN.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                allowed = top in sys.stdlib_module_names or name in OURS
                allowed = allowed or name.startswith("tame_router.vllm_plugin.")
                assert allowed or (top == "vllm" and path.name in WITH_VLLM), (path, name)


def test_it_needs_no_package_but_its_own() -> None:
    """A bare interpreter without any installed package can import it, for a store in a folder."""
    code = (
        f"import sys; sys.path.append({str(PLUGIN.parents[1])!r})\n"
        "import tame_router.vllm_plugin.source, tame_router.vllm_plugin.middleware\n"
        "import tame_router.vllm_plugin.variables\n"
        "print(len([m for m in sys.modules if m.startswith('tame_router.')]))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20
