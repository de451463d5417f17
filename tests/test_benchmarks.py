"""The file that `make bench` writes."""

from pathlib import Path

import pytest

from scripts.bench.measuring import Table

ORDER = ["detection", "memory"]


def measured(machine: str, **titles: str) -> Table:
    table = Table(machine)
    for section, title in titles.items():
        table.section(section)
        table.title(title)
        table.head("way", "median")
        table.row("ours", "3 ms")
    return table


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "BENCHMARKS.md"
    whole = measured("two cores", memory="200 photos", detection="Detection")
    whole.write(path, "# Benchmarks\n", ORDER)
    return path


def test_sections_stand_in_their_order_below_the_machine(results: Path) -> None:
    table = "| way | median |\n| --- | ---: |\n| ours | 3 ms |\n"
    assert results.read_text(encoding="utf-8") == (
        "# Benchmarks\n\ntwo cores\n\n"
        f"<!-- detection -->\n\n## Detection\n\n{table}\n"
        f"<!-- memory -->\n\n## 200 photos\n\n{table}"
    )


def test_a_section_measured_anew_replaces_only_itself(results: Path) -> None:
    before = results.read_text(encoding="utf-8")
    measured("two cores", memory="5000 photos").write(results, "# Benchmarks\n", ORDER)
    after = results.read_text(encoding="utf-8")
    assert after == before.replace("200 photos", "5000 photos")


def test_other_machines_numbers_are_not_mixed_in(results: Path) -> None:
    before = results.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="another machine"):
        measured("a GPU", memory="5000 photos").write(results, "# Benchmarks\n", ORDER)
    assert results.read_text(encoding="utf-8") == before


def test_whether_a_section_may_be_written_is_known_before_it_is_measured(results: Path) -> None:
    with pytest.raises(ValueError, match="another machine"):
        Table("a GPU").check(results, ["memory"], ORDER)
    Table("a GPU").check(results, ORDER, ORDER)
    Table("two cores").check(results, ["memory"], ORDER)


def test_a_whole_run_replaces_everything(results: Path) -> None:
    anew = measured("a GPU", memory="m", detection="d")
    anew.write(results, "# Benchmarks\n", ORDER)
    assert "two cores" not in results.read_text(encoding="utf-8")
