"""A build, from the read Dockerfile to the image in the store.

The loop below goes through the stages: what the cache has is taken at once, the rest is done by
forked children (jobs.py), at most --jobs of them, and stages go on beside each other.
"""

import hashlib
import os
import select
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from rootless.build import image, steps
from rootless.build.cache import Cache, Entry
from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.parse import parse
from rootless.build.dockerfile.scope import unknown_arguments
from rootless.build.dockerfile.stages import syntax_note
from rootless.build.dockerfile.text import did_you_mean
from rootless.build.events import Emit, Event, Result
from rootless.build.inputs import Inputs
from rootless.build.jobs import Failed, Job, Link, traced
from rootless.build.plan import BaseImage, Plan, Planner, StagePlan, Step
from rootless.errors import BuildError
from rootless.oci import reference
from rootless.store import atomic, layout
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.build.context import BuildContext
    from rootless.build.options import BuildOptions
    from rootless.context import Context

TAIL_MAX = 16384  # bytes of a step's output that are kept for its failure


def build(ctx: "Context", options: "BuildOptions", context: "BuildContext", emit: Emit) -> Result:
    """Build the target of `context.dockerfile` and put the image into the store.

    Raises BuildError with its place and the excerpt of the Dockerfile; `failed` has been emitted
    then for a step that has failed.  KeyboardInterrupt ends every step that runs.
    """
    layout.prepare(ctx.paths)
    atomic.sweep(ctx)
    with _Signals(), Lease(ctx) as lease, ExitStack() as stack:
        lease.keep_all()  # which layers there will be is known at the end only
        return _Build(ctx, options, context, emit, lease.path, stack).run()


class _Signals:
    """SIGTERM and SIGHUP end a build as Ctrl-C does: with its steps, and nothing left behind."""

    def __enter__(self) -> None:
        self._before = {
            number: signal.signal(number, self._end)
            for number in (signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) == signal.SIG_DFL
        }

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, _frame: object) -> None:
        raise SystemExit(128 + number)


class _Stage:
    """How far a stage is."""

    def __init__(self, plan: StagePlan) -> None:
        self.plan = plan
        self.entries: list[Entry] = []
        self.own: list[str] = []  # diffIDs
        self.keys: list[str] = []
        self.job: Job | None = None

    @property
    def next(self) -> Step | None:
        done = len(self.entries)
        return self.plan.steps[done] if done < len(self.plan.steps) else None

    def add(self, key: str, entry: Entry) -> None:
        self.keys.append(key)
        self.entries.append(entry)
        if entry.diff_id:
            self.own.append(entry.diff_id)


