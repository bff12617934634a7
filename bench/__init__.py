"""Benchmarks: the same documents, the same work, side by side in one run.

`python -m bench` compares with hand-written sqlite3 and with PouchDB on LevelDB and writes results.md;
`python -m bench --scale` shows what a document costs from ten thousand to a million of them.
"""
