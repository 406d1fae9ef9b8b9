"""The next letter of a text, guessed by causal attention: where did these letters stand before, and what came then?

Head h asks with the last h + 1 bytes as a vector, the keys are the h + 1 bytes before each place, the values the byte
there. Nothing is learned: the vectors of bytes are random, the text is Python's own manual.
"""

import functools

import numpy as np

import einfall as ef
from demo import manual
from demo.program import Program

h, q, k, d, e = ef.ranks("h q k d e")
HEADS, LENGTH, WIDTH, SHARPNESS = 8, 2048, 64, 20.0


@ef.kernel
def attention(Q, K, V):
    S = ef.sum(Q[h, q, d] * K[h, k, d], over=d) / ef.sqrt(d.extent)
    P = ef.softmax(ef.where(k <= q, S, -ef.inf), over=k)
    return ef.sum(P * V[h, k, e], over=k)[h, q, e]


def with_numpy(Q, K, V):
    S = Q @ K.transpose(0, 2, 1) / np.float32(np.sqrt(Q.shape[2]))
    S[:, ~np.tri(Q.shape[1], K.shape[1], dtype=bool)] = -np.inf
    S -= S.max(2, keepdims=True)
    P = np.exp(S, out=S)
    return P @ V / P.sum(2, keepdims=True)


def with_torch(Q, K, V):
    import torch

    return torch.nn.functional.scaled_dot_product_attention(Q[None], K[None], V[None], is_causal=True)[0]


@functools.cache
def table() -> np.ndarray:
    """A vector for each byte."""
    return np.random.default_rng(0).standard_normal((256, WIDTH), dtype=np.float32)


def vectors(letters: np.ndarray, heads: int) -> tuple:
    """Queries, keys and values of a text."""
    passed, contexts = np.zeros((len(letters), WIDTH), np.float32), []
    for back in range(heads):
        earlier = np.concatenate([np.zeros(back, letters.dtype), letters])[:len(letters)]
        passed = passed + np.roll(table()[earlier], 7 * back, axis=1)  # the roll tells the places apart
        contexts.append(passed / np.linalg.norm(passed, axis=1, keepdims=True))
    Q = np.stack(contexts)
    K = np.concatenate([np.zeros_like(Q[:, :1]), Q[:, :-1]], axis=1)
    V = np.broadcast_to(table()[letters], Q.shape)
    return Q * np.float32(SHARPNESS * np.sqrt(WIDTH)), np.ascontiguousarray(K), np.ascontiguousarray(V)


def letters(count: int) -> np.ndarray:
    """The beginning of the manual, as bytes."""
    return np.frombuffer(manual.text().encode(), np.uint8)[:count]


def load():
    return vectors(letters(LENGTH), HEADS)


def tiny(rng):
    return vectors(rng.integers(97, 101, 40).astype(np.uint8), 2)


def see(result, arguments):
    text = letters(LENGTH + 1)[1:]
    guess = (result.sum(0) @ table().T).argmax(1)
    late = slice(LENGTH // 2, None)
    right, common = np.mean(guess[late] == text[late]), np.mean(text[late] == ord(" "))
    return f"{right:.0%} of the next bytes guessed right in the second half (always a blank: {common:.0%})"


PROGRAM = Program("causal attention", f"{LENGTH} bytes, {HEADS} heads of {WIDTH}", load, tiny, attention,
                  with_numpy, with_torch, q, see)
