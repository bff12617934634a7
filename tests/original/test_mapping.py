# ruff: noqa: DTZ001 - naive dates, as the original has them
"""pouchdb.mapping: what the original documented (spec: plugins 8.1), and what it lost."""

import datetime
import decimal
import time

import pytest

import pouchdb
from pouchdb.mapping import (
    BooleanField,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    Document,
    FloatField,
    IntegerField,
    ListField,
    LongField,
    TextField,
    TimeField,
    ViewField,
)

UTC = datetime.timezone.utc


class Person(Document):
    name = TextField()
    age = IntegerField()
    added = DateTimeField(default=lambda: datetime.datetime(2014, 5, 6, 7, 8, 9))
    by_name = ViewField("people", "function (doc) { emit(doc.name, doc); }")
    ages = ViewField("people", "function (doc) { emit(doc.name, doc.age); }", "_sum")

    @ViewField.define("python-people")
    def by_age(doc):
        yield doc["age"], None


@pytest.fixture
def db():
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        yield environment["people"]


def test_store_load_update(db):
    person = Person(name="John Doe", age="42")
    assert person.rev is None
    assert person.store(db) is person
    assert person.rev.startswith("1-")
    loaded = Person.load(db, person.id)
    assert (loaded.id, loaded.rev, loaded.name, loaded.age) == (person.id, person.rev, "John Doe", 42)
    assert loaded.added == datetime.datetime(2014, 5, 6, 7, 8, 9)
    loaded.name = "John R. Doe"
    loaded.store(db)
    assert Person.load(db, person.id).name == "John R. Doe"
    assert loaded.rev.startswith("2-")
    with pytest.raises(pouchdb.Conflict):
        person.store(db)
    with pytest.raises(pouchdb.NotFound):
        Person.load(db, "nobody")


