"""`manage.py dataset pack`: shards that are read back much faster than their source."""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from recognizer.management.base import add_seed_option
from recognizer.management.dataset.options import add_source_options, read_source
from recognizer.training.datasets.outputs import require_free, require_outside
from recognizer.training.datasets.packing import Packing, SplitRule, pack

HELP = "Write a data set as resized, sharded TFRecords that are read back much faster."
KEPT = "Called again in the same way, it goes on after what is finished."


def add_arguments(parser: ArgumentParser) -> None:
    default = Packing()
    add_source_options(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the packed folder, a new one"
    )
    parser.add_argument(
        "--shards",
        type=int,
        default=default.shards,
        metavar="N",
        help="files for each split (%(default)s)",
    )
    parser.add_argument(
        "--split",
        choices=get_args(SplitRule),
        default=default.split,
        help="the source's own, or 0.8 Training and 0.2 PublicTest at random, with equal pictures "
        "and those of one group (a character, a photo) on the same side, --extra in Training "
        "(%(default)s)",
    )
    add_seed_option(parser, default.seed)


def run(options: dict[str, Any], report: Callable[[str], None]) -> None:
    output = options["output"]
    sources = (options["source"], options["ferplus"], *options["extra"])
    how = Packing(
        shards=options["shards"],
        split=options["split"],
        seed=options["seed"],
        sources=tuple(path.name for path in sources if path),
    )
    require_free(output)  # Before a long read, not after it.
    for place in (options["source"], *options["extra"]):
        require_outside(output, place)
    reading = read_source(options, report)
    index = pack(reading.faces, output, how, reading.further)
    splits = ", ".join(f"{split} {count:,}" for split, count in index.splits.items())
    megabytes = sum(shard.bytes for shard in index.shards) / 1e6
    report(
        f"{len(index):,} faces of {index.size}x{index.size} pixels ({splits}) are in {output}: "
        f"{len(index.shards)} shards, {megabytes:.1f} MB."
    )
