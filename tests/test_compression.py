"""The loss is right at its limits; a student learns; ONNX answers as PyTorch does."""

from __future__ import annotations

import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import tlhelpers as tl

# --- distillation --------------------------------------------------------------------

STUDENT = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 2.0], [0.0, 3.0, 0.0]])
TEACHER = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 4.0], [1.0, 1.0, 1.0]])
LABELS = torch.tensor([0, 2, 1])


def test_certain_teacher_at_temperature_one_is_cross_entropy():
    certain = 1e4 * torch.eye(3)[LABELS]
    for alpha in (0.0, 0.3, 1.0):
        loss = tl.distillation_loss(
            STUDENT, certain, LABELS, temperature=1.0, alpha=alpha
        )
        assert loss == pytest.approx(float(cross_entropy(STUDENT, LABELS)), abs=1e-5)


def test_same_answers_cost_nothing():
    loss = tl.distillation_loss(STUDENT, STUDENT + 7.0, temperature=3.0)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_alpha_mixes_teacher_and_labels():
    soft = tl.distillation_loss(STUDENT, TEACHER, temperature=2.0)
    hard = cross_entropy(STUDENT, LABELS)
    mixed = tl.distillation_loss(STUDENT, TEACHER, LABELS, temperature=2.0, alpha=0.3)
    assert float(mixed) == pytest.approx(float(0.3 * soft + 0.7 * hard), abs=1e-6)


def test_row_without_label_listens_to_the_teacher_alone():
    labels = torch.tensor([0, -1, 1])
    rows = [
        tl.distillation_loss(STUDENT[i : i + 1], TEACHER[i : i + 1], given, alpha=0.4)
        for i, given in ((0, LABELS[:1]), (1, None), (2, LABELS[2:]))
    ]
    loss = tl.distillation_loss(STUDENT, TEACHER, labels, alpha=0.4)
    assert float(loss) == pytest.approx(float(sum(rows) / 3), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int8])
def test_labels_of_any_width_are_class_numbers(world, dtype):
    labels = torch.tensor([0, -1, 1])
    wanted = tl.distillation_loss(STUDENT, TEACHER, labels)
    assert tl.distillation_loss(STUDENT, TEACHER, labels.to(dtype)) == wanted
    x, logits, truth = world
    for given in (truth.to(dtype), truth.to(dtype).numpy()):
        assert tl.distill(student(), x, logits, given, epochs=1, lr=0.01)


def test_at_high_temperature_the_gradient_compares_centred_logits():
    """Hinton, Vinyals and Dean 2015, section 2.1: (z - v) / n, means taken off."""
    student = STUDENT.clone().requires_grad_()
    tl.distillation_loss(student, TEACHER, temperature=1000.0).backward()
    centred = (STUDENT - STUDENT.mean(1, keepdim=True)) - (
        TEACHER - TEACHER.mean(1, keepdim=True)
    )
    wanted = centred / STUDENT.shape[1] / len(STUDENT)
    assert torch.allclose(student.grad, wanted, atol=1e-3)


def test_no_gradient_reaches_the_teacher():
    teacher = TEACHER.clone().requires_grad_()
    student = STUDENT.clone().requires_grad_()
    tl.distillation_loss(student, teacher, LABELS).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0}, {"alpha": 1.5}, {"alpha": -0.1}, {"temperature": -2}]
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(tl.CourseError, match="out of range"):
        tl.distillation_loss(STUDENT, TEACHER, **wrong)


def test_other_classes_are_refused():
    with pytest.raises(tl.CourseError, match="one logit for each class"):
        tl.distillation_loss(STUDENT, TEACHER[:, :2])


@pytest.fixture
def world():
    """Points on a plane; a teacher that knows on which side of a line they lie."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 2, generator=generator)
    logits = torch.stack([-3 * x.sum(1), 3 * x.sum(1)], dim=1)
    return x, logits, logits.argmax(1)


def student():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))


def test_student_learns_from_the_teacher_alone(world):
    x, logits, truth = world
    net = student()
    losses = tl.distill(net, x[:200], logits[:200], epochs=20, lr=0.03, seed=0)
    assert len(losses) == 20 and losses[-1] < losses[0] / 4
    assert tl.evaluate(net, (x[200:], truth[200:])) > 0.93


def test_labels_win_over_a_lying_teacher_where_alpha_is_small(world):
    x, logits, truth = world
    scores = []
    for alpha in (0.05, 0.95):
        net = student()
        tl.distill(net, x, -logits, truth, epochs=15, lr=0.03, alpha=alpha)
        scores.append(tl.evaluate(net, (x, truth)))
    assert scores[0] > 0.9 and scores[1] < 0.1


def test_same_seed_same_student(world):
    x, logits, _ = world
    nets = [student(), student()]
    for net in nets:
        tl.distill(net, x, logits, epochs=2, lr=0.01, seed=3)
    assert torch.equal(nets[0][0].weight, nets[1][0].weight)


def test_numbers_of_rows_must_agree(world):
    x, logits, truth = world
    with pytest.raises(tl.CourseError, match="400 inputs, 399 rows of logits"):
        tl.distill(student(), x, logits[1:], epochs=1, lr=0.1)
    with pytest.raises(tl.CourseError, match="398 labels"):
        tl.distill(student(), x, logits, truth[2:], epochs=1, lr=0.1)


# --- ONNX ----------------------------------------------------------------------------


class Pictures(nn.Module):
    """A network of pictures as they are, 0 … 255, as notebook 10 keeps them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = tl.small_cnn(3, width=4)

    def forward(self, pixels):
        x = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        return self.body(x)


