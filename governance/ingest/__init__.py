"""files -> samples: every readable record once, every other one in quarantine."""

from governance.ingest.read import Ingested, InputFile, files_unchanged, ingest_files
from governance.ingest.stored import ingest_stored
from governance.ingest.write import fill_record, write_records

__all__ = ["Ingested", "InputFile", "files_unchanged", "fill_record", "ingest_files", "ingest_stored", "write_records"]
