"""The page that people read."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from made_run import CONTROLLER, HOSTILE, MadeRun, made_run

from governance.errors import UsageError
from governance.report.html import render_html
from governance.report.words import LANGUAGES, WORDS

VOID = {"meta", "br", "link", "img", "hr", "input", "line", "rect", "path"}


class Page(HTMLParser):
    """What a browser would make of a page: tags with attributes, ids, text, and whether every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(run: MadeRun, language: str = "en") -> tuple[str, Page]:
    page = render_html(run.evidence, run.tables, run.spans, language)
    return page, Page(page)


def hostile_run() -> MadeRun:
    return made_run(name=HOSTILE, file=HOSTILE, path="/create" + HOSTILE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile(language: str):
    """Markup in names and spans stays text: the page has the same elements as one with harmless names."""
    page, hostile = page_of(hostile_run(), language)
    _, plain = page_of(made_run(), language)
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attrs) for _, attrs in hostile.tags] == [sorted(attrs) for _, attrs in plain.tags]
    assert not {"script", "iframe", "object", "img", "link", "a", "form"} & {tag for tag, _ in hostile.tags}
    assert not hostile.open
    assert "/create<script>alert('x')</script>" in hostile.text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)


def test_self_contained():
    """Nothing on the page is loaded from anywhere, and its own policy forbids it."""
    page, parsed = page_of(made_run())
    assert not [
        a for _, attrs in parsed.tags for a in attrs if a in ("src", "href", "srcset", "action") or a[:2] == "on"
    ]
    assert "url(" not in page and "@import" not in page
    policy = next(
        a["content"] for t, a in parsed.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy and policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    addresses = [urlsplit(w).netloc for w in re.findall(r"https?://\S+", parsed.text)]
    assert addresses == ["example.invalid"]  # the name of the form of the evidence, as text


def test_same_bytes():
    """The same run gives the same page."""
    assert page_of(made_run())[0] == page_of(made_run())[0]


def test_closed():
    """A closed verdict stands first, with every reason; each gate has its numbers and its command."""
    text = page_of(made_run())[1].text
    run = made_run()
    assert text.index("CLOSED") < text.index("Gates") < text.index("Compliance checklist")
    for reason in run.evidence["verdict"]["reasons"]:
        assert reason in text
    assert "REST routes rest-routes failed 0.75 % 0 % 9 / 1,200 samples" in text
    assert "governance clean train.jsonl --pipeline code-generation --out clean.jsonl" in text
    assert "Unknown licence unknown-licence not run not measured 0 % - / 1,200 samples" in text


def test_findings():
    """A rule is shown with its open findings, why, its first places, and the span only where it may be."""
    text = page_of(made_run())[1].text
    assert "path segment '/createPost' is a verb" in text
    assert "error · 9 in 9 samples" in text
    assert "train.jsonl #0 output line 5 /createPost" in text
    assert "and 4 more" in text
    assert "pii/email-address error · 0 in 1 sample · 1 accepted" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_secret(language: str):
    """The text of a secret is nowhere on the page."""
    assert "correct horse" in CONTROLLER
    assert "correct horse" not in page_of(made_run(), language)[0]


def test_order():
    """Errors stand before warnings and more findings before fewer; what did not pass before what did."""
    text = page_of(made_run())[1].text
    rules = [
        "rest/crud-name error",
        "secrets/password-assignment error",
        "pii/email-address error",
        "stories/few-criteria w",
    ]
    assert [text.index(r) for r in rules] == sorted(text.index(r) for r in rules)
    gates = ["Expectation 1", "REST routes", "Secrets", "Unknown licence", "Stories", "Near duplicates", "Quarantined"]
    assert [text.index(g) for g in gates] == sorted(text.index(g) for g in gates)


def test_gate_that_does_not_apply():
    """A gate that did not run and is no breach is shown last, and not as a failure."""
    run = made_run()
    run.evidence["breaches"].remove("unknown-licence")
    _, page = page_of(run)
    assert page.text.index("Quarantined") < page.text.index("Unknown licence unknown-licence not run")
    assert [a["class"] for _, a in page.tags if (a.get("class") or "").startswith("status")][6] == "status idle"


def test_passed():
    """A passed verdict gives no reasons, and a run without findings and duplicates says so."""
    text = page_of(made_run(passed=True))[1].text
    assert "PASSED" in text and "CLOSED" not in text
    assert "No rule flagged anything." in text
    assert "No sample repeats another." in text


def test_plots():
    """Each plot has a title and a description that says its numbers, tied to it by ids that are unique."""
    _, page = page_of(made_run())
    drawings = [a for t, a in page.tags if t == "svg" and a.get("role") == "img"]
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(drawings) == 6
    assert len(ids) == len(set(ids))
    for drawing in drawings:
        assert set((drawing["aria-labelledby"] or "").split()) <= set(ids)
    assert "declared: 0 0, 1 620, 2 301" in page.text


def test_accessible():
    """Every table has a caption and column headers, headings do not skip a level, and the language is named."""
    _, page = page_of(made_run(), "zh")
    names = [tag for tag, _ in page.tags]
    assert names.count("table") == names.count("caption") > 6
    assert all(a.get("scope") for t, a in page.tags if t == "th")
    levels = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert next(a for t, a in page.tags if t == "html")["lang"] == "zh-CN"


def test_ledger():
    """The account of rows of a clean is shown with every reason."""
    run = made_run(passed=True)
    run.evidence["ledger"] = {"in": 1300, "kept": 1100, "changed": 100, "dropped": {"exact": 80, "rest/crud-name": 20}}
    text = page_of(run)[1].text
    assert "Records before 1,300 Kept as they were 1,100 Changed 100 Dropped 80 exact Dropped 20 rest/crud-name" in text


def test_chinese():
    """The Chinese page has Chinese words, titles and messages where there are any, and English where not."""
    text = page_of(made_run(), "zh")[1].text
    assert "关闭" in text and "REST 路由" in text and "路径片段 '/createPost' 是动词" in text
    assert "one criterion" in text
    with pytest.raises(UsageError, match="'fr' is unknown; known are en, zh"):
        page_of(made_run(), "fr")


def test_words():
    """Every word exists in both languages with the same places to fill."""
    for key, (english, chinese) in WORDS.items():
        assert english and chinese, key
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", chinese)), key


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_contrast():
    """Every text colour reaches 4.5 to 1 on every ground it stands on, in light and in dark (WCAG 2.2, 1.4.3)."""
    page = page_of(made_run())[0]
    schemes = re.findall(r":root\{(--paper:#[^}]*?--bar:#\w+)", page)
    assert len(schemes) == 3  # light, dark, print
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+):(#\w+)", scheme))
        value = {k: luminance(c if len(c) == 7 else "#" + "".join(x * 2 for x in c[1:])) for k, c in colours.items()}
        pairs = [(ink, "paper") for ink in ("ink", "soft", "good", "bad", "warn")]
        pairs += [("ink", "wash"), ("good", "goodwash"), ("bad", "badwash"), ("ink", "goodwash"), ("ink", "badwash")]
        for ink, ground in pairs:
            high, low = sorted((value[ink], value[ground]), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_copies():
    """The share of rows by their copies, the study that counted so, the cost of removal and the search are shown."""
    text = page_of(made_run())[1].text
    assert "Rows by number of copies" in text
    assert ">3 11 0.9167 % 7 0.5833 %" in text
    assert "Salerno, Al-Kaswan and Izadi, MSR 2025" in text
    assert "Step implementation_spring_controller 840 9 831 130,200 128,940 0.9677 %" in text
    assert "Step none named 360 0 360 54,110 54,110 0 %" in text
    assert "4–10 2 11" in text
    assert "25 pairs were compared, 4 reach it" in text and "recall is 1 by construction" in text


def test_minhash_search():
    """A search by signatures says what recall is to be expected and what was measured."""
    run = made_run()
    run.evidence["duplicates"]["search"] |= {
        "method": "minhash", "permutations": 128, "bands": 32, "rows": 4, "expected_recall": 0.9975,
        "measured_recall": 0.998, "measured_on": 2000, "measured_pairs": 512,
    }  # fmt: skip
    for language, words in (("en", "128 permutations in 32 bands of 4"), ("zh", "128 个置换，32 段每段 4 行")):
        text = page_of(run, language)[1].text
        assert words in text and "99.75 %" in text and "99.8 %" in text and "512" in text and "2,000" in text


def test_older_evidence():
    """A run of a version that did not count copies still has its page."""
    run = made_run()
    for key in ("search", "sizes", "largest_clusters", "copies", "removal"):
        del run.evidence["duplicates"][key]
    text = page_of(run)[1].text
    assert "Largest clusters" in text and "Rows by number of copies" not in text


def test_many_groups():
    """Groups beyond those that are named are one line with their number."""
    run = made_run()
    run.evidence["duplicates"]["removal"]["repositories"].append(
        {"name": None, "rows": 5, "rows_removed": 0, "words": 9, "words_removed": 0, "groups": 280}
    )
    assert "Repository 280 more together 5 0 5 9 9 0 %" in page_of(run)[1].text
