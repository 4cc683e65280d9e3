"""Train a classifier of handwritten digits on many owners' images, and compare it with one trained on all images in one place.

    python docs/federated_digits.py                       federatedly, on scikit-learn's digits, split among 20 simulated owners
    python docs/federated_digits.py --reptile             with local steps instead of single gradients
    python docs/federated_digits.py --help                everything else

All owners run in this one process, which protects nobody: it shows that training works on sums alone, and what that costs in
accuracy. The model is any Keras model; this one reads 8 x 8 images.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from privwiz.federated.cohort_updates import CohortUpdates
from privwiz.federated.lazy_tensorflow import load_tensorflow
from privwiz.federated.owners import (
    BaseDataOwner,
    BaseModelOwner,
    SumTerms,
    default_cohort_fn,
    default_model_fn,
    evaluate_classifier,
    federate_dataset,
    from_simulated_dataset,
    image_data_pipeline,
    reptile_cohort_fn,
    reptile_model_fn,
    secure_mean,
    secure_reptile,
)
from privwiz.federated.secure import ENGINES

tf = load_tensorflow()
keras = tf.keras


class DataOwner(BaseDataOwner):
    """Holds images that never leave it."""

    @from_simulated_dataset
    def build_data_pipeline(self, dataset: Any) -> Any:
        """Scale the 16 shades of grey."""
        return image_data_pipeline(dataset, largest=16)


class ModelOwner(BaseModelOwner):
    """Averages gradients."""

    def model_fn(self, data_owner: BaseDataOwner) -> Any:
        """Compute one gradient."""
        return default_model_fn(data_owner)

    def cohort_model_fn(self, data_owners: Sequence[BaseDataOwner]) -> Any:
        """Compute the gradients of many owners at once."""
        return default_cohort_fn(data_owners)

    def aggregator_fn(self, updates: CohortUpdates, model: Any) -> Any:
        """Open the mean gradient."""
        del model
        return secure_mean(updates)

    def evaluator_fn(self, model_owner: BaseModelOwner) -> Any:
        """Measure loss and accuracy."""
        return evaluate_classifier(model_owner)

    @from_simulated_dataset
    def build_data_pipeline(self, dataset: Any) -> Any:
        """Scale the 16 shades of grey."""
        return image_data_pipeline(dataset, largest=16)


class ReptileModelOwner(ModelOwner):
    """Averages what some local steps change."""

    def model_fn(self, data_owner: BaseDataOwner, iterations: int = 3) -> Any:
        """Take local steps."""
        return reptile_model_fn(data_owner, iterations)

    def cohort_model_fn(self, data_owners: Sequence[BaseDataOwner], iterations: int = 3) -> Any:
        """Take the local steps of many owners at once."""
        return reptile_cohort_fn(data_owners, iterations)

    def aggregator_fn(self, updates: CohortUpdates, model: Any) -> Any:
        """Open the mean change."""
        del model
        return secure_reptile(updates)


def build_model() -> Any:
    """Build a small convolutional network."""
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10),
        ]
    )


def arguments() -> argparse.Namespace:
    """Read the command line; the options have the names of the TF Encrypted example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--local-tfrecords", nargs="+", metavar="FILE", help="each data owner's own file, instead of splitting the digits")
    add("--validation-tfrecords", metavar="FILE", help="the model owner's file; without it nothing is evaluated")
    add("--num-data-owners", type=int, default=20, metavar="N", help="simulated owners (20)")
    add("--validation-split", type=float, default=0.2, metavar="SHARE", help="of the digits, for the model owner (0.2)")
    add("--rounds", type=int, default=100, metavar="N", help="(100)")
    add("--evaluate-every", type=int, default=10, metavar="N", help="rounds between evaluations; 0 is never (10)")
    add("--learning-rate", type=float, metavar="RATE", help="of the model owner (0.01; 1 with --reptile)")
    add("--local-learning-rate", type=float, default=0.3, metavar="RATE", help="of local steps, with --reptile (0.3)")
    add("--reptile", action="store_true", help="take local steps instead of single gradients")
    add("--local-steps", type=int, default=3, metavar="N", help="with --reptile (3)")
    add("--batch-size", type=int, default=32, metavar="N", help="(32)")
    add("--clip", type=float, default=10.0, metavar="NORM", help="largest L2 norm of an update (10)")
    add("--secure-sum", choices=sorted(ENGINES), default="shares", help="how updates are added (shares)")
    add("--min-cohort", type=int, default=10, metavar="N", help="of fewer owners nothing is opened (10)")
    add("--simulation", action="store_true", help="allow fewer than 10")
    add("--save-path", metavar="PATH", help="where the model is saved: FILE.keras, or a folder for a SavedModel")
    add("--checkpoint", metavar="FOLDER", help="go on from there after an interruption")
    add("--seed", type=int, default=0, metavar="N", help="(0)")
    return parser.parse_args()


