"""What a text declares as routes, and what it does not."""

from __future__ import annotations

import re
import time

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.scan.routes import TRIGGER, extract_routes

ORIGIN = """@RestController
@RequestMapping("/blog")
public class PostController {

    @Autowired
    private BlogService blogService;

    @RequestMapping(value = "/createPost", method = RequestMethod.POST)
    @ResponseBody
    public BlogPostDto createPost(@RequestBody BlogPostDto blogPostDto) {
        return blogService.createPost(blogPostDto);
    }
}
"""


def found(text: str) -> list[str]:
    """The routes of *text* as ``METHOD path``."""
    return [f"{r.method} {r.path}" for r in extract_routes(text)]


def test_prefix_and_own_path_are_shown_where_they_stand():
    """The origin's controller has one route, and any part of its path maps to the text, prefix included."""
    (route,) = extract_routes(ORIGIN)
    assert (route.method, route.path, route.framework) == ("POST", "/blog/createPost", "spring")
    assert (route.handler, route.line) == ("createPost", 8)
    assert ORIGIN[route.start : route.end] == "/createPost"
    for start, end, segment in route.segments():
        a, b = route.locate(start, end)
        assert ORIGIN[a:b] == segment


@pytest.mark.parametrize(
    ("annotation", "routes"),
    [
        ('@GetMapping("/a")', ["GET /p/a"]),
        ('@PostMapping(value = "/a")', ["POST /p/a"]),
        ('@PutMapping(produces = "x/y", path = "a")', ["PUT /p/a"]),
        ('@DeleteMapping({"/a", "/b/"})', ["DELETE /p/a", "DELETE /p/b/"]),
        ("@PatchMapping", ["PATCH /p"]),
        ("@PatchMapping()", ["PATCH /p"]),
        ('@RequestMapping("/a")', ["ANY /p/a"]),
        ('@RequestMapping(method = {POST, RequestMethod.GET}, value = "/a")', ["POST /p/a", "GET /p/a"]),
        ('@RequestMapping(path = {"/a", "/b"}, method = RequestMethod.GET)', ["GET /p/a", "GET /p/b"]),
        ('@GetMapping(BASE + "/a/" + "b")', ["GET /p/base/a/b"]),
        ("@GetMapping(Paths.BASE)", ["GET /p/base"]),
        ('@GetMapping(OTHER + "/a")', ["GET /p/{OTHER}/a"]),
        ('@GetMapping("/{id:[0-9]{3}}/${x.y}")', ["GET /p/{id}/{x.y}"]),
        ('@org.springframework.web.bind.annotation.GetMapping("/a")', ["GET /p/a"]),
        ('@ApiOperation(value = "/no", notes = "@GetMapping(\\"/no\\")") @GetMapping("/a")', ["GET /p/a"]),
        ('@GetMapping("/a") @PreAuthorize("hasRole(\'A\')")', ["GET /p/a"]),
        ('@GetMapping(/* "/no" */ "/a")', ["GET /p/a"]),
        ('// @GetMapping("/no")\n', []),
        ('/** {@code @GetMapping("/no")} */', []),
        ('@ApiOperation("/no")', []),
        ('@MessageMapping("/no")', []),
    ],
)
def test_annotation_forms(annotation, routes):
    """Every way to write a mapping gives its routes; other annotations, comments and strings give none."""
    text = f'@RequestMapping("/p")\nclass A {{\n  static final String BASE = "/base";\n  {annotation}\n  public List<X> a(int b) {{ }}\n}}'  # noqa: E501
    assert found(text) == routes


def test_a_class_without_its_end_keeps_its_prefix():
    """Cut-off code declares what stands in it: the prefix of an open class, and a method without its body."""
    for cut in (ORIGIN.index("{\n        return") + 1, ORIGIN.index("createPost(@"), ORIGIN.index("@ResponseBody")):
        assert found(ORIGIN[:cut]) == ["POST /blog/createPost"]
    assert found(ORIGIN[: ORIGIN.index("createPost")]) == []  # cut off inside the path


def test_a_method_alone_is_a_route():
    """A method without its class has the path of its own annotation."""
    assert found('@GetMapping("/users/{id}")\npublic User user(@PathVariable Long id) { return null; }') == [
        "GET /users/{id}"
    ]
    assert found('@RequestMapping("/users")') == []  # of a class or of a method: not known


def test_each_class_has_its_own_prefix():
    """A prefix ends with its class, and an inner class does not inherit it."""
    text = """
@RequestMapping({"/a", "/b"}) class A { @GetMapping("/x") void x() {} class I { @GetMapping("/i") void i() {} } }
class B { @GetMapping("/y") void y() {} }
"""
    assert found(text) == ["GET /a/x", "GET /b/x", "GET /i", "GET /y"]


def test_clients_declare_no_routes():
    """Interfaces of HTTP clients call routes of others."""
    assert found('@FeignClient(name = "a")\npublic interface A { @GetMapping("/users") List<User> users(); }') == []
    assert found('@HttpExchange("/x") interface A { @GetExchange("/y") void y(); @GetMapping("/z") void z(); }') == []


