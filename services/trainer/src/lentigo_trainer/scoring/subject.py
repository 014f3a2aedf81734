"""Which version answered, and how it was asked."""

from pydantic import BaseModel, ConfigDict

from lentigo_contract.manifest.manifest import Manifest


class Subject(BaseModel):
    """What was measured.

    Attributes:
        name: of the model.
        version: its number.
        architecture: of the network.
        created: when training ended, UTC.
        asked: "in process", or the address of the service.
        engine: the runtime that computed.
        recipe: the name of the recipe that trained it; None where it has none or is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    architecture: str
    created: str
    asked: str
    engine: str
    recipe: str | None = None

    @property
    def named(self) -> str:
        """Name and number, and the recipe if it has a name."""
        recipe = "" if self.recipe is None else f" (recipe {self.recipe})"
        return f"{self.name} {self.version}{recipe}"


def subject_of(manifest: Manifest, version: int) -> Subject:
    """Describe a version that is asked in process; its number is 0 before it is published."""
    recipe = manifest.recipe.get("name")
    return Subject(
        name=manifest.name,
        version=version,
        architecture=manifest.architecture,
        created=manifest.created.isoformat(),
        asked="in process",
        engine="savedmodel",
        recipe=None if recipe is None else str(recipe),
    )
