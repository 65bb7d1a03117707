"""Adapters of PEFT beside a frozen model, one for each memory: attached several at once, detached bit for bit.

PEFT makes the layers and names what is stored, so that its own tools and others read the files. It would put the layers
into the model for good; here they stand in the place of the model's own only while they are attached. Each computes from
what stands there at that time. Low-rank updates (LoRA, rsLoRA, AdaLoRA, VeRA) are summed, in whatever order they are
attached; the others act one after another: those that rotate the input (OFT, BOFT) or scale (IA3, DoRA), the last
attached first.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from peft import PeftModel, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example, Learned
from mnemos.parametric.encode.tuners import Tuner, config_of, targets_of
from mnemos.registry import Paper, register

NAME = "default"  # of the adapter in PEFT


class AdapterWeights(Learned):
    """The weights of an adapter, and the layers that stand in the place of a model's while it is attached."""

    outside: tuple[Any, Any, dict[str, Any]]  # the model, PEFT's model of it, and the layers by name

    def __init__(self, model: Any, knobs: Adapter) -> None:
        super().__init__()
        targets = targets_of(model, knobs.targets)
        with _left_as_it_was(model, targets), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what PEFT infers, and of projections that are drawn again
            try:
                made = PeftModel(model, config_of(model, knobs.tuner, knobs.rank, knobs.alpha, targets), NAME)
            except (ValueError, TypeError, AssertionError) as error:
                raise InvalidInput(f"{knobs.tuner} does not fit {type(model).__name__}: {error}") from error
            made.eval()
            layers = {name: model.get_submodule(name) for name in targets}
        object.__setattr__(self, "outside", (model, made, layers))  # no part of this module: the model is not stored
        trained = [p for layer in layers.values() for n, p in layer.named_parameters() if _is_trained(n)]
        self.weights = nn.ParameterList(dict.fromkeys(trained))

    @property
    def config(self) -> dict[str, Any]:
        """PEFT's `adapter_config.json`: with it and the tensors as `adapter_model.safetensors` PEFT loads the adapter."""
        config = self.outside[1].peft_config[NAME].to_dict()
        return {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()} | {"inference_mode": True}

    @contextmanager
    def attach(self, model: Any) -> Iterator[None]:
        """Let the model answer with this adapter inside the context; see the module for several at once."""
        own, _, layers = self.outside
        if model is not own:
            raise InvalidInput("this adapter was made beside another model: load its tensors beside this one.")
        if any(layer in _chain(model.get_submodule(name)) for name, layer in layers.items()):
            raise InvalidInput("this adapter is attached already: attach it once.")
        originals = {name: layer.base_layer for name, layer in layers.items()}
        try:
            for name, layer in layers.items():
                layer.base_layer = model.get_submodule(name)
                model.set_submodule(name, layer)
            yield
        finally:
            for name, layer in layers.items():
                _take_out(model, name, layer)
                layer.base_layer = originals[name]

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by the names of PEFT's files."""
        return {name: tensor.contiguous() for name, tensor in self._named().items()}

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Set the weights to stored ones. Raises InvalidInput where names or shapes differ."""
        own = self._named()
        wrong = sorted(own.keys() ^ tensors.keys()) or [n for n in own if own[n].shape != tensors[n].shape]
        if wrong:
            raise InvalidInput(
                f"these tensors are not those of this adapter and model: {wrong[0]} is missing, unknown or of another shape."
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(tensors[name])

    def _named(self) -> dict[str, Tensor]:
        """Return the weights themselves by PEFT's names."""
        model, made, layers = self.outside
        with _alone(model, layers):  # PEFT looks for its layers in the model
            found: dict[str, Tensor] = get_peft_model_state_dict(made, adapter_name=NAME, save_embedding_layers=False)
        return {name: tensor.detach() for name, tensor in found.items()}


