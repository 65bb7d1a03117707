"""Weights: what models have learned of a space's cubes, kept beside them, and attached to a model for a block."""

from __future__ import annotations

import contextlib
import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import torch

from mnemos import registry
from mnemos.cube import MemCube, new_id
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreCorrupt, StoreError
from mnemos.migrate import learning
from mnemos.migrate.asked import Questions
from mnemos.migrate.attachments import Attachment, Loaded, attached_to, holding
from mnemos.migrate.fingerprints import Fingerprints
from mnemos.migrate.form_plan import FormMove, Forms, moved_down, plan
from mnemos.migrate.form_schedule import FormCosts, FormSchedule
from mnemos.migrate.gate import Decision, LearnReport
from mnemos.migrate.learning import Learning
from mnemos.migrate.uses import Uses
from mnemos.migrate.weight_cubes import FORM, digest_of, stale, sweep, weight_cubes, write
from mnemos.migrate.weight_files import WeightFile, read_weights
from mnemos.parametric.base import Carrier, Example, Learned
from mnemos.parametric.compress.carriers import rounded
from mnemos.store.base import Store
from mnemos.store.locks import try_lock
from mnemos.store.values import WEIGHTS

RAM = 1 << 30  # bytes of weights that are kept in RAM between blocks


@dataclass
class Weights:
    """The weights of a space: learned from its cubes, erased with them, and told apart by the model they belong to.

    A cube of weights is written whole or not at all. It is stale, and not attached, from when one of its cubes is updated,
    superseded or archived until that is undone. The text is never touched: it answers whatever becomes of the weights.
    """

    store: Store  # of the cubes; keeps the weights beside them
    clock: Callable[[], datetime]  # tells the time
    ram: int = RAM  # bytes of weights in RAM at most
    _held: OrderedDict[str, tuple[weakref.ref[Any], Loaded]] = field(default_factory=OrderedDict)  # least recent first
    _refused: set[tuple[str, int]] = field(
        default_factory=set
    )  # (id, version) of texts that the gate refused in `tend`
    _fingerprints: Fingerprints = field(default_factory=Fingerprints)
    _lock: threading.RLock = field(default_factory=threading.RLock)  # of what is held in RAM

    def __post_init__(self) -> None:
        self._uses = Uses(self.store, self.clock)
        sweep(self.store)
        self.store.on_erase(self._on_erase)
        self.store.before_suspend(self.rest)

    # -- what there is

    def list(self) -> list[MemCube]:
        """Return the cubes of weights, the one learned first first. Their metadata say what each cost and was measured."""
        return weight_cubes(self.store)

    def stale(self) -> dict[str, str]:
        """Return why weights are not attached any longer, by id: a cube that they were learned from has changed."""
        return stale(self.store, self.list())

    def get(self, cube_id: str) -> MemCube:
        """Return a cube of weights. Raises NotFound."""
        if not (found := weight_cubes(self.store, [cube_id])):
            raise NotFound(
                f"there are no weights {cube_id!r} in space {self.store.space!r}: `mnemos weights` lists them."
            )
        return found[0]

    def remove(self, *cubes: str | MemCube) -> Sequence[str]:
        """Erase weights, and the keys and values computed with them; the texts stay. Return the ids. Raises NotFound."""
        return self.store.erase([self.get(_id(cube)).id for cube in cubes])

    # -- attach

    @contextmanager
    def attached(self, model: Any, *cubes: str | MemCube, about: str | None = None) -> Iterator[Attachment]:
        """Let a model answer with weights, for a block: with these, in this order, or with all that may be used.

        With `about`, a prompt, only those are attached that learned what it asks for (`migrate.asked`): all others, and the model
        where there are none, answer as if nothing had been learned. Weights that were learned to be attached so
        (`Learning.when_asked`) are left out without it, unless they are named.

        Without `cubes` they are attached in the order in which they were learned, the newest last. What they add is summed.
        A block may be inside another one, of any space. Another thread that wants the same model waits until the block ends;
        afterwards the model is as it was, bit for bit. Before each call of the model it is looked whether its weights were
        erased or became stale, by any process: then they are detached, with a warning.

        Cubes that are named are attached or raise: NotFound, Conflict (stale), StoreCorrupt (damaged), InvalidInput (of
        another or a changed model). Without names what cannot be used is left out: `refused` of what is yielded says why, and a
        warning. Where two answer one prompt differently, both are attached, and a warning names them.
        """
        with holding(model) as holder:
            with holder.detached(model):
                attachment = self._choose(model, [self.get(_id(cube)) for cube in cubes] or None, about)
            self._warn(attachment)
            entered = list(attachment.loaded)
            try:
                with holder.attach(model, attachment):
                    self._uses.count(attachment.cubes)
                    yield attachment
            finally:
                self._wipe_erased(entered)

    def _choose(self, model: Any, named: Sequence[MemCube] | None, about: str | None) -> Attachment:
        """Return the weights to attach, loaded; raise for what is named and cannot be."""
        check = self._checker()
        self._drop_erased()
        cubes = self.list() if named is None else list({cube.id: cube for cube in named}.values())
        known, old = self._fingerprints.of(model), stale(self.store, cubes)
        loaded: list[Loaded] = []
        refused: dict[str, str] = {}
        for cube in cubes:
            try:
                if cube.metadata.get("model") != known:
                    raise InvalidInput(
                        f"weights {cube.id} were learned for another model, or this one was changed since (its weights, "
                        "configuration or type): attach them to the model they belong to, or learn them again."
                    )
                if cube.id in old:
                    raise Conflict(f"weights {cube.id} are stale: {old[cube.id]}.")
                if named is None and cube.metadata.get("imported"):
                    raise InvalidInput(f"weights {cube.id} came with an import: name them, or measure them here first.")
                if named is None and about is None and cube.metadata.get("when_asked"):
                    raise InvalidInput(
                        f"weights {cube.id} are for prompts that ask for them: name the prompt (`about`)."
                    )
                loaded.append(self._load(cube, model, known))
            except (Conflict, InvalidInput, StoreCorrupt) as error:
                if named is not None:
                    raise
                refused[cube.id] = str(error)
        if about is not None:
            asked = Questions({each.cube.id: each.questions for each in loaded}).asked(about)
            loaded = [each for each in loaded if each.cube.id in asked]
        return Attachment(loaded, refused, known, check)

    def _load(self, cube: MemCube, model: Any, known: str) -> Loaded:
        """Return the weights of a cube for a model, from RAM or from disk."""
        with self._lock:
            of, held = self._held.get(cube.id, (None, None))
            same = held is not None and held.cube.metadata.get("digest") == cube.metadata.get("digest")
            if of is not None and held is not None and of() is model and same:
                self._held.move_to_end(cube.id)
                return held
        with self.store.blobs.local(cube.id) as path:
            file = read_weights(path, str(cube.metadata.get("digest")))
        if file.model != known:
            raise StoreCorrupt(f"the weights {cube.id} name another model than their cube: remove them.")
        carrier = _carrier(file.method, file.knobs)
        learned = carrier.load(model, file.tensors)
        learned.requires_grad_(False).eval()
        loaded = Loaded(cube, learned, file)
        self._hold(model, loaded)
        return loaded

    def _checker(self) -> Callable[[Sequence[MemCube]], Mapping[str, str]]:
        """Return what tells which weights may no longer be used; it asks for rows only if something was written."""
        seen = self.store.change_token()

        def check(cubes: Sequence[MemCube]) -> Mapping[str, str]:
            nonlocal seen
            try:
                token = self.store.change_token()
                if token is not None and token == seen:
                    return {}
                current = {cube.id: cube for cube in weight_cubes(self.store, [cube.id for cube in cubes])}
                problems = stale(self.store, list(current.values()))
            except StoreError as error:
                return {cube.id: f"it cannot be told whether they still exist ({error})" for cube in cubes}
            problems |= {cube.id: "they were erased" for cube in cubes if cube.id not in current}
            if not problems:
                seen = token
            return problems

        return check

    def _warn(self, attachment: Attachment) -> None:
        if attachment.refused:
            said = "; ".join(dict.fromkeys(attachment.refused.values()))
            warnings.warn(f"{len(attachment.refused)} weights are not attached: {said}", RuntimeWarning, stacklevel=5)
        if found := attachment.contradictions:
            first = found[0]
            warnings.warn(
                f"weights answer {len(found)} prompts differently, such as {first.prompt!r:.80} ({first.older}, and later "
                f"{first.newer}). Update the text that is over, or attach one of them only.", RuntimeWarning, stacklevel=5,
            )  # fmt: skip

    # -- learn

    def learn(
        self, cubes: Sequence[MemCube], model: Any, tokenizer: Any, into: str | Carrier = "adapter",
        how: Learning | None = None,
    ) -> LearnReport:  # fmt: skip
        """Learn cubes by heart, and keep the weights if the gate lets them pass; see `migrate.learning.learn`."""
        return learning.learn(self, cubes, model, tokenizer, into, how or Learning())

    def measure(self, cube: str | MemCube, model: Any, tokenizer: Any, how: Learning | None = None) -> Decision:
        """Ask again what weights know and broke, and write that to their cube; return what the gate says of it now.

        They stay whatever it says: `remove` them if they are not wanted. Raises what `attached` does for a cube that is named.
        """
        return learning.measure_again(self, self.get(_id(cube)), model, tokenizer, how or Learning())

    def tend(
        self, model: Any, tokenizer: Any, costs: FormCosts, *, schedule: FormSchedule | None = None, preview: bool = True,
        days: float | None = None, how: Learning | None = None, into: str | Carrier = "adapter",
    ) -> Sequence[FormMove]:  # fmt: skip
        """Move memories to the forms that cost least for their use, or with `preview` only say which, and why.

        What is to become weights is learned, each text alone, and refused by the gate or not: what it refuses is not tried
        again by this process until the text changes. What is no longer worth its weights, or keys and values, loses these.
        To become keys and values nothing is done: they are kept when the text is next activated. `days` is the policy's.
        """
        moves = plan(
            self.store, costs, schedule or FormSchedule(), self.clock(), days=days, refused=self._refused,
            tokens=lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]),
        )  # fmt: skip
        if not preview:
            forms = Forms.of(self.store)
            wanted = {move.id: move.to for move in moves}
            down = [*moved_down(forms.weights, wanted, "weights"), *moved_down(forms.kv, wanted, "text")]
            self.store.erase(down)
            for cube in self.store.get([move.id for move in moves if move.to == "weights"]).values():
                if not self.learn([cube], model, tokenizer, into, how).promoted:
                    self._refused.add((cube.id, cube.version))
        return moves

    # -- keep

    def keep(
        self, learned: Learned, carrier: Carrier, cubes: Sequence[MemCube], model: Any, examples: Sequence[Example] = (),
        *, paraphrases: Sequence[Example] = (), chat: bool = False, about: Mapping[str, Any] | None = None,
        bits: int | None = None,
    ) -> MemCube:  # fmt: skip
        """Write weights that were learned from cubes, and return their cube; `about` is added to its metadata.

        With `bits` each number is rounded to as many, 1 to 8; what is attached later is then close to `learned`, not equal.

        The payload is written first, then the cube, in a transaction which makes sure that the cubes are still what was
        learned. So a process that is killed leaves either weights that are whole or none. Raises Conflict if a cube was
        updated, superseded, archived or erased meanwhile, InvalidInput for a carrier that is not registered, and StoreError
        (StoreFull on a full disk); nothing is stored then.
        """
        method = registry.name_of(type(carrier))
        if method is None:
            raise InvalidInput(
                f"{type(carrier).__qualname__} is not registered, so its weights could not be loaded again: put @register "
                "above the class, in a module of mnemos.parametric."
            )
        if not cubes:
            raise InvalidInput("weights are kept with the cubes that they were learned from, and none was given.")
        knobs, known = asdict(carrier), self._fingerprints.of(model)  # type: ignore[call-overload]
        of = method, knobs, known, tuple(examples), tuple(paraphrases), chat
        tensors = learned.tensors() if bits is None else rounded(learned.tensors(), bits)
        data = WeightFile(*of, tensors).to_bytes()
        now, unique = self.clock(), {cube.id: cube for cube in cubes}
        metadata = {
            **(about or {}), "method": method, "knobs": knobs, "model": known, "architecture": type(model).__name__,
            "digest": digest_of(data), "bytes": len(data), "examples": len(examples),
            "versions": {cube.id: cube.version for cube in unique.values()},
        }  # fmt: skip
        cube = MemCube(
            id=new_id(), text="", space=self.store.space, at=now, learned=now, form=FORM, kind=WEIGHTS, source="mnemos",
            parents=tuple(unique), metadata=metadata,
        )  # fmt: skip
        write(self.store, cube, data)
        return cube

    # -- RAM

    def _hold(self, model: Any, loaded: Loaded) -> None:
        """Hold weights in RAM as the most recently used, unless their cube was erased since it was found."""
        with self._lock:
            if not self.store.keys_of([loaded.cube.id]):
                return
            self._held[loaded.cube.id] = weakref.ref(model), loaded
            self._held.move_to_end(loaded.cube.id)
            held = self.ram_bytes
            while held > self.ram and self._held:
                held -= self._held.popitem(last=False)[1][1].learned.nbytes

    def _on_erase(self, forms: Mapping[str, str]) -> None:
        """Forget erased weights: in RAM they become zeros, those that are attached when their block lets them go."""
        self._uses.drop(forms)
        with self._lock:
            for cube_id in forms:
                of, held = self._held.pop(cube_id, (None, None))
                if of is None or held is None:
                    continue
                model = of()
                if model is None or cube_id not in attached_to(model):
                    _wipe(held.learned)

    def _drop_erased(self) -> None:
        """Forget the weights in RAM that another process has erased. One statement."""
        with self._lock:
            held = list(self._held)
            if len(self.store.keys_of(held)) < len(held):
                self._on_erase(dict.fromkeys(set(held) - self.store.get(held).keys(), FORM))

    def _wipe_erased(self, entered: Sequence[Loaded]) -> None:
        """Overwrite, once they are detached, the weights that were erased while they were attached."""
        with contextlib.suppress(StoreError):
            there = self.store.get([each.cube.id for each in entered])
            for each in entered:
                if each.cube.id not in there:
                    _wipe(each.learned)

    @property
    def ram_bytes(self) -> int:
        """Bytes of the weights in RAM."""
        with self._lock:
            return sum(loaded.learned.nbytes for _, loaded in self._held.values())

    def free_ram(self) -> None:
        """Free the weights in RAM; those on disk are kept."""
        with self._lock:
            self._held.clear()

    def rest(self) -> bool:
        """Free the weights in RAM before the file is closed; return False if they are in use."""
        with try_lock(self._lock) as held:
            if held:
                with contextlib.suppress(StoreError):
                    self.flush()
                self._held.clear()
            return held

    # -- use

    def flush(self) -> int:
        """Persist how often weights were attached; return the number of weights. A killed process loses these counts."""
        return self._uses.flush()


def _id(cube: str | MemCube) -> str:
    return cube.id if isinstance(cube, MemCube) else cube


def _carrier(method: str, knobs: Mapping[str, Any]) -> Carrier:
    """Return a carrier with its knobs. Raises StoreCorrupt for one that is not known, or has other knobs."""
    try:
        made: Carrier = registry.get(method, form=FORM, kind="carrier").target(**knobs)
        return made
    except (NotFound, TypeError) as error:
        raise StoreCorrupt(f"weights of the carrier {method!r} cannot be read by this Mnemos: {error}") from error


def _wipe(learned: Learned) -> None:
    """Overwrite weights in RAM with zeros."""
    with torch.no_grad():
        for tensor in learned.tensors().values():
            tensor.zero_()
