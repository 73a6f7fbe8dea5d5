"""The engine on a scheduler that others use, too."""

import operator
import time

import pytest
from clusters import Cluster, kill

from snncompile.errors import BackendError
from snncompile.study.engine import open_engine

pytest.importorskip("distributed")


def test_a_scheduler_that_goes_away_is_one_line(tmp_path):
    """Dask tries to connect again for some seconds before it gives up."""
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}), Cluster(tmp_path) as cluster:
        cluster.add_worker()
        with open_engine(cluster.address) as engine:
            results = engine.run(time.sleep, iter([("first", (0,)), ("second", (600,))]))
            assert next(results) == ("first", "None")
            kill(cluster.scheduler)
            with pytest.raises(BackendError) as error:
                next(results)
    assert str(error.value) == (
        "the Dask scheduler is gone; results so far are kept: start it and give the same command"
        " again"
    )


def test_jobs_of_one_name_and_other_arguments_are_other_jobs(tmp_path):
    """Two studies on one scheduler may have the same trial, each in its own folder."""
    with Cluster(tmp_path) as cluster, open_engine(cluster.address) as one:
        assert one.threads == 0
        cluster.add_worker()
        with open_engine(cluster.address) as other:
            first = one.run(operator.concat, iter([("trial", ("a", "1"))]))
            second = other.run(operator.concat, iter([("trial", ("b", "1"))]))
            assert next(first) == ("trial", "a1")
            assert next(second) == ("trial", "b1")
            assert one.threads == 1
