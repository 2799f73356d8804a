"""The classes: keyed on the id, never on a name (two classes may share one)."""

from pydantic import Field

from synaug.config.kinds import Section


class ClassEntry(Section):
    """One class. Its label is its position in the list."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Key of the class everywhere: files, keys, results")
    names: list[str] = Field(min_length=1, description="Names, the best first")
    gloss: str | None = Field(None, description="What the name means here; given, no sense is looked for")
    prompts: list[str] = Field(default_factory=list, description="Own plain prompts; replace the template")

    @property
    def name(self) -> str:
        return self.names[0]
