"""The environment variables of the product: those it reads, and those its table explains."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]*)` \|", re.MULTILINE)


def read_variables() -> list[str]:
    """Every name that webemotion/settings.py passes to `env.<kind>(...)`, in its order."""
    tree = ast.parse((ROOT / "webemotion" / "settings.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "env"
        and isinstance(call.args[0], ast.Constant)
    ]
    return list(dict.fromkeys(str(name) for name in names))


def documented_variables() -> list[str]:
    """Every variable of docs/configuration.md's table, in its order, as often as it has a row."""
    return ROW.findall((ROOT / "docs" / "configuration.md").read_text(encoding="utf-8"))
