"""What requests are served with: made by the lifespan, handed to every route."""

from dataclasses import dataclass
from typing import Annotated, TypedDict

from fastapi import Depends
from starlette.requests import Request

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.observability.metrics import Metrics
from lentigo_inference.security.authenticator import Gatekeeper
from lentigo_inference.security.rate_limit import RateLimit
from lentigo_inference.serving.admission import Admission, Stopping
from lentigo_inference.serving.model_manager import Reloader
from lentigo_inference.serving.model_slot import ModelSlot
from lentigo_inference.serving.predictor import Predictor
from lentigo_inference.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a route may ask for."""

    settings: Settings
    store: ModelStore
    slot: ModelSlot
    reloader: Reloader
    predictor: Predictor
    admission: Admission
    stopping: Stopping
    gatekeeper: Gatekeeper
    rate_limit: RateLimit
    metrics: Metrics


class LifespanState(TypedDict):
    """The state of the application while it runs."""

    services: Services


async def _services_of(request: Request) -> Services:
    services: Services = request.state.services
    return services


ServicesOfRequest = Annotated[Services, Depends(_services_of)]
