"""python -m tests.soak [--minutes 30] [--seed …]: a table of what the clients' process has, and whether it is flat."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys

from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Clients on bad lines, and their memory.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    print(f"--seed={given.seed}", flush=True)
    faults = asyncio.run(soak(given.minutes * 60, given.seed, lambda line: print(line, flush=True)))
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
