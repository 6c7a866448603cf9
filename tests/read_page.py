"""Read a page as tests look at it: its tags, its tables as texts, and what stands in its charts."""

from html.parser import HTMLParser

EMPTY_TAGS = {"meta", "link", "img", "wbr", "br", "rect", "circle", "path", "use"}
IN_CHARTS = {"title", "desc", "defs", "clippath", "g", "path", "rect", "text", "use"}


class Page(HTMLParser):
    """What stands in a page: its tags, its ids, its tables' rows as texts."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.first_in_table: list[str] = []
        self.text = ""
        self.drawn: list[str] = []  # tags within charts
        self.written: list[str] = []  # tags elsewhere
        self._open: list[str] = []
        self._caption = ""
        self.feed(content.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.drawn += [tag] if "svg" in self._open else []
        self.written += [tag] if "svg" not in self._open and tag != "wbr" else []
        if self._open and self._open[-1] == "table":
            self.first_in_table += [tag] if len(self.first_in_table) < self.count("table") else []
        if tag not in EMPTY_TAGS:
            self._open.append(tag)
        if tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self.tables[self._caption].append([])
        elif tag in ("td", "th"):
            self.tables[self._caption][-1].append("")
        elif tag == "small" and self.tables:
            self.handle_data(" ")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in EMPTY_TAGS:
            assert self._open.pop() == tag
        if tag == "caption":
            self.tables[self._caption] = []

    def handle_data(self, data):
        self.text += data
        if "caption" in self._open:
            self._caption += data
        elif "td" in self._open or "th" in self._open:
            self.tables[self._caption][-1][-1] += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)

    def values(self, *names: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags for name in names if name in attributes]
