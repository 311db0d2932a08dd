"""The feature loss against the lesson's formula, and what it does to the network it is given."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import skimage.data
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import InputError, UnknownNameError, WeightsError
from zoo.layers.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zoo.pictures.picture import to_tensor
from zoo.sr.losses.feature_loss import FeatureLoss, gram
from zoo.sr.losses.feature_maps import before_max_pools
from zoo.sr.losses.feature_nets import lesson_net, normalised_vgg19, resnet50_to_layer2
from zoo.store.state_dict import save_weights


@pytest.fixture(scope="module")
def vgg() -> nn.Module:
    """The lesson's network with random weights, and statistics that are not all 0 and 1."""
    torch.manual_seed(0)
    net = lesson_net(None).train()
    with torch.no_grad():
        net.features(torch.randn(2, 3, 32, 32))
    return net


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    """A photograph and a blurred copy of it, `[2, 3, 64, 48]`."""
    parts = [skimage.data.astronaut()[y : y + 64, 200:248] for y in (60, 150)]
    sharp = torch.stack([to_tensor(part) for part in parts])
    return F.avg_pool2d(F.pad(sharp, (1, 1, 1, 1), mode="reflect"), 3, stride=1), sharp


def lesson_formula(net: nn.Module, prediction: Tensor, target: Tensor) -> Tensor:
    """The notebook's loss, re-stated with its hooks: children 5 and 12, weights 0.26 and 0.74."""
    children = list(net.features.eval().children())[:23]
    blocks = [i - 1 for i, layer in enumerate(children) if isinstance(layer, nn.MaxPool2d)]
    assert blocks[:2] == [5, 12]
    seen: dict[int, Tensor] = {}
    handles = [
        children[i].register_forward_hook(lambda m, x, y, i=i: seen.__setitem__(i, y))
        for i in blocks[:2]
    ]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    nn.Sequential(*children)((target - mean) / std)
    wanted = {i: features.detach().clone() for i, features in seen.items()}
    nn.Sequential(*children)((prediction - mean) / std)
    losses = [F.l1_loss(prediction, target) / 100]
    losses += [F.l1_loss(seen[i], wanted[i]) * w for i, w in zip([5, 12], [0.26, 0.74])]  # noqa: B905
    for handle in handles:
        handle.remove()
    return sum(losses)


def test_it_is_the_lessons_formula(vgg: nn.Module, images: tuple[Tensor, Tensor]) -> None:
    blurred, sharp = images
    loss = FeatureLoss(vgg)
    assert loss.layers == {"features.5": 0.26, "features.12": 0.74}
    expected = lesson_formula(copy.deepcopy(vgg), blurred, sharp)
    torch.testing.assert_close(loss(blurred, sharp), expected)
    assert expected > 0.01
    assert loss(sharp, sharp) == 0


def test_the_grid_term_sees_a_pattern_and_no_other_error(
    vgg: nn.Module, images: tuple[Tensor, Tensor]
) -> None:
    sharp = images[1]
    loss = FeatureLoss(vgg, {"features.5": 1e-9}, pixel=0, grid=2.0, period=2)
    pattern = torch.tensor([[0.01, 0.0], [0.0, 0.0]]).repeat(32, 24)  # one pixel of each four
    expected = 2 * (0.0075 + 3 * 0.0025) / 4
    torch.testing.assert_close(loss(sharp + pattern, sharp), torch.tensor(expected))
    pattern[:32] *= -1  # it is seen where it is, though it has no mean over the whole image
    assert loss(sharp + pattern, sharp) > 0.9 * expected
    assert loss(sharp + torch.tensor([0.1, 0.0, -0.1]).view(3, 1, 1), sharp) < 1e-6
    stripes = torch.tensor([0.01, 0.01, -0.01, -0.01]).repeat(12)  # a period twice as long
    assert loss(sharp + stripes, sharp) < 1e-6


