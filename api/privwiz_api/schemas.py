"""What requests and answers look like; the OpenAPI document is made of these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

__all__ = [
    "Accept",
    "AnswerList",
    "Answered",
    "AnsweredWithNext",
    "Batch",
    "BatchResult",
    "CellFilter",
    "CellPage",
    "CellPath",
    "CircleList",
    "Correction",
    "DiffDocument",
    "ExplanationDocument",
    "ExportFormat",
    "FriendPath",
    "Item",
    "ItemCatalogue",
    "ItemList",
    "Link",
    "Network",
    "NetworkPatch",
    "NewFriend",
    "Override",
    "PolicyDocument",
    "PreviewAs",
    "PreviewDocument",
    "ScreenFilter",
    "ScreenList",
    "Suggestions",
    "Undo",
    "UserExport",
    "UserPath",
    "Written",
    "is_name",
]

MAX_FRIENDS = 5_000
MAX_TIES = 500_000
MAX_ANSWERS = 100
MAX_CELLS = 1_000
MAX_BATCH = 100

Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f/]+$")]
"""The id of a user, friend, item or circle: any text without slashes and control characters."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""The name of a tenant or a caller: every id is one, and there may be slashes."""

_NAME: TypeAdapter[str] = TypeAdapter(Name)

Text = Annotated[str, StringConstraints(max_length=1_000)]
Value = Text | bool | int | Annotated[float, Field(allow_inf_nan=False)]
Strength = Annotated[float, Field(gt=0, lt=1e12, allow_inf_nan=False)]
CircleName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Profile = dict[Annotated[str, StringConstraints(min_length=1, max_length=128)], Value | list[Value] | None]
Tie = Annotated[list[Id | Strength], Field(min_length=2, max_length=3)]
"""Two friends, and how strong the tie is."""
Kind = Literal["audience", "circle", "circles", "item", "friend", "cell"]
Word = Literal["allow", "deny", "ask"]
Language = Literal["en", "zh"]


def is_name(value: object) -> bool:
    """Whether this can be the name of a tenant or a caller.

    >>> is_name("ann"), is_name("x" * 128), is_name("x" * 129), is_name(7)
    (True, True, False, False)
    """
    try:
        _NAME.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


class _Strict(BaseModel):
    """What is sent has nothing that is not described."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_json_schema(cls, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Return the schema; the plain one is made once, since flask-openapi3 asks for it with every request."""
        if arguments or options:
            return super().model_json_schema(*arguments, **options)
        if cls not in _SCHEMAS:
            _SCHEMAS[cls] = super().model_json_schema()
        return _SCHEMAS[cls]


_SCHEMAS: dict[type[BaseModel], dict[str, Any]] = {}


class _Body(_Strict):
    """What is sent as JSON is of the type that is described: no text is taken for a number, and no truth value."""

    model_config = ConfigDict(strict=True)


class UserPath(_Strict):
    """Which user."""

    user: Id


class FriendPath(UserPath):
    """Which friend of which user."""

    friend: Id


class Friend(_Body):
    """What is known of a friend."""

    profile: Profile = Field(default={}, max_length=200)
    weight: Strength | None = Field(default=None, description="Strength of the tie to the user.")


class Network(_Body):
    """A user's friends and the ties among them."""

    friends: dict[Id, Friend] = Field(max_length=MAX_FRIENDS)
    ties: list[Tie] = Field(default=[], max_length=MAX_TIES, description="Pairs of friends, with a strength or without.")
    profile: Profile = Field(default={}, max_length=200, description="The user's own.")


class NetworkPatch(_Body):
    """A JSON merge patch (RFC 7396): null takes something away; a list of ties replaces all ties."""

    friends: dict[Id, dict[str, Any] | None] | None = Field(default=None, max_length=MAX_FRIENDS)
    ties: list[Tie] | None = Field(default=None, max_length=MAX_TIES)
    profile: Profile | None = Field(default=None, max_length=200)


class Written(BaseModel):
    """A change that was made."""

    revision: int


class NewFriend(_Body):
    """A friend who joins."""

    friend: Id
    ties: list[Id] | dict[Id, Strength] = Field(default=[], max_length=MAX_FRIENDS, description="Friends it knows.")
    profile: Profile = Field(default={}, max_length=200)
    weight: Strength | None = None


class Cell(BaseModel):
    """One item for one friend."""

    item: str
    friend: str
    suggested: Word
    in_force: Word
    probability: float = Field(description="That the user would allow it.")


