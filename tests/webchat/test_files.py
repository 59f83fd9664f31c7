"""Files of a reply on the page: a link that saves, for the user whose conversation it is and for nobody else."""

from __future__ import annotations

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.webchat.agent import REPORT
from tests.webchat.client import browser, feed, ready, reply_to, send
from tests.webchat.conftest import OpenPage
from tests.webchat.site import Site

NAME = "<b>report</b>.html"


def test_a_file_goes_to_its_user_alone_and_is_never_shown(site: Site) -> None:
    with browser(site, "ada") as ada, browser(site, "grace") as grace, browser(site) as stranger:
        with feed(ada) as told:
            ready(told)
            ident = send(ada, "file Here it is.")
            # The end of the reply is told before its files are there.
            entry = reply_to(told, ident)
            while not entry["files"]:
                entry = reply_to(told, ident)
        (file,) = entry["files"]
        assert (entry["text"], file["name"], file["size"]) == ("Here it is.", NAME, len(REPORT))
        answer = ada.get(f"/api/files/{file['id']}")
        assert (answer.status_code, answer.content) == (200, REPORT)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"] == ("attachment; filename*=UTF-8''%3Cb%3Ereport%3C%2Fb%3E.html")
        assert grace.get(f"/api/files/{file['id']}").status_code == 404
        assert stranger.get(f"/api/files/{file['id']}").status_code == 401
        assert ada.get("/api/files/another").status_code == 404


def test_a_file_while_the_gateway_is_away(site: Site, gateway: BlockingEmbeddedGateway) -> None:
    gateway.stop()
    with browser(site, "ada") as ada:
        assert ada.get("/api/files/x").status_code == 503


@pytest.mark.timeout(120)
def test_the_page_links_a_file_of_a_reply(open_page: OpenPage) -> None:
    page = open_page("ada")
    page.say("file")
    page.wait(lambda: page.count(".files a") == 1)
    link = page.find(".files a")
    # As text: nothing of the name is markup.
    assert (link.text, link.get_attribute("download")) == (NAME, NAME)
    assert page.text(".files .size") == f"{len(REPORT)} B"
    assert page.text(".assistant .note") == ""
    page.mark()
    link.click()
    # It is saved: the page stays where it is, and no script of the file runs.
    page.wait(page.marked)
    assert page.find("title").get_attribute("textContent") != "pwned"