def test_the_excess_term_sees_waves_that_the_target_has_not(
    vgg: nn.Module, images: tuple[Tensor, Tensor]
) -> None:
    blurred, sharp = images
    loss = FeatureLoss(vgg, {"features.5": 1e-9}, pixel=0, excess=2.0)
    y, x = torch.meshgrid(torch.arange(64), torch.arange(48), indexing="ij")
    weave = 0.02 * torch.cos(2.4 * x) * torch.cos(0.5 * y)  # 2.6 pixels long
    faint, strong = (loss(sharp + share * weave, sharp) for share in (0.5, 1.0))
    assert strong > 2 * faint > 0
    double = FeatureLoss(vgg, {"features.5": 1e-9}, pixel=0, excess=4.0)
    torch.testing.assert_close(double(sharp + weave, sharp), 2 * strong)
    assert loss(sharp, sharp) == 0
    assert loss(blurred, sharp) < 0.1 * loss(sharp, blurred)  # to be softer costs nothing
    turned = loss(sharp - weave, sharp)  # the phase does not matter, but for what is there already
    torch.testing.assert_close(turned, strong, rtol=0.3, atol=0)


@pytest.mark.parametrize("size", [(39, 48), (64, 32)])
def test_the_excess_term_says_what_images_it_takes(vgg: nn.Module, size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, *size)
    with pytest.raises(InputError, match=f"40 pixels a side or more, not {size[0]} × {size[1]}"):
        FeatureLoss(vgg, excess=1.0)(image, image)


@pytest.mark.parametrize("size", [(63, 48), (48, 6)])
def test_the_grid_term_says_what_images_it_takes(vgg: nn.Module, size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, *size)
    with pytest.raises(InputError, match=f"multiples of 2, 8 pixels or more, not {size[0]} × "):
        FeatureLoss(vgg, grid=1.0, period=2)(image, image)


def test_gradients_reach_the_prediction_alone(
    vgg: nn.Module, images: tuple[Tensor, Tensor]
) -> None:
    prediction, target = (x.clone().requires_grad_() for x in images)
    loss = FeatureLoss(vgg, pixel=0)
    loss(prediction, target).backward()
    assert prediction.grad is not None
    assert prediction.grad.abs().sum() > 0
    assert target.grad is None
    assert all(p.grad is None and not p.requires_grad for p in loss.parameters())


def test_the_network_is_copied_cut_and_frozen(
    vgg: nn.Module, images: tuple[Tensor, Tensor]
) -> None:
    before = copy.deepcopy(vgg.state_dict())
    loss = FeatureLoss(vgg).train()
    statistics = {name: b.clone() for name, b in loss.named_buffers()}
    loss(*images)
    assert not any(module.training for module in loss.maps.modules())
    assert all(torch.equal(b, statistics[name]) for name, b in loss.named_buffers())
    last = max(int(name.split(".")[3]) for name in loss.state_dict() if "features" in name)
    assert last == 11  # the batch norm before the second activation; 44 layers, 13 are left
    assert all(torch.equal(value, before[name]) for name, value in vgg.state_dict().items())
    hooks = [*loss.modules(), *vgg.modules()]
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in hooks)


def test_in_place_layers_do_not_write_over_features(
    vgg: nn.Module, images: tuple[Tensor, Tensor]
) -> None:
    loss = FeatureLoss(vgg, {"features.1": 1.0}, pixel=0)  # a ReLU follows, in place
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    first = copy.deepcopy(vgg.features[:2]).eval()
    a, b = (first((x - mean) / std) for x in images)
    assert (a < 0).any()
    torch.testing.assert_close(loss(*images), F.l1_loss(a, b))


def test_style_compares_gram_matrices(vgg: nn.Module, images: tuple[Tensor, Tensor]) -> None:
    features = torch.randn(2, 3, 4, 5)
    by_hand = torch.einsum("nihw,njhw->nij", features, features) / (3 * 4 * 5)
    torch.testing.assert_close(gram(features), by_hand)
    plain, styled = FeatureLoss(vgg), FeatureLoss(vgg, style=5.0)
    blurred, sharp = images
    a, b = (plain.maps(x) for x in (blurred, sharp))
    extra = sum(w * F.l1_loss(gram(a[k]), gram(b[k])) for k, w in plain.layers.items())
    torch.testing.assert_close(styled(*images), plain(*images) + 5 * extra)


