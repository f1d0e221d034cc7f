"""The loss curve as a small SVG for the model card."""

import json
import math
from pathlib import Path

_WIDTH, _HEIGHT, _EDGE = 640, 240, 40


def draw(log: Path, target: Path) -> None:
    """Draws the smoothed loss (log scale) over the tokens seen."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    points = [(row["tokens"], math.log10(max(row["loss"], 1e-3))) for row in rows]
    most = max(tokens for tokens, _ in points)
    low, high = math.floor(min(y for _, y in points)), 1.0
    steps = [
        (
            _EDGE + tokens / most * (_WIDTH - 2 * _EDGE),
            _EDGE + (high - loss) / (high - low) * (_HEIGHT - 2 * _EDGE),
        )
        for tokens, loss in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in steps)
    marks = "".join(
        _mark(_EDGE + (high - power) / (high - low) * (_HEIGHT - 2 * _EDGE), f"{10.0**power:g}")
        for power in range(low, 2)
    )
    foot = (
        f'<text x="{_WIDTH - _EDGE}" y="{_HEIGHT - 12}" text-anchor="end">'
        f"{most / 1e6:.1f} M tokens, loss {rows[-1]['loss']:.2f}</text>"
    )
    target.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#555">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>{marks}'
        f'<polyline points="{line}" fill="none" stroke="#c2410c" stroke-width="2"/>{foot}</svg>\n',
        encoding="utf-8",
    )


def _mark(y: float, label: str) -> str:
    return (
        f'<line x1="{_EDGE}" x2="{_WIDTH - _EDGE}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        f'<text x="{_EDGE - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    )
