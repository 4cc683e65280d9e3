"""Classifiers: the published wizard's, to compare with, and a scikit-learn estimator over this library's own model."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from privwiz.circles import Circles
from privwiz.errors import DataError
from privwiz.graphs import EgoNetwork
from privwiz.posterior import LatentModel, Observations, condition, probability
from privwiz.predictor import ItemPredictor, Known, Prediction

__all__ = [
    "CLASSIC",
    "PrivacyClassifier",
    "check_classifier",
    "classic_classifier",
    "community_matrix",
    "item_predictor",
    "predict_items",
    "uncertainty",
]

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]

MAX_VALUES = 60
"""How many profile values `community_matrix` has at most."""


class _SmoothedTree(DecisionTreeClassifier):
    """A decision tree whose leaves give (allow + 1) / (answers + 2), so that one answer is not certainty."""

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        leaf = self.apply(X)
        count = self.tree_.value[leaf, 0] * self.tree_.weighted_n_node_samples[leaf, None]
        return _smooth(count)


class _SmoothedNeighbors(KNeighborsClassifier):
    """k nearest neighbours that vote (allow + 1) / (k + 2), for the same reason."""

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        return _smooth(super().predict_proba(X) * self.n_neighbors)


class _SmoothedForest(RandomForestClassifier):
    """A random forest of m answers whose share of allow counts as m answers: (m share + 1) / (m + 2)."""

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        answers = self.estimators_[0].tree_.weighted_n_node_samples[0]
        return _smooth(super().predict_proba(X) * answers)


def _smooth(count: Floats) -> Floats:
    """Laplace's rule of succession, row by row."""
    return np.asarray((count + 1) / (count.sum(axis=1, keepdims=True) + count.shape[1]))


CLASSIC: Mapping[str, Callable[[int | None], Any]] = MappingProxyType(
    {
        "tree": lambda random_state: _SmoothedTree(criterion="entropy", random_state=random_state),
        "logistic": lambda random_state: LogisticRegression(max_iter=1000, random_state=random_state),
        "naive-bayes": lambda _: BernoulliNB(),
        "knn": lambda _: _SmoothedNeighbors(n_neighbors=5),
        "forest": lambda random_state: _SmoothedForest(n_estimators=100, n_jobs=1, random_state=random_state),
    }
)
"""Name -> how to make one, given a seed: the base learners that the published wizard was tried with, and two of today's."""


def classic_classifier(name: str, random_state: int | None = None) -> Any:
    """Return an unfitted scikit-learn classifier by its name in `CLASSIC`.

    ``"tree"``, an entropy tree with smoothed leaves, makes with `community_matrix` and `uncertainty` a wizard in the style of
    DTree-Active: Fang and LeFevre, "Privacy Wizards for Social Networking Sites", WWW 2010,
    https://doi.org/10.1145/1772690.1772727.

    Raises
    ------
    DataError
        If there is no classifier of this name.

    Examples
    --------
    >>> classic_classifier("tree", random_state=0).fit([[0], [1]], ["deny", "allow"]).predict_proba([[1]])
    array([[0.66666667, 0.33333333]])
    """
    if name not in CLASSIC:
        raise DataError(f"there is no classifier {name!r}; choose one of {', '.join(CLASSIC)}, or give a scikit-learn classifier")
    return CLASSIC[name](random_state)


def check_classifier(classifier: object) -> None:
    """Raise `DataError` unless this is a scikit-learn classifier that gives probabilities and learns from a plain table.

    The trial finds parameters that cannot be before the user has answered anything: a clone is fitted to 64 rows of 64 columns.

    Examples
    --------
    >>> check_classifier(classic_classifier("knn"))
    """
    _check_methods(classifier)
    table = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(float)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clone(classifier).fit(table, table[:, 0].astype(int)).predict_proba(table)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"{classifier!r} cannot learn from a plain table ({error}); correct its parameters") from error


def _check_methods(classifier: object) -> None:
    if isinstance(classifier, type):
        raise DataError(f"{classifier.__name__} is a class; give an instance, such as {classifier.__name__}()")
    missing = [name for name in ("get_params", "fit", "predict_proba") if not hasattr(classifier, name)]
    if missing or not is_classifier(classifier):
        lack = f"has no {missing[0]}" if missing else "is not a classifier"
        raise DataError(f"{classifier!r} {lack}; give a scikit-learn classifier with predict_proba, such as LogisticRegression()")


