#!/usr/bin/env python3
"""Makes the README's picture from what a run of the demo has written.

    docs/examples/demo.sh > demo.log 2>&1 && docs/examples/record.py demo.log > docs/demo.svg

Every line of the picture is a line of the log. Lines that tell little, or that name a folder of the machine, are left out.
"""

import html
import re
import sys

# What is worth showing: headings, commands, and the lines that decide something.
KEEP = [re.compile(pattern) for pattern in (
    r"^\x1b\[1;3\dm",  # the demo's own headings and its end
    r"^\x1b\[1m\$ remint (?!sandbox image|init)",
    r"^\s+machines   ",
    r"\| installed hello",
    r"^ .* image \S+ baked",
    r"passed its gate",
    r" points at instance ",
    r"^r\d+ serves",
    r"^  switch ",
    r"version v\d",
    r"^no login key",
    r"^hello\.example\.test is ",
    r"warning: r\d+: ",
    r"^error: ",
    r"is undone",
    r"^ r\d+ ",
    r" is gone$",
)]
# A picture of more lines is not read.
MOST = 52
WIDTH = 112

COLOURS = {"1;36": "#7fd7ff", "1;32": "#8ae28a", "1;31": "#ff8a80", "1": "#ffffff"}
PLAIN = "#c8ccd4"
SGR = re.compile(r"\x1b\[([0-9;]*)m")
LINE, TOP, LEFT, LETTER = 18, 46, 18, 7.8


def chosen(lines: list[str]) -> list[str]:
    """The lines to show, each once in a row."""
    shown: list[str] = []
    for line in lines:
        line = line.rstrip()
        text = SGR.sub("", line)
        if re.search(r"/(tmp|root|home|var)/", text) or not any(pattern.search(line) for pattern in KEEP):
            continue
        if shown and shown[-1] == line:
            continue
        shown.append(line)
    return shown


def spans(line: str) -> str:
    """A line as SVG text, in its colours."""
    out, colour, room = [], PLAIN, WIDTH
    parts = SGR.split(line)
    for index, part in enumerate(parts):
        if index % 2:
            colour = COLOURS.get(part, PLAIN)
            continue
        if len(part) > room:
            part = part[: max(0, room - 1)] + "…"
        room -= len(part)
        if part:
            bold = ' font-weight="bold"' if colour != PLAIN else ""
            out.append(f'<tspan fill="{colour}"{bold}>{html.escape(part)}</tspan>')
    return "".join(out)


def picture(lines: list[str]) -> str:
    height = TOP + LINE * len(lines) + 10
    width = int(LEFT * 2 + WIDTH * LETTER)
    rows = "\n".join(
        f'<text x="{LEFT}" y="{TOP + LINE * row + 12}" xml:space="preserve">{spans(line)}</text>'
        for row, line in enumerate(lines)
    )
    dots = "".join(
        f'<circle cx="{LEFT + 6 + 20 * index}" cy="22" r="6" fill="{fill}"/>'
        for index, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="13">\n'
        "<title>A run of Remint's demo</title>\n"
        f'<rect width="{width}" height="{height}" rx="10" fill="#1b1e24"/>\n{dots}\n{rows}\n</svg>\n'
    )


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as log:
        lines = chosen(log.read().splitlines())
    if len(lines) > MOST:
        sys.exit(f"record: {len(lines)} lines are chosen, more than {MOST}: narrow KEEP")
    sys.stdout.write(picture(lines))


if __name__ == "__main__":
    main()
