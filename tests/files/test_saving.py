"""Written whole or not at all, for this user alone, and nothing of somebody's is lost."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_client.files import saving
from openclaw_client.files.saving import save
from openclaw_client.wire.files import AgentFile

FILE = AgentFile("a", "../report.pdf", "application/pdf", 5, "web")


def test_a_folder_gets_the_name_and_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(b"mine")
    (tmp_path / "report (1).pdf").symlink_to(tmp_path / "nowhere")
    place = save(b"hello", tmp_path, FILE)
    assert place == tmp_path / "report (2).pdf"
    assert place.read_bytes() == b"hello"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert (tmp_path / "report.pdf").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()
    assert len(list(tmp_path.iterdir())) == 3
    assert not list(tmp_path.parent.glob("report*"))


def test_a_file_that_comes_between_is_kept_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kw: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    (tmp_path / "report.pdf").write_bytes(b"mine")
    monkeypatch.setattr(os, "link", refuse)
    # As it was a moment before.
    monkeypatch.setattr(os.path, "lexists", lambda _path: False)
    assert save(b"hello", tmp_path, FILE) == tmp_path / "report (1).pdf"
    assert (tmp_path / "report.pdf").read_bytes() == b"mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report (1).pdf", "report.pdf"]
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        save(b"hello", tmp_path, FILE)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_that_is_taken_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "MAX_SAME_NAME", 2)
    for _ in range(2):
        save(b"hello", str(tmp_path), FILE)
    with pytest.raises(FileExistsError):
        save(b"hello", str(tmp_path), FILE)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report (1).pdf", "report.pdf"]


def test_a_path_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "x.pdf"
    assert save(b"hello", place, FILE) == place
    os.chmod(place, 0o644)
    assert save(b"again", os.fspath(place), FILE) == place
    assert (place.read_bytes(), stat.S_IMODE(place.stat().st_mode)) == (b"again", 0o600)
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("name", ["x" * 255, "\U0001f4c8" * 63])
def test_a_name_as_long_as_names_may_be(tmp_path: Path, name: str) -> None:
    save(b"hello", tmp_path / name, FILE)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(name, b"hello")]


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    save(b"hello", link, FILE)
    assert not link.is_symlink()
    assert (link.read_bytes(), (tmp_path / "target").read_bytes()) == (b"hello", b"mine")


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


UNWRITABLE: dict[str, Callable[[Path], Path | str]] = {
    "a pipe": pipe,
    "a device": lambda _: "/dev/null",
    "no such folder": lambda folder: f"{folder}/nowhere/",
    "no folder for it": lambda folder: folder / "nowhere" / "x",
}


@pytest.mark.parametrize("where", UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_cannot_be_written(tmp_path: Path, where: Callable[[Path], Path | str]) -> None:
    to = where(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match=r"no such folder|a device, a pipe|No such file"):
        save(b"hello", to, FILE)
    assert sorted(tmp_path.iterdir()) == before


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "x").write_bytes(b"mine")
    monkeypatch.setattr(os, "fsync", full)
    for to in (tmp_path, tmp_path / "x"):
        with pytest.raises(OSError, match="No space"):
            save(b"hello", to, FILE)
    assert [each.name for each in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"mine"
