"""The style of every plot of a report.

Plots are read on phones and on dark pages: they have an opaque pale background, large type, panels
one above the other, and colours that everyone can distinguish, whatever their colour vision (Okabe
and Ito, "Color Universal Design", 2008). Nothing is shown by colour alone.
"""

import io
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

WIDTH: Final = 6.4
"""Inches; with `DPI` 1,024 pixels, about three times the width of a phone's screen."""
DPI: Final = 160
SMALL: Final = 12
LARGE: Final = 14

GROUND: Final = "#fafaf7"
INK: Final = "#222222"
FAINT: Final = "#6f6f6f"
BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"


def blank(height: float) -> Figure:
    """Make an empty figure of this height, in inches."""
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.12)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=GROUND, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def title(axes: Axes, text: str) -> None:
    """Write a title above a panel."""
    axes.set_title(text, loc="left", fontsize=LARGE, color=INK, pad=10)


def legend(figure: Figure, columns: int = 3, panel: Axes | None = None) -> None:
    """Put a legend below all panels; of one panel only, if the others have the same marks."""
    figure.legend(
        *(panel.get_legend_handles_labels() if panel else ()),
        loc="outside lower center",
        ncols=columns,
        fontsize=SMALL,
        labelcolor=INK,
        frameon=False,
    )


def in_per_cent(axis: Axis) -> None:
    """Label an axis of shares in per cent, each tick with as many digits as it needs."""
    axis.set_major_formatter(lambda share, _: f"{round(100 * share, 6):g} %")


def plain(axes: Axes) -> None:
    """Remove the top and right of the frame, and draw a faint grid."""
    axes.set_facecolor(GROUND)
    axes.grid(visible=True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL, colors=INK)


def png(figure: Figure) -> bytes:
    """Return the plot as PNG; the same data give the same bytes."""
    buffer = io.BytesIO()
    # Without the version of the writing program, the same data give the same bytes.
    figure.savefig(buffer, format="png", facecolor=GROUND, metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """Return the plot as SVG, letters as shapes; the same data give the same bytes."""
    buffer = io.BytesIO()
    # Without this salt, its marks get random names.
    with rc_context({"svg.hashsalt": "lentigo", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", facecolor=GROUND, metadata={"Date": None})
    lines = buffer.getvalue().decode().splitlines()
    return "\n".join(line.rstrip() for line in lines).encode() + b"\n"
