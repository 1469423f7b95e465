"""`python -m governance`: the same program as `governance`."""

from governance.cli import run

run()
