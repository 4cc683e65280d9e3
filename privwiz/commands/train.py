"""``privwiz train``: a prior, learnt from the answers of many users through secure sums."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privwiz.commands.answered import Said, answers_by_user, each_cell_once, networks, read_answers
from privwiz.commands.options import Command, check_output, graph_options, note, progress, read_items, read_prior, seed_option
from privwiz.commands.terminal import plain
from privwiz.errors import DataError, GoneAstray, MissingExtra, PrivwizError
from privwiz.words import amount, list_some

if TYPE_CHECKING:
    from privwiz.federated.devices import Device
    from privwiz.federated.training import Training
    from privwiz.federated.training_plan import TrainingPlan
    from privwiz.federated.training_state import TrainingState
    from privwiz.items import ProfileItem
    from privwiz.prior import Prior
    from privwiz.tables import Table

__all__ = ["train"]

ALGORITHMS = ("fedsgd", "fedavg", "reptile", "empirical-bayes")
SECURE_SUMS = ("plain", "shares", "tfe-pond", "tfe-securenn", "tfe-aby3")


_positive = partial(click.FloatRange, min=0, min_open=True)
_count = click.IntRange(min=1)


@click.command(cls=Command, short_help="Learn a prior from many users' answers.")
@graph_options
@click.option(
    "--answers",
    required=True,
    metavar="FILE",
    help="Table user,item,friend,decision (allow, deny or ask); every user in it is a device. - is CSV on standard input.",
)
@click.option(
    "--items",
    metavar="A,B,...|FILE",
    help="Learn about these items only: names separated by commas, or a table (.csv, .parquet) with the column item.  "
    "[default: every item of the answers; with noise, which hides no names, those of the prior to start from]",
)
@click.option("--out", required=True, metavar="FILE", help="The prior (.json), for --prior of the other commands.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default="fedsgd", show_default=True, help="How to learn from sums.")
@click.option(
    "--secure-sum",
    type=click.Choice(SECURE_SUMS),
    default="shares",
    show_default=True,
    help="Who adds up: nobody hides anything (plain), three aggregators with secret shares (shares), or tf-encrypted. Without "
    "noise, all give the same prior.",
)
@click.option("--rounds", type=_count, default=20, show_default=True, metavar="N", help="Learning rounds.")
@click.option(
    "--start",
    metavar="FILE|default",
    help="Begin at this prior, or at the one that comes with privwiz.  [default: at nothing; with noise: default]",
)
@click.option(
    "--learning-rate",
    type=_positive(),
    metavar="X",
    help="Step of the model owner.  [default: 0.3 for fedsgd, else 1]",
)
@click.option(
    "--momentum",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.7,
    show_default=True,
    metavar="X",
    help="How much the model owner goes on in the direction of earlier steps; empirical-bayes does not.",
)
@click.option(
    "--local-learning-rate",
    type=_positive(),
    default=0.1,
    show_default=True,
    metavar="X",
    help="Step of a device (fedavg, reptile).",
)
@click.option("--local-steps", type=_count, default=5, show_default=True, metavar="N", help="Steps of a device in a round.")
@click.option("--batch-size", type=_count, metavar="N", help="Friends in a step of a device.  [default: all]")
@click.option(
    "--clip",
    type=_positive(),
    metavar="X",
    help="Devices shorten what they send to this length (L2).  [default: 8; fedavg 800, empirical-bayes 16]",
)
@click.option(
    "--epsilon",
    type=_positive(),
    metavar="X",
    help="Add as much noise as it takes to give away no more than this about one device, by all rounds together.",
)
@click.option(
    "--delta",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=1e-5,
    show_default=True,
    metavar="X",
    help="Probability with which epsilon may be exceeded: far below one in the number of devices.",
)
@click.option(
    "--noise-multiplier",
    type=click.FloatRange(0),
    metavar="X",
    help="Noise of each aggregator, in lengths of what one device can send, instead of --epsilon.  [default: 0, no noise]",
)
@click.option(
    "--min-cohort", type=_count, default=10, show_default=True, metavar="N", help="A sum of fewer devices is not opened."
)
@click.option(
    "--allow-small-cohorts", is_flag=True, help="For simulations only: admit a --min-cohort below 10, which protects nobody."
)
@click.option(
    "--participation",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    metavar="X",
    help="Probability that a device takes part in a learning round.",
)
@click.option(
    "--validation-split",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="X",
    help="Share of the devices that train nothing; loss is taken and scales and calibration are chosen on them.  "
    "[default: 0.2 if enough devices are left, else 0]",
)
@click.option("--evaluate-every", type=_count, default=5, show_default=True, metavar="N", help="Take the loss every N rounds.")
@click.option(
    "--remote-config",
    metavar="FILE",
    help="Run tf-encrypted on the parties in this file (see `privwiz party`); else all are played in this process.",
)
@click.option(
    "--checkpoint",
    metavar="FILE",
    help="Where the training is kept after every round.  [default: OUT with .checkpoint at its end]",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint, if there is one.")
@click.option("--report", metavar="FILE", help="Also write a page (.html): loss, steps, time of each part, privacy spent.")
@seed_option
def train(  # noqa: PLR0913 - click hands over every option
    *,
    graph: str,
    profiles: str | None,
    answers: str,
    items: str | None,
    out: str,
    secure_sum: str,
    start: str | None,
    epsilon: float | None,
    noise_multiplier: float | None,
    allow_small_cohorts: bool,
    remote_config: str | None,
    checkpoint: str | None,
    resume: bool,
    report: str | None,
    **options: Any,
) -> None:
    r"""Learn a prior from the answers of many users: what a wizard knows before its first question.

    Each user's device computes an update from the user's own answers, shortens it and splits it into shares; only the sum over
    many devices is ever opened. Here all devices are played in this process, to train on answers that are in one place
    already, and to try settings out.

    Noise (--epsilon) hides what the sums say about one device; without it, sums are exact.

    A user whose answers cannot be used is named with the reason, the others train; the exit code is then 1. A training that was
    interrupted goes on with --resume, to the same prior.

    Example:
      privwiz train --graph sample_graphs/town/edges.csv --profiles sample_graphs/town/profiles.csv \
        --answers sample_graphs/town/many_answers.csv --rounds 5 --out prior.json --report training.html
    """
    from privwiz.federated.cluster import Cluster
    from privwiz.federated.devices import digest
    from privwiz.federated.secure import make_engine
    from privwiz.federated.training import Training
    from privwiz.federated.training_plan import TrainingPlan
    from privwiz.federated.training_state import load_checkpoint, save_checkpoint

    if epsilon is not None and noise_multiplier is not None:
        raise click.UsageError("--epsilon and --noise-multiplier both say how much noise there is; give one of them")
    _check_outputs(out, report)
    kept = _checkpoint(checkpoint or f"{out}.checkpoint", resume=resume)
    if secure_sum.startswith("tfe"):
        note("Loading TensorFlow ...")
    engine = make_engine(secure_sum, None if remote_config is None else Cluster.load(remote_config))
    beginning = _start(start, noisy=bool(epsilon or noise_multiplier))
    plan = TrainingPlan(
        **options, simulation=allow_small_cohorts, noise_multiplier=1.0 if epsilon is not None else noise_multiplier or 0.0
    )
    wanted = beginning.items if beginning and plan.noise_multiplier and items is None else items
    chosen, devices, failed = _devices(graph, profiles, read_answers(answers), wanted, plan.seed)
    names = [item.id for item in chosen]
    training = Training(devices, names, plan, engine, beginning)
    if epsilon is not None:
        training = Training(devices, names, training.plan_for(epsilon), engine, beginning)
    data = digest(devices)
    fingerprint = _fingerprint(training.plan, names, data, beginning, secure_sum)
    state = load_checkpoint(kept, fingerprint) if kept.exists() else training.first()
    _introduce(training, secure_sum, remote_config, resumed=len(state.history))
    provenance = {"data": "answers of users, as given to privwiz train", "secure_sum": secure_sum, "privwiz": version("privwiz")}
    if not plan.noise_multiplier:  # who knows all answers but one's could find that one's by trying
        provenance["data_sha256"] = data
    try:
        for after in training.run(state, partial(save_checkpoint, path=kept, fingerprint=fingerprint)):
            state = after
            click.echo(_line(training, state), err=True)
        prior = training.prior(state, provenance)
    except KeyboardInterrupt:
        click.echo(f"Interrupted. The rounds so far are in {kept}; the same command with --resume goes on.", err=True)
        raise
    except GoneAstray as error:
        raise DataError(f"{error}; remove {kept}, which leads here again, and begin anew") from None
    prior.save(out)
    if report is not None:
        from privwiz.federated.training_report import write_report

        write_report(training, state, report)
    with suppress(FileNotFoundError):
        kept.unlink()
    _close(training, state, out, failed, epsilon)


def _check_outputs(out: str, report: str | None) -> None:
    check_output(out, (".json",), standard=False)
    if report is not None:
        check_output(report, (".html",))
        if find_spec("matplotlib") is None:
            raise MissingExtra("a report", "plot")


def _checkpoint(path: str, *, resume: bool) -> Path:
    """Return where the training is kept."""
    check_output(path, (), standard=False)
    try:
        there = Path(path).exists()
    except OSError as error:
        raise DataError(f"{error.strerror}; give another path", source=path) from None
    if there and not resume:
        raise DataError("a checkpoint is there; go on from it with --resume, or remove it to begin anew", source=path)
    return Path(path)


def _start(start: str | None, *, noisy: bool) -> "Prior | None":
    from privwiz.prior import Prior

    return Prior.default() if start == "default" or (start is None and noisy) else read_prior(start)


def _devices(
    graph: str, profiles: str | None, table: "Table", items: str | Sequence[str] | None, seed: int
) -> "tuple[tuple[ProfileItem, ...], list[Device], list[str]]":
    """Make a device of every user whose answers can be used; also return whose could not."""
    from privwiz.federated.devices import device_of
    from privwiz.items import profile_items

    said = answers_by_user(table)
    if not said:
        raise DataError("no answers in it; add rows", source=table.source)
    named = read_items(items) if isinstance(items, str) else None
    answered = tuple(dict.fromkeys(answer.item for given in said.values() for answer in given))
    chosen = named or profile_items(items if isinstance(items, tuple) else answered)
    network_of = networks(graph, profiles)
    devices, failed = [], []
    with progress(list(said), "Preparing devices") as steps:
        for user in steps:
            try:
                devices.append(device_of(network_of, user, chosen, _given(table, said[user]), seed))
            except PrivwizError as error:
                failed.append(user)
                click.echo(f"Error: {plain(str(error))}", err=True)
    return chosen, devices, failed


def _given(table: "Table", said: Sequence[Said]) -> Mapping[tuple[str, str], str]:
    return {(answer.item, answer.friend): answer.decision for answer in each_cell_once(table, said)}


def _fingerprint(plan: "TrainingPlan", items: Sequence[str], data: str, start: "Prior | None", secure_sum: str) -> str:
    begun = None if start is None else hashlib.sha256(start.to_json().encode()).hexdigest()
    return hashlib.sha256(json.dumps([plan.to_dict(), list(items), data, begun, secure_sum]).encode()).hexdigest()


def _introduce(training: "Training", secure_sum: str, remote_config: str | None, *, resumed: int) -> None:
    plan = training.plan
    kinds = ", ".join(f"{number} {step}" for step, number in Counter(training.steps).items())
    click.echo(
        f"{amount(len(training.training), 'device')} to train, {len(training.validation)} held out; "
        f"{amount(len(training.items), 'item')}; {len(training.steps)} rounds of {plan.algorithm} through {secure_sum}: {kinds}.",
        err=True,
    )
    if remote_config is None:
        click.echo("Everything runs in this process: a simulation, which hides nothing from whoever runs it.", err=True)
    else:
        click.echo(
            f"Connecting to the parties in {remote_config}; one that does not answer is waited for, up to a minute.", err=True
        )
    if not training.validation:
        click.echo(
            "Nobody is held out: the loss is that of devices that train, and scales and calibration stay those of the prior "
            f"that {'it starts from' if training.start else 'comes with privwiz'}.",
            err=True,
        )
    if not plan.noise_multiplier:
        click.echo("No noise: the sums are exact, and what they say about one device is not bounded (see --epsilon).", err=True)
    elif plan.participation < 1:
        click.echo(
            "Warning: that devices are drawn does not lower epsilon here: aggregators and model owner see who takes part.",
            err=True,
        )
    devices = len(training.training) + len(training.validation)
    if plan.noise_multiplier and plan.delta * devices >= 1:
        click.echo(
            f"Warning: delta {plan.delta:g} is not below one in {amount(devices, 'device')}; to tell all about one of them would "
            "keep it.",
            err=True,
        )
    if resumed:
        click.echo(f"Going on after round {resumed}.", err=True)


def _line(training: "Training", state: "TrainingState") -> str:
    record = state.history[-1]
    parts = [amount(record.contributors, "device")]
    if record.loss is not None:
        parts.append(f"loss {record.loss:.4f}")
    if record.step == "learn":
        parts.append(f"weights moved by {record.norm:.3f}")
    parts.append(f"{sum(record.seconds.values()):.2f} s")
    spent = training.spent(state)
    if spent is not None:
        parts.append(str(spent))
    number, all_of_them = len(state.history), len(training.steps)
    return f"round {number:>{len(str(all_of_them))}}/{all_of_them} {record.step:<11} {', '.join(parts)}"


def _close(training: "Training", state: "TrainingState", out: str, failed: Sequence[str], epsilon: float | None) -> None:
    spent = training.spent(state)
    if spent is not None and epsilon is not None and spent.epsilon > epsilon:
        click.echo(
            f"Warning: more than epsilon {epsilon:g} was spent, on {amount(state.lost, 'lost round')} that may have been opened.",
            err=True,
        )
    click.echo(f"wrote {out}" + ("" if spent is None else f"; {spent}"), err=True)
    if failed:
        total = len(failed) + len(training.training) + len(training.validation)
        click.echo(f"Error: {len(failed)} of {total} users could not train: {plain(list_some(failed))}", err=True)
        click.get_current_context().exit(1)
