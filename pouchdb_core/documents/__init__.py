"""The algorithms of documents over a store of rows: parse, write, read, attachments, local documents."""
