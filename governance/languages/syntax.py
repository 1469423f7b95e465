"""names of languages -> how each writes comments, strings and keywords, as data.

Adding a language is adding rows here. The lexer knows *shapes* of delimited text (to the end of the line, to a closing
text, with so many hashes, ...), and no language.

Where a language has more than one reading, the one that swallows less wins: a string without its end stops at the
end of its line, so that a cut-off function cannot hide the rest of a file. Sources are the lexical chapters of the
languages' own references.
"""

from __future__ import annotations

from dataclasses import dataclass

COMMENT, STRING = 0, 1

LINE, BLOCK, QUOTED, CHARACTER, CPP_RAW, HASHED, DOLLAR, HEREDOC, REGEX, PERCENT, OUTSIDE = range(11)
"""
Shapes. LINE: to the end of the line. BLOCK: to the closing text. QUOTED: to the closing text, with escapes.
CHARACTER: one character or escape in quotes, else no literal at all (lifetimes, apostrophes). CPP_RAW: ``R"x( )x"``.
HASHED: as many ``#`` behind as in front. DOLLAR: ``$tag$ $tag$``. HEREDOC: from the next line to a line that is the
word named. REGEX: between slashes where a value cannot stand. PERCENT: ``%q( )``. OUTSIDE: text around code (PHP).
"""

BACKSLASH, DOUBLED, MAYBE, MULTILINE, NESTED = 1, 2, 4, 8, 16
LINE_START, WORD_START, APART, NO_BRACKET, DASHED, SPACED = 32, 64, 128, 256, 512, 1024
"""
Flags. How the closing text is escaped: BACKSLASH; DOUBLED; MAYBE: by a backslash where a letter follows (in SQL
``'C:\\'`` is whole and ``'it\\'s'`` goes on). MULTILINE: may cross the end of a line. NESTED: comments in comments.

Where the opening text counts: LINE_START; WORD_START: after white space, a semicolon or a bracket; APART: not behind a
letter or digit (``1'000``); NO_BRACKET: not before ``[`` (attributes of PHP); DASHED: a heredoc only with a quote, a
dash, a tilde or a capital (Ruby, where ``<<`` is also an operator); SPACED: a slash or per cent sign behind a value
counts if a space stands before it and none after.
"""


@dataclass(frozen=True)
class Delimiter:
    """One way to open a comment or a string. *hole* opens code inside a string, as ``${`` does."""

    open: str
    close: str = ""
    shape: int = QUOTED
    kind: int = STRING
    flags: int = 0
    hole: str = ""


@dataclass(frozen=True)
class Syntax:
    """
    How a language is written.

    prefixes: letters that may stand directly in front of some strings; each is a Delimiter with them in *open*.
    words: keywords and built-in names, which the renamed view keeps.
    docstrings: a string that is a statement of its own is a comment.
    dollars: names may hold ``$``.
    tagged: code stands between ``<?`` and ``?>``, if ``<?`` is there at all; the rest is text.
    folds: whether the renamed view folds names, numbers and strings. Not in data formats: two files of records with
        the same keys and other values are no copies.
    prose: what is no comment is words, as in a text.
    """

    name: str
    delimiters: tuple[Delimiter, ...] = ()
    prefixed: tuple[Delimiter, ...] = ()
    words: frozenset[str] = frozenset()
    any_case: bool = False
    docstrings: bool = False
    dollars: bool = False
    tagged: bool = False
    folds: bool = True
    prose: bool = False


def line(open_: str, flags: int = 0) -> Delimiter:
    """Return a comment to the end of the line."""
    return Delimiter(open_, shape=LINE, kind=COMMENT, flags=flags)


def block(open_: str, close: str, flags: int = 0) -> Delimiter:
    """Return a comment to a closing text."""
    return Delimiter(open_, close, BLOCK, COMMENT, flags | MULTILINE)


def quoted(open_: str, close: str = "", flags: int = BACKSLASH, hole: str = "") -> Delimiter:
    """Return a string; without *close* it ends with what it began with."""
    return Delimiter(open_, close or open_, QUOTED, STRING, flags, hole)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SLASHES = (line("//"), block("/*", "*/"))
_NESTED_SLASHES = (line("//"), block("/*", "*/", NESTED))
_TEXT_BLOCK = quoted('"""', flags=BACKSLASH | MULTILINE)
_DOUBLE, _SINGLE = quoted('"'), quoted("'")
_C_SINGLE = quoted("'", flags=BACKSLASH | APART)
_CHARACTER = Delimiter("'", "'", CHARACTER, STRING, BACKSLASH)
_RAW_BACK = quoted("`", flags=MULTILINE)

_C_WORDS = """auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool
    true false NULL size_t ssize_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t define include
    ifdef ifndef endif elif undef pragma error defined"""
