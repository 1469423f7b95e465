"""Methods of Java sources."""

from __future__ import annotations

from collections import Counter

import pytest

from governance.collect.code import Method
from governance.collect.java import java_methods
from governance.languages.treesitter import parse


def methods(source: str) -> tuple[list[Method], Counter[str]]:
    skipped: Counter[str] = Counter()
    return list(java_methods(source.encode(), skipped)), skipped


SERVICE = """\
/* Copyright somebody */
package a.b;

import java.util.List;

/** About the class. */
@Service
public class Carts {
    // how many at most
    private final int limit = 3, sizes[];

    Carts(int limit, String... names) { }

    /** Adds. */
    @Override
    public <T> List<T> add(final T item, Map<String, List<T>> m) throws IOException {
        return null; // nothing yet
    }

    int count() { return 0; } // counted

    int count(int from) { return from; }
}
"""


def test_card_and_reduced_class() -> None:
    """A sample shows the class card and holds the class with fields, constructors and that one method, nothing else."""
    first = methods(SERVICE)[0][0]
    assert first.card == (
        "a.b.Carts(int, String...)\n"
        "- fields: limit:int, sizes:int[]\n"
        "- methods: add(T, Map<String, List<T>>): List<T>, count(): int, count(int): int"
    )
    assert (
        first.output
        == """\
@Service
public class Carts {
    // how many at most
    private final int limit = 3, sizes[];

    Carts(int limit, String... names) { }

    /** Adds. */
    @Override
    public <T> List<T> add(final T item, Map<String, List<T>> m) throws IOException {
        return null; // nothing yet
    }
}"""
    )


def test_overloads_are_samples_of_their_own() -> None:
    """Every overload is one sample, and lines are those of the method, annotations included."""
    found, _ = methods(SERVICE)
    assert [(m.name, m.start_line, m.end_line) for m in found] == [
        ("add", 15, 18),
        ("count", 20, 20),
        ("count", 22, 22),
    ]
    assert "int count(int from)" in found[2].output
    assert "int count()" not in found[2].output
    assert "counted" in found[1].output
    assert "counted" not in found[2].output


def test_nested_types_have_their_own_samples() -> None:
    """A method of an inner class, record, enum or interface belongs to that type, which alone is shown and dedented."""
    source = """\
package p;
class Outer {
    int a;
    void out() { new Runnable() { public void run() { } }; }
    record Point(int x, int... y) {
        Point { }
        int sum() { return x; }
    }
    enum Level {
        LOW { int n() { return 1; } }, HIGH;
        private int weight;
        int n() { return 2; }
    }
    interface Shape {
        int SIDES = 4;
        double area();
        default boolean flat() { return area() == 0; }
        class Deep { void down() { } }
    }
}
"""
    found, skipped = methods(source)
    assert [(m.name, m.group) for m in found] == [
        ("out", "p.Outer"),
        ("sum", "p.Outer.Point"),
        ("n", "p.Outer.Level"),
        ("flat", "p.Outer.Shape"),
        ("down", "p.Outer.Shape.Deep"),
    ]
    by_name = {m.name: m for m in found}
    assert by_name["out"].output.count("{") == 4, "the anonymous class stays inside its method"
    assert "record" not in by_name["out"].output
    assert by_name["sum"].card == "p.Outer.Point(int, int...)\n- fields: x:int, y:int...\n- methods: sum(): int"
    assert by_name["sum"].output.startswith("record Point(int x, int... y) {\n    Point { }\n    int sum()")
    assert by_name["flat"].card == "p.Outer.Shape()\n- fields: SIDES:int\n- methods: area(): double, flat(): boolean"
    assert "area();" not in by_name["flat"].output
    assert skipped == {"no-body": 1}


@pytest.mark.parametrize(
    ("annotation", "step"),
    [
        ("@RestController", "implementation_spring_controller"),
        ('@org.springframework.stereotype.Controller("x")', "implementation_spring_controller"),
        ("@Service", "implementation_spring_service"),
        ("@Component", "implementation_method"),
    ],
)
def test_steps_come_from_annotations(annotation: str, step: str) -> None:
    """The annotation of the class decides which step its methods teach."""
    assert [m.step for m in methods(f"{annotation} class A {{ void f() {{ }} }}")[0]] == [step]


def test_test_methods_are_marked() -> None:
    """Methods of a JUnit class teach the step of writing tests, so that a pipeline can tell them apart."""
    assert methods("class ATest { @Test void f() { } void g() { } }")[0][1].step == "implementation_test"


def test_broken_methods_are_counted() -> None:
    """A method with a syntax error is counted and left out; its neighbours stay."""
    found, skipped = methods("class A { int ok() { return 1; } int bad() { return 1 +; } int end() { return 2; } }")
    assert [m.name for m in found] == ["ok", "end"]
    assert skipped == {"syntax-error": 1}
    assert not any("1 +" in m.output for m in found)


def test_a_broken_header_gives_nothing() -> None:
    """Where the header of a class has a syntax error, every sample would have it, so there is none."""
    found, skipped = methods("class A extends { int a() { return 1; } }")
    assert found == []
    assert skipped["syntax-error"] == 1


def test_a_class_cut_short_gives_nothing() -> None:
    """A class without its end gives no sample, because its last line would be wrong."""
    found, skipped = methods("class A { int a() { return 1; } int b() { return 2; }")
    assert found == []
    assert skipped == {"syntax-error": 2}


def test_outputs_are_java() -> None:
    """Every reduced class parses without an error, whatever stood between the members."""
    source = """class A { ; int x; /* c */ void f() { } ; /** d */ void g() { } // e
      // for h
      void h() { String s = \"\"\"
          text {


          }\"\"\"; }
      static { } A() { } class B { } @interface C { } }"""
    found, _ = methods(source)
    assert [m.name for m in found] == ["f", "g", "h"]
    assert not any(parse("java", m.output.encode()).root_node.has_error for m in found)
    assert "text {\n\n\n" in found[2].output
    assert "// for h" in found[2].output
    assert "/** d */" not in found[2].output