class Suggestions(BaseModel):
    """What is suggested for a new friend; nothing of it is in force before it is accepted."""

    revision: int
    suggestions: list[Cell]


class Circle(BaseModel):
    """A group of friends."""

    id: str
    level: int
    name: str
    name_zh: str
    members: list[str]


class CircleList(BaseModel):
    """The circles, coarse ones first."""

    revision: int
    circles: list[Circle]


class Rename(_Body):
    """Call a circle what the user calls it."""

    kind: Literal["rename"]
    circle: Id
    name: CircleName


class Merge(_Body):
    """Make one circle of several; the first one keeps its id."""

    kind: Literal["merge"]
    circles: list[Id] = Field(min_length=2, max_length=50)
    name: CircleName | None = None


class Split(_Body):
    """Let members leave a circle into one of their own."""

    kind: Literal["split"]
    circle: Id
    members: list[Id] = Field(min_length=3, max_length=MAX_FRIENDS)
    name: CircleName | None = None


class Move(_Body):
    """Put a friend into a circle, take one out, or both."""

    kind: Literal["move"]
    friend: Id
    into: Id | None = None
    out_of: Id | None = None


class Dismiss(_Body):
    """Say that this is not a group."""

    kind: Literal["dismiss"]
    circle: Id


class Restore(_Body):
    """Take a dismissal back."""

    kind: Literal["restore"]
    circle: Id


class Correction(_Body):
    """What the user says of the circles; it holds whatever is found in the ties later."""

    correction: Annotated[Rename | Merge | Split | Move | Dismiss | Restore, Field(discriminator="kind")]


class ScreenFilter(_Strict):
    """What to ask about."""

    kinds: list[Kind] | None = Field(default=None, min_length=1, max_length=6)
    items: list[Id] | None = Field(default=None, min_length=1, max_length=200)
    count: int = Field(default=1, ge=1, le=5, description="Screens to give at once; they are answered in one request.")


class NextScreens(ScreenFilter, _Body):
    """What to ask about after the answers; with nothing in it, whatever tells most."""


class Toggle(BaseModel):
    """One line of a screen."""

    item: str
    friends: list[str]
    guess: str | float
    choices: list[str] = Field(description="Empty for an audience: a share 0..1, or nobody, few, half, most, everybody.")
    sure: bool = Field(description="Whether the guess would be set without asking.")
    likeliest: str = Field(description="The most probable answer: what a page may suggest.")
    preset: str | None = Field(
        description="What a page may fill in beforehand: the likeliest answer if it is the guess and sure."
    )
    text: str
    text_zh: str


class Screen(BaseModel):
    """What to ask at once; nothing in it counts until it is answered."""

    id: str
    kind: Kind
    title: str
    title_zh: str
    toggles: list[Toggle]


class ScreenList(BaseModel):
    """The next screens; empty when more would not pay."""

    revision: int
    screens: list[Screen]


class ScreenAnswer(_Body):
    """A confirmed screen."""

    screen: Annotated[str, StringConstraints(min_length=1, max_length=4_000)] = Field(description="Its id.")
    values: list[Annotated[float, Field(ge=0, le=1)] | Annotated[str, StringConstraints(max_length=20)] | None] = Field(
        max_length=12, description="One for each toggle; null says nothing."
    )


class CellAnswer(_Body):
    """The user's own choice, unasked: for friends, or for everybody now in a circle."""

    item: Id
    friends: list[Id] | None = Field(default=None, min_length=1, max_length=MAX_FRIENDS)
    circle: Id | None = None
    decision: Literal["allow", "deny", "unsure"]


class AnswerList(_Body):
    """One answer or many; all of them count, or none."""

    answers: list[ScreenAnswer | CellAnswer] = Field(min_length=1, max_length=MAX_ANSWERS)
    next: NextScreens | None = Field(default=None, description="Asks for the next screens in the same response.")


class Answered(BaseModel):
    """How far the log has come."""

    revision: int
    answers: int = Field(description="Entries of the log, retracted ones and retractions included.")


class AnsweredWithNext(Answered):
    """How far the log has come, and what to ask next."""

    next: ScreenList | None = Field(
        default=None,
        description="The next screens of now, if the request asks for them; null where they could not be chosen.",
    )


class Undo(_Body):
    """An empty request."""


class Pending(BaseModel):
    """What would change if the suggestions were accepted."""

    shown: int
    hidden: int
    asked: int


