"""The names of the course, and the room of each: read when a name is asked for."""

__version__: str

from .errors import (
    CourseError as CourseError,
)
from .machine import (
    side_by_side as side_by_side,
)
from .tasks import (
    read_image as read_image,
    to_tensor as to_tensor,
)
from .own_data import (
    from_csv as from_csv,
    from_folder as from_folder,
)
from .datasets import (
    load_drawings as load_drawings,
    load_flowers as load_flowers,
    load_mail as load_mail,
    load_pets as load_pets,
    load_reviews as load_reviews,
)
from .sources import (
    SourceModel as SourceModel,
    load_source as load_source,
    small_cnn as small_cnn,
)
from .surgery import (
    count_parameters as count_parameters,
    drift as drift,
    freeze as freeze,
    freeze_batch_norm as freeze_batch_norm,
    reinitialize as reinitialize,
    replace_head as replace_head,
    snapshot as snapshot,
)
from .training import (
    augment as augment,
    evaluate as evaluate,
    fit as fit,
    param_groups as param_groups,
    predict_logits as predict_logits,
    predict_proba as predict_proba,
)
from .features import (
    FeatureExtractor as FeatureExtractor,
    extract_features as extract_features,
    grad_cam as grad_cam,
)
from .heads import (
    BayesianLogistic as BayesianLogistic,
    CommonScaler as CommonScaler,
    FineTuned as FineTuned,
    GaussianProcess as GaussianProcess,
)
from .compression import (
    distill as distill,
    distillation_loss as distillation_loss,
    export_onnx as export_onnx,
)
from .vectors import (
    average_vectors as average_vectors,
    load_vectors as load_vectors,
)
from .language import (
    classify as classify,
    continue_text as continue_text,
    load_language_model as load_language_model,
    match_vocabulary as match_vocabulary,
    slanted_triangular as slanted_triangular,
    text_features as text_features,
    text_loaders as text_loaders,
    tokenize as tokenize,
    train_classifier as train_classifier,
)
from .bert import (
    BertClassifier as BertClassifier,
    WordPieceCNN as WordPieceCNN,
    load_bert as load_bert,
    tune_bert as tune_bert,
)
from .uncertainty import (
    abstention_curve as abstention_curve,
    apply_temperature as apply_temperature,
    ece as ece,
    fit_temperature as fit_temperature,
    reliability as reliability,
)
from .transferability import (
    cka as cka,
    h_score as h_score,
    knn_score as knn_score,
    leep as leep,
    logme as logme,
    rank_agreement as rank_agreement,
)
from .duplicates import (
    most_alike as most_alike,
    near_duplicates as near_duplicates,
)
from .plots import (
    describe as describe,
    explore_predictions as explore_predictions,
    mean_sd as mean_sd,
    plot_answers as plot_answers,
    plot_curves as plot_curves,
    plot_heat as plot_heat,
    plot_images as plot_images,
    plot_matrix as plot_matrix,
    plot_points as plot_points,
    plot_scores as plot_scores,
)
from .course.session import (
    start as start,
)
from .course.check import (
    check as check,
)
from .course.doctor import (
    check_machine as check_machine,
)