def split(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], Any]:
    """Return the files of each data owner by name, and those of the model owner or None."""
    if options.local_tfrecords:
        return {Path(file).stem: file for file in options.local_tfrecords}, options.validation_tfrecords
    digits = load_digits()
    files: dict[str, Any] = dict(
        federate_dataset(
            (digits.images[..., None].astype(np.uint8), digits.target),
            [f"data-owner-{number}" for number in range(options.num_data_owners)],
            folder,
            validation_split=options.validation_split,
            seed=options.seed,
        )
    )
    validation = files.pop("model-owner", None)
    return files, validation


def main() -> None:
    """Train in both ways and print how well each does."""
    options = arguments()
    keras.utils.set_random_seed(options.seed)
    model, loss = build_model(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    print("All owners are simulated in this process: nothing here is protected from anybody.")
    with tempfile.TemporaryDirectory() as folder:
        files, validation = split(options, Path(folder))
        local = keras.optimizers.SGD(options.local_learning_rate)
        data_owners = [DataOwner(name, file, model, loss, local, options.batch_size) for name, file in files.items()]
        kind, optimizer = ModelOwner, keras.optimizers.Adam(options.learning_rate or 0.01)
        params = {}
        if options.reptile:
            kind, optimizer = ReptileModelOwner, keras.optimizers.SGD(options.learning_rate or 1.0)
            params = {"iterations": options.local_steps}
        terms = SumTerms(options.clip, options.secure_sum, options.min_cohort, options.simulation)
        owner = kind("model-owner", validation, model, loss, optimizer, terms=terms)
    began = time.perf_counter()
    history = owner.fit(
        data_owners,
        options.rounds,
        options.evaluate_every if validation else 0,
        seed=options.seed,
        checkpoint=options.checkpoint,
        progress=sys.stdout.isatty(),
        **params,
    )
    seconds = time.perf_counter() - began
    contributors = min((record.contributors for record in history.rounds), default=0)
    print(f"{len(history.rounds)} rounds of at least {contributors} data owners in {seconds:.0f} s")
    if options.save_path:
        owner.save_model(options.save_path)
    if validation:
        print(f"federated accuracy   {evaluate_classifier(owner)['accuracy']:.3f}")
        print(f"centralised accuracy {centralised(data_owners, owner, model, loss, options):.3f}")


def centralised(owners: Sequence[DataOwner], judge: ModelOwner, model: Any, loss: Any, options: argparse.Namespace) -> float:
    """Train the same model on all examples in one place, with as many steps and as many examples in each; return its accuracy."""
    x, y = (np.concatenate([getattr(owner.examples, part) for owner in owners]) for part in ("x", "y"))
    together = min(len(x), options.batch_size * len(owners))
    steps = options.rounds * (options.local_steps if options.reptile else 1)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=options.seed).repeat().batch(together)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)
    predicted = model.predict(judge.validation.x, verbose=0).argmax(axis=1)
    return float(np.mean(predicted == judge.validation.y))


if __name__ == "__main__":
    main()