class ItemPolicy(BaseModel):
    """Who may see one item; whoever is in no list may not."""

    item: str
    in_force: list[str] = Field(description="Friends who see it: what has been accepted.")
    suggested: list[str] = Field(description="Friends who would see it.")
    ask: list[str] = Field(description="Friends who would not see it until the user decides.")


class PolicyDocument(BaseModel):
    """The whole policy. Only `in_force` is to be enforced."""

    user: str
    revision: int
    accepted_at: str | None
    friends: list[str]
    items: list[ItemPolicy]
    pending: Pending


class CellFilter(_Strict):
    """Which cells."""

    item: Id | None = None
    friend: Id | None = None
    limit: int = Field(default=100, ge=1, le=1_000)
    cursor: Annotated[str, StringConstraints(max_length=1_000)] | None = Field(
        default=None, description="`next` of the page before."
    )


class CellPage(BaseModel):
    """Cells, item by item; each says what is suggested and what is in force."""

    revision: int
    cells: list[Cell]
    next: str | None


class CellPath(_Strict):
    """Which cell, and in which language."""

    item: Id
    friend: Id
    language: Language = "en"


class ExplanationDocument(BaseModel):
    """Why a cell is suggested as it is."""

    item: str
    friend: str
    suggested: Word
    in_force: Word
    probability: float
    reason: str
    kind: str


class PreviewAs(_Strict):
    """Through whose eyes."""

    friend: Id = Field(alias="as")
    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class PreviewItem(BaseModel):
    """Whether the friend sees an item, and would see it."""

    item: str
    in_force: bool
    suggested: bool


class PreviewDocument(BaseModel):
    """The profile as a friend sees it."""

    friend: str
    items: list[PreviewItem]


class Accept(_Body):
    """What to accept of the suggestions that the entity tag names; all of them unless items or friends are given."""

    items: list[Id] | None = Field(default=None, min_length=1, max_length=200)
    friends: list[Id] | None = Field(default=None, min_length=1, max_length=MAX_FRIENDS)


class OverrideCell(_Body):
    """The user's own decision about one cell."""

    item: Id
    friend: Id
    decision: Literal["allow", "deny"]


class Override(_Body):
    """Own decisions that hold at once, whatever is suggested."""

    cells: list[OverrideCell] = Field(min_length=1, max_length=MAX_CELLS)


class ChangeDocument(BaseModel):
    """A cell whose decision would change."""

    item: str
    friend: str
    before: Word
    after: Word


class DiffDocument(BaseModel):
    """What accepting would change."""

    revision: int
    counts: Pending
    text: str
    text_zh: str
    changes: list[ChangeDocument]


class ExportFormat(_Strict):
    """What to export."""

    format: Literal["json", "csv", "openfga", "cedar"] = "json"
    of: Literal["in_force", "suggested"] = Field(default="in_force", description="Suggestions are given as json and csv only.")
    language: Language = "en"


class Item(_Body):
    """One thing to protect."""

    id: Id
    sensitivity: float = Field(default=0.5, ge=0, le=1)
    cost_ratio: float = Field(default=5.0, ge=1, le=1e6, description="How many times worse a wrong allow is than a wrong deny.")
    en: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    zh: Annotated[str, StringConstraints(min_length=1, max_length=100)]


class ItemList(_Body):
    """A catalogue to be."""

    items: list[Item] = Field(min_length=1, max_length=200)


class ItemCatalogue(BaseModel):
    """The tenant's catalogue."""

    revision: int
    items: list[Item]


class BatchEntry(NewFriend):
    """One new friend of one user."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="Chosen by the sender, once in a batch."
    )
    user: Id


class Batch(_Body):
    """New friends of many users; each is taken in or refused for itself."""

    entries: list[BatchEntry] = Field(min_length=1, max_length=MAX_BATCH)


class BatchEntryResult(BaseModel):
    """What became of one entry: suggestions, or the type and title of a problem."""

    id: str
    status: int
    revision: int | None = None
    suggestions: list[Cell] | None = None
    type: str | None = None
    title: str | None = None


class BatchResult(BaseModel):
    """One result for each entry, in the same order."""

    results: list[BatchEntryResult]


class Link(BaseModel):
    """A link that opens the wizard for one user."""

    url: str
    token: str
    expires_at: str


class UserExport(BaseModel):
    """Everything that is kept about a user."""

    user: str
    created_at: str
    network: dict[str, Any] | None
    circles: list[Circle]
    corrections: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    acceptances: list[dict[str, Any]]
    events: list[dict[str, Any]]
    audit: list[dict[str, Any]]


class Health(BaseModel):
    """Whether the service is up."""

    status: str
    version: str