class _Build:
    def __init__(
        self,
        ctx: "Context",
        options: "BuildOptions",
        context: "BuildContext",
        emit: Emit,
        directory: str,
        stack: ExitStack,
    ) -> None:
        self.ctx = ctx
        self.options = options
        self.emit = emit
        self.directory = directory
        self.dockerfile = parse(context.dockerfile, context.dockerfile_name)
        self.cache = Cache(ctx)
        self.cache.prepare()
        self.inputs = Inputs(ctx, options, context, self.dockerfile, stack, directory, self.cache)
        self.last = self.cache.last(self._name(context))
        self.stages: dict[int, _Stage] = {}
        self.transfers: dict[int, Any] = {}
        self.tails: dict[int, bytes] = {}
        self.jobs: dict[int, tuple[Job, Step, bool]] = {}  # whether it prepares itself
        self.started = False  # any step
        self.total = 0
        self.cached = 0

    def _name(self, context: "BuildContext") -> str:
        """What stands for this Dockerfile from build to build."""
        origin = self.options.context
        origin = os.path.abspath(origin) if os.path.isdir(origin) else origin
        text = "\n".join((origin, self.options.dockerfile or "", context.dockerfile_name))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def run(self) -> Result:
        self._notes()
        planner = Planner(self.dockerfile, self.options)
        found = self.inputs.images(planner.needs(), self.emit)
        plan = planner.plan(found)
        trace = self.ctx.trace
        if trace is not None:
            trace.lap(f"found the base images, and planned {len(plan.steps)} steps")
        self.total = len(plan.steps)
        self.inputs.check(plan)
        self.stages = {one.stage.index: _Stage(one) for one in plan.stages}
        self._read_contexts(plan)
        self._import_caches()
        if trace is not None:
            trace.lap("looked at the context: what there is to be copied")
            trace.open("did the steps")
        try:
            self._loop(plan)
        except BaseException:
            self._stop()
            raise
        finally:
            self.last.save()
        if trace is not None:
            trace.close()
        result = self._finish(plan)
        if trace is not None:
            trace.lap(f"wrote the image {result.image_id}: its config and manifest")
        return result

    def _notes(self) -> None:
        syntax = self.options.given_args.get("BUILDKIT_SYNTAX") or self.dockerfile.syntax
        note = syntax_note(syntax) if syntax else None
        if note:
            self.emit(Event("note", text=note))
        unknown = unknown_arguments(self.dockerfile, self.options.build_args)
        if unknown:
            names = ", ".join(sorted(unknown))
            self.emit(Event("note", text=f"no ARG declares these build arguments: {names}"))
        known = tuple(stage.name for stage in self.dockerfile.stages if stage.name)
        for name in self.options.no_cache_filter:
            if name.lower() not in (stage.label for stage in self.dockerfile.stages):
                meant = did_you_mean(name, known)
                text = f"--no-cache-filter: there is no stage {name}"
                self.emit(Event("note", text=f"{text}; {meant}" if meant else text))

    def _read_contexts(self, plan: Plan) -> None:
        """Find out what the context has to give, so that a wrong path is known at once."""
        for step in plan.steps:
            if step.source is None or not step.source.is_context:
                continue
            with self._located(step):
                self.transfers[step.number] = steps.transfer_of(self.inputs.around, step, {})
                self.inputs.around.digest(step.number, self.transfers[step.number])

    def _import_caches(self) -> None:
        """--cache-from, for steps that are not in the cache here."""
        if self.options.cache_from and not self.options.no_cache:
            from rootless.build import cache_imports

            self.inputs.around.imports = cache_imports.open_caches(
                self.ctx,
                self.options.cache_from,
                lambda text: self.emit(Event("note", text=text)),
            )

    def _located(self, step: Step) -> "_Located":
        return _Located(self, step)

    # The loop.

    def _loop(self, plan: Plan) -> None:
        while True:
            while self._advance():
                pass
            if not self.jobs:
                break
            self._wait()

    def _advance(self) -> bool:
        """Take from the cache and start what can be; whether anything was taken."""
        taken = False
        for stage in self.stages.values():
            step = stage.next
            if stage.job is not None or step is None or not self._is_ready(stage, step):
                continue
            if len(self.jobs) >= self.options.jobs > 0:
                continue
            taken = True
            if (
                self.jobs
                and isinstance(step.instruction, to.Copy | to.Add)
                and step.stages_needed()
            ):
                # Reading a stage's files may take long: the others' output would wait for us.
                self._start(stage, step, None)
                continue
            with self._located(step):
                prepared = self._prepare(stage, step)
            entry = None if self._is_fresh(step) else self.cache.load(prepared.key)
            if entry is None:
                self._start(stage, step, prepared)
            else:
                self._event("cached", step)
                self._trace(step, "cache hit")
                self._done(stage, step, prepared.key, prepared.parts, entry, cached=True)
        return taken

    def _prepare(self, stage: _Stage, step: Step) -> steps.Prepared:
        return steps.prepare(
            self.inputs.around,
            step,
            self._layers(stage),
            {index: self._layers(one) for index, one in self.stages.items()},
            self.transfers.get(step.number),
        )

    def _is_ready(self, stage: _Stage, step: Step) -> bool:
        needed = step.stages_needed()
        base = stage.plan.base
        if isinstance(base, StagePlan):
            needed.append(base)
        return all(self.stages[one.stage.index].next is None for one in needed)

    def _layers(self, stage: _Stage) -> list[str]:
        base = stage.plan.base
        if isinstance(base, StagePlan):
            return self._layers(self.stages[base.stage.index]) + stage.own
        return (base.layers if isinstance(base, BaseImage) else []) + stage.own

    def _is_fresh(self, step: Step) -> bool:
        names = (step.stage.stage.name, step.stage.label)
        wanted = [name.lower() for name in self.options.no_cache_filter]
        return self.options.no_cache or any(name in wanted for name in names if name)

    def _start(self, stage: _Stage, step: Step, prepared: steps.Prepared | None) -> None:
        """Give the step to a child; one that is not prepared is prepared there."""
        if not self.started:
            self.started = True
            self.inputs.check_images()
        fresh = self._is_fresh(step)
        why = self._explain(step, prepared.parts) if prepared else ""
        self._event("started", step, text=why)

        def work(link: Link) -> object:
            ready = prepared or self._prepare(stage, step)
            made = steps.make(self.inputs.around, ready, link, fresh=fresh)
            return {**made, "key": ready.key, "parts": ready.parts}

        stage.job = Job(work if self.ctx.trace is None else traced(self.ctx, work))
        self.jobs[step.number] = (stage.job, step, prepared is None)

    def _explain(self, step: Step, parts: Mapping[str, object]) -> str:
        """For --explain-cache: why the step is not taken from the cache."""
        if not self.options.explain_cache:
            return ""
        return "--no-cache" if self._is_fresh(step) else self.last.explain(_slot(step), parts)

    def _wait(self) -> None:
        """Until a child has something to say."""
        poll = select.poll()
        owners = {}
        for number, (job, _, _) in self.jobs.items():
            for fd in job.descriptors():
                poll.register(fd, select.POLLIN)
                owners[fd] = number
        for fd, _ in poll.poll():
            number = owners[fd]
            job, step, _ = self.jobs[number]
            job.handle(fd)
            self._tell(job, step)
        for number in [n for n, (job, _, _) in self.jobs.items() if job.ended]:
            self._end(number)

    def _tell(self, job: Job, step: Step) -> None:
        for stream, data in job.outputs:
            self.tails[step.number] = (self.tails.get(step.number, b"") + data)[-TAIL_MAX:]
            self._event("output", step, stream=stream, data=data)
        for text in job.notes:
            self._event("note", step, text=text)
        job.outputs.clear()
        job.notes.clear()

    def _end(self, number: int) -> None:
        job, step, late = self.jobs[number]
        stage = self.stages[step.stage.stage.index]
        try:
            result: Any = job.result()
        except Failed as e:
            self._tell(job, step)
            self._fail(job, step, e)
        self._tell(job, step)
        del self.jobs[number]
        stage.job = None
        cached, parts = bool(result["cached"]), result["parts"]
        if late and not cached and self.options.explain_cache:
            self._event("note", step, text=self._explain(step, parts))
        self._event("cached" if cached else "done", step, seconds=job.seconds)
        self._trace(step, "cache hit" if cached else "cache miss, done", job)
        self._done(stage, step, result["key"], parts, Entry(**result["entry"]), cached=cached)

    def _done(
        self,
        stage: _Stage,
        step: Step,
        key: str,
        parts: Mapping[str, object],
        entry: Entry,
        *,
        cached: bool,
    ) -> None:
        stage.add(key, entry)
        self.cached += cached
        self.last.note(_slot(step), parts)

    def _fail(self, job: Job, step: Step, failure: Failed) -> None:
        """Tell, end everything else, and raise."""
        error = failure.as_error()
        self.dockerfile.locate(error, step.instruction)
        tail = _last_lines(self.tails.get(step.number, b""))
        self._trace(step, f"failed: {error.problem}", job)
        if not failure.held:
            del self.jobs[step.number]
        self._event("failed", step, text=error.problem, data=tail, seconds=job.seconds)
        if failure.held:
            del self.jobs[step.number]
            self._stop()
            self._event("note", step, text="a shell in the files of this step; exit to go on")
            job.shell()
        raise error

    def _stop(self) -> None:
        for job, _, _ in self.jobs.values():
            job.stop()
        for job, step, _ in self.jobs.values():
            job.wait_stopped()
            self._trace(step, "cancelled", job)
            self._event("cancelled", step, seconds=job.seconds)
        self.jobs.clear()

    def _event(self, kind: Any, step: Step, **fields: Any) -> None:
        self.emit(
            Event(
                kind,
                step=step.number,
                total=self.total,
                name=step.name,
                lines=step.lines,
                **fields,
            )
        )

    def _trace(self, step: Step, outcome: str, job: Job | None = None) -> None:
        trace = self.ctx.trace
        if trace is None:
            return
        text = f"{step.name}: {outcome}"
        if job is None:
            trace.lap(text, step=step.number, cached=True)
            return
        cached = outcome == "cache hit"
        facts = {"step": step.number, "cached": cached, "track": f"step {step.number}"}
        now = time.monotonic_ns()
        trace.add([text, int(job.began * 10**9), now, job.spans, facts])
        trace.since(now)

    def _finish(self, plan: Plan) -> Result:
        target = self.stages[plan.target.stage.index]
        diff_ids = self._layers(target)
        entries = {index: stage.entries for index, stage in self.stages.items()}
        epoch = self.options.source_date_epoch
        document = image.config_of(plan.target, diff_ids, entries, self.options.labels, epoch)
        if self.options.squash:
            self._squash(plan.target, document)
        if any(one.type == "inline" for one in self.options.cache_to):
            self._inline_cache(plan.target, document)
        tags = [reference.parse(tag).tagged().canonical() for tag in self.options.tags]
        base = image.base_of(plan.target)
        below = base.record if base is not None else None
        record = image.put(
            self.ctx, below, document, tags, self.directory, self.options.annotations
        )
        return Result(
            image_id=str(record["id"]),
            digest=str(record["digest"]),
            record=record,
            names=tuple(tags),
            steps=self.total,
            cached=self.cached,
            cache_keys=tuple(target.keys),
            all_cache_keys=tuple(key for stage in self.stages.values() for key in stage.keys),
        )

    def _inline_cache(self, target: StagePlan, document: dict[str, Any]) -> None:
        """--cache-to type=inline: the image says which step made which of its layers."""
        from rootless.build import cache_registry

        steps: list[tuple[str, Entry]] = []
        plan: Any = target
        while isinstance(plan, StagePlan):
            stage = self.stages[plan.stage.index]
            steps += zip(stage.keys, stage.entries, strict=True)
            plan = plan.base
        diff_ids = document["rootfs"]["diff_ids"]
        document[cache_registry.KEY] = cache_registry.describe(steps, diff_ids)

    def _squash(self, target: StagePlan, document: dict[str, Any]) -> None:
        from rootless.build import squash

        base = image.base_of(target)
        below = base.layers if base else []
        added = document["rootfs"]["diff_ids"][len(below) :]
        if len(added) < 2:
            return
        entry = squash.squash(self.ctx, self.cache, added, self.options.source_date_epoch)
        inherited = len(base.document.get("history") or ()) if base else 0
        document["rootfs"]["diff_ids"] = [*below, entry.diff_id]
        document["history"] = squash.history(document["history"], inherited, entry)
        document["created"] = entry.created


class _Located:
    """Errors get the place of the step."""

    def __init__(self, build_: _Build, step: Step) -> None:
        self._build = build_
        self._step = step

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, value: BaseException | None, _traceback: object) -> None:
        if isinstance(value, BuildError):
            self._build.dockerfile.locate(value, self._step.instruction)


def _slot(step: Step) -> str:
    return f"{step.stage.label} {step.place}"


def _last_lines(data: bytes) -> bytes:
    return b"\n".join(data.rstrip(b"\n").split(b"\n")[-steps.TAIL :])
