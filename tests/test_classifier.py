"""Classifiers: the scikit-learn contract, the published wizard's parts, and how few answers they survive."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from privwiz.circles import Circle, Circles, find_circles
from privwiz.classifier import (
    CLASSIC,
    MAX_VALUES,
    PrivacyClassifier,
    check_classifier,
    classic_classifier,
    community_matrix,
    predict_items,
    uncertainty,
)
from privwiz.errors import DataError
from privwiz.graphs import build_ego_network
from privwiz.posterior import LatentModel, Observations, condition, predict, probability
from privwiz.snap import read_snap_ego_network

OTHERS = {
    "plain forest": RandomForestClassifier(n_estimators=5, random_state=0),
    "scaled neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=7)),
    "calibrated": CalibratedClassifierCV(LogisticRegression(), cv=3),
    "gaussian naive bayes": GaussianNB(),
    "own": PrivacyClassifier(),
}
NOTHING = np.zeros((0, 2)), np.zeros((1, 0), np.int8), [0.5]
EVERY = {name: classic_classifier(name, random_state=0) for name in CLASSIC} | OTHERS


@parametrize_with_checks([PrivacyClassifier()])
def test_keeps_the_contract_of_scikit_learn(estimator, check):
    """`PrivacyClassifier` passes every check of scikit-learn's own suite, so that it works in pipelines and searches."""
    check(estimator)


def two_groups(n=12):
    """Two groups of friends that one column tells apart, and a column that says nothing."""
    group = np.arange(n) % 2
    return np.column_stack([group, np.ones(n)]).astype(float), group


class TestClassicClassifier:
    """The base learners of the published wizard."""

    @pytest.mark.parametrize("name", CLASSIC)
    def test_learns_what_one_column_says(self, name):
        """Each learner finds a rule that a single community explains."""
        x, group = two_groups()
        model = classic_classifier(name, random_state=0).fit(x, group)
        assert (model.predict(x) == group).all()
        assert ((model.predict_proba(x)[:, 1] > 0.5) == group).all()

    @pytest.mark.parametrize("name", CLASSIC)
    def test_probabilities_are_never_certain_and_survive_a_clone(self, name):
        """Rows sum to one, nothing is 0 or 1 (which no number of answers proves), and a clone of it learns the same."""
        x, group = two_groups()
        model = classic_classifier(name, random_state=0)
        found = model.fit(x, group).predict_proba(x)
        assert found.sum(axis=1) == pytest.approx(1)
        assert ((found > 0) & (found < 1)).all()
        np.testing.assert_array_equal(clone(model).fit(x, group).predict_proba(x), found)

    def test_leaves_of_the_tree_are_smoothed(self):
        """A leaf with a answers of allow among n says (a + 1) / (n + 2)."""
        x, y = np.array([[0.0], [0.0], [0.0], [1.0], [1.0]]), ["allow", "allow", "deny", "deny", "deny"]
        model = classic_classifier("tree", random_state=0).fit(x, y)
        assert model.predict_proba([[0.0], [1.0]])[:, 0] == pytest.approx([3 / 5, 1 / 4])

    def test_neighbours_are_smoothed(self):
        """Among k neighbours, a votes of allow say (a + 1) / (k + 2)."""
        x = np.array([[0.0]] * 5 + [[1.0]] * 5)
        model = classic_classifier("knn").fit(x, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
        assert model.predict_proba([[0.0], [1.0]])[:, 1] == pytest.approx([5 / 7, 1 / 7])

    def test_the_forest_is_smoothed(self):
        """A forest that learnt m answers says (m share + 1) / (m + 2), where share is what the plain forest says."""
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 2, (20, 6)).astype(float), rng.integers(0, 2, 20)
        share = RandomForestClassifier(n_estimators=100, random_state=3).fit(x, y).predict_proba(x)
        found = classic_classifier("forest", random_state=3).fit(x, y).predict_proba(x)
        np.testing.assert_allclose(found, (20 * share + 1) / 22, rtol=1e-12)

    def test_the_tree_splits_by_entropy_without_limit(self):
        """The tree is that of scikit-learn with entropy, fully grown: the published wizard's."""
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 2, (40, 6)).astype(float), rng.integers(0, 2, 40)
        plain = DecisionTreeClassifier(criterion="entropy", random_state=3).fit(x, y)
        np.testing.assert_array_equal(classic_classifier("tree", random_state=3).fit(x, y).apply(x), plain.apply(x))

    def test_an_unknown_name_is_answered_with_the_known_ones(self):
        """The error lists what there is."""
        message = (
            "there is no classifier 'svm'; choose one of tree, logistic, naive-bayes, knn, forest, "
            "or give a scikit-learn classifier"
        )
        with pytest.raises(DataError, match=f"^{message}$"):
            classic_classifier("svm")


