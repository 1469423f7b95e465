"""repositories, folders, files -> samples."""
