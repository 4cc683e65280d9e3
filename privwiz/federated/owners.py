"""Federated training of any Keras model: a model owner coordinates, data owners compute, and only sums are opened.

What the federated-learning example of TF Encrypted offers, by the same names; docs/tf-encrypted-example.md compares the two. All
owners of a training are objects of one process here: a simulation, which shows that the training works and protects nobody.
"""

import json
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privwiz.errors import DataError, UndefinedModelFnError
from privwiz.federated.cohort_updates import CohortUpdates, MeanUpdate, SumTerms, secure_mean, secure_reptile
from privwiz.federated.data_owner import BaseDataOwner, Broadcast, LocalUpdate, overrides
from privwiz.federated.dataset_split import federate_dataset, random_splitter
from privwiz.federated.lazy_tensorflow import load_keras, load_tensorflow
from privwiz.federated.model_fns import default_cohort_fn, default_model_fn, reptile_cohort_fn, reptile_model_fn
from privwiz.federated.records import (
    LocalExamples,
    from_simulated_dataset,
    image_data_pipeline,
    input_rank,
    load_examples,
    open_records,
    record_files,
    serialize_example,
    write_records,
)
from privwiz.federated.replica import Replica, copy_of_model, copy_of_optimizer, layout_of
from privwiz.federated.training_history import Checkpoint, History, RoundRecord, load_checkpoint, save_checkpoint
from privwiz.files import FilePath

__all__ = [
    "BaseDataOwner",
    "BaseModelOwner",
    "History",
    "SumTerms",
    "UndefinedModelFnError",
    "default_cohort_fn",
    "default_model_fn",
    "evaluate_classifier",
    "federate_dataset",
    "from_simulated_dataset",
    "image_data_pipeline",
    "random_splitter",
    "reptile_cohort_fn",
    "reptile_model_fn",
    "secure_mean",
    "secure_reptile",
    "serialize_example",
    "write_records",
]

_LANES = 64
"""Simulated owners that train at once: enough to keep TensorFlow busy, few enough to hold that many copies of a model."""

_ROWS = 1024
"""Examples that are predicted at once."""


