"""A joblib backend that receives all tasks of a search before it runs the first.

scikit-learn's searches pass the fit and the scoring of a candidate on a fold to joblib as one task,
a call of their private function `_fit_and_score`. `_fit_groups.py` knows the arguments of that
function; this module knows no more than joblib's public backend interface.
"""

from __future__ import annotations

from joblib.parallel import ParallelBackendBase

#: Number of workers reported to joblib, which then dispatches twice as many tasks at once: more
#: than any search has. joblib's parser of `pre_dispatch` accepts numbers up to a million.
_MANY = 20_000


class GatheringBackend(ParallelBackendBase):
    """Gather tasks, and run all of them when joblib asks for the first result.

    ``run(tasks)`` returns the results of tasks, tuples (function, args, kwargs), in their order.
    """

    supports_retrieve_callback = False

    def __init__(self, run=None, **options):
        super().__init__(**options)
        self.run = run
        self.waiting: list[_Job] = []

    def effective_n_jobs(self, n_jobs):
        return _MANY

    def submit(self, func, callback=None):
        job = _Job(self, func.items, callback)
        self.waiting.append(job)
        return job

    apply_async = submit  # its name in joblib before 1.5

    def run_waiting(self):
        jobs, self.waiting = self.waiting, []
        results = iter(self.run([task for job in jobs for task in job.tasks]))
        for job in jobs:
            job.results = [next(results) for _ in job.tasks]
        for job in jobs:
            if job.callback is not None:
                job.callback(job.results)


class _Job:
    """A few tasks, whose results joblib waits for."""

    def __init__(self, backend, tasks, callback):
        self.backend, self.tasks, self.callback = backend, tasks, callback
        self.results = None

    def get(self, timeout=None):
        if self.results is None:
            self.backend.run_waiting()
        return self.results
