"""A flame graph as one SVG file that needs no script: boxes by share of time, root on top.

Boxes are placed in per cent of the width and text keeps its size, so that the same file reads on a
phone and on a wide screen. Each box is a viewport of its own, which clips its text. The tooltip of
a box has what does not fit into it. Colours follow the reader's light or dark theme.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from profilers.flames.flame_colours import OWNERS, Owner, owner, style
from profilers.flames.folded import Difference, Stack

ROW = 18
LINE = 18
LEGEND_COLUMNS = 2
SHOWN = 0.0005
"""Boxes of a smaller share are left out: narrower than a pixel."""
LABELLED = 0.012
"""From this share on a box shows its name: below, not one letter would fit."""
STEPS = 4
"""Shades of red and of blue."""
SAME = 0.05
"""A difference of less than this part of both together has no colour."""

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class Node:
    """A frame in its place: ``a`` and ``b`` are its time with all that it called, ``own`` without.

    A profile alone has everything in ``a``.
    """

    name: str
    a: float = 0.0
    b: float = 0.0
    own: float = 0.0
    children: dict[str, Node] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """What its box is drawn after."""
        return self.a + self.b


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node is drawn: ``left`` and ``width`` as shares of the picture, row 0 on top."""

    node: Node
    row: int
    left: float
    width: float


def tree(values: Iterable[Difference]) -> Node:
    """The stacks put together from the root down."""
    root = Node("all")
    for value in values:
        for node in _path(root, value.stack):
            node.a += value.a
            node.b += value.b
        node.own += value.a + value.b
    return root


def layout(root: Node) -> list[Box]:
    """A box for each node, the children side by side under it in alphabetical order."""
    boxes: list[Box] = []
    if root.width <= 0:
        return boxes
    waiting = [Box(root, 0, 0.0, 1.0)]
    while waiting:
        box = waiting.pop()
        boxes.append(box)
        left = box.left
        for child in sorted(box.node.children.values(), key=lambda node: node.name):
            width = child.width / root.width
            waiting.append(Box(child, box.row + 1, left, width))
            left += width
    return boxes


def shares(stacks: Mapping[Stack, float], owners: Sequence[Owner] = OWNERS) -> dict[Owner, float]:
    """The part of the time that each owner's own code took, largest first."""
    total = sum(stacks.values())
    found: dict[Owner, float] = {}
    for stack, value in stacks.items():
        whose = owner(stack[-1], owners)
        found[whose] = found.get(whose, 0.0) + value / total
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0].name)))


def draw(
    stacks: Mapping[Stack, float],
    title: str,
    notes: Sequence[str],
    unit: str,
    libraries: Sequence[Owner] = (),
) -> str:
    """The flame graph of one profile.

    Args:
        stacks: the value of each, in ``unit``: ``s`` of an iteration, or ``share``.
        title: the first line.
        notes: lines under it.
        unit: what the values are.
        libraries: whose code frames may be beside ``OWNERS``.
    """
    owners = (*OWNERS, *libraries)
    stacks = dict(sorted(stacks.items()))  # a sum of floats depends on its order
    root = tree(Difference(stack, value, 0.0) for stack, value in stacks.items())
    parts = shares(stacks, owners) if root.a else {}
    legend = [(whose.name, f"{whose.label or whose.name} {v:.1%}") for whose, v in parts.items()]

    def told(node: Node) -> str:
        return f"{amount(node.a, unit)}, {node.a / root.a:.1%}; own {node.own / root.a:.1%}"

    def colour(node: Node) -> str:
        return owner(node.name, owners).name

    return _document(title, notes, legend, root, colour, told, owners)


