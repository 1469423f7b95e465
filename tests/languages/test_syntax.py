"""The table of languages: what each writes as comment, string, name and number, and where a broken text ends."""

from __future__ import annotations

# ruff: noqa: E501, I001

import pytest

from governance.languages.detect import language_number
from governance.languages.lexer import ID, KINDS, NUM, STR, lex_string
from governance.languages.syntax import LANGUAGES, SYNTAXES

FOLDED = {int(ID): "ID", int(NUM): "NUM", int(STR): "STR"}


def renamed(text: str, language: str) -> str:
    """The renamed view of *text*, folded lexemes in capitals."""
    lexemes, raw = lex_string(text, language), text.encode()
    rows = zip(lexemes.starts, lexemes.ends, lexemes.renamed, strict=True)
    return " ".join(FOLDED.get(int(r), raw[s:e].decode()) for s, e, r in rows if r)


CASES = [
    ("c", "int x = 5; // note\nchar c = '\\''; /* a \" b */ y = \"a\\\"b\";", "int ID = NUM ; char ID = STR ; ID = STR ;"),
    ("c", "#include <stdio.h>\nx = 1'000;", "# include < ID . ID > ID = NUM ' NUM ;"),
    ("cpp", 'auto s = R"x(a)" // )x"; u8"b" L\'c\'', "auto ID = STR ; STR STR"),
    ("objective-c", '[self say:@"hi"];', "[ self ID : STR ] ;"),
    ("java", 'var t = """\n a "b" \n"""; // c', "var ID = STR ;"),
    ("java", "int 订单Id2 = 3.5;", "int ID = NUM ;"),
    ("kotlin", 'val a = "x ${m["k"]} y" /* a /* b */ c */ + 1', "val ID = STR + NUM"),
    ("csharp", 'string p = @"C:\\"; q = "a\\"b"; r = """ " """;', "string ID = STR ; ID = STR ; ID = STR ;"),
    ("go", "a := `x\n\"y` // c\nr := 'x'", "ID := STR ID := STR"),
    ("rust", "fn f<'a>(x: &'a str) { r#\"a\"b\"#; 'c'; /* /* */ x */ }", "fn ID < ' ID > ( ID : & ' ID str ) { STR ; STR ; }"),
    ("javascript", "a = b / c / d; x = /a\"[/]/g; `a ${`b`} c`", "ID = ID / ID / ID ; ID = STR ; STR"),
    ("javascript", "$foo$bar = 1", "ID = NUM"),
    ("typescript", "const x: string = 'it\\'s' // c", "const ID : string = STR"),
    ("typescript", "return <b>{x}</b>; // don't", "return < ID > { ID } < / ID > ;"),
    ("scala", 'val s = s"a ${f("b")} c"; \'sym /* /* */ */ \'c\'', "val ID = STR ; ' ID STR"),
    ("swift", 'let s = "a \\(f("b")) c"; let r = #"a"b"#', "let ID = STR ; let ID = STR"),
    ("python", 'def f(a):\n    """Doc."""\n    # no\n    return rb"x" + \'y\' + 1e-5', "def ID ( ID ) : return STR + STR + NUM"),
    ("python", 'x = """kept"""\nf("""kept""")\n', "ID = STR ID ( STR )"),
    ("ruby", "=begin\nno\n=end\nx = <<~SQL\n  SELECT 'a\nSQL\ny << z; w = %w[a b]; q = 4 % 2", "ID = << ~ ID STR ID << ID ; ID = STR ; ID = NUM % NUM"),
    ("ruby", 'puts "a #{h["k"]} b" # no', "puts STR"),
    ("php", "<b>don't</b><?php $a = 'x'; # no\n#[A]\n?>it's", "< b > don ' t < / b > < ? php ID = STR ; # [ ID ] ? > it ' s"),
    ("php", "function f($a) { return \"b\"; }", "function ID ( ID ) { return STR ; }"),
    ("sql", "SELECT 'it''s', $$a'b$$ FROM t -- no\nWHERE x = E'a\\'b'", "SELECT STR , STR FROM ID WHERE ID = STR"),
    ("sql", "SELECT u&'a\\0062' & N'x y'", "SELECT STR & STR"),
    ("mysql", "select `a b`, 'it\\'s' /* no */ from t\n# no\n", "select STR , STR from ID"),
    ("bash", "cat <<EOF && echo x#y # no\nfoo 'bar\nEOF\necho \"a $(b \"c\") d\" ${#v}", "cat << ID && echo ID # ID STR echo STR $ { # ID }"),
    ("yaml", "a: b # no\nc: don't", "a : b c : don ' t"),
    ("toml", "a = 'b' # no", "a = ' b '"),
    ("properties", "# no\n! no\na.b = c#d", "a . b = c # d"),
    ("html", "<p>it's <!-- no --> 5</p>", "< p > it ' s 5 < / p >"),
    ("css", "a { b: 'c' } /* no */", "a { b : ' c ' }"),
    ("text", "It's 3.5 /* of */ 中文", "It ' s 3.5 /* of */ 中 文"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), CASES, ids=[f"{c[0]}-{k}" for k, c in enumerate(CASES)])
def test_cases(language: str, text: str, expected: str) -> None:
    """Each language's comments vanish from the renamed view, and its names, numbers and whole strings fold."""
    assert renamed(text, language) == expected


@pytest.mark.parametrize(
    "language", ["c", "java", "python", "javascript", "go", "kotlin", "ruby", "sql", "shell", "php"]
)
def test_open_string_ends_with_its_line(language: str) -> None:
    """A quote without its partner swallows nothing but the rest of its line."""
    lexemes = lex_string('x = "abc def\ny = 5\n', language)
    assert [KINDS[k] for k in lexemes.kinds[-3:]] == ["identifier", "operator", "number"]


def test_any_case() -> None:
    """Keywords of SQL are one lexeme in the renamed view in capitals and in small letters, and two verbatim."""
    big, small = lex_string("SELECT a", "sql"), lex_string("select b", "sql")
    assert (big.renamed == small.renamed).all()
    assert big.verbatim[0] != small.verbatim[0]


def test_numbers_of_languages_stay() -> None:
    """A language's number may be stored, so the order of the table is fixed; every name of the table finds itself."""
    assert LANGUAGES[:8] == ("text", "c", "cpp", "objective-c", "java", "kotlin", "csharp", "go")
    assert [language_number(name) for name in LANGUAGES] == list(range(len(SYNTAXES)))
