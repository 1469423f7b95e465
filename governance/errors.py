"""The expected failures, and the exit code that each ends a command with.

    GovernanceError            2   anything the user can mend; one clear line
    |-- UsageError             2   a wrong argument or option
    |-- InputError             2   a dataset file that cannot be read at all
    |-- RuleError              2   a wrong rule file
    |-- PipelineError          2   a wrong pipeline or policy file
    |-- WorkspaceError         2   the workspace cannot be read or written
    |-- RegistryError          2   a registry of datasets that is damaged, of another version, or in use
    |-- SourceIndexError       2   a source index that is damaged, of another version, or in use
    |-- SignatureError         1   a signature, digest or expiry that does not hold
    `-- GateClosed             1   data that did not pass

Everything else is a bug: it keeps its traceback and ends with 3.
A message says where, what was found, what was expected and what to do; it never holds the text of a sample.
"""

from __future__ import annotations


class GovernanceError(Exception):
    """Base of every expected failure; its text is the one line a user sees."""

    exit_code = 2


class UsageError(GovernanceError):
    """A wrong argument or option."""


class InputError(GovernanceError):
    """A dataset that cannot be read at all."""


class RuleError(GovernanceError):
    """A wrong rule file."""


class PipelineError(GovernanceError):
    """A wrong pipeline, policy or baseline file."""


class WorkspaceError(GovernanceError):
    """A workspace that cannot be read or written."""


class RegistryError(GovernanceError):
    """A registry of datasets that is missing, damaged, of another version, or locked."""


class SourceIndexError(GovernanceError):
    """A source index that is damaged, of another version, locked, or looked up without its key."""


class SignatureError(GovernanceError):
    """A signature, digest, trust or expiry that does not hold."""

    exit_code = 1


class GateClosed(GovernanceError):
    """Data that did not pass."""

    exit_code = 1
