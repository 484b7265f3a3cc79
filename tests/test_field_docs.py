"""What fields are for, told in JSON schemas alone."""

from pydantic import BaseModel, Field

from bridge.field_docs import DocumentedModel, field_texts, without_field_docs


class Parent(DocumentedModel):
    """A model."""

    first: int = 1
    """What comes first,
    in two lines."""
    bare: int = 2


class Child(Parent):
    """Another one."""

    second: Parent = Parent()
    """What comes second."""
    named: int = Field(default=3, alias="other")
    """It has another name."""
    told: int = Field(default=4, description="its own text")
    """Not this one."""
    nothing: None = None
    named_alike: str = "no text"


def test_each_field_has_the_text_below_it() -> None:
    properties = Child.model_json_schema()["properties"]
    described = {name: field.get("description") for name, field in properties.items()}
    assert described == {
        "first": "What comes first, in two lines.",
        "bare": None,
        "second": "What comes second.",
        "other": "It has another name.",
        "told": "its own text",
        "nothing": None,
        "named_alike": None,
    }


def test_a_model_keeps_its_own_text() -> None:
    assert Parent.model_json_schema()["description"] == "A model."


def test_only_a_class_s_own_fields_are_read() -> None:
    assert "first" not in field_texts(Child)
    assert issubclass(Child, BaseModel)


def test_without_the_texts_no_source_is_read() -> None:
    field_texts.cache_clear()
    with without_field_docs():
        properties = Parent.model_json_schema()["properties"]
    assert "description" not in properties["first"]
    assert field_texts.cache_info().misses == 0
    assert "description" in Parent.model_json_schema()["properties"]["first"]
