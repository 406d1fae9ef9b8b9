"""Pictures of the demo, read and written."""

import pathlib

import numpy as np

__all__ = ["FOLDER", "noise_ratio", "noisy", "photograph", "told", "write"]

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


def noisy(name: str, deviation: float) -> np.ndarray:
    """A photograph with noise of this standard deviation, the same every time."""
    clean = photograph(name)
    return np.clip(clean + np.random.default_rng(0).normal(0, deviation, clean.shape), 0, 255).astype(np.float32)


def told(name: str, before: np.ndarray, after: np.ndarray, file: str) -> str:
    """How much nearer to a photograph a picture has come, in a sentence; both are written side by side."""
    clean = photograph(name)
    path = write(file, np.concatenate([before, after], axis=1))
    return (f"noise ratio {noise_ratio(before, clean):.1f} dB before, {noise_ratio(after, clean):.1f} dB after: {path}")
