"""One run on several processes: how they were launched, how they share work, and how one's mistake is everyone's."""

from replication_bench.processes.group import ALONE as ALONE
from replication_bench.processes.group import Processes as Processes
from replication_bench.processes.group import joined as joined
from replication_bench.processes.group import speaks as speaks
