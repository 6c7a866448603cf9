"""Recipes: what a manifest records of options that nobody gave, and what earlier manifests meant."""

from pathlib import Path

import pytest

from mbexport.commands.build import command, task
from mbexport.commands.recipe import context_of, recipe_of, with_earlier_defaults, with_recipe
from mbexport.errors import DataError
from mbexport.pipeline.usual import DIGITS
from mbexport.provenance.manifest import Recipe


def recorded(*typed: str) -> dict[str, object]:
    """The options that the manifest of a build with these arguments records."""
    context = command.make_context("build", list(typed))
    plan = with_recipe(task(context.params).plan_of(None), recipe_of(context))
    assert isinstance(plan.recipe, Recipe)
    return dict(plan.recipe.options)


def test_defaults_that_depend_on_the_data_are_recorded_with_their_values():
    """A later version may have others; what a manifest asks for must stay the same."""
    options = recorded("--alpha", "0.25")
    taken = (options["resolution"], options["epochs"], options["qat-epochs"])
    assert taken == (DIGITS.resolution_px, DIGITS.epochs, DIGITS.qat_epochs)


def test_options_that_were_given_are_recorded_as_they_were_given():
    options = recorded("--rho", "0.142857", "--epochs", "3", "--qat-steps", "5")
    assert (options["rho"], options["resolution"]) == (0.142857, None)
    assert (options["epochs"], options["qat-steps"], options["qat-epochs"]) == (3, 5, None)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({}, (64, 16, 2)),
        ({"resolution": 32, "epochs": 3, "qat-epochs": 0}, (32, 3, 0)),
        ({"rho": 0.5}, (None, 16, 2)),
        ({"weights": "imagenet"}, (64, None, 2)),
        ({"qat-steps": 9}, (64, 16, None)),
        ({"data": "photos"}, (None, None, None)),
    ],
)
def test_manifests_of_version_0_1_mean_its_defaults_for_digits(given, meant):
    nothing = dict.fromkeys(("resolution", "rho", "epochs", "qat-epochs", "qat-steps"))
    recipe = Recipe(command="build", options={**nothing, "data": "digits", "weights": "none", **given}, inputs=())
    options = with_earlier_defaults(recipe)
    assert (options["resolution"], options["epochs"], options["qat-epochs"]) == meant


def test_exports_have_no_such_defaults():
    recipe = Recipe(command="export", options={"data": "digits", "resolution": None}, inputs=())
    assert with_earlier_defaults(recipe) is recipe.options


@pytest.mark.parametrize("name", ["platform", "precision", "keep"])
def test_a_list_that_is_none_is_named_with_its_file(name):
    with pytest.raises(DataError, match=rf"^net/manifest\.json: {name} must be a list, got 'x'$"):
        context_of(command, {name: "x"}, source=Path("net/manifest.json"))