class TestCommunityMatrix:
    """The features of the published wizard."""

    def test_columns_are_nested_circles_then_frequent_values(self):
        """Circles of every level with distinct members, then values that some but not all have, most frequent first."""
        network = build_ego_network(
            "me",
            "abcdef",
            [],
            {
                "a": {"school": "PKU", "town": "Rome"},
                "b": {"school": "PKU", "town": "Rome"},
                "c": {"school": "PKU", "town": "Oslo"},
                "d": {"school": ["THU", "MIT"], "town": "Oslo"},
            },
        )
        circles = Circles(
            resolutions=(1.0, 2.0),
            friends=network.friends,
            labels=np.array([[0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1]], np.int32),
            circles=(
                Circle("c1", 0, tuple("abcdef"), "", ""),
                Circle("c2", 1, tuple("abc"), "", ""),
                Circle("c3", 1, tuple("def"), "", ""),
            ),
        )
        names, values = community_matrix(network, circles)
        assert names == ("c1", "c2", "c3", "school=PKU", "town=Oslo", "town=Rome")
        assert values.T.tolist() == [
            [1, 1, 1, 1, 1, 1],
            [1, 1, 1, 0, 0, 0],
            [0, 0, 0, 1, 1, 1],
            [1, 1, 1, 0, 0, 0],
            [0, 0, 1, 1, 0, 0],
            [1, 1, 0, 0, 0, 0],
        ]

    def test_at_most_sixty_values(self):
        """Rare values are left out where there are many."""
        profiles = {f"f{k:03}": {"job": f"j{k // 2}", "town": f"t{k // 3}"} for k in range(300)}
        network = build_ego_network("me", profiles, [], profiles)
        names, values = community_matrix(network, find_circles(network))
        assert len(names) == MAX_VALUES == 60
        assert (values.sum(axis=0) == 3).all()

    def test_nobody_and_nothing_known(self):
        """Without friends, or with friends of whom nothing is known, there are rows and no columns."""
        for friends in ([], ["a", "b"]):
            network = build_ego_network("me", friends, [])
            names, values = community_matrix(network, find_circles(network))
            assert names == ()
            assert values.shape == (len(friends), 0)

    def test_circles_of_other_friends_are_refused(self):
        """Circles that were found before a friend came are an error, not a shifted table."""
        network = build_ego_network("me", ["a", "b"], [])
        circles = find_circles(network)
        message = "these circles are of other friends; find the circles of this network first"
        with pytest.raises(DataError, match=f"^{message}$"):
            community_matrix(network.with_friend("c"), circles)


