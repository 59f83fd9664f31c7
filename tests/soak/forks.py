"""python -m tests.soak.forks [--forks 300] [--seed …]: forks while another thread connects for the first time.

Each process does it once, because what is loaded is loaded once. The fork comes within the first tenth of a second;
parent and child both connect and ask for something.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections import Counter

from openclaw_client.testing import BlockingEmbeddedGateway

LONGEST = 0.1
"""Seconds from the beginning of the first connect to the fork; the connect takes about half of it."""
PROGRAM = """
import os, signal, sys, threading, time
from openclaw_client import DeviceIdentity, GatewayClient
url, token, moment = sys.argv[1:]
def connect():
    identity = DeviceIdentity(bytes(range(32)), "linux")
    with GatewayClient(url, token=token, identity=identity) as client:
        client.request("health")
signal.alarm(60)
thread = threading.Thread(target=connect)
thread.start()
time.sleep(float(moment))
child = os.fork()
if not child:
    signal.alarm(20)
    connect()
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) and "the child did not end")
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.forks", description="Forks beside a first connect.")
    parser.add_argument("--forks", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    print(f"--seed={given.seed}", flush=True)
    rand, ends = random.Random(given.seed), Counter[str]()
    with BlockingEmbeddedGateway() as gateway:
        for _ in range(given.forks):
            moment = rand.uniform(0, LONGEST)
            command = [sys.executable, "-W", "ignore", "-c", PROGRAM, gateway.url, gateway.token or "", str(moment)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            last = (done.stderr.strip() or f"ended by {done.returncode}").splitlines()[-1]
            ends[last if done.returncode else "whole"] += 1
    for end, times in ends.items():
        print(f"{times} of {given.forks}: {end}")
    return 0 if set(ends) == {"whole"} else 1


if __name__ == "__main__":
    sys.exit(main())
