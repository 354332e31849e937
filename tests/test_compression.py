"""The loss is right at its limits; a student learns from the teacher alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import tlhelpers as tl

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
    tl.seed_everything(0)
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