_CPP_WORDS = """alignas alignof and asm bool catch class concept consteval constexpr constinit co_await co_return
    co_yield decltype delete dynamic_cast explicit export final friend mutable namespace new noexcept not nullptr
    operator or override private protected public reinterpret_cast requires static_assert static_cast template this
    thread_local throw try typeid typename using virtual wchar_t char8_t char16_t char32_t std string vector map"""
_OBJC_WORDS = """interface implementation end property protocol synthesize dynamic selector self super nil YES NO id
    BOOL instancetype optional required autoreleasepool import strong weak nonatomic atomic copy assign readonly"""
_JAVA_WORDS = """abstract assert boolean break byte case catch char class const continue default do double else enum
    extends final finally float for goto if implements import instanceof int interface long native new package private
    protected public return short static strictfp super switch synchronized this throw throws transient try void
    volatile while true false null var record sealed permits yield String Object Integer Long Boolean Override System"""
_KOTLIN_WORDS = """abstract actual annotation as break by catch class companion const constructor continue crossinline
    data do else enum expect external false final finally for fun get if import in infix init inline inner interface
    internal is lateinit lazy null object open operator out override package private protected public reified return
    sealed set super suspend tailrec this throw true try typealias val var vararg when where while it Int Long String
    Boolean Double Float Unit Any Nothing List Map Set println"""
_CSHARP_WORDS = """abstract as async await base bool break byte case catch char checked class const continue decimal
    default delegate do double else enum event explicit extern false finally fixed float for foreach get goto if
    implicit in init int interface internal is lock long namespace new null object operator out override params partial
    private protected public readonly record ref return sbyte sealed set short sizeof stackalloc static string struct
    switch this throw true try typeof uint ulong unchecked unsafe ushort using value var virtual void volatile when
    where while yield"""
_GO_WORDS = """break case chan const continue default defer else fallthrough for func go goto if import interface map
    package range return select struct switch type var true false nil iota append cap close complex copy delete imag len
    make new panic print println real recover any bool byte complex64 complex128 error float32 float64 int int8 int16
    int32 int64 rune string uint uint8 uint16 uint32 uint64 uintptr"""
_RUST_WORDS = """as async await break const continue crate dyn else enum extern false fn for if impl in let loop match
    mod move mut pub ref return self Self static struct super trait true type unsafe use where while bool char f32 f64
    i8 i16 i32 i64 i128 isize str u8 u16 u32 u64 u128 usize String Vec Option Some None Result Ok Err Box macro_rules
    println vec assert assert_eq panic format derive cfg test"""
_JS_WORDS = """async await break case catch class const continue debugger default delete do else export extends false
    finally for from function get if import in instanceof let new null of return set static super switch this throw
    true try typeof undefined var void while with yield console require module exports window document Object Array
    String Number Promise Math JSON Map Set Error"""
_TS_WORDS = """abstract any as asserts bigint boolean declare enum implements infer interface is keyof namespace never
    number object override private protected public readonly satisfies string symbol type unique unknown"""
_SCALA_WORDS = """abstract case catch class def do else enum export extends extension false final finally for forSome
    given if implicit import inline lazy match new null object opaque override package private protected return sealed
    super then this throw trait transparent true try type using val var while with yield Int Long String Boolean Double
    Unit Any Option Some None Seq List Map Set Future println"""
_SWIFT_WORDS = """actor any as associatedtype async await break case catch class continue default defer deinit do else
    enum extension fallthrough false fileprivate for func get guard if import in init inout internal is isolated lazy
    let mutating nil open operator override private protocol public repeat rethrows return self Self set some static
    struct subscript super switch throw throws true try typealias unowned var weak where while Int String Bool Double
    Float Array Dictionary Optional Void Any print"""
_PYTHON_WORDS = """False None True and as assert async await break case class continue def del elif else except finally
    for from global if import in is lambda match nonlocal not or pass raise return try type while with yield self cls
    abs all any bool bytes callable chr dict dir divmod enumerate eval filter float format frozenset getattr hasattr
    hash id input int isinstance issubclass iter len list map max min next object open ord pow print property range
    repr reversed round set setattr slice sorted staticmethod classmethod str sum super tuple vars zip Exception
    ValueError TypeError KeyError IndexError AttributeError RuntimeError NotImplementedError OSError StopIteration"""
_RUBY_WORDS = """BEGIN END alias and begin break case class def defined do else elsif end ensure false for if in module
    next nil not or redo rescue retry return self super then true undef unless until when while yield attr_accessor
    attr_reader attr_writer include extend private protected public puts raise require require_relative lambda proc
    loop each new"""
