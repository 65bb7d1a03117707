"""A language model of mixers as transformers knows models: `generate`, saving, `AutoModelForCausalLM`, labels and a loss."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from mnemos.neural.base import State
from mnemos.neural.model import LM


class MixerConfig(PretrainedConfig):  # type: ignore[misc]  # transformers is not read where types are checked
    """What a language model is made of: the arguments of `mnemos.neural.model.LM`."""

    model_type = "mnemos-mixers"

    def __init__(
        self,
        vocab_size: int = 256,  # different tokens
        hidden_size: int = 64,  # D
        mixers: Any = ("delta-net", "delta-net"),  # of the blocks, from the first to the last
        kernel: int = 3,  # of the gated convolution before each mixer; 0 leaves it out
        expand: float = 0,  # width of the feed-forward layer after each mixer, in D; 0 leaves it out
        tie_word_embeddings: bool = True,  # whether the tokens that go in are those that come out
        **rest: Any,
    ) -> None:
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
        self.mixers = [m if isinstance(m, str) else list(m) for m in mixers]
        self.num_hidden_layers = len(self.mixers)
        self.kernel, self.expand = kernel, expand
        super().__init__(tie_word_embeddings=tie_word_embeddings, **rest)


class Remembered:
    """A state on its way through `generate`: what transformers asks of a cache."""

    is_compileable = False

    def __init__(self, state: State, length: int) -> None:
        self.state, self.length = state, length

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the tokens that were read, padding among them."""
        return self.length

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the sequences of these places: beams that live on."""
        self.state = {name: tensor.index_select(0, beam_idx) for name, tensor in self.state.items()}


class MixerForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """Any sequence of mixers as a model of transformers. The state takes the place of a KV cache, of a size that is fixed.

    Greedy, sampled and beam search over several turns, with padding on the left. Assisted decoding is refused by
    transformers: a state cannot go back.
    """

    config_class = MixerConfig
    base_model_prefix = "model"
    _tied_weights_keys = {"model.head.weight": "model.embed.weight"}  # noqa: RUF012  # as transformers declares it
    _is_stateful = True

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        mixers = [m if isinstance(m, str) else (m[0], m[1]) for m in config.mixers]
        self.model = LM(
            config.vocab_size, config.hidden_size, mixers, config.kernel, config.expand, config.tie_word_embeddings
        )
        self.post_init()

    @classmethod
    def of(cls, lm: LM) -> MixerForCausalLM:
        """Return a model of transformers with the weights of a language model, which it shares."""
        c = lm.config
        made = cls(MixerConfig(c.vocabulary, c.width, c.mixers, c.kernel, c.expand, tie_word_embeddings=c.tied))
        made.model = lm
        return made

    def _init_weights(self, module: nn.Module) -> None:
        """Leave weights as the layers made them."""

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False

    def get_input_embeddings(self) -> nn.Module:
        """Return the tokens that go in."""
        found: nn.Module = self.model.embed
        return found

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Exchange the tokens that go in."""
        self.model.embed = value

    def get_output_embeddings(self) -> nn.Module:
        """Return the tokens that come out."""
        found: nn.Module = self.model.head
        return found

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Exchange the tokens that come out."""
        self.model.head = value

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Remembered | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        **rest: Any,
    ) -> CausalLMOutputWithPast:
        """Return logits (B, T, vocabulary), the loss of `labels` (B, T; -100 does not count), and the state.

        `attention_mask` is that of `input_ids`, or of all tokens so far.
        """
        length = input_ids.shape[1]
        mask = None if attention_mask is None else attention_mask[:, -length:].bool()
        if mask is not None and bool(mask.all()):
            mask = None
        before = past_key_values
        logits, state = self.model(input_ids, None if before is None else before.state, mask)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100)
        after = None
        if use_cache is not False:
            after = Remembered(state, length + (0 if before is None else before.length))
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=after)

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: Remembered | None = None,
        attention_mask: Tensor | None = None,
        use_cache: bool | None = True,
        **rest: Any,
    ) -> dict[str, Any]:
        """Return the tokens that were not read yet."""
        if past_key_values is not None:
            new = input_ids[:, past_key_values.length :]
            input_ids = new if new.shape[1] else input_ids[:, -1:]
        given = {"input_ids": input_ids, "past_key_values": past_key_values, "use_cache": use_cache}
        return given | {"attention_mask": attention_mask}


def register_with_transformers() -> None:
    """Let `AutoModelForCausalLM.from_pretrained` load these models."""
    AutoConfig.register(MixerConfig.model_type, MixerConfig, exist_ok=True)
    AutoModelForCausalLM.register(MixerConfig, MixerForCausalLM, exist_ok=True)
