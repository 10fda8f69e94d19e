"""pydo, made by the lines of the book."""

import re
from pathlib import Path

BOOK = Path(__file__).parents[4] / "docs/sandbox.md"
[lines] = re.findall(r"```python\n(.*?)```", BOOK.read_text(), re.DOTALL)
made = {}
exec(lines, made)
assert made["client"].account.get()["account"]["status"] == "active"
assert made["client"].droplets.list()["droplets"] == []
print("done")
