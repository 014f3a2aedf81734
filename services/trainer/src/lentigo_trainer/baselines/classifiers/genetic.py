"""Aswin et al.'s classifier: a neural network whose weights a genetic algorithm starts.

The title names a "hybrid genetic algorithm - artificial neural network"; which part of the network
the algorithm chooses, title and abstract do not say. Here it is the initial weights (Montana and
Davis, "Training feedforward neural networks using genetic algorithms", IJCAI 1989): a chromosome
holds all weights of a network with one hidden layer, its fitness is the cross-entropy on a sample
of the training images, and back-propagation goes on from the best. DEAP runs the algorithm.
"""

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from deap import algorithms, base, tools
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from lentigo_trainer.baselines.classifiers.base import Floats, Labels, log_loss, softmax
from lentigo_trainer.system.genetic import Individual, seeded

HIDDEN: Final = 10
POPULATION: Final = 40
GENERATIONS: Final = 40
_SAMPLE: Final = 1_000
_CROSSOVER: Final = 0.7
_MUTATION: Final = 0.5
_BLEND: Final = 0.3
_SIGMA: Final = 0.3
_GENE: Final = 0.1
_EPOCHS: Final = 100


@dataclass(frozen=True, slots=True)
class GeneticNetwork:
    """A fitted network.

    Attributes:
        scaler: brings features to unit variance.
        network: fitted.
        classes: how many classes there are in all.
        start_loss: cross-entropy of the genetic algorithm's best weights, in nats.
        first_loss: that of the best of the first, random generation.
    """

    scaler: StandardScaler
    network: MLPClassifier
    classes: int
    start_loss: float
    first_loss: float

    def probabilities(self, values: Floats) -> Floats:
        """See `base.Classifier`."""
        result = np.zeros((len(values), self.classes))
        result[:, self.network.classes_] = self.network.predict_proba(self.scaler.transform(values))
        return result


def fit_genetic(
    values: Floats, labels: Labels, classes: int, seed: int, generations: int = GENERATIONS
) -> GeneticNetwork:
    """Fit the network, see `base.Fit`.

    A search that finds nothing better than its random start, as with no generation or with features
    without information, still gives a start; back-propagation goes on from there.

    Args:
        values: features, [n, k].
        labels: class numbers, [n].
        classes: how many classes there are.
        seed: of the search and of the network.
        generations: of the search; with 0, the best of its random start.
    """
    scaler = StandardScaler().fit(values)
    scaled = scaler.transform(values)
    present, numbers = np.unique(labels, return_inverse=True)
    draw = np.random.default_rng(seed)
    rows = draw.permutation(len(labels))[:_SAMPLE]
    shapes = _shapes(values.shape[1], len(present))
    genes, first_loss, start_loss = _evolve(scaled[rows], numbers[rows], shapes, seed, generations)
    network = MLPClassifier(
        (HIDDEN,), activation="tanh", alpha=1e-3, max_iter=1, random_state=seed, warm_start=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # One pass makes the arrays, which then take the chromosome's weights.
        network.fit(scaled, labels)
        (first, second), (hidden, output) = _weights(genes, shapes)
        if len(present) == 2:
            # scikit-learn has one output for two classes: the difference of ours.
            second, output = second[:, 1:] - second[:, :1], output[1:] - output[:1]
        network.coefs_ = [first, second]
        network.intercepts_ = [hidden, output]
        network.set_params(max_iter=_EPOCHS)
        network.fit(scaled, labels)
    return GeneticNetwork(scaler, network, classes, start_loss, first_loss)


_Shapes = tuple[tuple[int, ...], ...]


def _shapes(features: int, classes: int) -> _Shapes:
    return (features, HIDDEN), (HIDDEN, classes), (HIDDEN,), (classes,)


def _weights(genes: Floats, shapes: _Shapes) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Cut a chromosome into the weights of both layers, and their biases."""
    ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    parts = np.split(genes, ends)
    first, second, hidden, output = (
        part.reshape(shape).copy() for part, shape in zip(parts, shapes, strict=True)
    )
    return (first, second), (hidden, output)


def _evolve(
    values: Floats, labels: Labels, shapes: _Shapes, seed: int, generations: int
) -> tuple[Floats, float, float]:
    """Return the best chromosome, and the loss of the first generation's best and of its own."""

    def loss(genes: Individual) -> tuple[float]:
        (first, second), (hidden, output) = _weights(np.array(genes), shapes)
        answers = softmax(np.tanh(values @ first + hidden) @ second + output)
        return (log_loss(answers, labels),)

    toolbox = base.Toolbox()
    toolbox.register("clone", Individual.copy)
    toolbox.register("evaluate", loss)
    toolbox.register("mate", tools.cxBlend, alpha=_BLEND)
    toolbox.register("mutate", tools.mutGaussian, mu=0, sigma=_SIGMA, indpb=_GENE)
    toolbox.register("select", tools.selTournament, tournsize=3)
    length = int(sum(np.prod(shape) for shape in shapes))
    draw = np.random.default_rng(seed)
    best = tools.HallOfFame(1)
    with seeded(seed):
        population = [Individual(draw.normal(0, 0.3, length).tolist()) for _ in range(POPULATION)]
        first = min(loss(each)[0] for each in population)
        algorithms.eaSimple(
            population, toolbox, _CROSSOVER, _MUTATION, generations, halloffame=best, verbose=False
        )
    return np.array(best[0]), first, float(best[0].fitness.values[0])
