"""Pictures of the demo, read and written."""

import pathlib

import numpy as np

__all__ = ["FOLDER", "noise_ratio", "photograph", "write"]

FOLDER = pathlib.Path(__file__).parent / "out"


def photograph(name: str) -> np.ndarray:
    """A photograph that scikit-learn holds: rows, columns, colours, from 0 to 255."""
    from sklearn.datasets import load_sample_image

    return load_sample_image(name).astype(np.float32)


def write(name: str, picture: np.ndarray) -> str:
    """Writes a picture with values from 0 to 255; gives the path as people type it."""
    from PIL import Image

    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / name
    Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8)).save(path)
    return f"{FOLDER.parent.name}/{FOLDER.name}/{path.name}"


def noise_ratio(picture: np.ndarray, wanted: np.ndarray) -> float:
    """The peak signal to noise ratio in decibels."""
    return 10 * np.log10(255**2 / np.mean((picture - wanted) ** 2, dtype=np.float64))
