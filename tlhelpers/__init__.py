"""Helpers of a hands-on transfer learning course; heavy libraries load when used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "bert": "Bert BertClassifier WordPieceCNN load_bert piece_vectors saliency tune_bert",
    "compression": "distill distillation_loss export_onnx latency quantize_onnx run_onnx",
    "course.check": "check",
    "course.doctor": "check_machine",
    "course.session": "Range Session start",
    "datasets": "load_cells load_flowers load_mail load_pets load_reviews load_sketches",
    "duplicates": "drop_leaks most_alike near_duplicates",
    "errors": "CourseError",
    "features": "FeatureExtractor extract_features grad_cam",
    "heads": "BNNRepurposer FineTuneRepurposer GPRepurposer KNNRepurposer LogisticRepurposer SVMRepurposer load_repurposer",
    "language": "LanguageModel classify continue_text cut_words leave_one_out load_language_model make_vocabulary match_vocabulary perplexity slanted_triangular text_classifier text_features text_loaders token_table tokenize train_classifier unfreeze_gradually",
    "machine": "progress seed_everything",
    "own_data": "from_csv from_folder",
    "plots": "describe describe_predictions explore_predictions explore_scores explore_temperature explore_texts explore_words mean_sd plot_answers plot_confusion plot_curves plot_heat plot_images plot_intervals plot_label_efficiency plot_leaning plot_matrix plot_pieces plot_reliability plot_scores plot_temperature plot_text plot_tradeoff plot_word_map",
    "project.build": "interval judge new_project read_inputs repurpose train_from_scratch train_project",
    "project.inspection": "count_classes inspect_data",
    "project.keep": "Project load_project",
    "project.page": "explore_project serve",
    "project.plan": "Plan choose_plan decision_table read_data",
    "sources": "IMAGENET_CATS IMAGENET_DOGS SourceModel imagenet_names load_source small_cnn",
    "surgery": "append_layers count_parameters drift drop_layers freeze freeze_batch_norm get_layer reinitialize replace_head snapshot split_at summarize train_unfrozen unfreeze",
    "tasks": "ImageSplit ImageTask TextSplit TextTask read_image to_tensor",
    "training": "augment evaluate fit param_groups predict_logits predict_proba",
    "transferability": "cka h_score knn_score leep logme rank_agreement",
    "uncertainty": "abstention_curve abstention_score apply_temperature brier ece entropy fit_temperature nll reliability unknown_score",
    "vectors": "WordVectors association compare_neighbours load_vectors random_vectors train_vectors",
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names.split()}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tlhelpers' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