def test_markdown_around_code():
    """Fenced Java and prose are read each in its way, and offsets count from the start of the whole text."""
    text = f"这是控制器:\n\n```java\n{ORIGIN}```\n\n- `GET /users/:id` 查询\n\n```python\nGET /no\n```\n"
    assert found(text) == ["POST /blog/createPost", "GET /users/{id}"]
    for route in extract_routes(text):
        assert text[route.start : route.end] in ("/createPost", "/users/:id")
    assert found("Here's the class, don't mind the rest:\n\n" + ORIGIN) == ["POST /blog/createPost"]


@pytest.mark.parametrize(
    ("line", "route"),
    [
        ("GET /users", "GET /users"),
        ("POST login(user: String, password: String):AuthToken /users/login Login", "POST /users/login"),
        ("GET find pet by id(id: integer) /pets/{id}", "GET /pets/{id}"),
        ("GET get_user(user: string) : response: object /user/{user} ", "GET /user/{user}"),
        ("GET /reservations?username={username}:Reservation[]  Get them", "GET /reservations"),
        ("POST /reservations:Reservation  Add one", "POST /reservations"),
        ("  - **DELETE /users/<int:id>**: removes one", "DELETE /users/{id}"),
        ("3. `PATCH /users/:id`", "PATCH /users/{id}"),
        ("### PUT `/users/{id}`", "PUT /users/{id}"),
        ("| GET | /users | all users |", "GET /users"),
        ("GET / the root", "GET /"),
        ("POST /v1/orders/{id}:cancel", "POST /v1/orders/{id}:cancel"),
        ("GET /用户/列表，返回全部", "GET /用户/列表"),
    ],
)
def test_plain_lines(line, route):
    """A line that begins with a method and has a path, or a signature and a path, declares it."""
    assert found(f"API\n{line}\n") == [route]


@pytest.mark.parametrize(
    "line",
    [
        "GET /index.html HTTP/1.1",
        '10.0.0.1 - - "GET /users HTTP/1.1" 200',
        "GET / POST / PUT are methods",
        "GET /POST requests",
        "GET getResources(project: String): JSON",
        "Given a user submits a GET request to /users/{userId}",
        "DELETE /* hint */ FROM users",
        "DELETE FROM a/b",
        "curl -X POST /users",
        "TARGET /users",
        "get /users",
    ],
)
def test_lines_that_declare_nothing(line):
    """Requests, logs, prose and SQL are not declarations."""
    assert found(line) == []


def test_comments_of_code_declare_nothing():
    """A method and a path in a doc comment or a string of code are no route."""
    assert found("/**\n * GET  /users : all users\n */\npublic class A {\n  // POST /users\n}") == []
    assert found('def users():\n    """\n    GET /users\n    """\n') == []


def test_the_trigger_is_one_pattern_and_stands_in_every_text_with_a_route():
    """RE2 compiles the trigger, and it hits the texts of this file that hold routes."""
    trigger = re2.compile(TRIGGER)
    for text in (ORIGIN, "GET /users", "| GET | /users |", "@GetMapping\nvoid a() {}"):
        assert extract_routes(text) and trigger.search(text)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["@GetMapping", '("/a")', "(", ")", "{", "}", '"', "'", "/*", "*/", "//", "\n", "class A", "GET /x", "```java",  # noqa: E501
             "```", "@RequestMapping", "method=", "用户", "\u2028", "\\", '"""', " + ", "B", ";", "a<", "void a(", "\ud800"]  # noqa: E501
        ),
        max_size=40,
    )
)  # fmt: skip
def test_any_text_is_fine(parts):
    """No text makes it fail; spans lie in the text, come in order, and pieces of the path stand in the text."""
    text = "".join(parts)
    routes = extract_routes(text)
    assert [r.start for r in routes] == sorted(r.start for r in routes)
    for route in routes:
        assert 0 <= route.start < route.end <= len(text) and route.path.startswith(("/", "{"))
        assert route.line == text.count("\n", 0, route.start) + 1
        for start, end, at in route.pieces:
            assert route.path[start:end] == text[at : at + end - start]


@pytest.mark.parametrize(
    "piece",
    ['@GetMapping("', "@GetMapping(", "GET (", "GET ) /", "a<", "{", "```java\n", "/*", '@GetMapping("/a") a<', "x "],
)
def test_time_is_linear_in_the_text(piece):
    """200 kB of the worst pieces takes seconds at most, where a quadratic reading takes hours."""
    begin = time.perf_counter()
    extract_routes("@GetMapping class A {\n" + piece * (200_000 // len(piece)))
    assert time.perf_counter() - begin < 20


def test_the_cheap_marks_agree_with_the_trigger():
    """Python's reading of the trigger is that of RE2."""
    for text in ("GET x\n/", "GET x /", "XGET /", "Mappings", "@GetMapping"):
        assert bool(re.search(TRIGGER, text)) == bool(re2.search(TRIGGER, text))
