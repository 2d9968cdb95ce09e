"""`tame tenant bind | unbind | bindings`: certificates and tokens that stand for a tenant."""

import argparse
import sys
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.stranger_text import plain
from tame_router.cli.tenant_desk import (
    administration,
    binding_facts,
    names,
    write_json,
    write_table,
)
from tame_router.cli.tenant_key import read_scopes

if TYPE_CHECKING:
    from tame_router.tenancy.access import Binding, BindingKind

EPILOG = """\
A certificate is known by its subject (RFC 4514) or an alternative name; a token by its
issuer and the value of its tenant claim. Which authorities and issuers are trusted is in
the settings: tls.client_ca, identity.jwt.

examples:
  tame tenant bind hospital --san dns:his.hospital.tw
  tame tenant bind hospital --subject CN=his,O=Hospital --scopes chat,usage
  tame tenant bind hospital --jwt https://issuer.example/ hospital
  tame tenant unbind --san dns:his.hospital.tw
  tame tenant bindings hospital
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    bind = add_command(
        commands, "bind", summary="let a certificate or token stand for a tenant", epilog=EPILOG
    )
    bind.add_argument("name", help="the tenant's name")
    bind.add_argument("--scopes", type=names, default=frozenset({"chat"}), metavar="SCOPES")
    unbind = add_command(
        commands, "unbind", summary="let a certificate or token stand for nobody", epilog=EPILOG
    )
    listing = add_command(commands, "bindings", summary="list them", epilog=EPILOG)
    listing.add_argument("name", help="the tenant's name")
    for parser in (bind, unbind):
        kinds = parser.add_mutually_exclusive_group(required=True)
        kinds.add_argument("--subject", metavar="DN", help="subject of a certificate")
        kinds.add_argument("--san", metavar="NAME", help="dns:…, uri:… or email:… of one")
        kinds.add_argument("--jwt", nargs=2, metavar=("ISSUER", "CLAIM"), help="of a token")
    for parser, run in ((bind, run_bind), (unbind, run_unbind), (listing, run_list)):
        add_config(parser)
        add_json(parser)
        parser.set_defaults(run=run)


def run_bind(arguments: argparse.Namespace) -> int:
    """Let a name stand for a tenant."""
    from tame_router.tenancy.access import Binding

    kind, name = _identity(arguments)
    binding = Binding(
        kind=kind, name=name, tenant=arguments.name, scopes=read_scopes(arguments.scopes)
    )
    with administration(arguments) as desk:
        _show(desk.bind(binding), as_json=arguments.json)
    return 0


def run_unbind(arguments: argparse.Namespace) -> int:
    """Let a name stand for nobody; exits 1 where it stood for nobody."""
    kind, name = _identity(arguments)
    with administration(arguments) as desk:
        found = desk.unbind(kind, name)
    if arguments.json:
        write_json({"kind": kind.value, "name": name, "unbound": found})
    elif found:
        sys.stdout.write(f"unbound {kind.value} {plain(name)}\n")
    else:
        sys.stderr.write(f"the {kind.value} {plain(name)} is not bound\n")
    return 0 if found else 1


def run_list(arguments: argparse.Namespace) -> int:
    """List the bindings of a tenant."""
    with administration(arguments) as desk:
        bindings = desk.bindings(arguments.name)
    if arguments.json:
        write_json(*map(binding_facts, bindings))
        return 0
    rows = [(b.kind.value, b.name, ", ".join(sorted(b.scopes))) for b in bindings]
    write_table(("kind", "name", "scopes"), rows)
    return 0


def _identity(arguments: argparse.Namespace) -> "tuple[BindingKind, str]":
    from tame_router.tenancy.access import BindingKind

    if arguments.subject is not None:
        return BindingKind.CERTIFICATE_SUBJECT, arguments.subject
    if arguments.san is not None:
        return BindingKind.CERTIFICATE_SAN, arguments.san
    return BindingKind.JWT, " ".join(arguments.jwt)


def _show(binding: "Binding", *, as_json: bool) -> None:
    facts = binding_facts(binding)
    if as_json:
        write_json(facts)
        return
    sys.stdout.write(
        f"{facts['kind']} {plain(binding.name)} stands for {binding.tenant}:"
        f" {', '.join(facts['scopes'])}\n"
    )
