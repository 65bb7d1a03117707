"""A Gaussian for each class, with conjugate updates of its mean."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "prototypes-head",
    papers=(
        Paper("On Sequential Bayesian Inference for Continual Learning", "2301.01828"),
        Paper("Lifelong Machine Learning with Deep Streaming Linear Discriminant Analysis", "1909.01520"),
    ),
    task="classes in sequence",
    baselines=("anchor",),
    unmeasured="its first run is under way",
)
class PrototypesHead:
    """Answers with the class whose Gaussian gives an embedding the highest density times the class's frequency (ProtoCL).

    The mean of a class has the prior N(0, `prior` I); each item moves its posterior in closed form, whatever the order of the
    items. The classes share a covariance, estimated from all items: "isotropic" (nearest class mean, near enough),
    "diagonal", or "full" (streaming linear discriminant analysis). The paper trains the embedding beside it on a small
    coreset; here embeddings are given. Holds (classes + D) * D numbers of 8 bytes for "full", (classes + 1) * D else.
    """

    def __init__(
        self,
        width: int,  # D, of the embeddings
        classes: int,  # labels are 0 to classes - 1
        covariance: Literal["isotropic", "diagonal", "full"] = "full",  # that the classes share
        prior: float = 100.0,  # variance of a class's mean before any item
        shrink: float = 1e-2,  # share of the covariance that is replaced by its mean variance
    ) -> None:
        if not prior > 0 or not 0 < shrink <= 1:
            raise InvalidInput(f"prior is {prior} and shrink {shrink}: give a positive number, and a share above 0.")
        self.covariance, self.prior, self.shrink = covariance, prior, shrink
        self.counts = torch.zeros(classes, dtype=torch.float64)
        self.sums = torch.zeros(classes, width, dtype=torch.float64)
        self.squares = torch.zeros((width, width) if covariance == "full" else (width,), dtype=torch.float64)

    def learn(self, features: Tensor, labels: Tensor) -> None:
        """Learn items: features (m, D), labels (m,). Raises InvalidInput for a label that is no class."""
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(self.counts):
            raise InvalidInput(
                f"labels are {int(labels.min())} to {int(labels.max())}: give 0 to {len(self.counts) - 1}."
            )
        x = features.double()
        self.counts += torch.bincount(labels, minlength=len(self.counts))
        self.sums.index_add_(0, labels, x)
        self.squares += x.T @ x if self.covariance == "full" else x.square().sum(0)

    def scores(self, features: Tensor) -> Tensor:
        """Return log p(z | class) + log p(class) (m, classes), up to a constant, for z (m, D); low for a class never seen."""
        noise, (means, variance) = self.noise(), self.posterior()
        x = features.double()
        # the density of z is N(mean, noise + variance of the mean); the latter is a factor, since noise is shared
        factor = 1 + variance / noise.diagonal().mean() if noise.dim() == 2 else 1 + variance / noise.mean()
        if noise.dim() == 2:
            inverse = torch.linalg.inv(noise)
            turned = means @ inverse
            apart = ((x @ inverse) * x).sum(1, keepdim=True) - 2 * x @ turned.T + (turned * means).sum(1)
        else:
            apart = (
                (x.square() / noise).sum(1, keepdim=True) - 2 * x @ (means / noise).T + (means.square() / noise).sum(1)
            )
        width = self.sums.shape[1]
        known = (self.counts > 0).log()
        frequency = ((self.counts + 1) / (self.counts.sum() + len(self.counts))).log()  # Dirichlet(1)
        return frequency - 0.5 * (apart / factor + width * factor.log()) + known.nan_to_num(neginf=-1e9)

    def posterior(self) -> tuple[Tensor, Tensor]:
        """Return the posterior means (classes, D) and their variance (classes,)."""
        noise = self.noise()
        level = noise.diagonal().mean() if noise.dim() == 2 else noise.mean()
        precision = self.counts / level + 1 / self.prior
        return self.sums / level / precision[:, None], 1 / precision

    def noise(self) -> Tensor:
        """Return the covariance that the classes share, (D, D) for "full", else its diagonal (D,)."""
        count = self.counts.sum().clamp_min(1)
        means = self.sums / self.counts.clamp_min(1)[:, None]
        if self.covariance == "full":
            within = (self.squares - (means * self.counts[:, None]).T @ means) / count
            level = within.diagonal().mean().clamp_min(1e-9)
            return (1 - self.shrink) * within + self.shrink * level * torch.eye(len(within), dtype=torch.float64)
        each = (self.squares - (self.counts[:, None] * means.square()).sum(0)) / count
        level = each.mean().clamp_min(1e-9)
        share = 1.0 if self.covariance == "isotropic" else self.shrink
        return (1 - share) * each + share * level

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored."""
        return {"counts": self.counts, "sums": self.sums, "squares": self.squares}

    @property
    def nbytes(self) -> int:
        """Bytes of what has to be stored."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())