_PHP_WORDS = """abstract and array as break callable case catch class clone const continue declare default do echo else
    elseif empty enddeclare endfor endforeach endif endswitch endwhile enum extends final finally fn for foreach
    function global goto if implements include include_once instanceof insteadof interface isset list match namespace
    new or print private protected public readonly require require_once return static switch throw trait try unset use
    var while xor yield true false null self parent int float string bool void mixed never object iterable php this"""
_SQL_WORDS = """
    add all alter and any as asc autoincrement auto_increment avg backup begin between bigint binary bit blob
    boolean both by call cascade case cast char character check coalesce collate column commit comment constraint
    count create cross current current_date current_time current_timestamp cursor database date datetime decimal
    declare default delete desc describe distinct do double drop else elseif end engine enum escape except execute
    exists explain fetch float for foreign from full function grant group having if ignore in index inner insert int
    integer intersect interval into is isnull join key language leading left like limit lock longtext loop max merge
    min mediumint natural not now null nullif numeric of offset on or order outer over partition precision primary
    procedure real recursive references rename replace return returning returns revoke right rollback row rows
    schema select sequence serial set show smallint some sum table temporary text then time timestamp tinyint to
    trailing trigger truncate type union unique unsigned update use using uuid values varbinary varchar view when
    where while window with year true false
"""
_SHELL_WORDS = """if then elif else fi for while until do done case esac in function select time return exit break
    continue shift export local declare readonly unset set source alias eval exec trap test echo printf read cd true
    false cat grep sed awk"""
_CSS_WORDS = """import media supports keyframes font-face charset important auto none inherit initial unset"""

_PYTHON_QUOTES = (
    quoted('"""', flags=BACKSLASH | MULTILINE),
    quoted("'''", flags=BACKSLASH | MULTILINE),
    _DOUBLE,
    _SINGLE,
)


def _prefixed(letters: str, quotes: tuple[Delimiter, ...]) -> tuple[Delimiter, ...]:
    return tuple(
        Delimiter(prefix + q.open, q.close, q.shape, q.kind, q.flags, q.hole)
        for prefix in letters.split()
        for q in quotes
    )


_C_PREFIXED = _prefixed("L u U u8", (_DOUBLE, _SINGLE)) + tuple(
    Delimiter(prefix + '"', '"', CPP_RAW, STRING, MULTILINE) for prefix in ("R", "LR", "uR", "UR", "u8R")
)
_JS = (*_SLASHES, quoted("`", flags=BACKSLASH | MULTILINE, hole="${"), _DOUBLE, _SINGLE, Delimiter("/", "/", REGEX))
_SQL_STRING = quoted("'", flags=DOUBLED | MAYBE | MULTILINE)
_HASH_STRINGS = (line("#", WORD_START), quoted('"', flags=BACKSLASH | APART), quoted("'", flags=DOUBLED | APART))

