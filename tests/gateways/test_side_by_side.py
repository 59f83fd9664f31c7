"""Releases side by side: outputs whole and apart, true sums, an exit code that tells."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.gateways import side_by_side
from tests.gateways.install import CI_RELEASES
from tests.gateways.side_by_side import Outcome, SideBySide, arguments_of, closing_line, pytest_command
from tests.waiting import wait_until

ONE, OTHER, THIRD = "2026.5.12", "2026.9.6", "2026.6.1"


class Suite:
    """Test files that stand for releases, run by the real pytest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, release: str, text: str) -> None:
        (self.folder / f"test_{release.replace('.', '_')}.py").write_text(text)

    def command(self, release: str, arguments: Sequence[str]) -> Sequence[str]:
        file = self.folder / f"test_{release.replace('.', '_')}.py"
        quiet = ("-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={self.folder}")
        return (sys.executable, "-m", "pytest", "-s", *quiet, str(file), *arguments)

    def run(self, *releases: str, arguments: Sequence[str] = ()) -> tuple[tuple[Outcome, ...], list[str]]:
        """The outcomes, and the releases in the order in which they ended."""
        ended: list[str] = []
        outcomes = SideBySide(self.command).run(releases, arguments, lambda outcome: ended.append(outcome.release))
        return outcomes, ended


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def test_what_passed_failed_and_was_skipped_is_summed(suite: Suite) -> None:
    suite.write(
        ONE,
        """
        import pytest

        def test_good(): print("words of one")
        def test_bad(): assert False
        @pytest.fixture
        def broken(): raise OSError
        def test_error(broken): pass
        def test_skipped(): pytest.skip("not here")
        """.replace("\n        ", "\n"),
    )
    suite.write(OTHER, "def test_good(): print('words of the other')\ndef test_better(): pass\n")
    outcomes, _ = suite.run(ONE, OTHER)
    assert [(one.release, one.passed, one.failed, one.skipped, one.ok) for one in outcomes] == [
        (ONE, 1, 2, 1, False),
        (OTHER, 2, 0, 0, True),
    ]
    assert "words of one" in outcomes[0].output
    assert "words of the other" not in outcomes[0].output
    assert "1 failed" in outcomes[0].output.splitlines()[-1]
    assert closing_line(outcomes) == "3 passed, 2 failed, 1 skipped"


def test_two_run_at_the_same_time_and_a_third_when_one_has_ended(suite: Suite) -> None:
    meet = """
        import pathlib, time
        def test_it():
            here = pathlib.Path(__file__).parent
            (here / "{own}").touch()
            deadline = time.monotonic() + 30
            while not (here / "{other}").exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
        """.replace("\n        ", "\n")
    # The first two end only if both run; the third's file is what nobody but itself needs.
    suite.write(ONE, meet.format(own="one", other="two"))
    suite.write(OTHER, meet.format(own="two", other="one"))
    suite.write(THIRD, meet.format(own="three", other="two"))
    outcomes, ended = suite.run(ONE, OTHER, THIRD)
    assert all(one.ok for one in outcomes)
    assert [one.release for one in outcomes] == [ONE, OTHER, THIRD]
    assert ended[-1] == THIRD


def test_a_process_that_crashes_and_one_without_tests_are_failures(suite: Suite) -> None:
    suite.write(ONE, "import os\ndef test_it(): os._exit(9)\n")
    suite.write(OTHER, "def test_it(): pass\n")
    (crashed, empty), _ = suite.run(ONE, OTHER, arguments=("-k", "nothing or test_it and 2026_5_12"))
    assert (crashed.ok, crashed.problem) == (False, "ended with exit code 9")
    assert (empty.ok, empty.problem) == (False, "no test found")
    line = closing_line((crashed, empty))
    assert line == f"0 passed, 0 failed, 0 skipped, {ONE}: ended with exit code 9, {OTHER}: no test found"


def test_who_stops_ends_the_processes(suite: Suite) -> None:
    suite.write(ONE, "import time\ndef test_it(): open(__file__ + '.began', 'w').close(); time.sleep(60)\n")
    suite.write(OTHER, "def test_it(): pass\n")

    def interrupt(outcome: Outcome) -> None:
        assert outcome.release == OTHER
        wait_until(lambda: list(suite.folder.glob("*.began")))
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        SideBySide(suite.command).run((ONE, OTHER), (), interrupt)
    assert time.monotonic() - began < 50


def test_the_command_names_the_release_and_passes_arguments_on() -> None:
    command = pytest_command(ONE, ("-k", "chat"))
    assert command[1:5] == ("-m", "pytest", "tests/contract", "tests/chaos")
    assert command[5:] == ("--gateways=real", f"--release={ONE}", "-k", "chat")


def test_only_the_tests_of_the_release_are_run() -> None:
    command = (*pytest_command(ONE, ()), "--collect-only", "--quiet", "--no-header")
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    tests = [line for line in lines if "::" in line]
    assert tests
    assert not [test for test in tests if ONE not in test]


def test_words_are_releases_until_two_dashes() -> None:
    assert arguments_of([ONE, OTHER, "--", "-x", "--", "y"]) == ((ONE, OTHER), ("-x", "--", "y"))
    assert arguments_of(["--"]) == arguments_of([]) == (CI_RELEASES, ())
    for words in (["2026.9"], ["-x"], [ONE, ONE]):
        with pytest.raises(ValueError, match="release"):
            arguments_of(words)


def test_a_wrong_word_is_told_and_nothing_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert side_by_side.main(["newest"]) == 2
    assert "'newest' is no OpenClaw release" in capsys.readouterr().err
