"""python -m tests.crash [--kills 100] [--releases "2026.9.6 …"] [--real] [--seed …] [--report FILE]"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.chaos import report
from tests.crash.controller import Trial
from tests.crash.judge import ALLOWED, FAULTS, Verdict, judge
from tests.crash.stages import embedded, real

RELEASES = ("2026.9.6", "2026.6.1", "2026.4.15", "2026.2.17")
COUNTED = ("sent", "whole", "said", *FAULTS, *ALLOWED, "others")
SELDOM = (*ALLOWED, "others")
MOST_SHOWN = 20


async def one_release(release: str, kills: int, seed: str, folder: Path, *, is_real: bool, **options: Any) -> Verdict:
    """What came of so many kills; notes the figures for the table. folder: of its own, empty. options: of `Trial`."""
    began = time.monotonic()
    async with (real if is_real else embedded)(release) as stage:
        trial = Trial(stage, folder, seed, kills, **options)
        account = await trial.run()
    verdict = judge(account)
    counts = verdict.counts
    figures = {name: counts[name] for name in COUNTED if counts[name] or name not in SELDOM}
    what = f"crash, {'real' if is_real else 'embedded'} {release}, seed {seed}"
    restarts = len(account.restarts)
    report.add(what, {"kills": kills, "restarts": restarts, **figures, "seconds": round(time.monotonic() - began)})
    aimed = ", ".join(f"{name} {times}" for name, times in trial.aimed.items())
    print(f"{release}: killed {aimed or 'never'}", flush=True)
    return verdict


async def all_releases(given: argparse.Namespace) -> bool:
    """Whether nothing was wrong."""
    clean = True
    for release in given.releases.split():
        folder = Path(tempfile.mkdtemp(prefix=f"openclaw-crash-{release}-"))
        journal = not given.without_journal
        verdict = await one_release(release, given.kills, given.seed, folder, is_real=given.real, journal=journal)
        for fault in verdict.faults[:MOST_SHOWN]:
            print(f"{release}: {fault}", file=sys.stderr, flush=True)
        if verdict.faults:
            clean = False
            print(f"{release}: {len(verdict.faults)} faults; everything is in {folder}", file=sys.stderr, flush=True)
        else:
            shutil.rmtree(folder)
    return clean


def table() -> list[str]:
    """A line for each figure, a column for each release."""
    rows = report.rows()
    names = [name for name in ("what", "kills", "restarts", *COUNTED, "seconds") if any(name in row for row in rows)]
    cells = [[name.replace("_", " "), *(str(row.get(name, "-")) for row in rows)] for name in names]
    cells[0] = ["", *(row["what"].split(",")[1].strip() for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(rows) + 1)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="An application is killed, and back.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--releases", default=" ".join(RELEASES))
    parser.add_argument("--real", action="store_true", help="real gateways in the place of embedded ones")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(2**32)))
    parser.add_argument("--report", type=Path, help="also write the figures as JSON")
    parser.add_argument("--without-journal", action="store_true", help="to see what a journal is for")
    given = parser.parse_args()
    # There is a warning for each write to a socket that was cut, and that is all that happens here.
    logging.getLogger().setLevel(logging.ERROR)
    print(f"--seed={given.seed}", flush=True)
    clean = asyncio.run(all_releases(given))
    print("\n".join(table()))
    if given.report:
        report.write(given.report)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