def community_matrix(network: EgoNetwork, circles: Circles) -> tuple[tuple[str, ...], Floats]:
    """Return the published wizard's features: which communities a friend is in, at every level, and its profile values.

    Columns are particular to this user; nothing about them may be learnt across users (see `privwiz.features` for what may).

    Returns
    -------
    names : tuple of str, length d
        Ids of circles with distinct members, then ``"field=value"`` for the `MAX_VALUES` most frequent profile values that at
        least two friends have, but not all.
    values : float64 array of shape (n, d)
        0 or 1.

    Raises
    ------
    DataError
        If the circles are of other friends.

    References
    ----------
    L. Fang, K. LeFevre, "Privacy Wizards for Social Networking Sites", WWW 2010 (nested communities as binary features).
    """
    if circles.friends != network.friends:
        raise DataError("these circles are of other friends; find the circles of this network first")
    position = {friend: i for i, friend in enumerate(network.friends)}
    rows = {circle.id: [position[friend] for friend in circle.members] for circle in circles.distinct()}
    holders: dict[str, list[int]] = {}
    for friend, i in position.items():
        for field, values in network.profiles[friend].items():
            for value in values:
                holders.setdefault(f"{field}={value}", []).append(i)
    frequent = Counter({name: len(holder) for name, holder in sorted(holders.items()) if 1 < len(holder) < network.n})
    rows |= {name: holders[name] for name, _ in frequent.most_common(MAX_VALUES)}
    matrix = np.zeros((network.n, len(rows)))
    for column, members in enumerate(rows.values()):
        matrix[members, column] = 1
    return tuple(rows), matrix


def predict_items(classifier: Any, X: Floats, labels: Labels, prior_rate: Sequence[float] | Floats) -> Floats:
    """Fit one clone of a classifier per item on the labelled friends, and predict every friend.

    Parameters
    ----------
    classifier : scikit-learn classifier
        With ``predict_proba``, as `check_classifier` wants it; itself left untouched. Integer parameters named ``n_neighbors``,
        also of a step of a pipeline, are lowered to the number of labelled friends.
    X : float array of shape (n, d)
        One row per friend, such as `community_matrix`.
    labels : int array of shape (J, n)
        1 allow, -1 deny; anything else is not known.
    prior_rate : float array of shape (J,)
        The share that is allowed of each item before any answer.

    Returns
    -------
    float64 array of shape (J, n)
        Probability of allow. Without answers the prior rate; where all answers agree, or are too few for this classifier (it
        raises `ValueError` or predicts something that is not a number), (allow + 1) / (answers + 2).

    Raises
    ------
    DataError
        If this is no classifier with ``predict_proba``, or the shapes do not fit.

    Examples
    --------
    >>> labels = np.array([[1, -1, 0, 0], [0, 0, 0, 0], [0, 0, 0, -1]])
    >>> predict_items(classic_classifier("tree"), np.array([[0.0], [1.0], [0.0], [1.0]]), labels, [0.5, 0.7, 0.5]).round(2)
    array([[0.67, 0.33, 0.67, 0.33],
           [0.7 , 0.7 , 0.7 , 0.7 ],
           [0.33, 0.33, 0.33, 0.33]])
    """
    _check_methods(classifier)
    rate = np.asarray(prior_rate, dtype=float)
    if labels.shape != (len(rate), len(X)):
        raise DataError(f"labels have shape {labels.shape}; {len(rate)} prior rates and {len(X)} rows need {(len(rate), len(X))}")
    predicted = np.empty(labels.shape)
    for item, row in enumerate(labels):
        known = np.flatnonzero(np.abs(row) == 1)
        allow = row[known] == 1
        if not known.size:
            predicted[item] = rate[item]
            continue
        predicted[item] = (allow.sum() + 1) / (known.size + 2)
        if 0 < allow.sum() < known.size:
            fitted = _predict(classifier, X, known, allow)
            if fitted is not None:
                predicted[item] = fitted
    return predicted


def item_predictor(classifier: Any) -> ItemPredictor:
    """Return the predictor that learns each item by a clone of this scikit-learn classifier, as `predict_items` does."""
    return partial(_predict_known, classifier)


def _predict_known(classifier: Any, known: Known) -> Prediction:
    return Prediction(predict_items(classifier, known.table, known.stated, known.prior_rate))


def _predict(classifier: Any, X: Floats, known: npt.NDArray[np.intp], allow: npt.NDArray[np.bool_]) -> Floats | None:
    """Return the probabilities of allow, or None if these answers are too few for the classifier."""
    model = clone(classifier)
    neighbors = {
        name: known.size
        for name, value in model.get_params().items()
        if name.rpartition("__")[2] == "n_neighbors" and isinstance(value, int) and value > known.size
    }
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            model.set_params(**neighbors).fit(X[known], allow.astype(int))
            predicted = np.asarray(model.predict_proba(X)[:, 1], dtype=float)
    except ValueError:
        return None
    return predicted if np.isfinite(predicted).all() else None