SYNTAXES: tuple[Syntax, ...] = (
    Syntax("text"),
    Syntax("c", (*_SLASHES, _DOUBLE, _C_SINGLE), _C_PREFIXED[:8], _words(_C_WORDS)),
    Syntax("cpp", (*_SLASHES, _DOUBLE, _C_SINGLE), _C_PREFIXED, _words(_C_WORDS + " " + _CPP_WORDS)),
    Syntax("objective-c", (*_SLASHES, quoted('@"', '"'), _DOUBLE, _C_SINGLE), (), _words(_C_WORDS + " " + _OBJC_WORDS)),
    Syntax("java", (*_SLASHES, _TEXT_BLOCK, _DOUBLE, _SINGLE), (), _words(_JAVA_WORDS), dollars=True),
    Syntax(
        "kotlin",
        (
            *_NESTED_SLASHES,
            quoted('"""', flags=MULTILINE, hole="${"),
            quoted('"', hole="${"),
            _CHARACTER,
            quoted("`", flags=0),
        ),
        (),
        _words(_KOTLIN_WORDS),
    ),
    Syntax(
        "csharp",
        (
            *_SLASHES,
            quoted('"""', flags=MULTILINE),
            quoted('$"""', '"""', flags=MULTILINE),
            quoted('$@"', '"', flags=DOUBLED | MULTILINE),
            quoted('@$"', '"', flags=DOUBLED | MULTILINE),
            quoted('@"', '"', flags=DOUBLED | MULTILINE),
            quoted('$"', '"'),
            _DOUBLE,
            _CHARACTER,
        ),
        (),
        _words(_CSHARP_WORDS),
    ),
    Syntax("go", (*_SLASHES, _RAW_BACK, _DOUBLE, _CHARACTER), (), _words(_GO_WORDS)),
    Syntax(
        "rust",
        (*_NESTED_SLASHES, quoted('"', flags=BACKSLASH | MULTILINE), _CHARACTER),
        (
            *_prefixed("r br cr", (Delimiter("#", '"', HASHED, STRING, MULTILINE), quoted('"', flags=MULTILINE))),
            *_prefixed("b c", (quoted('"', flags=BACKSLASH | MULTILINE),)),
            Delimiter("b'", "'", CHARACTER, STRING, BACKSLASH),
        ),
        _words(_RUST_WORDS),
    ),
    Syntax("javascript", _JS, (), _words(_JS_WORDS), dollars=True),
    Syntax("typescript", _JS, (), _words(_JS_WORDS + " " + _TS_WORDS), dollars=True),
    Syntax(
        "scala",
        (*_NESTED_SLASHES, quoted('"""', flags=MULTILINE, hole="${"), _DOUBLE, _CHARACTER, quoted("`", flags=0)),
        _prefixed(
            "s f raw q sql json md html xml css fr sr t i c",
            (quoted('"""', flags=MULTILINE, hole="${"), quoted('"', hole="${")),
        ),
        _words(_SCALA_WORDS),
        dollars=True,
    ),
    Syntax(
        "swift",
        (
            *_NESTED_SLASHES,
            quoted('"""', flags=BACKSLASH | MULTILINE, hole="\\("),
            quoted('"', hole="\\("),
            Delimiter("#", '"', HASHED, STRING, MULTILINE),
        ),
        (),
        _words(_SWIFT_WORDS),
    ),
    Syntax(
        "python",
        (line("#"), *_PYTHON_QUOTES),
        _prefixed("r u b f t br rb fr rf tr rt", _PYTHON_QUOTES),
        _words(_PYTHON_WORDS),
        docstrings=True,
    ),
    Syntax(
        "ruby",
        (
            line("#"),
            block("=begin", "\n=end", LINE_START),
            Delimiter("<<", shape=HEREDOC, flags=DASHED),
            quoted('"', flags=BACKSLASH | MULTILINE, hole="#{"),
            quoted("'", flags=BACKSLASH | MULTILINE),
            quoted("`", flags=BACKSLASH, hole="#{"),
            Delimiter("/", "/", REGEX, flags=SPACED),
            Delimiter("%", shape=PERCENT, flags=SPACED),
        ),
        (),
        _words(_RUBY_WORDS),
    ),
    Syntax(
        "php",
        (
            line("//"),
            block("/*", "*/"),
            line("#", NO_BRACKET),
            Delimiter("<<<", shape=HEREDOC),
            quoted('"', flags=BACKSLASH | MULTILINE),
            quoted("'", flags=BACKSLASH | MULTILINE),
            quoted("`", flags=BACKSLASH),
            Delimiter("?>", "<?php", OUTSIDE, COMMENT, MULTILINE),
        ),
        (),
        _words(_PHP_WORDS),
        any_case=True,
        dollars=True,
        tagged=True,
    ),
    Syntax(
        "sql",
        (
            line("--"),
            line("#", LINE_START),  # not in a line: a temporary table, an operator of JSON
            block("/*", "*/"),
            _SQL_STRING,
            quoted('"', flags=DOUBLED),
            quoted("`", flags=DOUBLED),
            Delimiter("$", "$", DOLLAR, STRING, MULTILINE),
        ),
        (*_prefixed("n b x u&", (_SQL_STRING,)), quoted("e'", "'", BACKSLASH | DOUBLED | MULTILINE)),
        _words(_SQL_WORDS),
        any_case=True,
    ),
    Syntax(
        "shell",
        (
            line("#", WORD_START),
            Delimiter("<<", shape=HEREDOC),
            quoted("$'", "'", BACKSLASH | MULTILINE),
            quoted('"', flags=BACKSLASH | MULTILINE, hole="$("),
            quoted("'", flags=MULTILINE),
        ),
        (),
        _words(_SHELL_WORDS),
    ),
    Syntax("yaml", _HASH_STRINGS, (), _words("true false null yes no on off"), folds=False),
    Syntax(
        "toml",
        (line("#"), *_PYTHON_QUOTES[:1], quoted("'''", flags=MULTILINE), _DOUBLE, quoted("'", flags=0)),
        (),
        _words("true false"),
        folds=False,
    ),
    Syntax("properties", (line("#", WORD_START), line(";", LINE_START), line("!", LINE_START), _DOUBLE), folds=False),
    Syntax("json", (_DOUBLE, *_SLASHES), (), _words("true false null"), folds=False),
    Syntax("html", (block("<!--", "-->"),), folds=False, prose=True),
    Syntax(
        "xml", (block("<!--", "-->"), Delimiter("<![CDATA[", "]]>", BLOCK, STRING, MULTILINE)), folds=False, prose=True
    ),
    Syntax("css", (block("/*", "*/"), _DOUBLE, _SINGLE), (), _words(_CSS_WORDS), folds=False),
)

LANGUAGES: tuple[str, ...] = tuple(s.name for s in SYNTAXES)
"""The index is the language's number, 0 is prose. New ones come last: numbers may be stored."""
