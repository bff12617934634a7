"""Documents as classes, as the original's ``pouchdb.mapping`` had them (spec: plugins 8.1).

>>> import datetime, pouchdb
>>> from pouchdb.mapping import DateTimeField, Document, IntegerField, TextField
>>> class Person(Document):
...     name = TextField()
...     age = IntegerField()
...     added = DateTimeField(default=datetime.datetime.now)
>>> db = pouchdb.setup(":memory:")["people"]
>>> person = Person(name="John Doe", age=42).store(db)
>>> Person.load(db, person.id).age
42

Data that the original lost is kept: fields that the class does not declare, ``_attachments`` among them,
survive a load and a store; decimals are stored as text; dates that are None can be stored.
"""

from __future__ import annotations

from pouchdb.mapping.document import Document
from pouchdb.mapping.fields import (
    BooleanField,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    Field,
    FloatField,
    IntegerField,
    ListField,
    LongField,
    TextField,
    TimeField,
)
from pouchdb.mapping.views import ViewField

__all__ = [
    "BooleanField",
    "DateField",
    "DateTimeField",
    "DecimalField",
    "DictField",
    "Document",
    "Field",
    "FloatField",
    "IntegerField",
    "ListField",
    "LongField",
    "TextField",
    "TimeField",
    "ViewField",
]
