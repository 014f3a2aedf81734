"""What one would write in an afternoon: FastAPI, Pillow and `model.predict`.

python benchmarks/rivals/plain_keras.py SAVED_MODEL PORT
"""

import io
import sys
from typing import Annotated, Any

import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, File, UploadFile
from PIL import Image


def application(saved_model: str) -> FastAPI:
    """Give an application that answers POST /predict with the seven probabilities."""
    picture = keras.Input((224, 224, 3), dtype="uint8")
    layer = keras.layers.TFSMLayer(saved_model, call_endpoint="serving_default")
    model = keras.Model(picture, layer(picture))
    app = FastAPI()

    @app.post("/predict")
    async def predict(image: Annotated[UploadFile, File()]) -> dict[str, Any]:
        decoded = Image.open(io.BytesIO(await image.read())).convert("RGB").resize((224, 224))
        answer = model.predict(np.asarray(decoded)[None], verbose=0)
        return {"probabilities": answer["probabilities"][0].tolist()}

    return app


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")
