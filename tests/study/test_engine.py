"""The engine on a scheduler that others use, too."""

import operator

import pytest
from clusters import Cluster

from snncompile.study.engine import open_engine

pytest.importorskip("distributed")


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
