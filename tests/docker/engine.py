"""Whether a Docker Engine with Compose v2 answers here. Where none does, what needs it is skipped; in CI it fails."""

import shutil
import subprocess

from tests.support.needed import missing


def require_engine() -> None:
    """Skip the test that asks, or fail it in CI, where no engine answers."""
    reason = why_not()
    if reason is not None:
        missing(reason)


def why_not() -> str | None:
    """What is missing, in words; None where all is there."""
    if shutil.which("docker") is None:
        return "there is no program `docker`"
    for question in ("docker version --format {{.Server.Version}}", "docker compose version --short"):
        problem = _problem_of(question)
        if problem is not None:
            return problem
    return None


def _problem_of(question: str) -> str | None:
    try:
        answer = subprocess.run(question.split(), capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return f"`{question}` does not answer"
    if answer.returncode == 0:
        return None
    return f"`{question}` says: {answer.stderr.strip()}"
