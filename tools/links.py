"""Ask every address that the built site links to whether it is there.

    python tools/links.py          # after `make book`; needs the network

An address is dead when its server says so (404, 410) or cannot be found. A server that
refuses programs (401, 403, 429), or fails for the moment, is named, but is no failure.
A DOI is alive when doi.org knows where it leads. Links within the site are tested by
``tests/test_book.py``.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from notebooks import ROOT, repository_url, site_url

SITE = ROOT / "_build" / "html"
SECONDS, REDIRECTS = 20, 5
DEAD = {404, 410}


class Links(HTMLParser):
    """Collects the addresses of other hosts in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the target of a link."""
        target = dict(attrs).get("href") or ""
        if tag == "a" and target.startswith(("http://", "https://")):
            self.found.add(target.partition("#")[0])


def addresses(site: Path) -> list[str]:
    """All addresses that the pages of a site link to, but for the site's own buttons.

    Each page links to itself in the repository and in Colab; those follow from the
    repository's address, so that one is asked for and they are not.
    """
    links = Links()
    for page in site.rglob("*.html"):
        links.feed(page.read_text(encoding="utf-8"))
    slug = repository_url().removeprefix("https://github.com/")
    own = (f"github.com/{slug}/", f"/github/{slug}/", site_url())
    others = {link for link in links.found if not any(part in link for part in own)}
    return sorted(others)


def ask(address: str) -> str:
    """Return what is wrong with an address, beginning with ``dead``, or ''."""
    for _ in range(REDIRECTS):
        try:
            status, target = _request(address)
        except (socket.gaierror, ConnectionRefusedError, ssl.SSLError) as error:
            return f"dead: {error}"
        except OSError as error:  # such as no answer in time
            return f"not sure: {error}"
        except http.client.HTTPException as error:
            return f"not sure: {error!r}"
        known_doi = urlsplit(address).hostname == "doi.org" and 300 <= status < 400
        if status < 300 or known_doi:
            return ""
        if not (300 <= status < 400 and target):
            return f"{'dead' if status in DEAD else 'not sure'}: {status}"
        address = urljoin(address, target)
    return "not sure: too many redirections"


def _request(address: str) -> tuple[int, str]:
    """Status, and where the server sends us instead."""
    parts = urlsplit(address)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path = quote(path, safe="%/:=&?~#+!$,;'@()*[]")  # letters outside ASCII
    try:
        connection.request("GET", path, headers={"User-Agent": "Mozilla/5.0 (links)"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location") or ""
    finally:
        connection.close()


def check(found: Iterable[str]) -> list[str]:
    """Ask all addresses, print what is wrong, and return the dead ones."""
    listed = list(found)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, listed))
    for address, wrong in zip(listed, answers, strict=True):
        if wrong:
            print(f"{address}\n    {wrong}")
    pairs = zip(listed, answers, strict=True)
    return [address for address, wrong in pairs if wrong.startswith("dead")]


def main() -> int:
    """Check the built site."""
    if not (SITE / "index.html").exists():
        print("the site is not built; run `make book`")
        return 2
    found = addresses(SITE)
    dead = check(found)
    print(f"{len(found)} addresses of other hosts, {len(dead)} of them dead")
    return int(bool(dead))


if __name__ == "__main__":
    sys.exit(main())