def draw_difference(
    values: Iterable[Difference],
    names: tuple[str, str],
    title: str,
    notes: Sequence[str],
    unit: str,
) -> str:
    """The difference flame graph of two profiles, in one unit: red is more time in the second."""
    root = tree(values)
    a, b = names
    legend = [
        (f"more{STEPS}", f"red: more time in {b}"),
        (f"less{STEPS}", f"blue: less time in {b} than in {a}"),
        ("same", "grey: the same"),
    ]

    def told(node: Node) -> str:
        change = node.b - node.a
        sign = "+" if change >= 0 else "\N{MINUS SIGN}"
        both = f"{a} {amount(node.a, unit)}, {b} {amount(node.b, unit)}"
        return f"{both}: {sign}{amount(abs(change), unit)}"

    lines = [*notes, "Width: time in both together."]
    return _document(title, lines, legend if root.width else [], root, tint, told)


def tint(node: Node) -> str:
    """The shade of a difference: how much of what both took together it is."""
    part = (node.b - node.a) / node.width if node.width else 0.0
    if abs(part) < SAME:
        return "same"
    step = min(STEPS, 1 + int(abs(part) * STEPS))
    return f"{'more' if part > 0 else 'less'}{step}"


def amount(value: float, unit: str) -> str:
    """A value with three significant digits."""
    if unit != "s":
        return f"{value:.1%}"
    for factor, name in ((1.0, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {name}"
    return f"{value * 1e6:.3g} µs"


def _path(root: Node, stack: Stack) -> Iterable[Node]:
    node = root
    yield node
    for frame in stack:
        node = node.children.setdefault(frame, Node(frame))
        yield node


def _document(
    title: str,
    notes: Sequence[str],
    legend: Sequence[tuple[str, str]],
    root: Node,
    colour: Callable[[Node], str],
    told: Callable[[Node], str],
    owners: Sequence[Owner] = OWNERS,
) -> str:
    boxes = [box for box in layout(root) if box.width >= SHOWN]
    lines = [*notes, *([] if boxes else ["Nothing was seen: the profile is empty."])]
    head = [_line(title, 0, "title"), *(_line(t, i, "note") for i, t in enumerate(lines, 1))]
    top = LINE * (len(head) + 1)
    keys = [_key(kind, text, i, top) for i, (kind, text) in enumerate(legend)]
    top += LINE * -(-len(keys) // LEGEND_COLUMNS) if keys else 0
    drawn = [_box(box, top, "all" if box.row == 0 else colour(box.node), told) for box in boxes]
    height = top + ROW * max((box.row + 1 for box in boxes), default=0) + LINE // 2
    size = f'width="100%" height="{height}"'
    label = f'role="img" aria-label="Flame graph: {_text(title)}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label}>',
            f"<style>{style(owners)}</style>",
            '<rect class="surface" width="100%" height="100%"/>',
            *head,
            *keys,
            *drawn,
            "</svg>\n",
        ]
    )


def _line(text: str, number: int, kind: str) -> str:
    return f'<text class="{kind}" x="8" y="{LINE * (number + 1)}">{_text(text)}</text>'


def _key(kind: str, text: str, number: int, top: int) -> str:
    row, column = divmod(number, LEGEND_COLUMNS)
    return (
        f'<svg x="{100 * column // LEGEND_COLUMNS}%" y="{top + LINE * row - 9}"'
        f' width="{100 // LEGEND_COLUMNS}%" height="{LINE}">'
        f'<rect class="{kind}" x="8" y="2" width="12" height="12" rx="2"/>'
        f'<text class="note" x="26" y="12">{_text(text)}</text></svg>'
    )


def _box(box: Box, top: int, kind: str, told: Callable[[Node], str]) -> str:
    name = box.node.name
    text = f'<text x="3" y="13">{_text(name)}</text>' if box.width >= LABELLED else ""
    return (
        f'<svg x="{100 * box.left:.4f}%" y="{top + ROW * box.row}" width="{100 * box.width:.4f}%"'
        f' height="{ROW - 1}"><title>{_text(name)}\n{_text(told(box.node))}</title>'
        f'<rect class="box {kind}" width="100%" height="100%"/>{text}</svg>'
    )


def _text(text: str) -> str:
    """Escaped; characters that XML has no place for become a replacement."""
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))