@pytest.mark.parametrize(
    ("field", "given", "value", "stored"),
    [
        (BooleanField, 1, True, True),
        (TextField, 5, "5", "5"),
        (TextField, "é\U0001f600", "é\U0001f600", "é\U0001f600"),
        (IntegerField, "3", 3, 3),
        (LongField, 2**62, 2**62, 2**62),
        (FloatField, "1.5", 1.5, 1.5),
        (DecimalField, "1.10", decimal.Decimal("1.10"), "1.10"),
        (DecimalField, 0.1, decimal.Decimal("0.1"), "0.1"),
        (DateTimeField, 0, datetime.datetime(1970, 1, 1), "1970-01-01T00:00:00"),
        (DateTimeField, "2014-05-06T07:08:09", datetime.datetime(2014, 5, 6, 7, 8, 9), "2014-05-06T07:08:09"),
        (
            DateTimeField,
            "2014-05-06T07:08:09Z",
            datetime.datetime(2014, 5, 6, 7, 8, 9, tzinfo=UTC),
            "2014-05-06T07:08:09+00:00",
        ),
        (DateTimeField, datetime.date(2014, 5, 6), datetime.datetime(2014, 5, 6), "2014-05-06T00:00:00"),
        (DateField, "2014-05-06", datetime.date(2014, 5, 6), "2014-05-06"),
        (DateField, datetime.datetime(2014, 5, 6, 7), datetime.date(2014, 5, 6), "2014-05-06"),
        (TimeField, "07:08:09", datetime.time(7, 8, 9), "07:08:09"),
        (TimeField, datetime.datetime(2014, 5, 6, 7, 8), datetime.time(7, 8), "07:08:00"),
        (DictField, {"a": {"b": 1}}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        (ListField, (1, "two"), [1, "two"], [1, "two"]),
    ],
)
def test_fields(db, field, given, value, stored):
    class Thing(Document):
        it = field(name="json-it")

    thing = Thing(it=given)
    assert thing.it == value
    assert type(thing.it) is type(value) or isinstance(thing.it, dict)
    thing.store(db)
    assert db.get(thing.id)["json-it"] == stored
    assert Thing.load(db, thing.id).it == value


@pytest.mark.parametrize(
    "field",
    [
        BooleanField,
        TextField,
        IntegerField,
        FloatField,
        DecimalField,
        DateTimeField,
        DateField,
        TimeField,
        DictField,
        ListField,
    ],
)
def test_none_is_always_allowed(db, field):
    class Thing(Document):
        it = field()

    thing = Thing(it=None).store(db)
    assert db.get(thing.id)["it"] is None
    assert Thing.load(db, thing.id).it is None


def test_struct_time_is_local_time():
    class Thing(Document):
        it = DateTimeField()

    now = time.localtime()
    assert Thing(it=now).it.timetuple()[:6] == now[:6]


def test_struct_time_of_any_year():
    class Thing(Document):
        it = DateTimeField()

    assert Thing(it=time.struct_time((1, 1, 1, 1, 1, 61, 1, 1, 1))).it == datetime.datetime(1, 1, 1, 1, 1, 59)


@pytest.mark.parametrize("wrong", ["not a date", "", 1.5, [], True])
def test_wrong_dates(wrong):
    with pytest.raises((ValueError, TypeError)):
        Person(added=wrong)


def test_dicts_read_as_attributes_and_are_not_shared():
    class Post(Document):
        author = DictField()
        tags = ListField(default=["a"])

    one, two = Post(author={"name": "John"}), Post()
    assert one.author.name == "John"
    two.author["x"] = 1
    two.tags.append("b")
    assert Post().author == {}
    assert Post().tags == ["a"]


def test_hooks_of_structures(db):
    class Post(Document):
        comments = ListField(
            jsonSerializable=lambda rows: [{"time": row["time"].isoformat()} for row in rows],
            toPy=lambda rows: [{"time": datetime.datetime.fromisoformat(row["time"])} for row in rows],
        )

    post = Post()
    now = datetime.datetime(2020, 1, 2)
    post.comments.append({"time": now})
    post.store(db)
    assert Post.load(db, post.id).comments == [{"time": now}]


def test_class_access_and_delete():
    assert isinstance(Person.name, TextField)
    assert Person.name.jsonName == "name"
    with pytest.raises(TypeError, match="Can't delete a document field"):
        del Person(name="x").name


def test_unknown_keywords():
    with pytest.raises(TypeError, match=r"Got \(an\) unexpected keyword argument\(s\): 'x'\."):
        Person(x=1)


def test_subclasses_inherit_fields():
    class Employee(Person):
        job = TextField()

    assert Employee(name="a", job="b").as_dict.keys() == {"_id", "name", "age", "added", "job"}


def test_repr():
    class Post(Document):
        title = TextField()
        author = DictField()
        extra = DictField()

    post = Post(title="Foo bar", author={"name": "John", "email": "j@d"}, extra={"foo": "bar"})
    assert repr(post) == "Post(author={'email': 'j@d', 'name': 'John'}, extra={'foo': 'bar'}, title='Foo bar')"
    assert repr(Post()) == "Post()"


def test_as_dict(db):
    person = Person(id="p", name="Joe", added=None)
    assert person.as_dict == {"_id": "p", "name": "Joe", "age": None, "added": None}
    assert person.store(db).as_dict["_rev"] == person.rev


def test_what_the_class_does_not_declare_is_kept(db):
    attachments = {"a": {"data": b"x", "content_type": "text/plain"}}
    db.put({"_id": "p", "name": "Joe", "color": "red", "_attachments": attachments})
    person = Person.load(db, "p")
    person.age = 3
    person.store(db)
    doc = db.get("p")
    assert (doc.color, doc.age, list(doc._attachments)) == ("red", 3, ["a"])
    assert db.get_attachment("p", "a").data == b"x"


def test_views_are_made_on_demand(db):
    assert repr(Person.by_name) == "<ViewField 'people'>"
    Person(id="1", name="b", age=1).store(db)
    Person(id="2", name="a", age=2).store(db)
    answer = Person.by_name(db, limit=1)
    assert answer.total_rows == 2
    assert [(row.id, row.key, row.value.name) for row in answer.rows] == [("2", "a", "a")]
    assert isinstance(answer.rows[0], Person)
    # The second view extends the design document.
    assert Person.ages(db).rows == [{"key": None, "value": 3}]
    assert set(db.get("_design/people").views) == {"by_name", "ages"}
    assert [row.id for row in Person.ages(db, reduce=False).rows] == ["2", "1"]


def test_a_changed_map_function_reaches_the_design_document(db):
    Person(id="1", name="b", age=1).store(db)
    Person.by_name(db)

    class Changed(Document):
        name = TextField()
        by_name = ViewField("people", "function (doc) { emit('new', null); }")

    assert [row.key for row in Changed.by_name(db).rows] == ["new"]


def test_views_in_python(db):
    Person(id="1", name="b", age=7).store(db)
    assert Person.by_age.map_fun == 'def by_age(doc):\n    yield doc["age"], None'
    assert [(row.id, row.key) for row in Person.by_age(db).rows] == [("1", 7)]
    assert db.get("_design/python-people").views.by_age.map == "python-people/by_age"


def test_one_language_in_a_design_document(db):
    db.put({"_id": "_design/python-people", "language": "javascript", "views": {}})
    with pytest.raises(pouchdb.BadRequest, match="another design document"):
        Person.by_age(db)


def test_a_syntax_error_raises(db):
    class Broken(Document):
        view = ViewField("broken", "function (doc {")

    Broken().store(db)
    with pytest.raises(pouchdb.PouchDBError):
        Broken.view(db)


def test_rows_without_a_document_stay_rows(db):
    db.put({"_id": "_design/x", "views": {"gone": {"map": "function (doc) { emit(1, {_id: 'gone'}); }"}}})
    Person(id="p").store(db)
    [row] = Person.query(db, "x/gone").rows
    assert row.id == "p"
    assert row.doc is None


def test_query_of_a_function(db):
    Person(id="p", name="n").store(db)
    [person] = Person.query(db, lambda doc: [(doc["name"], 1)]).rows
    assert (person.name, person.key, person.value) == ("n", "n", 1)