@register(
    "adapter",
    papers=(
        Paper("LoRA: Low-Rank Adaptation of Large Language Models", "2106.09685", "microsoft/LoRA"),
        Paper("A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", "2312.03732"),
        Paper("DoRA: Weight-Decomposed Low-Rank Adaptation", "2402.09353", "NVlabs/DoRA"),
        Paper(
            "AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning",
            "2303.10512",
            "QingruZhang/AdaLoRA",
        ),
        Paper("VeRA: Vector-based Random Matrix Adaptation", "2310.11454"),
        Paper("Controlling Text-to-Image Diffusion by Orthogonal Finetuning", "2306.07280", "Zeju1997/oft"),
        Paper(
            "Parameter-Efficient Orthogonal Finetuning via Butterfly Factorization", "2311.06243", "wy1iu/butterfly-oft"
        ),
        Paper(
            "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning",
            "2205.05638", "r-three/t-few",
        ),
    ),
    task="weights",
)  # fmt: skip
@dataclass(frozen=True)
class Adapter:
    """Holds a memory in an adapter of PEFT beside a frozen model: LoRA, rsLoRA, DoRA, AdaLoRA, VeRA, OFT, BOFT or IA3.

    Of AdaLoRA only the form of the update is used: no rank is taken away while it is trained. VeRA's random projections
    are drawn again from PEFT's seed and not stored. The adapter is in float32 where the model has less.
    """

    rate: ClassVar[float] = 5e-3
    tuner: Tuner = "lora"  # which of PEFT's
    rank: int = 4  # of the update; the size of a block of OFT and BOFT
    alpha: float = 8.0  # the update is multiplied by alpha / rank; rsLoRA: by alpha / sqrt(rank)
    targets: tuple[str, ...] = ("ffn",)  # "ffn": layers out of the FFNs; "all" linear layers; or ends of names

    def create(self, model: Any, examples: Sequence[Example], tokenizer: Any, seed: int = 0) -> AdapterWeights:
        """Return an adapter that changes nothing yet."""
        if self.rank < 1:
            raise InvalidInput(f"rank is {self.rank}: give at least 1.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return AdapterWeights(model, self)

    def load(self, model: Any, tensors: Mapping[str, Tensor]) -> AdapterWeights:
        """Return the adapter of `Learned.tensors`, or of a file of PEFT with the same knobs."""
        made = self.create(model, (), None)
        made.fill(tensors)
        return made


def _is_trained(name: str) -> bool:
    """Tell whether a parameter of PEFT's layer is trained: not the model's own, and not the counters of AdaLoRA."""
    return not name.startswith(("base_layer.", "ranknum."))


def _chain(layer: Any) -> list[Any]:
    """Return a layer and those that it computes from, down to the model's own."""
    found = [layer]
    while _is_of_peft(found[-1]):
        found.append(found[-1].base_layer)
    return found


def _is_of_peft(layer: Any) -> bool:
    return isinstance(layer, BaseTunerLayer)


def _take_out(model: Any, name: str, layer: Any) -> None:
    """Take an adapter's layer out of the place it stands in, whatever was attached after it."""
    chain = _chain(model.get_submodule(name))
    if layer not in chain:
        return
    at = chain.index(layer)
    if at:
        chain[at - 1].base_layer = layer.base_layer
    else:
        model.set_submodule(name, layer.base_layer)


@contextmanager
def _alone(model: Any, layers: Mapping[str, Any]) -> Iterator[None]:
    """Let the layers of one adapter stand in a model without those of others that are attached."""
    places = {name: (model.get_submodule(name), layer.base_layer) for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.base_layer = _chain(places[name][0])[-1]
            model.set_submodule(name, layer)
        yield
    finally:
        for name, (place, base) in places.items():
            layers[name].base_layer = base
            model.set_submodule(name, place)


@contextmanager
def _left_as_it_was(model: Any, targets: Sequence[str]) -> Iterator[None]:
    """Undo what PEFT does to a model when it makes an adapter: layers, attributes, and which weights are trained."""
    own = {name: model.get_submodule(name) for name in targets}
    flags = [(p, p.requires_grad) for p in model.parameters()]
    attributes, config, modes = set(vars(model)), dict(vars(model.config)), [(m, m.training) for m in model.modules()]
    try:
        yield
    finally:
        for name, layer in own.items():
            model.set_submodule(name, layer)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        for module, mode in modes:
            module.training = mode
        for name in set(vars(model)) - attributes:
            delattr(model, name)
        vars(model.config).clear()
        vars(model.config).update(config)
