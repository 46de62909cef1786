# What is done in this repository, by its names. `just check` is what CI runs.

# `uv run just …` says where its uv is; it need not be on the path.
uv := env("UV", "uv")

[private]
default:
    @{{ just_executable() }} --justfile {{ justfile() }} --list

# Install everything into .venv
setup:
    {{ uv }} sync

# Start the whole stack on this machine
run *args:
    {{ uv }} run fleetfold up {{ args }}

# Show everything on simulated machines, and clean up
demo *args:
    {{ uv }} run fleetfold demo {{ args }}

# Run the tests; arguments go to pytest
test *args:
    {{ uv }} run python -m pytest {{ args }}

# Look for faults that a linter sees, and for lines not formatted
lint:
    {{ uv }} run ruff check
    {{ uv }} run ruff format --check

# Format, and mend what can be mended without a thought
format:
    {{ uv }} run ruff check --fix-only
    {{ uv }} run ruff format

# Check the types
types:
    {{ uv }} run basedpyright

# Check that imports point one way
contracts:
    {{ uv }} run lint-imports

# Check that each member installs and imports alone
members:
    .ci/members-alone

# Write the schemas anew; `just schemas --check` only says whether they are up to date
schemas *args:
    {{ uv }} run python -m fleetfold_contracts.schemas schemas {{ args }}

# Record a history of this version, which later ones must fold for ever
record name:
    {{ uv }} run python -m tests.histories.record {{ name }}

# Measure
bench *args:
    {{ uv }} run python -m tests.bench {{ args }}

# Everything that has to hold
check: lint types contracts (schemas "--check") members test
