"""Generate `tame_router/v1` from `protos/tame_router/v1`, with type stubs.

Usage: `python protos/generate.py [--check]`; `--check` writes nothing and fails when
the committed files differ from what the protos would give.
"""

import argparse
import filecmp
import os
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("tame_router/v1")


def generate(destination: Path) -> None:
    """Write the generated modules and stubs below a folder.

    Raises:
        SystemExit: When the compiler refuses a proto; its words are on stderr.
    """
    # The stub plug-ins lie beside this interpreter, which need not be the shell's.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    protos = sorted((ROOT / "protos" / PACKAGE).glob("*.proto"))
    services = [p for p in protos if p.stem.endswith("_service")]
    include = resources.files("grpc_tools") / "_proto"
    common = ["protoc", f"-I{ROOT / 'protos'}", f"-I{include}"]
    for files, flags in (
        (protos, [f"--python_out={destination}", f"--mypy_out=quiet:{destination}"]),
        (services, [f"--grpc_python_out={destination}", f"--mypy_grpc_out=quiet:{destination}"]),
    ):
        if protoc.main([*common, *flags, *map(str, files)]) != 0:
            sys.exit("protos/generate.py: the compiler refused the protos, see above")


def differences(generated: Path, committed: Path) -> list[str]:
    """Name the generated files that are missing, changed or left over in the committed folder."""
    names = {p.name for p in generated.glob("*_pb2*")}
    kept = {p.name for p in committed.glob("*_pb2*")}
    _, changed, errors = filecmp.cmpfiles(generated, committed, sorted(names & kept), shallow=False)
    return sorted({*changed, *errors, *(names ^ kept)})


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    arguments = parser.parse_args()
    if not arguments.check:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        if changed := differences(Path(folder) / PACKAGE, ROOT / PACKAGE):
            sys.exit(f"differ from the protos (run `make protos`): {', '.join(changed)}")


if __name__ == "__main__":
    main()