class TestPredictItems:
    """One clone per item, for any classifier and any answers."""

    def test_without_answers_the_prior_rate(self):
        """Before the first answer an item is as likely as it is for everybody."""
        x, _ = two_groups()
        found = predict_items(EVERY["tree"], x, np.zeros((2, len(x)), np.int8), [0.25, 0.75])
        assert (found == np.array([[0.25], [0.75]])).all()

    @pytest.mark.parametrize(("answer", "expected"), [(1, 4 / 5), (-1, 1 / 5)])
    def test_answers_that_agree_are_smoothed(self, answer, expected):
        """Three equal answers say (3 + 1) / (3 + 2) or (0 + 1) / (3 + 2), of everybody."""
        x, _ = two_groups()
        labels = np.zeros((1, len(x)), np.int8)
        labels[0, :3] = answer
        assert predict_items(EVERY["tree"], x, labels, [0.5]) == pytest.approx(expected)

    @pytest.mark.parametrize("name", EVERY)
    def test_every_classifier_learns_each_item_by_itself(self, name):
        """Where answers suffice, each item follows its own answers: here the second is the opposite of the first."""
        x, group = two_groups(24)
        labels = np.zeros((2, 24), np.int8)
        labels[:, :16] = np.array([[1], [-1]]) * (2 * group - 1)[:16]
        found = predict_items(EVERY[name], x, labels, [0.5, 0.5])
        assert ((found[0] > 0.5) == (group == 1)).all()
        assert ((found[1] > 0.5) == (group == 0)).all()

    @pytest.mark.parametrize("name", EVERY)
    @given(data=st.data())
    @settings(max_examples=15)
    def test_no_answers_are_too_few(self, name, data):
        """Whatever is answered, the result is a probability for every friend, and nothing is raised."""
        n, d = data.draw(st.integers(0, 7)), data.draw(st.integers(0, 3))
        x = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n * d, max_size=n * d)), float).reshape(n, d)
        row = st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=n, max_size=n)
        labels = np.array([data.draw(row), data.draw(row)], np.int8).reshape(2, n)
        found = predict_items(EVERY[name], x, labels, [0.3, 0.6])
        assert found.shape == labels.shape
        assert ((found >= 0) & (found <= 1)).all()

    def test_not_sure_is_not_an_answer(self):
        """A label other than 1 and -1 is the same as none."""
        x, group = two_groups()
        labels = np.where(np.arange(len(x)) < 6, 2 * group - 1, 0)[None]
        unsure = np.where(np.arange(len(x)) < 9, labels, 2)
        np.testing.assert_array_equal(
            predict_items(EVERY["tree"], x, unsure, [0.5]), predict_items(EVERY["tree"], x, labels, [0.5])
        )

    def test_the_classifier_itself_is_left_untouched(self):
        """Only clones are fitted, and a lowered number of neighbours is theirs alone."""
        model = KNeighborsClassifier(n_neighbors=7)
        predict_items(model, np.eye(4), np.array([[1, -1, 0, 0]]), [0.5])
        assert model.n_neighbors == 7
        assert not hasattr(model, "classes_")

    def test_shapes_that_do_not_fit_are_refused(self):
        """The error says which shape the others ask for."""
        message = r"labels have shape \(1, 3\); 2 prior rates and 4 rows need \(2, 4\)"
        with pytest.raises(DataError, match=f"^{message}$"):
            predict_items(EVERY["tree"], np.eye(4), np.zeros((1, 3), np.int8), [0.5, 0.5])

    @pytest.mark.parametrize("use", [check_classifier, lambda classifier: predict_items(classifier, *NOTHING)])
    @pytest.mark.parametrize(
        ("classifier", "message"),
        [
            (RidgeClassifier(), r"RidgeClassifier\(\) has no predict_proba"),
            (LinearRegression(), r"LinearRegression\(\) has no predict_proba"),
            (StandardScaler(), r"StandardScaler\(\) has no predict_proba"),
            ("tree", "'tree' has no get_params"),
            (LogisticRegression, r"LogisticRegression is a class; give an instance, such as LogisticRegression\(\)"),
        ],
    )
    def test_what_is_no_classifier_with_probabilities_is_refused(self, use, classifier, message):
        """The error says what is missing and what would do."""
        with pytest.raises(DataError, match=f"^{message}"):
            use(classifier)

    @pytest.mark.parametrize(
        "classifier", [LogisticRegression(C=-1), PrivacyClassifier(level=-1), make_pipeline(GaussianNB(priors=3))]
    )
    def test_parameters_that_cannot_be_are_found_before_the_first_answer(self, classifier):
        """A classifier that could never be fitted is refused by the check, instead of taken for one with too few answers."""
        with pytest.raises(DataError, match=r"cannot learn from a plain table \(.*\); correct its parameters$"):
            check_classifier(classifier)

    @pytest.mark.parametrize("name", EVERY)
    def test_every_usable_classifier_passes_the_check(self, name):
        """The check refuses none of those that work, and leaves them untouched."""
        check_classifier(EVERY[name])
        assert not hasattr(EVERY[name], "classes_")

    def test_the_published_wizard_on_a_real_network(self, ego_facebook):
        """Tree, communities and uncertainty sampling learn a circle of a real network in 25 answers, better than its rate."""
        network = read_snap_ego_network(ego_facebook, "3980")
        names, x = community_matrix(network, find_circles(network))
        truth = x[:, [name.startswith("c") for name in names].index(True)] > 0
        labels = np.zeros((1, network.n), np.int8)
        for _ in range(25):
            found = predict_items(classic_classifier("tree", random_state=0), x, labels, [0.5])
            friend = uncertainty(found, labels != 0).argmax()
            labels[0, friend] = 1 if truth[friend] else -1
        found = predict_items(classic_classifier("tree", random_state=0), x, labels, [0.5])
        assert np.mean((found[0] > 0.5) == truth) > max(truth.mean(), 1 - truth.mean())


