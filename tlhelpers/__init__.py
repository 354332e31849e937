"""Helpers of a hands-on transfer learning course; heavy libraries load when used."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "errors": "CourseError",
    "machine": "side_by_side",
    "tasks": "read_image to_tensor",
    "own_data": "from_csv from_folder",
    "datasets": "load_drawings load_flowers load_mail load_pets load_reviews",
    "sources": "SourceModel load_source small_cnn",
    "surgery": "count_parameters drift freeze freeze_batch_norm reinitialize "
    "replace_head snapshot",
    "training": "augment evaluate fit param_groups predict_logits predict_proba",
    "features": "FeatureExtractor extract_features grad_cam",
    "heads": "BayesianLogistic CommonScaler FineTuned GaussianProcess",
    "compression": "distill distillation_loss export_onnx",
    "vectors": "average_vectors load_vectors",
    "language": "classify continue_text load_language_model match_vocabulary "
    "slanted_triangular text_features text_loaders tokenize train_classifier",
    "bert": "BertClassifier WordPieceCNN load_bert tune_bert",
    "uncertainty": "abstention_curve apply_temperature ece fit_temperature reliability",
    "transferability": "cka h_score knn_score leep logme rank_agreement",
    "duplicates": "most_alike near_duplicates",
    "plots": "describe explore_predictions mean_sd plot_answers plot_curves plot_heat "
    "plot_images plot_matrix plot_points plot_scores",
    "course.session": "start",
    "course.check": "check",
    "course.doctor": "check_machine",
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names.split()}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tlhelpers' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
