"""What the comparisons share: servers on free loopback ports, what they cost, and lines that say so.

Each comparison starts what it needs, measures all in the same run, and ends only what it started.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("QD_BENCH_BUILD", ROOT / "build/release"))
QUARTERDECK = pathlib.Path(os.environ.get("QD_BINARY", BUILD / "quarterdeck"))
TARGET_SERVER = BUILD / "bench/target_server"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, timeout_s=60):
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url}: {error}: {error.read()[:500].decode(errors='replace')}") from None


def post(url, timeout_s=120):
    with urllib.request.urlopen(urllib.request.Request(url, data=b""), timeout=timeout_s) as response:
        return response.read()


def bytes_below(directory, pattern="**/*"):
    return sum(f.stat().st_size for f in pathlib.Path(directory).glob(pattern) if f.is_file())


def metric(text, name):
    """The sum of a metric's samples in exposition text."""
    total = 0.0
    for line in text.splitlines():
        if line.startswith(name) and line[len(name) : len(name) + 1] in (" ", "{"):
            total += float(line.rsplit(" ", 1)[1])
    return total


class Server:
    """A process with an HTTP port. Its output goes to a file in its directory."""

    name = "?"
    ready_path = "/-/ready"

    def __init__(self, directory):
        self.directory = pathlib.Path(directory) / self.name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.directory / "output.log", "ab") as output:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.directory
            )

    def wait_ready(self, timeout_s=60):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.url + self.ready_path, timeout=5).close()
                return
            time.sleep(0.02)
        log = (self.directory / "output.log").read_text(errors="replace")
        raise SystemExit(f"{self.name} did not get ready:\n{log[-2000:]}")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_s(self):
        """CPU seconds so far, in the kernel and outside; to 10 ms."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def cpu_exactly_s(self):
        """The same of the threads that live now, to the nanosecond."""
        total = 0
        for file in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(file.read_text().split()[0])
        return total / 1e9

    def _status_kb(self, key):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        return 0

    def resident_bytes(self):
        return self._status_kb("VmRSS") * 1024

    def peak_bytes(self):
        return self._status_kb("VmHWM") * 1024

    def restart_s(self):
        """Ends the process as a crash would, starts it again, and gives the seconds until it is ready."""
        self.process.kill()
        self.process.wait()
        began = time.monotonic()
        self.start()
        self.wait_ready(timeout_s=600)
        return time.monotonic() - began

    def query(self, expr, at_s=None):
        arguments = {"query": expr}
        if at_s is not None:
            arguments["time"] = f"{at_s:.3f}"
        return json.loads(get(f"{self.url}/api/v1/query?{urllib.parse.urlencode(arguments)}"))["data"]["result"]

    def query_value(self, expr, at_s=None):
        result = self.query(expr, at_s)
        return float(result[0]["value"][1]) if result else 0.0

    range_options = {}

    def query_range(self, expr, start_s, end_s, step_s):
        """The result and the seconds until its last byte was here."""
        arguments = {"query": expr, "start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:.3f}"}
        url = f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(arguments | self.range_options)}"
        began = time.perf_counter()
        body = get(url)
        took = time.perf_counter() - began
        return json.loads(body)["data"]["result"], took


class Scraper(Server):
    """A server that scrapes what a Prometheus file names."""

    def __init__(self, directory, prometheus_file):
        super().__init__(directory)
        self.prometheus_file = pathlib.Path(prometheus_file)
        self.data = self.directory / "data"

    def disk_bytes_per_sample(self, samples):
        """Once everything is in the form in which it lasts."""
        raise NotImplementedError


class Quarterdeck(Scraper):
    name = "quarterdeck"

    def __init__(self, directory, prometheus_file=None, settings=()):
        super().__init__(directory, prometheus_file or "")
        self.settings = list(settings)

    def command(self):
        command = [QUARTERDECK, "run", "--data-dir", self.data, "--listen", f"127.0.0.1:{self.port}"]
        if self.prometheus_file.name:
            command += ["--prometheus", self.prometheus_file]
        for setting in self.settings:
            command += ["--set", setting]
        return [str(word) for word in command]

    def disk_bytes_per_sample(self, samples):
        """Stops, and starts again without targets and with a short seal interval: segments are written and merged."""
        self.stop()
        self.prometheus_file = pathlib.Path("")
        self.settings = ["observe.host.enabled=false", "judge.rules.defaults=false", "store.metrics.seal_interval=1m"]
        self.start()
        self.wait_ready()
        end = time.monotonic() + 90
        segments = {}
        since = time.monotonic()
        # Merging goes on in steps, with pauses between them.
        while time.monotonic() < min(end, since + 15):
            time.sleep(1)
            now = {f.name: f.stat().st_size for f in self.data.rglob("segments/*.seg")}
            if not now or now != segments:
                segments, since = now, time.monotonic()
        # What is older than the head is in segments; the newest window may stay in it.
        head_ms = json.loads(get(self.url + "/api/v1/status/tsdb"))["data"]["headStats"]["minTime"]
        at_s = min(head_ms / 1000 - 0.001, time.time())
        sealed = self.query_value('sum(count_over_time({job="app",path!=""}[1d]))', at_s)
        return sum(segments.values()) / sealed if sealed else None


class Prometheus(Scraper):
    name = "prometheus"

    def command(self):
        return [
            "prometheus",
            f"--config.file={self.prometheus_file}",
            f"--storage.tsdb.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-admin-api",
            "--log.level=warn",
        ]

    def disk_bytes_per_sample(self, samples):
        """A snapshot writes what is in memory as a block."""
        name = json.loads(post(self.url + "/api/v1/admin/tsdb/snapshot"))["data"]["name"]
        written = 0
        for meta in (self.data / "snapshots" / name).glob("*/meta.json"):
            written += json.loads(meta.read_text())["stats"]["numSamples"]
        return bytes_below(self.data / "snapshots" / name) / written if written else None


class VictoriaMetrics(Scraper):
    name = "victoria-metrics"
    ready_path = "/health"
    # Without the cache of results, which would answer all but the first of the same queries.
    range_options = {"nocache": "1"}

    def command(self):
        return [
            "victoria-metrics",
            f"-storageDataPath={self.data}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-promscrape.config={self.prometheus_file}",
            "-retentionPeriod=1",
            "-search.latencyOffset=1s",
            # What the others take by themselves.
            "-search.maxUniqueTimeseries=1000000",
            "-search.maxQueryDuration=2m",
            "-loggerLevel=WARN",
        ]

    def disk_bytes_per_sample(self, samples):
        get(self.url + "/internal/force_flush")
        get(self.url + "/internal/force_merge")
        last, end = 0, time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(2)
            # Space for nothing but samples and their index; a merge has ended once it stays the same.
            now = bytes_below(self.data / "data") + bytes_below(self.data / "indexdb")
            if now == last:
                break
            last = now
        return last / samples if samples else None


class NodeExporter(Server):
    name = "prometheus-node-exporter"
    ready_path = "/"
    # What Quarterdeck's host collector measures.
    COLLECTORS = (
        "arp bcache bonding btrfs cgroups conntrack cpu cpufreq diskstats dmi edac entropy ethtool fibrechannel filefd "
        "filesystem hwmon infiniband ipvs loadavg mdadm meminfo netclass netdev netstat nfs nfsd nvme os "
        "powersupplyclass pressure processes rapl schedstat selinux sockstat softnet stat tapestats tcpstat textfile "
        "thermal_zone time timex udp_queues uname vmstat xfs zfs"
    ).split()

    def command(self):
        return [
            "prometheus-node-exporter",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.disable-exporter-metrics",
            "--collector.disable-defaults",
            "--log.level=error",
            *(f"--collector.{name}" for name in self.COLLECTORS),
            "--collector.textfile.directory=",
        ]


class Targets:
    """bench/target_server: `count` targets of `series` series each, values moving on every `interval_ms`."""

    def __init__(self, count, series, interval_ms):
        if not TARGET_SERVER.exists():
            raise SystemExit(f"{TARGET_SERVER} is not built: ninja -C build/release target_server")
        self.process = subprocess.Popen(
            [str(TARGET_SERVER), str(count), str(series), str(interval_ms)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addresses = [f"127.0.0.1:{int(self.process.stdout.readline())}" for _ in range(count)]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


def prometheus_file(path, interval_ms, jobs):
    """Writes a Prometheus file; `jobs` is addresses by job name."""
    lines = ["global:", f"  scrape_interval: {interval_ms}ms", f"  scrape_timeout: {interval_ms}ms", "scrape_configs:"]
    for job, addresses in jobs.items():
        listed = ", ".join(f'"{a}"' for a in addresses)
        lines += [f"  - job_name: {job}", "    static_configs:", f"      - targets: [{listed}]"]
    pathlib.Path(path).write_text("\n".join(lines) + "\n")
    return path


def installed(server):
    """Whether this machine has the peer (a class above)."""
    return shutil.which(server.name) is not None


@contextlib.contextmanager
def workplace():
    """A directory of this run, removed at its end, and a stack that ends what was started, last first."""
    if not QUARTERDECK.exists():
        raise SystemExit(f"{QUARTERDECK} is not built: ./dev build")
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as directory, contextlib.ExitStack() as stack:
        yield pathlib.Path(directory), stack


def started(stack, server):
    """Starts it and has the stack stop it."""
    server.start()
    stack.callback(server.stop)
    return server


def median(numbers):
    return statistics.median(numbers)


def table(title, unit, figures, ours="quarterdeck", digits=3):
    """Prints a figure a server and how many times as much the others take as we do, unless they are such ratios
    themselves (`ours` is None then); bench/run --write keeps it too."""
    if "QD_BENCH_TABLES" in os.environ:
        kept_table = {"title": title, "unit": unit, "figures": figures, "ours": ours, "digits": digits}
        with open(os.environ["QD_BENCH_TABLES"], "a", encoding="utf-8") as kept:
            kept.write(json.dumps(kept_table | {"run": os.environ["QD_BENCH_RUN"]}) + "\n")
    print(f"\n{title} ({unit})")
    base = figures.get(ours)
    for name, value in figures.items():
        shown = "-" if value is None else f"{value:,.{digits}f}"
        ratio = ""
        if name != ours and base and value is not None:
            ratio = f"   {value / base:8.2f} x {ours}"
        print(f"  {name:<40} {shown:>14}{ratio}")
    sys.stdout.flush()
