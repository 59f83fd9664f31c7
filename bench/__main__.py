"""python -m bench [--quick]: measure, print the table, and (without --quick) write docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import time

from bench.install import Missing
from bench.plan import plan
from bench.report import Report, table, targets, write
from bench.run import machine, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure this client beside others.")
    parser.add_argument("--quick", action="store_true", help="a minute, few rounds, nothing written")
    quick: bool = parser.parse_args().quick
    begun, measurements = time.monotonic(), plan(quick)
    try:
        results = run(measurements)
    except (Missing, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    report, took = Report(measurements, results), time.monotonic() - begun
    print(table(report))
    print(targets(report))
    if not quick:
        write(report, machine(), took)
    print(f"{took:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
