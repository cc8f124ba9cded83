"""A joblib backend that sees all tasks of a search before the first of them is run.

scikit-learn's searches hand the fit and the scoring of each candidate and fold to joblib as one
task, a call of its private function `_fit_and_score`. What is known of that function is here and in
`_tasks`.
"""

from __future__ import annotations

from joblib.parallel import ParallelBackendBase

#: Workers that joblib thinks there are, so that it hands over twice as many tasks at once: more
#: than searches have. Its evaluation of `pre_dispatch` takes numbers up to a million.
_MANY = 20_000


class GatheringBackend(ParallelBackendBase):
    """Gathers tasks and runs all of them together when the first result is asked for.

    Parameters
    ----------
    run : callable
        ``run(tasks)`` returns the results of tasks, tuples of a function, its arguments and its
        keyword arguments.
    """

    supports_retrieve_callback = False

    def __init__(self, run=None, **options):
        super().__init__(**options)
        self.run = run
        self.waiting: list = []

    def effective_n_jobs(self, n_jobs):
        return _MANY

    def submit(self, func, callback=None):
        job = _Job(self, func.items, callback)
        self.waiting.append(job)
        return job

    def apply_async(self, func, callback=None):
        """`submit` for joblib before 1.5."""
        return self.submit(func, callback)

    def run_waiting(self):
        jobs, self.waiting = self.waiting, []
        results = iter(self.run([task for job in jobs for task in job.tasks]))
        for job in jobs:
            job.results = [next(results) for _ in job.tasks]
        for job in jobs:
            if job.callback is not None:
                job.callback(job.results)


class _Job:
    """What joblib waits for: the results of a few tasks."""

    def __init__(self, backend, tasks, callback):
        self.backend, self.tasks, self.callback = backend, tasks, callback
        self.results = None

    def get(self, timeout=None):
        if self.results is None:
            self.backend.run_waiting()
        return self.results
