"""The link checker: what it takes for alive, for dead, and for doubtful."""

import http.server
import threading
import time

import pytest

import links
import notebooks

ANSWERS = {"/here": 200, "/gone": 404, "/removed": 410, "/shy": 403, "/ill": 500}


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved") or "/moved")
        elif self.path == "/deep/relative":
            self.send_response(302)
            self.send_header("Location", "../here")
        elif self.path == "/slow":
            time.sleep(1)
            return
        else:
            self.send_response(ANSWERS[self.path])
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/here", ""),
        ("/moved/here", ""),
        ("/deep/relative", ""),
        ("/slow", "not sure: timed out"),
        ("/gone", "dead: 404"),
        ("/removed", "dead: 410"),
        ("/moved/gone", "dead: 404"),
        ("/shy", "not sure: 403"),
        ("/ill", "not sure: 500"),
        ("/moved", "not sure: too many redirections"),
    ],
)
def test_answers(address, path, answer, monkeypatch):
    monkeypatch.setattr(links, "SECONDS", 0.5)
    assert links.ask(address + path) == answer


def test_a_server_that_is_not_there_is_dead():
    assert links.ask("http://127.0.0.1:9/").startswith("dead")


def test_only_dead_addresses_fail(address, capsys):
    found = [address + path for path in ("/here", "/shy", "/gone")]
    assert links.check(found) == [address + "/gone"]
    assert "/shy" in capsys.readouterr().out


def test_addresses_of_other_hosts_are_collected(tmp_path):
    own = notebooks.repository_url()
    page = f"""<a href="https://example.org/a#b">x</a> <a href="intro.html">y</a>
    <a href="{own}/edit/main/book/x.ipynb">edit</a> <a href="{own}">repository</a>"""
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    assert set(links.addresses(tmp_path)) == {"https://example.org/a", own}
