"""Lentigo's own recipe, which a run follows that is told no other: `recipes/lentigo.toml`."""

from typing import Final

from lentigo_trainer.recipe import Recipe
from lentigo_trainer.whole_network.settings import Restart, Stage, Variation, WholeNetwork

OWN_NAME: Final = "lentigo"
"""Of the recipe, and so of its run's folder."""


def own_recipe() -> Recipe:
    """Give the recipe; docs/experiments.md says how it came about."""
    return Recipe(
        name=OWN_NAME,
        hold_out=True,
        epochs=25,
        whole_network=WholeNetwork(
            frequency_power=0.2,
            stages=(
                Stage(side=128, epochs=6),
                Stage(side=160, epochs=5),
                Stage(side=224, epochs=4),
                Stage(side=160, epochs=4),
            ),
            restarts=(
                Restart(
                    behind=15,
                    rate=0.5,
                    mixup=0.2,
                    variation=Variation(
                        brightness=0.1, saturation=0.25, tint=0.12, soften=0.2, sharpen=1.4
                    ),
                ),
            ),
            average_rounds=True,
        ),
    )
