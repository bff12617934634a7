"""The conventions of the original Python-PouchDB: promises with callbacks and `waitUntilCalled`.

Asyncio users can skip this folder.
"""
