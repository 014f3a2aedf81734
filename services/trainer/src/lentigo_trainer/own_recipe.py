"""Lentigo's own recipe, which a run follows that is told no other: `recipes/lentigo.toml`."""

from lentigo_trainer.recipe import Recipe
from lentigo_trainer.whole_network.settings import Restart, Stage, WholeNetwork


def own_recipe() -> Recipe:
    """Give the recipe; docs/experiments.md says how it came about."""
    return Recipe(
        name="lentigo",
        hold_out=True,
        epochs=24,
        whole_network=WholeNetwork(
            stages=(
                Stage(side=128, epochs=6),
                Stage(side=160, epochs=5),
                Stage(side=224, epochs=4),
                Stage(side=160, epochs=5),
            ),
            restarts=(Restart(behind=15, rate=0.5),),
        ),
    )