def texts(n, length):
    generator = torch.Generator().manual_seed(n)
    return torch.randint(1, 2000, (n, length), generator=generator)


def pictures(n):
    generator = torch.Generator().manual_seed(n)
    return torch.randint(256, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)


def answers(path, batch):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert taken.name == ("ids" if batch.ndim == 2 else "pixels")
    assert given.name == "logits"
    return torch.from_numpy(session.run(None, {taken.name: batch.numpy()})[0])


@pytest.fixture(scope="module")
def reader():
    torch.manual_seed(0)
    return tl.WordPieceCNN(torch.randn(2000, 16), 3, width=8).eval()


@pytest.fixture(scope="module")
def exported(reader, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    return tl.export_onnx(reader, texts(2, 6), folder / "new" / "student.onnx")


@pytest.mark.parametrize(("n", "length"), [(1, 3), (2, 6), (5, 41)])
def test_onnx_answers_as_pytorch_does(reader, exported, n, length):
    ids = texts(n, length)
    ids[0, 2:] = 0  # one text is shorter
    with torch.inference_mode():
        wanted = reader(ids)
    assert torch.allclose(answers(exported, ids), wanted, atol=1e-4)


def test_a_network_of_pictures_takes_any_number_of_them(tmp_path):
    model = Pictures()  # not yet in eval mode: its batch-norm would learn
    path = tl.export_onnx(model, pictures(2), tmp_path / "pictures.onnx")
    assert not model.training
    with torch.inference_mode():
        for n in (1, 2, 7):
            wanted = model(pictures(n))
            assert torch.allclose(answers(path, pictures(n)), wanted, atol=1e-4)
    small = eight_bits(path, tmp_path / "int8.onnx")
    assert answers(small, pictures(3)).shape == (3, 3)


def test_a_network_is_one_file_without_noted_shapes(exported):
    assert [f.name for f in exported.parent.iterdir()] == ["student.onnx"]
    graph = onnx.load(exported, load_external_data=False).graph
    assert not graph.value_info
    assert sum(len(w.raw_data) for w in graph.initializer) > 4 * 2000 * 16 - 1


def eight_bits(path, target):
    """Round the weights of an exported network, as notebook 08 does."""
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(path, target)
    return target


def test_eight_bits_are_a_quarter_and_nearly_the_same(reader, exported, tmp_path):
    small = eight_bits(exported, tmp_path / "int8.onnx")
    assert small.stat().st_size < 0.45 * exported.stat().st_size
    ids = texts(50, 12)
    with torch.inference_mode():
        wanted = reader(ids)
    found = answers(small, ids)
    assert 0 < (found - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_a_network_of_transformers_is_exported_into_a_new_folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.ViTConfig(**sizes, image_size=32)
    model, x = transformers.ViTForImageClassification(config), torch.randn(3, 3, 32, 32)
    path = tl.export_onnx(model, x[:2], tmp_path / "a" / "b" / "vit.onnx")
    with torch.inference_mode():
        assert torch.allclose(answers(path, x), model(x).logits, atol=1e-4)


def test_export_makes_no_noise(reader, tmp_path, capfd, recwarn):
    tl.export_onnx(reader, texts(2, 5), tmp_path / "a.onnx")
    assert capfd.readouterr().err == ""
    assert not [w for w in recwarn if "onnx" in str(w.message).lower()]


@pytest.mark.parametrize(
    "example", [texts(1, 8), texts(4, 2), pictures(1), texts(1, 8)[0]]
)
def test_example_too_small_for_free_sizes_is_refused(reader, tmp_path, example):
    with pytest.raises(tl.CourseError, match="too small"):
        tl.export_onnx(reader, example, tmp_path / "a.onnx")
