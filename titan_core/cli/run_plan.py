"""What `titan run` has been asked for, and the parts that its ways of running share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from titan_core.app.control.places import Places
    from titan_core.app.live.setup import Identity, OpenJournal
    from titan_core.config.load import Config
    from titan_core.engine.phases import PhaseBinding
    from titan_core.model.instrument import Instrument
    from titan_core.model.units import Money
    from titan_core.plugin_host import LoadedPhase


@frozen(kw_only=True)
class Plan:
    """One run."""

    where: "Places"
    name: str
    deposit: "Money"
    coins: tuple[str, ...]
    phases: "tuple[LoadedPhase, ...]"
    config: "Config"
    seconds: float | None
    json: bool

    @property
    def bindings(self) -> "list[PhaseBinding]":
        """The phases with their configuration."""
        from titan_core.app.compose import bind

        return [bind(phase, self.config) for phase in self.phases]

    @property
    def levels_bps(self) -> tuple[int, int, int]:
        """The draw-downs at which the Brain warns, halves and closes."""
        limits = self.config.brain
        return limits.drawdown_warning_bps, limits.drawdown_reduced_bps, limits.drawdown_emergency_bps

    def on_terms(self, instrument: "Instrument") -> "Instrument":
        """Return an instrument on the configured terms of its venue."""
        return self.config.venue(instrument.venue).applied_to(instrument)

    def identity(self, mode: str, feed: str, seed: int | None = None) -> "Identity":
        """Say what runs."""
        from titan_core.app.code_digest import code_digest, packages_of
        from titan_core.app.live.setup import Identity

        changed = {s.spec.name: str(s.spec.show(s.value)) for s in self.config.settings if s.origin not in ("default", "declared by the plugin")}
        code = code_digest(packages_of(phase.declaration for phase in self.phases))
        return Identity(name=self.name, mode=mode, feed=feed, seed=seed, code_digest=code, config_digest=self.config.digest, settings=changed)

    def journal(self, clock: Callable[[], int]) -> "OpenJournal":
        """Return what opens the journal."""

        def open_it(loop: Any, on_status: Any) -> Any:
            from titan_core.app.live.entries import Kept, entry_codec
            from titan_core.journal.journal import open_journal

            return open_journal(self.where.journal, entry_codec(), Kept, clock=clock, loop=loop, on_status=on_status)

        return open_it

    def recording(self) -> Path:
        """Return the folder that the market of the next process is recorded into."""
        folder = self.where.recording
        taken = [int(each.name.removeprefix("boot-")) for each in folder.glob("boot-*") if each.name.removeprefix("boot-").isdigit()]
        return folder / f"boot-{max(taken, default=0) + 1}"
