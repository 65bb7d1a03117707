"""Activations on disk: exact, few in memory, less where the disk is slow, and nothing left behind."""

import gc
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from mnemos.errors import Conflict, InvalidInput, ModelError
from mnemos.footprint import attached
from mnemos.footprint.activations.disk import Disk
from mnemos.footprint.activations.recomputed import Recomputed, again
from mnemos.footprint.activations.token_wise import TokenWise
from mnemos.footprint.container import Container

OPEN = Path("/proc/self/fd")
X = torch.randn(8, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64)) for _ in range(4)))


def gradients(model, *methods, passes=1):
    with attached(model, *methods, least=0) as usage:
        for _ in range(passes):
            model.zero_grad()
            model(X).square().mean().backward()
    return [p.grad.clone() for p in model.parameters()], usage


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    "disk",
    [
        Disk(),
        Disk(share=0.3),
        Disk(ahead=0),
        Disk(on_the_way=1 << 17, strict=True),
        Disk(throttle=50e6),
        Disk(through=True),
    ],
)
def test_gradients_are_those_of_plain_training_however_it_is_written(model, disk):
    plain, _ = gradients(model)
    assert same(plain, gradients(model, disk, passes=2)[0])


def test_at_most_half_of_the_bytes_are_in_memory_with_what_is_on_the_way(model):
    disk = Disk(on_the_way=5 << 17, strict=True, ahead=1 << 17)
    _, usage = gradients(model, disk, passes=3)
    assert usage.peak_plain > 5 << 19
    assert usage.peak_kept + disk.traffic.peak_on_the_way + disk.ahead < usage.peak_plain / 2
    assert disk.traffic.written > 2 * usage.peak_plain


def test_what_is_asked_for_before_it_is_written_comes_from_memory(model):
    plain, _ = gradients(model)
    disk = Disk(throttle=4e6)
    assert same(plain, gradients(model, disk)[0])
    assert disk.traffic.forwarded > disk.traffic.written
    assert disk.traffic.on_the_way == 0


def test_a_slow_disk_is_given_less_after_a_pass_that_waited_and_more_once_it_is_quick(model):
    disk = Disk(throttle=8e6, patience=0.0)
    with attached(model, disk, least=0) as usage:
        sent = []
        for speed in (8e6, 8e6, 8e6, None, None, None, None):
            if disk._open is not None:
                disk._open.container.throttle = speed
            disk.patience = 0.0 if speed else 1.0
            model(X).square().mean().backward()
            sent.append(disk._open.sent)
    assert sent[0] == usage.peak_plain
    assert sent[2] < sent[1] < sent[0]
    assert sent[-1] > sent[2]


def test_a_full_disk_is_told_once_and_training_goes_on(model, monkeypatch):
    plain, _ = gradients(model)
    monkeypatch.setattr(Container, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    disk = Disk()
    with pytest.warns(UserWarning, match="No space left") as told:
        got, _ = gradients(model, disk, passes=2)
    assert same(plain, got)
    assert len(told) == 1
    assert disk.traffic.stayed > 0


def test_the_file_is_as_large_as_what_is_in_it_at_most_and_gone_after_an_exception(model, tmp_path):
    disk = Disk(folder=tmp_path)
    threads = threading.active_count()
    before = set(OPEN.iterdir())
    with pytest.raises(RuntimeError, match="stop"), attached(model, disk, least=0) as usage:  # noqa: PT012
        for _ in range(4):
            model(X).square().mean().backward()
        assert disk._open.container.size <= 2 * usage.peak_plain  # places of one pass are used by the next
        model(X)
        raise RuntimeError("stop")
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert set(OPEN.iterdir()) <= before
    assert threading.active_count() == threads


def test_a_backward_pass_outside_is_refused(model):
    with attached(model, Disk(), least=0):
        loss = model(X).square().mean()
    with pytest.raises(Conflict, match="inside of `attached`"):
        loss.backward()
    with pytest.raises(InvalidInput, match=r"share is 1\.5"):
        Disk(share=1.5)


def test_a_graph_is_read_twice_where_it_is_kept(model):
    with attached(model, Disk(), least=0):
        loss = model(X).square().mean()
        loss.backward(retain_graph=True)
        once = model[0][0].weight.grad.clone()
        loss.backward()
    assert torch.equal(model[0][0].weight.grad, 2 * once)


def test_blocks_of_a_container_have_their_own_bytes_and_freed_places_are_used_again():
    container = Container()
    tensors = [torch.randn(n) for n in (10, 1000, 10)] + [torch.arange(7, dtype=torch.bfloat16)]
    places = [container.place(t.nbytes) for t in tensors]
    for place, tensor in zip(places, tensors, strict=True):
        container.write(place, tensor)
    assert all(torch.equal(container.read(p, torch.empty_like(t)), t) for p, t in zip(places, tensors, strict=True))
    assert container.size == sum(t.nbytes for t in tensors)
    container.free(places[0], 40)
    assert container.place(40) == places[0]
    assert container.place(41) == container.size - 41
    with pytest.raises(OSError, match="was not written"):
        container.read(container.size + 5, torch.empty(3))
    container.close()


def test_recomputed_layers_keep_their_inputs_only_and_put_savers_to_them(model):
    plain, whole = gradients(model, Disk(share=0.0))
    got, usage = gradients(model, Recomputed(), Disk())
    assert same(plain, got)
    assert usage.peak_plain < 0.35 * whole.peak_plain
    assert [type(layer) for layer in model] == [nn.Sequential] * 4


def test_dropout_is_the_same_when_it_is_computed_again_and_what_does_something_else_is_refused(model):
    model[1].append(nn.Dropout(0.5))
    found = []
    for methods in ((), (Recomputed(),)):
        torch.manual_seed(3)
        found.append(gradients(model, *methods)[0])
        found.append([torch.rand(2)])
    assert same(found[0], found[2])
    assert same(found[1], found[3])
    calls = []

    def fickle(x):
        calls.append(x)
        return x.exp() if len(calls) == 1 else x * 2

    with pytest.raises(ModelError, match="something else"):
        again(fickle, X.clone().requires_grad_()).sum().backward()


def test_a_layer_is_computed_again_in_the_precision_of_the_first_time():
    layer, x = nn.Linear(64, 64), X.clone().requires_grad_()
    found = []
    for run in (layer, lambda x: again(layer, x)):
        with torch.autocast("cpu", torch.bfloat16):
            y = run(x).float().square().mean()
        y.backward()
        found.append([x.grad.clone(), layer.weight.grad.clone()])
        x.grad = layer.weight.grad = None
    assert same(*found)


def test_token_wise_layers_keep_what_belongs_to_their_share_of_tokens():
    torch.manual_seed(0)
    model = nn.ModuleDict({"mlp": nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))})
    found = {}
    for share in (0.0, 0.5, 1.0):
        model.zero_grad()
        with attached(model, TokenWise(share), Disk(share=0.0), least=0) as usage:
            model["mlp"](X).square().mean().backward()
        found[share] = usage.peak_plain, [p.grad.clone() for p in model.parameters()]
    assert found[0.0][0] < found[0.5][0] < found[1.0][0]
    for grads in (found[0.0][1], found[0.5][1]):
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-7) for a, b in zip(grads, found[1.0][1], strict=True))
    assert TokenWise.share_for(nbytes=100, seconds=0.5, bandwidth=80, room=1000) == 0.4
    assert TokenWise.share_for(nbytes=100, seconds=0.5, bandwidth=1e6, room=30) == 0.3