def uncertainty(probabilities: Floats, asked: npt.NDArray[np.bool_]) -> Floats:
    """Score every cell by how close its probability is to a half: uncertainty sampling asks for the largest.

    Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994, section 3, https://arxiv.org/abs/cmp-lg/9407020.

    Parameters
    ----------
    probabilities : float array of shape (J, n)
    asked : bool array of shape (J, n)
        Cells that must not be asked (again).

    Returns
    -------
    float64 array of shape (J, n)
        From 0 (certain) to 0.5; minus infinity where asked.

    Examples
    --------
    >>> uncertainty(np.array([[0.9, 0.4, 0.5]]), np.array([[False, False, True]])).round(2)
    array([[ 0.1,  0.4, -inf]])
    """
    return np.where(asked, -np.inf, np.minimum(probabilities, 1 - probabilities))


class PrivacyClassifier(ClassifierMixin, BaseEstimator):
    """Binary Gaussian process classifier by the mathematics of `privwiz.posterior`, for any table of features.

    The latent of a row has mean zero, and two rows x and y of d features have the covariance

        level + linear x'y / d + smooth exp(-|x - y|^2 / (2 d length_scale^2)) + independent [x is y]

    (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 4.2; divided by d, so that the defaults suit
    any number of standardised features). The covariance is dense: use it for up to a few thousand rows.

    Parameters
    ----------
    level, linear, smooth, independent : float, default 8, 3, 3, 0.03
        Variances of the constant, of the linear part, of the smooth part and of each row by itself.
    length_scale : float, default 1
        Distance, per root of the number of features, over which the smooth part changes.
    classes : sequence of two labels, optional
        The negative and the positive class. Give them where the rows may hold one class only; otherwise they are learnt.

    Attributes
    ----------
    classes_ : array of shape (2,)
    n_features_in_ : int

    Examples
    --------
    >>> model = PrivacyClassifier(classes=("deny", "allow")).fit([[0.0, 1.0]], ["allow"])
    >>> model.predict([[0.0, 1.1]])
    array(['allow'], dtype='<U5')
    """

    def __init__(
        self,
        *,
        level: float = 8.0,
        linear: float = 3.0,
        smooth: float = 3.0,
        independent: float = 0.03,
        length_scale: float = 1.0,
        classes: Sequence[object] | None = None,
    ) -> None:
        self.level = level
        self.linear = linear
        self.smooth = smooth
        self.independent = independent
        self.length_scale = length_scale
        self.classes = classes

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> "PrivacyClassifier":
        """Condition on labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Raises
        ------
        DataError
            If y holds a class that is not one of two, or fewer than two that `classes` does not name, or if a hyper-parameter
            is negative or not finite.
        """
        rows, target = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(target)
        self._check_parameters()
        self.classes_ = np.unique(target) if self.classes is None else np.asarray(self.classes)
        if len(self.classes_) != 2:
            raise DataError(
                f"Only binary classification is supported; y has {len(self.classes_)} class(es). "
                "Name both in `classes` if the rows may hold one class only"
            )
        unknown = np.setdiff1d(target, self.classes_)
        if unknown.size:
            raise DataError(f"y holds {unknown.tolist()[0]!r}; the classes are {self.classes_.tolist()}")
        n = len(rows)
        covariance = self._kernel(rows, rows) + self.independent * np.eye(n)
        model = LatentModel(mean=np.zeros((1, n)), shared=np.zeros((n, n)), specific=covariance)
        yes = (target == self.classes_[1]).astype(float)
        answers = Observations(np.arange(n), np.zeros(n, np.intp), yes, variance=np.zeros(n), slope=np.ones(n))
        self._rows, self._posterior = rows, condition(model, answers)
        return self

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return the probabilities of the two classes, in the order of ``classes_``, shape (n_samples, 2)."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        cross = self._kernel(self._rows, rows)
        explained = solve_triangular(self._posterior.cholesky, self._posterior.root[:, None] * cross, lower=True)
        variance = self._variance(rows) - np.square(explained).sum(axis=0)
        positive = probability(cross.T @ self._posterior.dual, np.maximum(variance, 0))
        return np.column_stack([1 - positive, positive])

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the more probable class of each row, shape (n_samples,)."""
        positive = self.predict_proba(X)[:, 1] > 0.5
        predicted: npt.NDArray[Any] = self.classes_[positive.astype(int)]
        return predicted

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _check_parameters(self) -> None:
        for name in ("level", "linear", "smooth", "independent", "length_scale"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise DataError(f"{name} is {value!r}; it must be a finite number from 0 up")
        if self.length_scale == 0:
            raise DataError("length_scale is 0; it must be positive")

    def _kernel(self, X: Floats, Y: Floats) -> Floats:
        d = X.shape[1]
        distance = cdist(X, Y, "sqeuclidean") / (2 * d * self.length_scale**2)
        return np.asarray(self.level + self.linear / d * (X @ Y.T) + self.smooth * np.exp(-distance))

    def _variance(self, X: Floats) -> Floats:
        linear = self.linear / X.shape[1] * np.square(X).sum(axis=1)
        return np.asarray(self.level + linear + self.smooth + self.independent)
