"""One run against a model of a gateway and its line: whatever happens, it keeps its promises.

`LIFE_RUNS` and `LIFE_STEPS` in the environment ask for more than a few seconds' worth (make life RUNS=… STEPS=…).
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.runs.gateway_model import Style
from tests.runs.life_script import NAMES, STYLES, Script, play, shortest

RUNS = int(os.environ.get("LIFE_RUNS", "300"))
STEPS = int(os.environ.get("LIFE_STEPS", "40"))

moves = st.tuples(st.sampled_from(NAMES), st.integers(0, 127))
scripts = st.lists(moves, min_size=STEPS, max_size=STEPS)


# A script is made short by leaving moves out, which is quicker than what hypothesis does.
@settings(max_examples=RUNS, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(style=st.sampled_from(STYLES), script=scripts)
def test_a_run_keeps_its_promises_whatever_happens(style: Style, script: Script) -> None:
    try:
        play(style, script)
    except Exception:
        play(style, shortest(style, script))
        raise
