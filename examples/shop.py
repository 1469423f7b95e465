"""examples/shop -> the same shop as a git repository, its templates filled; always the same commit.

    python examples/shop.py OUT

The checked-in shop holds templates in place of its synthetic keys and personal data, so that nothing here looks like
a live secret. This fills them, seeded by each file's path, and commits the result.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pygit2

from governance.templates import fill

SHOP = Path(__file__).with_name("shop")
AUTHOR = pygit2.Signature("Shop Example", "shop@example.com", 1_767_225_600, 0)  # 2026-01-01T00:00:00Z


def make_shop(out: Path) -> str:
    """
    Write the shop to *out*, commit it, and return the commit id (40 hex digits).

    Files are committed as they are, whatever line ends or filters this machine's git is set to, so the id depends on
    the shop alone.

    Raises:
        FileExistsError: *out* is there and not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is not an empty folder; name a new one")
    repository = pygit2.init_repository(str(out), initial_head="main")
    for path in sorted(p for p in SHOP.rglob("*") if p.is_file()):
        name = path.relative_to(SHOP).as_posix()
        data = fill(path.read_text("utf-8"), name).encode()
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        repository.index.add(pygit2.IndexEntry(name, repository.create_blob(data), pygit2.enums.FileMode.BLOB))
    repository.index.write()
    tree = repository.index.write_tree()
    return str(repository.create_commit("HEAD", AUTHOR, AUTHOR, "The shop, with its mistakes\n", tree, []))


def main() -> int:
    """Write the shop to the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Write the example shop as a git repository, mistakes and all.")
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder that does not exist yet")
    out = parser.parse_args().out
    try:
        commit = make_shop(out)
    except FileExistsError as problem:
        print(f"shop: {problem}", file=sys.stderr)
        return 2
    print(f"{out} {commit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
