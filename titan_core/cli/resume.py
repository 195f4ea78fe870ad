"""`titan resume`: let a locked or halted session go on."""

from typing import Annotated

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.session_options import ANSWER_S, AnswerOption, NameOption, StateOption, checked_reason, chosen, picture

app = typer.Typer(help="Leave `locked`, or a halt.")


@app.command()
def resume(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it may go on; it is kept in the journal.")],
    json: JsonOption = False,
    state: StateOption = None,
    name: NameOption = None,
    timeout: AnswerOption = ANSWER_S,
) -> None:
    """Leave `locked` after an emergency, or a halt that waits for the operator.

    Exits with 1 and the reason where the Brain does not allow it from where it is, with 3 where no session runs.
    """
    from titan_core.app.control.client import ask
    from titan_core.app.control.messages import Resume
    from titan_core.cli.output import console, print_json

    reason = checked_reason(reason)
    session = chosen(state, name)
    before = picture(session.folder, timeout).status
    ask(session.folder, Resume(reason=reason), timeout_s=timeout)
    after = picture(session.folder, timeout).status
    if json:
        print_json({"session": session.file.name, "pid": session.file.pid, "before": before.brain, "after": after.brain, "gate": after.gate})
    else:
        console().print(f"{session} goes on, the gate is {after.gate}\nwas  {before.brain}\nis   {after.brain}", markup=False, soft_wrap=True)