def test_under_autocast_it_stays_near(vgg: nn.Module, images: tuple[Tensor, Tensor]) -> None:
    loss = FeatureLoss(vgg, style=1.0)
    exact = loss(*images)
    with torch.autocast("cpu", torch.bfloat16):
        half = loss(*images)
    assert half.dtype == torch.float32
    assert half == pytest.approx(exact.item(), rel=0.02)


def test_it_moves_and_is_saved_whole(
    vgg: nn.Module, images: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    loss = FeatureLoss(vgg)
    torch.save(loss.state_dict(), tmp_path / "loss.pt")
    torch.manual_seed(1)
    other = FeatureLoss(lesson_net(None))
    assert other(*images) != loss(*images)
    other.load_state_dict(torch.load(tmp_path / "loss.pt", weights_only=True))
    assert torch.equal(other(*images), loss(*images))
    double = loss.double()(*(x.double() for x in images))
    torch.testing.assert_close(double.float(), other(*images))


@pytest.mark.slow
def test_it_compiles_whole(vgg: nn.Module, images: tuple[Tensor, Tensor]) -> None:
    loss = FeatureLoss(vgg)
    compiled = torch.compile(loss, fullgraph=True)
    torch.testing.assert_close(compiled(*images), loss(*images))


def test_any_network_with_named_layers_will_do(images: tuple[Tensor, Tensor]) -> None:
    net = torchvision.models.resnet18()
    assert before_max_pools(net, count=1) == ["relu"]
    loss = FeatureLoss(net, {"relu": 1.0, "layer1": 1.0})
    assert "maps.net.layer1.1.bn2.weight" in loss.state_dict()
    assert "maps.net.layer2.0.conv1.weight" not in loss.state_dict()
    assert loss(*images) > 0


class Untraceable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_mistakes_are_one_sentence(vgg: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no layer called 'features\.55'.*'features\.5'"):
        FeatureLoss(vgg, {"features.55": 1.0})
    with pytest.raises(InputError, match="has 1 max-pools, not 2"):
        FeatureLoss(torchvision.models.resnet18())
    with pytest.raises(InputError, match=r"Untraceable can't be a feature net.*can't trace"):
        FeatureLoss(Untraceable(), {"x": 1.0})
    with pytest.raises(InputError, match="grid's period"):
        FeatureLoss(vgg, grid=25.0)
    with pytest.raises(InputError, match="at least one layer"):
        FeatureLoss(vgg, {})
    with pytest.raises(WeightsError, match="no weight file"):
        lesson_net(tmp_path / "vgg.safetensors")
    save_weights(normalised_vgg19(None).state_dict(), tmp_path / "vgg19.safetensors")
    with pytest.raises(WeightsError, match="another model"):
        lesson_net(tmp_path / "vgg19.safetensors")


def test_networks_are_read_from_files(
    vgg: nn.Module, images: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    save_weights(vgg.state_dict(), tmp_path / "vgg.safetensors")
    same = FeatureLoss(lesson_net(tmp_path / "vgg.safetensors"))
    assert torch.equal(same(*images), FeatureLoss(vgg)(*images))
    net = resnet50_to_layer2(None)
    state = {k: v for k, v in net.state_dict().items() if not k.startswith("fc")}
    save_weights(state, tmp_path / "resnet.safetensors")
    original = resnet50_to_layer2(tmp_path / "resnet.safetensors")
    assert original.layer2[0].conv1.stride == (2, 2)
    assert torch.equal(original.conv1.weight, net.conv1.weight)


def test_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    for load in (lesson_net, resnet50_to_layer2):
        with pytest.raises(WeightsError, match=r"no route to host.*fetch https://.*name that file"):
            load()


def test_the_trained_vgg19_is_scaled_to_one(data: Path) -> None:
    """Each layer's mean activation is near 1 on photographs: the file and our net agree."""
    net = normalised_vgg19(data / "backbones" / "vgg19_normalised_to_conv3_1.safetensors")
    x = to_tensor(skimage.data.astronaut()[:256, :256])[None]
    with torch.no_grad():
        x = net.conv0(x)
        for layer in net.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                assert 0.7 < x.mean() < 1.3