class TestUncertainty:
    """Which cell to ask about, by Lewis and Gale."""

    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
    @settings(max_examples=50)
    def test_the_best_is_the_open_cell_nearest_to_a_half(self, cells):
        """The largest score belongs to an open cell to which no open cell is nearer to one half."""
        probabilities, asked = np.array([[p for p, _ in cells]]), np.array([[done for _, done in cells]])
        scores = uncertainty(probabilities, asked)
        assert np.isneginf(scores[asked]).all()
        if not asked.all():
            distance = np.abs(probabilities - 0.5)
            assert distance.flat[scores.argmax()] == pytest.approx(distance[~asked].min())


class TestPrivacyClassifier:
    """The Gaussian process as an estimator."""

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=20)
    def test_agrees_with_the_posterior_over_all_rows(self, seed):
        """Predicting new rows equals conditioning one model in which they are rows without an answer."""
        rng = np.random.default_rng(seed)
        x, new, y = rng.normal(size=(9, 3)), rng.normal(size=(4, 3)), rng.integers(0, 2, 9)
        model = PrivacyClassifier(level=2, linear=1.5, smooth=0.7, independent=0.3, length_scale=2, classes=(0, 1))
        rows = np.concatenate([new, x])
        squared = ((rows[:, None] - rows) ** 2).sum(-1)
        covariance = 2 + 1.5 * rows @ rows.T / 3 + 0.7 * np.exp(-squared / (2 * 3 * 2**2)) + 0.3 * np.eye(13)
        joint = LatentModel(np.zeros((1, 13)), np.zeros((13, 13)), covariance)
        answers = Observations(np.arange(4, 13), np.zeros(9, int), y.astype(float), np.zeros(9), np.ones(9))
        mean, variance = predict(joint, condition(joint, answers), np.arange(4))
        expected = probability(mean[0], variance[0])
        np.testing.assert_allclose(model.fit(x, y).predict_proba(new)[:, 1], expected, rtol=1e-9)

    def test_one_class_is_enough_if_both_are_named(self):
        """Five times "allow" makes allow likely near the answers, and nothing certain anywhere."""
        model = PrivacyClassifier(classes=("deny", "allow")).fit(np.ones((5, 2)), ["allow"] * 5)
        near, far = model.predict_proba([[1.0, 1.0], [-9.0, 9.0]])[:, 1]
        assert list(model.classes_) == ["deny", "allow"]
        assert 0.5 < far < near < 1

    def test_one_class_alone_says_what_to_do(self):
        """Without names of both classes the error says how to give them."""
        message = (
            r"Only binary classification is supported; y has 1 class\(es\)\. "
            "Name both in `classes` if the rows may hold one class only"
        )
        with pytest.raises(DataError, match=f"^{message}$"):
            PrivacyClassifier().fit([[0.0], [1.0]], ["allow", "allow"])

    def test_a_class_that_was_not_named_is_refused(self):
        """A third label is an error that shows it."""
        with pytest.raises(DataError, match=r"^y holds 'maybe'; the classes are \['deny', 'allow'\]$"):
            PrivacyClassifier(classes=("deny", "allow")).fit([[0.0]], ["maybe"])

    @pytest.mark.parametrize(
        ("parameter", "value", "message"),
        [
            ("level", -1.0, "level is -1.0; it must be a finite number from 0 up"),
            ("smooth", float("nan"), "smooth is nan; it must be a finite number from 0 up"),
            ("linear", float("inf"), "linear is inf; it must be a finite number from 0 up"),
            ("length_scale", 0.0, "length_scale is 0; it must be positive"),
        ],
    )
    def test_hyper_parameters_that_cannot_be_are_refused(self, parameter, value, message):
        """Fit names the hyper-parameter, its value and its range."""
        with pytest.raises(DataError, match=f"^{message}$"):
            PrivacyClassifier(**{parameter: value}).fit([[0.0], [1.0]], [0, 1])

    def test_without_any_variance_it_stays_at_a_half(self):
        """A prior that is certain of an even chance cannot be moved by answers."""
        model = PrivacyClassifier(level=0, linear=0, smooth=0, independent=0).fit([[0.0], [1.0]], [0, 1])
        assert model.predict_proba([[1.0]]).tolist() == [[0.5, 0.5]]
