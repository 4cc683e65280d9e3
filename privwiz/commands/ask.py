"""``privwiz ask``: the wizard in a terminal."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal, NoReturn

import click
from click.core import ParameterSource

from privwiz.commands.conversation import Terminal, converse, counted
from privwiz.commands.options import (
    CLASSIFIERS,
    Command,
    Words,
    check_output,
    classifier_option,
    graph_options,
    items_option,
    language_option,
    prior_option,
    read_items,
    read_prior,
    seed_option,
)
from privwiz.commands.summary import policy_summary
from privwiz.commands.terminal import plain
from privwiz.commands.texts import tell
from privwiz.errors import DataError
from privwiz.files import STANDARD, read_text, writing

if TYPE_CHECKING:
    from privwiz.graphs import EgoNetwork
    from privwiz.policy import Policy
    from privwiz.wizard import Wizard

__all__ = ["ask"]

KINDS = ("audience", "circle", "circles", "item", "friend", "cell")
STRATEGIES = ("expected-error", "uncertainty", "random")


@click.command(cls=Command, short_help="Answer a few screens, get a whole policy.")
@graph_options
@click.option("--user", metavar="ID", help="Whose privacy is set. May be left out where the graph has one user only.")
@items_option
@prior_option
@click.option("--state", metavar="FILE", help="Keep the answers here after every screen; if the file is there, go on from it.")
@click.option("--out", metavar="FILE", help="Write the policy (.json, .csv or .parquet); - is CSV on standard output.")
@language_option
@seed_option
@click.option("--screens", type=click.IntRange(min=0), metavar="N", help="Stop after N screens.")
@click.option("--kinds", type=Words(KINDS), help=f"Ask only such screens: {', '.join(KINDS)}.  [default: all but cell]")
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default=STRATEGIES[0],
    show_default=True,
    help="How the next screen is chosen; the others are there to compare with.",
)
@classifier_option
@click.pass_context
def ask(  # noqa: PLR0913, PLR0917 - click hands over every option
    ctx: click.Context,
    graph: str,
    profiles: str | None,
    user: str | None,
    items: str | None,
    prior: str | None,
    state: str | None,
    out: str | None,
    language: str,
    seed: int,
    screens: int | None,
    kinds: tuple[str, ...] | None,
    strategy: Literal["expected-error", "uncertainty", "random"],
    classifier: str,
) -> None:
    r"""Answer a few screens, and get a whole policy with reasons.

    Each screen has numbered lines. A line is filled in only where the wizard is sure; "— most?" is a suggestion.

    What can be typed:
      Enter          confirm what is shown (— stays open)
      g              confirm, and take every suggestion too
      2 all 5 none   set lines 2 and 5 and confirm; also 2=all,5=none; 2-4 most
      deny           set all lines and confirm
      3 ?            not sure about line 3
      s u w p q h    skip, undo, why, policy so far, quit, help

    First letters will do where they are clear. Without a terminal, standard input is read, one line per screen; at its end the
    policy is written as it stands.

    Example:
      privwiz ask --graph sample_graphs/town/edges.csv --profiles sample_graphs/town/profiles.csv --user ada \
        --state ada.json --out ada.policy.json
    """
    from privwiz.readers import read_ego_network

    if out is not None:
        check_output(out)
    if state is not None:
        check_output(state, (), standard=False)
    if classifier != CLASSIFIERS[0] and kinds is not None and not {"friend", "cell"}.intersection(kinds):
        raise click.UsageError(f"--classifier {classifier} asks about friends only: name friend or cell among --kinds.")
    terminal = Terminal(language, on_stderr=out == STANDARD)
    network = read_ego_network(graph, user, profiles)
    resumed = state is not None and Path(state).exists()
    if resumed and state is not None:
        wizard = _resume(ctx, network, state)
    else:
        from privwiz.wizard import Wizard

        wizard = Wizard(network, read_items(items), read_prior(prior), seed, classifier=classifier, strategy=strategy)

    def save() -> None:
        if state is not None:
            with writing(state) as file:
                file.write(wizard.to_json().encode())

    save()
    _greet(wizard, terminal, resumed=resumed)
    try:
        converse(wizard, terminal, save, kinds, screens)
    except KeyboardInterrupt:
        terminal.say()
        terminal.tell("interrupted_unsaved" if state is None else "interrupted", state=state)
        raise
    _finish(wizard, terminal, state, out)


def _write_policy(policy: "Policy", out: str, language: str) -> None:
    """Write a policy as its ending says; ``-`` is CSV on standard output."""
    if out == STANDARD or out.lower().endswith(".csv"):
        policy.to_csv(out, language)
    elif out.lower().endswith(".parquet"):
        policy.to_parquet(out, language)
    else:
        with writing(out) as file:
            file.write(policy.to_json(indent=1).encode())


def _resume(ctx: click.Context, network: "EgoNetwork", state: str) -> "Wizard":
    """Restore the wizard; options that contradict what it was begun with are refused."""
    from privwiz.sessions import read_session
    from privwiz.wizard import Wizard

    text, prior = read_text(state), read_prior(ctx.params["prior"])
    items = read_items(ctx.params["items"])
    try:
        session = read_session(text)
        if items is not None and items != session.items:
            _refuse("items", ",".join(item.id for item in session.items))
        _check_same(ctx, {"seed": session.seed, "strategy": session.strategy, "classifier": session.classifier})
        return Wizard.from_json(text, network, prior)
    except DataError as error:
        raise DataError(str(error), source=state) from None


def _check_same(ctx: click.Context, begun: Mapping[str, object]) -> None:
    for name, value in begun.items():
        given = ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if given and ctx.params[name] != value:
            _refuse(name, value)


def _refuse(option: str, begun: object) -> NoReturn:
    raise DataError(f"begun with --{option} {begun}; leave --{option} out, or give another --state")


def _greet(wizard: "Wizard", terminal: Terminal, *, resumed: bool) -> None:
    network, language = wizard.network, terminal.language
    user = plain(network.ego_profile.get("name", (network.ego,))[0])
    if resumed:
        terminal.tell("welcome_back", user=user, screens=counted("screen", wizard.progress().screens, language))
    elif network.n:
        friends, items = counted("friend", network.n, language), counted("thing", len(wizard.items), language)
        terminal.tell("welcome", user=user, friends=friends, items=items)
    else:
        terminal.tell("no_friends", user=user)
    terminal.say()


def _finish(wizard: "Wizard", terminal: Terminal, state: str | None, out: str | None) -> None:
    policy, language = wizard.policy(), terminal.language
    friends, items = counted("friend", len(policy.friends), language), counted("thing", len(policy.items), language)
    screens = counted("screen", wizard.progress().screens, language)
    terminal.say()
    terminal.say(click.style(tell("policy_head", language, items=items, friends=friends, screens=screens), bold=True))
    terminal.say(policy_summary(policy, wizard.circles, language))
    terminal.say()
    terminal.tell("proposal")
    if state is None:
        terminal.tell("unsaved")
    else:
        terminal.tell("saved", state=state)
    if out is None:
        terminal.tell("not_written")
        return
    _write_policy(policy, out, language)
    if out != STANDARD:
        terminal.tell("written", out=out)
    if out.lower().endswith(".json") and policy.friends:
        terminal.tell("look_closer", out=quote(out), friend=plain(quote(policy.friends[0])))