class BaseModelOwner:
    """The model owner, with the hooks ``model_fn``, ``aggregator_fn``, ``evaluator_fn`` and ``build_data_pipeline``.

    Parameters
    ----------
    name : str
    local_tfrecords : path, sequence of paths or None
        TFRecord files to validate with, on the model owner's machine.
    model : keras.Model
        Where training starts; not touched. What is trained is ``self.model``.
    loss : str, keras.Loss or callable
    optimizer : str, keras.Optimizer or None
        That takes what the aggregator returns as gradients; copied. None is gradient descent with rate 0.01.
    terms : SumTerms
        How updates are added up.

    Raises
    ------
    DataError
        If the model cannot be copied, or a file is missing or damaged.
    """

    def __init__(
        self,
        name: str,
        local_tfrecords: FilePath | Sequence[FilePath] | None,
        model: Any,
        loss: Any,
        optimizer: Any = None,
        *,
        terms: SumTerms,
    ) -> None:
        self.name, self.terms = name, terms
        self.model = copy_of_model(model)
        self.loss = load_keras().losses.get(loss)
        self.optimizer = copy_of_optimizer(optimizer)
        self.optimizer.build(self.model.trainable_variables)
        self.layout = layout_of(self.model)
        self._apply = load_tensorflow().function(self._apply_now, autograph=False)
        self.validation: LocalExamples | None = None
        if local_tfrecords is not None:
            records = open_records(record_files(local_tfrecords))
            self.validation = load_examples(self.build_data_pipeline(records), input_rank(model), name)
        self._predict = load_tensorflow().function(
            lambda x: self.model(x, training=False), autograph=False, reduce_retracing=True
        )

    def model_fn(self, data_owner: BaseDataOwner, **params: Any) -> Sequence[npt.ArrayLike]:
        """Hook: compute an update of a data owner that defines no ``model_fn`` itself, an array per trainable variable.

        `default_model_fn` and `reptile_model_fn` are such functions.
        """
        del data_owner, params
        raise UndefinedModelFnError(f"the model owner {self.name!r}", "model_fn")

    def cohort_model_fn(self, data_owners: Sequence[BaseDataOwner], **params: Any) -> Iterator[LocalUpdate]:
        """Hook, optional: do as ``model_fn`` for simulated owners at once, that share a model and have batches of one size.

        `default_cohort_fn` and `reptile_cohort_fn` are such functions.
        """
        del data_owners, params
        raise UndefinedModelFnError(f"the model owner {self.name!r}", "cohort_model_fn")

    def aggregator_fn(self, updates: CohortUpdates, model: Any) -> Sequence[npt.ArrayLike]:
        """Hook: make gradients for the optimizer of the updates of a round, whose mean is all there is to see.

        `secure_mean` and `secure_reptile` do.
        """
        del updates, model
        raise UndefinedModelFnError(f"the model owner {self.name!r}", "aggregator_fn")

    def evaluator_fn(self, model_owner: "BaseModelOwner") -> Mapping[str, float]:
        """Hook: measure ``model_owner.model``, as `evaluate_classifier` does."""
        del model_owner
        raise UndefinedModelFnError(f"the model owner {self.name!r}", "evaluator_fn")

    @from_simulated_dataset
    def build_data_pipeline(self, dataset: Any) -> Any:
        """Hook: make validation data (x, y) of the ``tf.data.Dataset`` of serialised records, as `BaseDataOwner` does."""
        return dataset

    def fit(
        self,
        data_owners: Sequence[BaseDataOwner],
        rounds: int,
        evaluate_every: int = 1,
        *,
        seed: int = 0,
        checkpoint: FilePath | None = None,
        progress: bool = True,
        **model_fn_params: Any,
    ) -> History:
        """Train for some rounds, each with all data owners.

        A round: all weights go to the data owners, each computes an update, the engine adds the clipped updates, the aggregator
        makes gradients of the opened mean, the optimizer takes a step, and the model's statistics move by their mean change.

        Parameters
        ----------
        data_owners : sequence of BaseDataOwner
        rounds : int
            In all, those before the checkpoint included.
        evaluate_every : int
            The evaluator is called before the first round and after every so many; 0 is never.
        seed : int
            Equal seeds give equal weights, unless ``terms`` asks for noise, which nobody may repeat. Another call of `fit` goes
            on from the present weights, with the same batches unless it gets another seed.
        checkpoint : path or None
            A folder. After every round the state of the training is written there; if there is one already, training goes on from
            there, and ends with the weights of an uninterrupted one.
        progress : bool
            Show a bar.
        **model_fn_params
            Given to whatever model function is called.

        Returns
        -------
        History

        Raises
        ------
        UndefinedModelFnError
            Before anything is computed, if a hook that is needed is not defined.
        SumRefused
            If there are too few data owners, or too few that did not drop out.
        DataError
            If names are double, an owner has another model, an update is not finite or has other shapes, or the checkpoint is of
            another training or damaged.
        """
        owners = list(data_owners)
        self._check(owners, rounds, evaluate_every)
        self.terms.plan(0, len(owners), self.layout)
        _share_replicas(owners)
        terms = self._fixed_terms(owners, seed)
        history = self._resume(checkpoint, terms)
        if history is None:
            history = History(self._evaluate() if evaluate_every else None)
        shown = sorted(history.before or ())
        bar = load_keras().utils.Progbar(rounds, verbose=int(progress), stateful_metrics=shown)
        engine = self.terms.make_engine()
        for number in range(len(history.rounds), rounds):
            contributors = self._round(engine, owners, Broadcast(number, self._weights(), seed), model_fn_params)
            due = evaluate_every and (number + 1) % evaluate_every == 0
            record = RoundRecord(number + 1, len(owners), contributors, self._evaluate() if due else None)
            history = History(history.before, (*history.rounds, record))
            if checkpoint is not None:
                optimizer = tuple(variable.numpy() for variable in self.optimizer.variables)
                save_checkpoint(checkpoint, Checkpoint(terms, history, self._weights(), optimizer))
            bar.update(number + 1, list((record.evaluation or {}).items()))
        return history

    def predict(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Predict with the present weights, without training anything."""
        return np.concatenate([self._predict(x[start : start + _ROWS]).numpy() for start in range(0, len(x), _ROWS)])

    def save_model(self, path: FilePath) -> None:
        """Save the model: to a file that Keras loads if the path ends in ``.keras``, else as a SavedModel in a new folder.

        Raises
        ------
        DataError
            If the folder exists already, or cannot be written to.
        """
        target = Path(path)
        try:
            with tempfile.TemporaryDirectory(dir=target.absolute().parent) as folder:
                written = Path(folder, target.name)
                if target.suffix == ".keras":
                    self.model.save(written)
                else:
                    self.model.export(written, verbose=False)
                written.replace(target)
        except OSError as error:
            advice = "name a file in an existing folder that ends in .keras, or a new folder"
            raise DataError(f"{error.strerror or error}; {advice}", source=str(path)) from None

    def _check(self, owners: Sequence[BaseDataOwner], rounds: int, evaluate_every: int) -> None:
        for what, number in (("rounds", rounds), ("evaluate_every", evaluate_every)):
            if not (isinstance(number, int) and number >= 0):
                raise DataError(f"{what} is {number!r}; it must be a whole number from 0 up")
        names = [owner.name for owner in owners]
        if len(set(names)) < len(names):
            raise DataError(f"two data owners are called {max(names, key=names.count)!r}; their names must differ")
        needed = ["aggregator_fn"] + ["evaluator_fn"] * bool(evaluate_every)
        if not all(overrides(owner, BaseDataOwner, "model_fn") for owner in owners):
            needed.append("model_fn")
        for hook in needed:
            if not overrides(self, BaseModelOwner, hook):
                raise UndefinedModelFnError(f"the model owner {self.name!r}", hook)

    def _fixed_terms(self, owners: Sequence[BaseDataOwner], seed: int) -> dict[str, Any]:
        """What a training must not change when it goes on; engines may change, as they all open the same sum."""
        names = ("clip", "minimum", "simulation", "noise_multiplier", "weight_cap")
        sums = {name: getattr(self.terms, name) for name in names}
        for owner in owners:
            if owner.replica.layout != self.layout:
                raise DataError(f"the data owner {owner.name!r} has a model of other weights than the model owner")
        local = {id(owner.replica): owner.optimizer for owner in owners}
        return {
            "seed": seed,
            "sums": sums,
            "weights": [list(shape) for shape in self.layout.shapes],
            "data owners": [[owner.name, len(owner.examples), owner.batch_size] for owner in owners],
            "optimizer": _settings(self.optimizer),
            "local optimizers": [_settings(optimizer) for optimizer in local.values()],
        }

    def _resume(self, checkpoint: FilePath | None, terms: Mapping[str, Any]) -> History | None:
        found = None if checkpoint is None else load_checkpoint(checkpoint)
        if found is None:
            return None
        different = [name for name in terms if found.terms.get(name) != terms[name]]
        if different:
            raise DataError(
                f"the checkpoint is of a training with other {' and '.join(different)}; begin in another folder",
                source=str(checkpoint),
            )
        self.model.set_weights(found.weights)
        for variable, value in zip(self.optimizer.variables, found.optimizer, strict=True):
            variable.assign(value)
        return found.history

    def _round(self, engine: Any, owners: Sequence[BaseDataOwner], broadcast: Broadcast, params: Mapping[str, Any]) -> int:
        """Play a round; return how many data owners are in it."""
        plan = self.terms.plan(secrets.randbits(64), len(owners), self.layout)
        updates = CohortUpdates(engine, plan, self.layout, self.terms)
        for position, update in self._updates(owners, broadcast, params):
            updates.submit(position, update.trainable, update.state, len(owners[position].examples))
        gradients = self.aggregator_fn(updates, self.model)
        self._step(gradients, updates.opened)
        return updates.opened.count

    def _updates(
        self, owners: Sequence[BaseDataOwner], broadcast: Broadcast, params: Mapping[str, Any]
    ) -> Iterator[tuple[int, LocalUpdate]]:
        """Update of every data owner that does not drop out, with its position: together where that can be, or one by one."""
        at_once = overrides(self, BaseModelOwner, "cohort_model_fn")
        together: dict[tuple[Any, ...], list[int]] = {}
        for position, owner in enumerate(owners):
            try:
                owner.receive(broadcast)
                own = overrides(owner, BaseDataOwner, "model_fn")
                if at_once and not own:
                    together.setdefault((id(owner.replica), *owner.batch_shape), []).append(position)
                    continue
                update = owner.compute(owner.model_fn if own else self.model_fn, params)
            except ConnectionError:
                continue
            yield position, update
        for group in together.values():
            for positions in _chunks(group):
                yield from zip(positions, self.cohort_model_fn([owners[at] for at in positions], **params), strict=True)

    def _step(self, gradients: Sequence[npt.ArrayLike], mean: MeanUpdate) -> None:
        variables = self.model.trainable_variables
        shapes = [np.shape(gradient) for gradient in gradients]
        if shapes != [tuple(variable.shape) for variable in variables]:
            raise DataError(f"the aggregator returned arrays of shapes {shapes}; it must return one per trainable variable")
        self._apply([np.asarray(gradient, np.float64) for gradient in gradients], list(mean.state))

    def _apply_now(self, gradients: Sequence[Any], changes: Sequence[Any]) -> None:
        tf, variables, every = load_tensorflow(), self.model.trainable_variables, self.model.weights
        pairs = zip(gradients, variables, strict=True)
        self.optimizer.apply([tf.cast(gradient, variable.dtype) for gradient, variable in pairs], variables)
        for position, change in zip(self.layout.state, changes, strict=True):
            every[position].assign_add(tf.cast(change, every[position].dtype))

    def _weights(self) -> tuple[npt.NDArray[Any], ...]:
        return tuple(self.model.get_weights())

    def _evaluate(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.evaluator_fn(self).items()}


def evaluate_classifier(model_owner: BaseModelOwner) -> dict[str, float]:
    """Measure mean loss and accuracy over all of the model owner's validation data.

    Labels are class numbers, or rows with one 1.

    Raises
    ------
    DataError
        If the model owner has no validation data, or the model does not give a number per class.
    """
    data = model_owner.validation
    if data is None:
        raise DataError(
            f"the model owner {model_owner.name!r} has no validation data; give it TFRecord files, or evaluate_every=0"
        )
    predicted = model_owner.predict(data.x)
    if predicted.ndim != 2 or predicted.shape[1] < 2:
        raise DataError(f"the model predicts arrays of shape {predicted.shape[1:]}, not a number per class; measure it yourself")
    labels = data.y.reshape(len(data), -1)
    true = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    loss = load_tensorflow().reduce_mean(model_owner.loss(data.y, predicted))
    return {"loss": float(loss), "accuracy": float(np.mean(predicted.argmax(axis=1) == true))}


def _settings(optimizer: Any) -> Any:
    """Settings of an optimizer, as JSON reads them back."""
    settings = {"kind": type(optimizer).__name__, **optimizer.get_config(), "name": None}
    return json.loads(json.dumps(settings, default=str))


def _share_replicas(owners: Sequence[BaseDataOwner]) -> None:
    """Let data owners of one model, loss and optimizer work in one copy: they take turns, and many copies are slow to make."""
    made: dict[tuple[int, ...], Replica] = {}
    for owner in owners:
        key = tuple(id(part) for part in owner.parts)
        made[key] = owner.share(made.get(key))


def _chunks(positions: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut into as few parts of at most `_LANES` as can be, of nearly one size."""
    parts = -(-len(positions) // _LANES)
    size = -(-len(positions) // parts)
    for start in range(0, len(positions), size):
        yield positions[start : start + size]
