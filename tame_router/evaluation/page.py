"""A report as one HTML page that needs nothing beside it; the one module that knows jinja2."""

from pathlib import Path

from tame_router.evaluation import plots
from tame_router.evaluation.library import require_installed
from tame_router.evaluation.report import Report
from tame_router.evaluation.section import headlines, sections

TEMPLATE = "page.html.j2"


def render_page(report: Report) -> str:
    """Write a report as an HTML page; the same report gives the same page.

    Raises:
        ConfigError: When the packages of the extra `report` are not installed.
    """
    require_installed()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        report=report,
        headlines=headlines(report),
        sections=sections(report),
        # Drawn here out of numbers and experts' names, which matplotlib has escaped.
        plots=[(title, note, Markup(svg)) for title, note, svg in _draw(report)],  # noqa: S704
    )


def _draw(report: Report) -> list[tuple[str, str, str]]:
    single = report.single
    if not single:
        return []
    return [
        (
            "Confusion",
            "A row is the right expert, a column the one that answered. Off the diagonal is wrong.",
            plots.plot_confusion(report.experts, single.confusion),
        ),
        (
            "Reliability",
            "On the dashed line a probability means what it says; below it the router is too sure.",
            plots.plot_reliability(single.reliability),
        ),
        (
            "Risk and coverage",
            "Keep the surest questions only: how many are wrong? The dashed line keeps all.",
            plots.plot_risk_coverage(single.risk_coverage),
        ),
    ]
