"""An explorer: a figure that a reader moves, without a kernel and without a network.

One picture for each setting is drawn beforehand. In a page, a link between
controls and pictures runs in the browser; in a live kernel there is also a field to
type into. A still picture stands in for it where no script runs, and in print.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib import rc_context
from matplotlib.axes import Axes

#: Class of what makes no sense without a kernel; the book's style sheet hides it.
LIVE_ONLY = "live-only"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_DPI = 144  # of pictures in pixels: sharp at the width of a page
_SLIDER_MAX = 12  # more settings than this make a menu


@dataclass(frozen=True)
class Picture:
    """A drawn figure.

    Attributes
    ----------
    alt : str
        What is seen.
    mime : str
    data : bytes
    """

    alt: str
    mime: str
    data: bytes

    @classmethod
    def of(cls, drawn: Axes | str, alt: str) -> Picture:
        """Keep a figure, as pixels, and close it; an SVG text is kept as it is."""
        if isinstance(drawn, str):
            return cls(alt, "image/svg+xml", drawn.encode())
        figure = drawn.get_figure(root=True)
        assert figure is not None
        buffer, exact = io.BytesIO(), {"lossless": True}
        with rc_context({"savefig.bbox": "tight"}):
            figure.savefig(buffer, format="webp", dpi=_DPI, pil_kwargs=exact)
        plt.close(figure)
        return cls(alt, "image/webp", buffer.getvalue())

    @property
    def img(self) -> str:
        """An ``img`` element that carries its data with it."""
        data = base64.b64encode(self.data).decode()
        return (
            f'<img alt="{html.escape(self.alt)}" style="max-width: 100%; height: auto" '
            f'src="data:{self.mime};base64,{data}">'
        )


class Explorer:
    """Controls above a picture.

    Parameters
    ----------
    settings
        Name of each control -> its options.
    draw
        Takes an option of each control, in order; returns the ``Axes``, or an SVG text.
    describe
        Takes the same, and returns the alt text.
    start
        Option of each control at the beginning; default: the first.
    ask
        Pairs (label, function): a field for a live kernel, and what draws its text.

    Attributes
    ----------
    controls : tuple of widgets
    pages : dict
        Numbers of the chosen options -> `Picture`.
    view : VBox
        What a live front end or a page shows.
    still : Picture
        That of the setting at the beginning: what print and pages without scripts show.
    """

    def __init__(
        self,
        settings: Mapping[str, Sequence[Any]],
        draw: Callable[..., Axes | str],
        describe: Callable[..., str],
        start: Sequence[Any] | None = None,
        ask: tuple[str, Callable[[str], Axes]] | None = None,
    ) -> None:
        first = start or [options[0] for options in settings.values()]
        chosen = [list(options) for options in settings.values()]
        places = product(*(range(len(options)) for options in chosen))
        self.pages = {}
        for place in places:
            options = [chosen[i][k] for i, k in enumerate(place)]
            self.pages[place] = Picture.of(draw(*options), describe(*options))
        self.controls = tuple(
            _control(name, options, value)
            for (name, options), value in zip(settings.items(), first, strict=True)
        )
        place = tuple(control.index for control in self.controls)
        self.still = self.pages[place]
        rows = [*self.controls, _pictures(self.controls, self.pages)]
        self.view = ipywidgets.VBox(rows + ([_question(*ask)] if ask else []))

    def _ipython_display_(self) -> None:
        """Show the view where widgets live, and for pages a picture beside it."""
        view = {"model_id": self.view.model_id, "version_major": 2, "version_minor": 0}
        script = f'<script type="{WIDGET_VIEW}">{json.dumps(view)}</script>'
        page = f'<div class="still">{self.still.img}</div>{script}'
        bundle = {WIDGET_VIEW: view, "text/html": page, "text/plain": self.still.alt}
        display(bundle, raw=True)


def _control(name: str, options: Sequence[Any], value: Any) -> Any:
    """Make a slider, or a menu where there are many options; both work by key."""
    labels = [str(option) for option in options]
    wide = {"layout": {"width": "100%", "max_width": "34rem"}}
    look: dict[str, Any] = wide | {"style": {"description_width": "initial"}}
    kind = ipywidgets.SelectionSlider
    if len(options) > _SLIDER_MAX:
        kind = ipywidgets.Dropdown
    return kind(options=labels, value=str(value), description=name, **look)


def _pictures(
    controls: Sequence[Any], pages: Mapping[tuple[int, ...], Picture]
) -> ipywidgets.Widget:
    """Show the picture of the controls' options.

    Stacks within stacks, linked in the browser; ipywidgets 7, which has no ``Stack``,
    needs a kernel to do it.
    """
    if hasattr(ipywidgets, "Stack"):
        return _stack(controls, pages, ())
    view = ipywidgets.HTML()

    def show(_: Any = None) -> None:
        view.value = pages[tuple(control.index for control in controls)].img

    for control in controls:
        control.observe(show, "index")
    show()
    return view


def _stack(
    controls: Sequence[Any],
    pages: Mapping[tuple[int, ...], Picture],
    place: tuple[int, ...],
) -> ipywidgets.Widget:
    if len(place) == len(controls):
        return ipywidgets.HTML(pages[place].img)
    control = controls[len(place)]
    n = len(control.options)
    children = [_stack(controls, pages, (*place, i)) for i in range(n)]
    stack = ipywidgets.Stack(children, selected_index=control.index)
    ipywidgets.jslink((control, "index"), (stack, "selected_index"))
    return stack


def _question(label: str, draw: Callable[[str], Axes]) -> ipywidgets.Widget:
    """Make a field whose text is drawn by the kernel when Enter is pressed."""
    look: dict[str, Any] = {"style": {"description_width": "initial"}}
    field = ipywidgets.Text(description=label, continuous_update=False, **look)
    answer = ipywidgets.HTML()

    def show(change: Any) -> None:
        text = change["new"].strip()
        try:
            found = Picture.of(draw(text), f"The figure for {text}") if text else None
        except ValueError as error:
            answer.value = f"<p>{html.escape(str(error))}</p>"
        else:
            answer.value = found.img if found else ""

    field.observe(show, "value")
    box = ipywidgets.VBox([field, answer])
    box.add_class(LIVE_ONLY)
    return box
