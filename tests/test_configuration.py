"""docs/configuration.md explains every environment variable once, and none that does not exist."""

import re

from tests.variables import ROOT, documented_variables, read_variables


def variables_of_the_procfile() -> set[str]:
    return set(re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", (ROOT / "Procfile").read_text("utf-8")))


def test_each_variable_has_one_row_in_the_table() -> None:
    assert sorted(documented_variables()) == sorted(
        {*read_variables(), *variables_of_the_procfile()}
    )
