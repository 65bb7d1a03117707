"""A list that grows by one command a round, until it is repeated wrongly: `mnemos bench endless`.

After Memory Gym's endless Mortar Mayhem (arXiv 2309.17207), in symbols: each round shows one new command, then all
commands so far are to be executed in order ("I packed my bag"). The score is the number of commands executed before the
first error, as in the paper, and the longest list that was executed whole. Networks learn by imitation (the right command
at every step, on lists of up to `rounds`) at about equal parameters, are told the command that was right at the step before,
and play lists up to `endless`. Scripted players calibrate the score: one without memory, one that keeps the newest
seven commands, one that keeps the first seven, and one that writes each command to a space and reads them back.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from mnemos.bench.neural.working_memory import named
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.space import Space
from mnemos.system import Mnemos

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mnemos.bench.neural.memories import Batch

COMMANDS = 5
INPUTS = COMMANDS + 2 + COMMANDS  # the command shown, whether one is shown or executed, the command before
NAMES = ("left", "right", "forward", "back", "stay")
Player = Callable[[Sequence[int]], list[int]]  # the commands so far -> those executed


@dataclass(frozen=True)
class Options:
    """The networks, their training, and the games."""

    memories: tuple[str, ...] = ("gru", "gru with memory", "window")  # networks that are trained
    parameters: int = 20_000  # of each network, at most
    rounds: int = 8  # rounds of the lists that are learned from
    steps: int = 1_500  # of training
    batch: int = 32  # lists of a step
    window: int = 16  # steps that each layer of the window sees
    endless: int = 24  # rounds of a game, at most
    games: int = 100  # games of each player
    seeds: int = 3  # networks of each kind


def unrolled(lists: Tensor) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """Return inputs (B, T, I), right commands (B, T), the steps that execute (B, T), and the round of each step."""
    import torch

    count, rounds = lists.shape
    x, y, marks, of = [], [], [], []
    before = torch.zeros(count, COMMANDS)
    for r in range(rounds):
        for step in range(r + 2):  # one that shows the new command, then r + 1 that execute
            row = torch.zeros(count, INPUTS)
            if step == 0:
                row[torch.arange(count), lists[:, r]] = 1
                before = torch.zeros(count, COMMANDS)
            row[:, COMMANDS + (step > 0)] = 1
            row[:, COMMANDS + 2 :] = before
            right = lists[:, r] if step == 0 else lists[:, step - 1]
            if step:
                before = torch.nn.functional.one_hot(right, COMMANDS).float()
            x.append(row)
            y.append(right)
            marks.append(torch.full((count,), step > 0))
            of.append(r)
    return torch.stack(x, 1), torch.stack(y, 1), torch.stack(marks, 1), of


def drawn(step: int, options: Options, seed: int) -> Batch:
    """Return lists that are executed round by round."""
    import torch

    rng = torch.Generator().manual_seed(7_000_003 * seed + step)
    rounds = int(torch.randint(2, options.rounds + 1, (1,), generator=rng))
    return unrolled(torch.randint(COMMANDS, (options.batch, rounds), generator=rng))[:3]


def of_network(model: nn.Module, options: Options, seed: int) -> tuple[list[int], list[int]]:
    """Return for each game the commands executed before the first error, and the longest list that was executed whole."""
    import torch

    from mnemos.bench.neural.memories import predictions

    rng = torch.Generator().manual_seed(seed)
    lists = torch.randint(COMMANDS, (options.games, options.endless), generator=rng)
    x, y, marks, of = unrolled(lists)
    wrong = (predictions(model, x) != y) & marks
    scores, longest = [], []
    for game in range(options.games):
        errors = wrong[game].nonzero()
        first = int(errors[0]) if len(errors) else x.shape[1]
        scores.append(int(marks[game, :first].sum()))
        longest.append(of[first] if first < x.shape[1] else options.endless)
    return scores, longest


def of_player(player: Player, options: Options, seed: int) -> tuple[list[int], list[int]]:
    """Return the same of a scripted player."""
    scores, longest = [], []
    for game in range(options.games):
        rng = random.Random(f"{seed}/{game}")
        commands = [rng.randrange(COMMANDS) for _ in range(options.endless)]
        score = whole = 0
        for r in range(options.endless):
            given = player(commands[: r + 1])
            right = next((i for i, (a, b) in enumerate(zip(given, commands, strict=False)) if a != b), len(given))
            score += min(right, r + 1)
            if right <= r:
                break
            whole = r + 1
        scores.append(score)
        longest.append(whole)
    return scores, longest


def players(space: Space) -> dict[str, Player]:
    """Return the scripted players; one writes to the space."""
    guess = random.Random(0)

    def of_space(commands: Sequence[int]) -> list[int]:
        if len(commands) == 1:
            space.forget(everything=True) if space.count() else None
        space.add(f"Command {len(commands)}: {NAMES[commands[-1]]}", session="game", reconcile=False)
        return [NAMES.index(cube.text.rpartition(" ")[2]) for cube in space.cubes(session="game")]

    return {
        "without memory": lambda commands: [guess.randrange(COMMANDS) for _ in commands],
        "newest seven": lambda commands: [
            guess.randrange(COMMANDS) if len(commands) - i > 7 else c for i, c in enumerate(commands)
        ],
        "first seven": lambda commands: [c if i < 7 else guess.randrange(COMMANDS) for i, c in enumerate(commands)],
        "a space": of_space,
        "all (oracle)": list,
    }


def table(result: Result) -> Rows:
    """Return the scores of every player."""
    lines: Rows = [["player", "parameters", "commands before the first error", "longest list executed whole"]]
    for name, row in result["players"].items():
        spread = "" if row["spread"] is None else f" ± {row['spread']:.1f}"
        lines.append([name, row["parameters"] or "–", f"{row['score']:.1f}{spread}", f"{row['longest']:.1f}"])
    return lines


@benchmark(
    "endless",
    help="A list of commands that grows until it is repeated wrongly: networks by their memory, and scripted players.",
    options=Options,
    tables={"endless": table},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Train the networks and return the mean scores of all players."""
    from mnemos.bench.neural.memories import build, size, train

    progress.expect(len(options.memories) * options.seeds + 5)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder="none") as memory:
        for name, player in players(memory.space("game")).items():
            few = (
                Options(games=3, endless=options.endless) if name == "a space" else options
            )  # it has no luck to average
            scores, longest = of_player(player, few, 1)
            found[name] = {"score": fmean(scores), "longest": fmean(longest), "spread": None, "parameters": None}
            progress(1)
    for name in options.memories:
        runs, parameters = [], 0
        for seed in range(options.seeds):
            model = build(named(name), INPUTS, COMMANDS, options.parameters, options.window, seed)
            train(model, lambda step, seed=seed: drawn(step, options, seed), options.steps)  # type: ignore[misc]
            scores, longest = of_network(model, options, 1)
            runs.append((fmean(scores), fmean(longest)))
            parameters = size(model)
            progress(1)
        means = [score for score, _ in runs]
        found[name] = {
            "score": fmean(means),
            "longest": fmean(n for _, n in runs),
            "spread": pstdev(means),
            "parameters": parameters,
        }
    best = options.endless * (options.endless + 1) // 2
    return {
        "seeds": options.seeds,
        "rounds": options.rounds,
        "endless": options.endless,
        "most": best,
        "players": found,
    }
