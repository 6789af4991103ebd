#!/usr/bin/env python3
"""What watching a small platform costs: this host, PostgreSQL, MariaDB, Redis, memcached, nginx and, where a Docker
engine can start, 20 containers; Quarterdeck against the separate programs, every 5 seconds, in the same run.

usage: bench/whole_set.py [--duration S] [--rounds N] [--containers N]

The programs beside it are Prometheus, Alertmanager and the exporters that Debian has (node, postgres, mysqld, redis,
nginx; it has none of memcached and cAdvisor, which Quarterdeck does as well). Shows resident memory, and CPU as percent
of one core after a warm-up, first without containers, then with them; the median of the rounds. All runs in a network
namespace of its own, so that discovery finds these servers and no others: as root.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import peers

POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
WARM_UP_S = 20


class Program(peers.Server):
    """A server of another protocol: ready when its port takes connections."""

    def wait_ready(self, timeout_s=60):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        log = (self.directory / "output.log").read_text(errors="replace")
        raise SystemExit(f"{self.name} did not get ready:\n{log[-2000:]}")

    def run(self, *command, **options):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
        if done.returncode != 0:
            raise SystemExit(f"{command[0]}: {done.stderr[-1000:]}")


class Postgres(Program):
    name = "postgres"

    def command(self):
        data = self.directory / "data"
        shutil.chown(self.directory, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
        self.run(*as_user, POSTGRES / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N")
        place = ["-D", data, "-p", self.port, "-k", self.directory]
        return [str(word) for word in [*as_user, POSTGRES / "postgres", *place, "-c", "listen_addresses=127.0.0.1"]]


class Mariadb(Program):
    name = "mariadbd"

    def command(self):
        data = f"--datadir={self.directory}/data"
        options = ["--skip-test-db", "--auth-root-authentication-method=normal", "--user=root"]
        self.run("mariadb-install-db", "--no-defaults", data, *options)
        place = [f"--port={self.port}", f"--socket={self.directory}/socket", "--bind-address=127.0.0.1"]
        return ["/usr/sbin/mariadbd", "--no-defaults", data, "--user=root", *place]


class Redis(Program):
    name = "redis-server"

    def command(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]


class Memcached(Program):
    name = "memcached"

    def command(self):
        return ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-u", "root"]


class Nginx(Program):
    name = "nginx"

    def command(self):
        temporary = " ".join(
            f"{kind}_temp_path {self.directory}/{kind};" for kind in "client_body proxy fastcgi uwsgi scgi".split()
        )
        (self.directory / "nginx.conf").write_text(
            f"daemon off; user root; worker_processes 1; pid {self.directory}/pid; error_log {self.directory}/error.log;\n"
            "events { worker_connections 64; }\n"
            f"http {{ access_log off; {temporary}\n"
            f"  server {{ listen 127.0.0.1:{self.port}; location = /stub_status {{ stub_status; }} }} }}\n"
        )
        return ["/usr/sbin/nginx", "-p", str(self.directory), "-c", str(self.directory / "nginx.conf")]


class Exporter(peers.Server):
    ready_path = "/metrics"

    def __init__(self, directory, name, arguments, environment):
        self.name, self.arguments, self.environment = name, arguments, environment
        super().__init__(directory)

    def command(self):
        variables = [f"{key}={value}" for key, value in self.environment.items()]
        return ["env", *variables, self.name, f"--web.listen-address=127.0.0.1:{self.port}", *self.arguments]


class Alertmanager(peers.Server):
    name = "prometheus-alertmanager"

    def command(self):
        file = self.directory / "alertmanager.yml"
        file.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
        return [
            self.name,
            f"--config.file={file}",
            f"--storage.path={self.directory}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]


class Engine:
    """A Docker engine of this run, and containers that sleep."""

    def __init__(self, directory, stack):
        self.directory = directory / "engine"
        self.directory.mkdir()
        self.socket = self.directory / "docker.sock"
        command = ["dockerd", "--host", f"unix://{self.socket}", "--pidfile", f"{self.directory}/pid"]
        command += ["--data-root", f"{self.directory}/data", "--exec-root", f"{self.directory}/exec"]
        command += ["--bridge", "none", "--iptables=false", "--ip6tables=false"]
        self.output = open(self.directory / "output.log", "wb")
        self.process = subprocess.Popen(command, stdout=self.output, stderr=self.output)
        stack.callback(self.stop)
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None and self.docker("version").returncode != 0:
            time.sleep(0.2)

    def docker(self, *arguments):
        return subprocess.run(["docker", "-H", f"unix://{self.socket}", *arguments], capture_output=True, text=True)

    def start_containers(self, count):
        """Why not, or nothing."""
        root = self.directory / "root"
        (root / "bin").mkdir(parents=True)
        shutil.copy("/usr/bin/busybox", root / "bin/sh")
        archive = self.directory / "image.tar"
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        done = self.docker("import", str(archive), "bench:1")
        for number in range(count if done.returncode == 0 else 0):
            done = self.docker("run", "-d", "--name", f"app-{number}", "bench:1", "/bin/sh", "sleep", "100000")
            if done.returncode != 0:
                break
        return done.stderr.strip() if done.returncode != 0 else ""

    def stop(self):
        ids = self.docker("ps", "-q").stdout.split()
        if ids:
            self.docker("kill", *ids)
        self.process.terminate()
        self.process.wait(60)
        self.output.close()
        subprocess.run(["umount", "-l", self.directory / "exec/netns/default"], capture_output=True)


def watched_servers(directory, stack):
    servers = {kind.name: peers.started(stack, kind(directory)) for kind in (Postgres, Mariadb, Redis, Memcached, Nginx)}
    for server in servers.values():
        server.wait_ready()
    return servers


def quarterdeck_settings(servers, docker_socket):
    at = {name: f"127.0.0.1:{server.port}" for name, server in servers.items()}
    return [
        f'observe.postgres=[{{"address":"{at["postgres"]}","user":"postgres"}}]',
        f'observe.mysql=[{{"address":"{at["mariadbd"]}","user":"root"}}]',
        f'observe.redis=[{{"address":"{at["redis-server"]}"}}]',
        f'observe.memcached=[{{"address":"{at["memcached"]}"}}]',
        f'observe.nginx=[{{"status_url":"http://{at["nginx"]}/stub_status"}}]',
        f"observe.docker.socket={docker_socket}",
    ]


def separate_programs(directory, servers):
    at = {name: f"127.0.0.1:{server.port}" for name, server in servers.items()}
    postgres = f"postgresql://postgres@{at['postgres']}/postgres?sslmode=disable"
    exporters = [
        Exporter(directory, "prometheus-node-exporter", [], {}),
        Exporter(directory, "prometheus-postgres-exporter", [], {"DATA_SOURCE_NAME": postgres}),
        Exporter(directory, "prometheus-mysqld-exporter", [], {"DATA_SOURCE_NAME": f"root@({at['mariadbd']})/"}),
        Exporter(directory, "prometheus-redis-exporter", ["--redis.addr", f"redis://{at['redis-server']}"], {}),
        Exporter(directory, "prometheus-nginx-exporter", ["-nginx.scrape-uri", f"http://{at['nginx']}/stub_status"], {}),
    ]
    file = directory / "prometheus.yml"
    peers.prometheus_file(file, 5000, {e.name: [f"127.0.0.1:{e.port}"] for e in exporters})
    return [*exporters, peers.Prometheus(directory, file), Alertmanager(directory)]


def measure(groups, duration_s):
    """CPU percent and resident megabytes of each group."""
    before = {name: sum(s.cpu_s() for s in group) for name, group in groups.items()}
    began = time.monotonic()
    time.sleep(duration_s)
    took = time.monotonic() - began
    cpu = {name: (sum(s.cpu_s() for s in group) - before[name]) / took * 100 for name, group in groups.items()}
    return cpu, {name: sum(s.resident_bytes() for s in group) / 1e6 for name, group in groups.items()}


def compare(what, directory, servers, docker_socket, options):
    directory.mkdir()
    with contextlib.ExitStack() as here:
        ours = peers.started(here, peers.Quarterdeck(directory, settings=quarterdeck_settings(servers, docker_socket)))
        groups = {"quarterdeck": [ours]}
        theirs = separate_programs(directory, servers)
        missing = [server.name for server in theirs if not peers.installed(server)]
        if missing:
            print(f"without the separate programs: {', '.join(missing)} are not installed")
        else:
            groups["separate programs together"] = [peers.started(here, server) for server in theirs]
        for group in groups.values():
            for server in group:
                server.wait_ready()
        time.sleep(WARM_UP_S)
        rounds = [measure(groups, options.duration) for _ in range(options.rounds)]
        cpu = {name: peers.median([r[0][name] for r in rounds]) for name in groups}
        memory = {name: rounds[-1][1][name] for name in groups}
        up = int(ours.query_value("count({__name__=~'.+_up'} == 1)"))
        containers = int(ours.query_value("count(container_start_time_seconds{name!=''})"))
        samples = ours.query_value("sum(rate(quarterdeck_store_samples_appended_total[1m])) * 5")
        print(f"\n{what}: {up} services up, {containers} containers, {samples:,.0f} samples every 5 s")
        peers.table(f"{what}: CPU", "% of a core", cpu, digits=2)
        peers.table(f"{what}: resident memory", "MB", memory, digits=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=60, metavar="S", help="of a round (default 60)")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts (default 3)")
    parser.add_argument("--containers", type=int, default=20, help="how many (default 20)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench/whole_set.py needs root, for a network namespace of its own")
    if "QD_BENCH_NAMESPACE" not in os.environ:
        alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv]
        os.execvpe(alone[0], alone, os.environ | {"QD_BENCH_NAMESPACE": "1"})
    with peers.workplace() as (directory, stack):
        directory.chmod(0o755)
        servers = watched_servers(directory, stack)
        compare("host and five servers", directory / "without", servers, directory / "none.sock", options)
        if not shutil.which("dockerd") or not pathlib.Path("/usr/bin/busybox").exists():
            return print("without containers: docker.io or busybox-static is not installed")
        engine = Engine(directory, stack)
        why = engine.start_containers(options.containers)
        if why:
            return print(f"without containers: the Docker engine cannot run them here: {why}")
        what = f"host, five servers and {options.containers} containers"
        compare(what, directory / "with", servers, engine.socket, options)


if __name__ == "__main__":
    main()
