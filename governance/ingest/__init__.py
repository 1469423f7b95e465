"""files -> samples: every readable record once, every other one in quarantine."""

from governance.ingest.output import whole_digest
from governance.ingest.read import Ingested, InputFile, files_unchanged, ingest_files
from governance.ingest.stored import SamplesDigest, bad_digest, ingest_stored, stored_bad
from governance.ingest.write import fill_record, write_records

__all__ = [
    "Ingested",
    "InputFile",
    "SamplesDigest",
    "bad_digest",
    "files_unchanged",
    "fill_record",
    "ingest_files",
    "ingest_stored",
    "stored_bad",
    "whole_digest",
    "write_records",
]
